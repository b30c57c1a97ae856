# SPDX-License-Identifier: BSD-3-Clause
"""`test agent` and `test registration`: what they say of peers that answer, are silent, refuse, are somebody else, or have no address."""

import concurrent.futures
import contextlib
import json
import subprocess
import threading

import pytest

import baresip
import nat
import netns
from conftest import Stack
from pki import Pki
from test_dns import Dns

PBX, RIGHT, WRONG, NO_TLS, SILENT, REFUSING = "10.0.0.5", 5071, 5072, 5073, 5098, 5099


def configuration():
    pki = Pki.of_this_run()
    sbc = pki.issue("sbc", dns=["sbc.example.test"], ip=["10.0.0.1"])
    return nat.GUARD + f"""
registration {{ per-source-rate = 100  per-aor-rate = 100  keep-alive = off }}
sip-config {{ t1 = 100ms  test-timeout = 2s  dns-servers = {{"127.0.0.1"}}  dns-timeout = 200ms }}
tls-profile core {{ certificate = "{sbc.certificate}"  key = "{sbc.key}"  ca = "{pki.ca}" }}
sip-interface streams {{ realm = core  ip-profile = trunk  allow-anonymous = agents  tls-profile = core
                    listen = {{"tcp:10.0.0.1:5060", "tls:10.0.0.1:5061"}} }}
session-agent silent   {{ realm = core  address = "udp:{PBX}:{SILENT}" }}
session-agent refusing {{ realm = core  address = "tcp:{PBX}:{REFUSING}" }}
session-agent by-tcp   {{ realm = core  address = "tcp:{PBX}:5060" }}
session-agent right    {{ realm = core  address = "tls:{PBX}:{RIGHT}" }}
session-agent wrong    {{ realm = core  address = "tls:{PBX}:{WRONG}" }}
session-agent no-tls   {{ realm = core  address = "tls:{PBX}:{NO_TLS}" }}
session-agent nowhere  {{ realm = core  address = "udp:nowhere.example:5060" }}
session-agent named    {{ realm = core  address = "udp:there.example:5060" }}
local-policy register  {{ from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }}
local-policy to-nowhere {{ from-realm = access  to = "^71[0-9]+$"  next-hop = "agent:nowhere"  priority = 1 }}
local-policy nine      {{ from-realm = access  to = "^9[0-9]+$"   next-hop = "agent:pbx"      priority = 1 }}
admission no-nine      {{ local-policy = nine  match = "^9"  permit = no }}
local-policy to-phones {{ from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }}
"""


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.change = nat.registering
    stack.more = configuration()
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(module_stack):
    yield module_stack
    module_stack.end_test()
    dead = [d for d in module_stack.sbc.processes if not module_stack.sbc.alive(d)]
    assert not dead, f"died: {dead}\n{module_stack.sbc.log_tails()}"


def test(stack, *words):
    """Exit code and document."""
    result = stack.sbc.command("test", *words, "--json")
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr


test.__test__ = False


def target(stack, name):
    code, document = test(stack, "agent", name)
    assert code == (0 if document["works"] else 1) and len(document["targets"]) == 1
    return document["targets"][0]


@contextlib.contextmanager
def listening(stack, port, command):
    process = netns.popen(stack.lab.namespace("pbx"), command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        netns.wait_for("the peer listening", lambda: f":{port} " in netns.run(stack.lab.namespace("pbx"), ["ss", "-Hltn"]).stdout, 10)
        yield
    finally:
        process.kill()
        process.communicate()


def s_server(stack, port, issued):
    return listening(stack, port, ["openssl", "s_server", "-accept", f"{PBX}:{port}", "-cert", issued.certificate, "-cert_chain", issued.certificate,
                                   "-key", issued.key, "-quiet"])


def test_an_agent_that_is_up_answers_by_datagram_stream_and_name(stack):
    peer = baresip.Baresip(stack.lab.namespace("pbx"), stack.lab.directory / "probe-peer", "pbx", PBX, "ausine,440")
    dns = Dns(stack.lab.namespace("sbc"))
    try:
        dns.start(f"host-record=there.example,{PBX}")
        for name, address in (("pbx", f"udp:{PBX}:5060"), ("by-tcp", f"tcp:{PBX}:5060")):
            one = target(stack, name)
            # It has no user without a name, and says so: it is there.
            assert (one["address"], one["result"], one["status"]) == (address, "answered", 404) and one["took-us"] > 0
        # The connection is kept for the next one, as it is for calls.
        assert target(stack, "by-tcp")["connection"] == "was there"
        code, document = test(stack, "agent", "named")
        assert code == 0 and document["source"] == "dns" and document["name"] == "there.example"
        code, document = test(stack, "agent", "nowhere")
        assert code == 1 and document["source"] == "dns-has-none" and "no address" in document["reason"] and document["targets"] == []
        text = stack.sbc.command("test", "agent", "pbx").stdout
        assert "answered" in text and "404" in text and " ms" in text
    finally:
        dns.stop()
        peer.stop()
    code, document = test(stack, "agent", "nowhere")
    assert code == 1 and document["source"] == "dns-silent"


def test_silence_is_an_answer_after_its_time(stack):
    one = target(stack, "silent")
    assert one["result"] == "silent" and one["status"] is None


def test_a_refused_connection_says_so(stack):
    one = target(stack, "refusing")
    assert one["result"] == "not reached" and one["detail"] == "no connection: Connection refused"


def test_tls_says_what_was_agreed_and_what_was_wrong(stack):
    pki = Pki.of_this_run()
    with s_server(stack, RIGHT, pki.issue("right", ip=[PBX])):
        one = target(stack, "right")  # it speaks TLS, but not SIP
        assert one["result"] == "silent" and one["detail"].startswith("TLSv1.3, TLS_")
    with s_server(stack, WRONG, pki.issue("wrong", dns=["other.example.test"])):
        one = target(stack, "wrong")
        assert one["result"] == "not reached" and one["detail"] == "the peer's certificate is not the agent's"
    with s_server(stack, WRONG, pki.self_signed("self-signed", ip=[PBX])):
        one = target(stack, "wrong")
        assert one["result"] == "not reached" and one["detail"].startswith("the peer's certificate is not valid: ")
    with listening(stack, NO_TLS, ["/usr/bin/python3", "-m", "http.server", "--bind", PBX, str(NO_TLS)]):
        one = target(stack, "no-tls")
        assert one["result"] == "not reached" and one["detail"].startswith("the peer speaks no TLS")


def test_no_such_agent_and_two_at_once(stack):
    code, error = test(stack, "agent", "nobody")
    assert code == 1 and "no such session-agent" in error
    first = threading.Thread(target=lambda: stack.sbc.command("test", "agent", "silent"))
    first.start()
    netns.wait_for("the first test", lambda: "session-agent is tested" in stack.sbc.log_tails(), 10)
    results = [test(stack, "agent", "silent") for _ in range(2)]
    first.join()
    assert all(code == 1 for code, _ in results)
    assert any("somebody else" in str(r) or r["targets"][0]["result"] == "silent" for _, r in results)


def test_a_registered_phone_answers_over_its_own_flow(stack):
    pbx = nat.Registrar(stack.pbx())
    nat.Router(stack, "symmetric")
    phone = nat.phone_at(stack)
    nat.registered(stack, pbx, phone)
    code, document = test(stack, "registration", "alice")
    assert code == 0 and document["source"] == "registered" and document["call-status"] is None
    (one,) = document["targets"]
    assert one["result"] == "answered" and one["status"] == 200 and one["contact"].startswith("sip:alice@192.168.77.2")
    assert one["address"].startswith(f"udp:{nat.PUBLIC}:")
    phone.answers_options = False
    code, document = test(stack, "registration", "alice")
    assert code == 1 and document["targets"][0]["result"] == "silent"
    code, document = test(stack, "registration", "bob@example.net")
    assert code == 1 and document["call-status"] == 404 and "404" in document["reason"]
    assert "404" in stack.sbc.command("test", "registration", "bob").stdout


def test_a_route_names_policy_and_agents_without_a_call(stack):
    code, document = test(stack, "route", "access", "alice")
    assert code == 0 and document["local-policy"] == "register" and document["next-hop"] == "session-agent"
    assert [(a["agent"], a["state"], a["address"]) for a in document["agents"]] == [("pbx", "unwatched", f"udp:{PBX}:5060")]
    # DNS has not told where it is: its calls would be refused.
    code, document = test(stack, "route", "access", "71000")
    assert code == 1 and document["local-policy"] == "to-nowhere" and document["agents"][0]["state"] == "unresolved" and "503" in document["reason"]
    code, document = test(stack, "route", "access", "9001")
    assert code == 1 and document["admission"] == "no-nine" and "403" in document["reason"]
    code, document = test(stack, "route", "core", "nobody", "from", "bob")
    assert code == 1 and document["next-hop"] == "registration" and document["contacts"] == 0
    code, document = test(stack, "route", "access", "=x")
    assert code == 1 and document["local-policy"] is None and "404" in document["reason"]
    code, error = test(stack, "route", "nowhere", "1")
    assert code == 1 and "no such realm" in error
    assert stack.sbc.command("test", "route", "access", "1", "to", "2").returncode == 2
    assert not stack.sbc.show("calls")["calls"]


def test_who_may_order_tests_floods_nobody_with_them(stack):
    # One subject: it is never the number of tests under way that is too large.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        said = {result.stderr.strip() for result in pool.map(lambda _: stack.sbc.command("test", "agent", "nobody"), range(150))}
    assert any("no such session-agent" in line for line in said)
    assert any("too many tests at once" in line for line in said)
