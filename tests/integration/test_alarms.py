# SPDX-License-Identifier: BSD-3-Clause
"""show alarms, show certificates: what is wrong, from when it begins until it is over, once in the log each."""

import os
import pathlib
import shutil

import pytest

import netns
from conftest import Stack
from pki import Pki
from stream_peer import StreamEndpoint

FILES = "/tmp/sallyport-alarms-%d" % os.getpid()


def publish(issued, name="sbc"):
    """By rename, as tools do that renew certificates."""
    for source, kind in ((issued.key, "key"), (issued.certificate, "pem")):
        target = pathlib.Path(FILES, f"{name}.{kind}")
        shutil.copy(source, f"{target}.part")
        os.chmod(f"{target}.part", 0o644)
        os.rename(f"{target}.part", target)


@pytest.fixture(scope="module")
def pki():
    return Pki.of_this_run()


@pytest.fixture(scope="module")
def module_stack(pki):
    pathlib.Path(FILES).mkdir(exist_ok=True)
    publish(pki.expiring("soon", 5, dns=["soon.example.test"], uri=["sip:example.test"], ip=["203.0.113.10"]))
    stack = Stack()
    stack.more = f"""
tls-profile public {{ certificate = "{FILES}/sbc.pem"  key = "{FILES}/sbc.key"  ca = "{pki.ca}" }}
sip-interface public {{ realm = access  tls-profile = public  listen = {{"tls:203.0.113.10:5061"}} }}
sip-interface core-tcp {{ realm = core  ip-profile = trunk  listen = {{"tcp:10.0.0.1:5060"}} }}
session-agent watched {{ realm = core  address = "tcp:10.0.0.5:5099"  options-interval = 1 }}
"""
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()
        shutil.rmtree(FILES, ignore_errors=True)


def alarms(stack, kind):
    return [a for a in stack.sbc.show("alarms")["alarms"] if a["alarm"] == kind]


def logged(stack, text, kind):
    lines = stack.sbc.log_path("controlplane").read_text().splitlines()
    return [line for line in lines if text in line and f"alarm={kind}" in line]


def until(stack, kind, condition):
    netns.wait_for(f"alarms {kind}", lambda: condition(alarms(stack, kind)), 30)
    return alarms(stack, kind)


def own(stack):
    return next(c for c in stack.sbc.show("certificates")["certificates"] if c["use"] == "own")


def test_certificates_are_shown_without_their_keys(stack, pki):
    shown = stack.sbc.show("certificates")["certificates"]
    ours = own(stack)
    issued = pki.expiring("soon", 5, dns=["soon.example.test"], uri=["sip:example.test"], ip=["203.0.113.10"])
    assert ours["profile"] == "public" and "CN=soon" in ours["subject"] and "CN=Test intermediate" in ours["issuer"]
    assert ours["names"] == "soon.example.test, example.test, 203.0.113.10"
    assert ours["key"] == "EC 256" and ours["days-left"] == 5
    assert len(ours["fingerprint"]) == 95
    assert {c["use"] for c in shown} == {"own", "chain", "authority"}
    text = stack.sbc.command("show", "certificates").stdout
    assert "soon.example.test" in text and "3 certificates" in text
    key = "".join(pathlib.Path(issued.key).read_text().splitlines()[1:3])
    assert "PRIVATE" not in text and key[:20] not in text + str(shown)


def test_a_certificate_that_ends_soon_is_an_alarm_until_it_is_replaced(stack, pki):
    raised = until(stack, "certificate-expiry", lambda found: found)
    assert len(raised) == 1 and raised[0]["severity"] == "major"
    assert raised[0]["subject"].startswith("public ") and "CN=soon" in raised[0]["subject"]
    assert "within 7 days" in raised[0]["text"]
    assert len(logged(stack, "alarm raised", "certificate-expiry")) == 1
    publish(pki.issue("fresh", dns=["fresh.example.test"]))
    assert stack.sbc.command("reload", "tls").returncode == 0
    until(stack, "certificate-expiry", lambda found: not found)
    assert len(logged(stack, "alarm cleared", "certificate-expiry")) == 1
    assert own(stack)["names"] == "fresh.example.test"


def test_one_that_has_ended_is_critical(stack, pki):
    publish(pki.expired("old", dns=["old.example.test"]))
    assert stack.sbc.command("reload", "tls").returncode == 0
    assert own(stack)["names"] == "old.example.test" and own(stack)["days-left"] < 0
    raised = until(stack, "certificate-expiry", lambda found: found)
    assert raised[0]["severity"] == "critical" and raised[0]["text"].startswith("has ended")
    publish(pki.issue("fresh", dns=["fresh.example.test"]))
    assert stack.sbc.command("reload", "tls").returncode == 0
    until(stack, "certificate-expiry", lambda found: not found)


def test_files_that_are_no_good_are_an_alarm_and_the_old_ones_serve_on(stack):
    before = own(stack)["fingerprint"]
    pathlib.Path(FILES, "sbc.pem").write_text("nothing\n")
    stack.sbc.command("reload", "tls")
    raised = until(stack, "certificate-reload-failed", lambda found: found)
    assert raised[0]["subject"] == "public" and raised[0]["severity"] == "major"
    assert own(stack)["fingerprint"] == before
    publish(Pki.of_this_run().issue("fresh", dns=["fresh.example.test"]))
    stack.sbc.command("reload", "tls")
    until(stack, "certificate-reload-failed", lambda found: not found)


def test_an_agent_that_is_away_is_one_alarm_until_it_has_been_back_for_a_while(stack):
    raised = until(stack, "agent-down", lambda found: found)
    assert [a["subject"] for a in raised] == ["watched"] and raised[0]["severity"] == "major"
    text = stack.sbc.command("show", "alarms").stdout
    assert "agent-down" in text and "watched" in text and "SEVERITY" in text
    agent = StreamEndpoint(stack.lab.namespace("pbx"), "10.0.0.5", 5099)
    stack.closing.append(agent)

    def answered_and_over():
        for options in agent.pending(lambda m: m.is_request and m.method == "OPTIONS"):
            agent.inbox.remove(options)
            fields = "".join(f"{n}: {options[n.lower()]}\r\n" for n in ("Via", "From", "To", "Call-ID", "CSeq"))
            agent.send(f"SIP/2.0 200 OK\r\n{fields}Content-Length: 0\r\n\r\n".encode(), options.source)
        return not alarms(stack, "agent-down")

    netns.wait_for("the end of the alarm", answered_and_over, 30, interval=0.2)
    assert len(logged(stack, "alarm raised", "agent-down")) == 1
    assert len(logged(stack, "alarm cleared", "agent-down")) == 1
