# SPDX-License-Identifier: BSD-3-Clause
"""baresip and linphone behind the NAT register by TLS, believing the test's authority alone, and call and are called with SRTP by a baresip on
the inside that speaks plain UDP and RTP; each hears the other's melody."""

import pytest

import baresip
import nat
import netns
from conftest import SBC_OUT4, Stack
from pki import Pki
from test_nat_phones import SECONDS, Linphone, Program, heard_well, tune

WHERE = f"{SBC_OUT4}:5061"


@pytest.fixture(scope="module")
def module_stack():
    pki = Pki.of_this_run()
    # The name is the address: what phones compare it with that are configured with one.
    sbc = pki.issue("sbc", cn=SBC_OUT4, dns=[SBC_OUT4], ip=[SBC_OUT4])
    stack = Stack()
    stack.change = nat.registering
    stack.more = nat.GUARD + f"""
registration {{ per-source-rate = 100  per-aor-rate = 100 }}
tls-profile public {{ certificate = "{sbc.certificate}"  key = "{sbc.key}" }}
ip-profile secret {{ nat = auto  latching = latch  media-security = require }}
sip-interface secret {{ realm = access  ip-profile = secret  registration = cache  allow-anonymous = registered  tls-profile = public
                    listen = {{"tls:{WHERE}"}} }}
local-policy to-phones {{ from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }}
local-policy to-pbx    {{ from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }}
"""
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(module_stack):
    yield module_stack
    dead = [d for d in module_stack.sbc.processes if not module_stack.sbc.alive(d)]
    assert not dead, f"died: {dead}\n{module_stack.sbc.log_tails()}"


def start_desk(stack, directory):
    desk = baresip.Baresip(stack.lab.namespace("inside"), directory / "desk", "desk", "10.0.0.100", f"aufile,{directory}/pbx.wav", "auto",
                           ";auth_user=desk;auth_pass=secret", registrar="10.0.0.5")
    netns.wait_for("desk registered", lambda: "[1 binding]" in desk.log(), 15)
    return desk


def talk(stack):
    netns.wait_for(f"{SECONDS} s of media each way", lambda: stack.sbc.show("calls")["calls"]
                   and min(d["packets"] for d in stack.sbc.directions()) >= 50 * SECONDS, SECONDS + 10, interval=0.2)
    assert "AES" in str(stack.sbc.the_call()["media"])


def over(stack):
    netns.wait_for("the call's end", lambda: not stack.sbc.show("calls")["calls"], 10)


def test_baresip_by_tls_and_srtp(stack):
    directory = stack.lab.directory / "baresip-tls"
    directory.mkdir()
    notes = {side: tune(directory, side) for side in ("phone", "pbx")}
    kamailio, opened = Program(stack), []
    try:
        desk = start_desk(stack, directory)
        opened.append(desk)
        alice = baresip.Baresip(
            stack.lab.namespace("phone"), directory / "alice", "alice", "192.168.77.2", f"aufile,{directory}/phone.wav", "auto",
            ";auth_user=alice;auth_pass=secret;mediaenc=srtp-mand", registrar=f"{WHERE};transport=tls",
            more=f"module srtp.so\nsip_cafile {Pki.of_this_run().ca}\nsip_verify_server yes\n")
        opened.append(alice)
        netns.wait_for("alice registered", lambda: "[1 binding]" in alice.log(), 15)
        assert stack.sbc.show("registration", "alice")["registrations"][0]["transport"] == "tls"
        for caller, called, to in ((alice, desk, f"sip:desk@{WHERE};transport=tls"), (desk, alice, "sip:alice@10.0.0.5")):
            caller.command("dial", to)
            assert caller.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=15)["type"] == "CALL_ESTABLISHED"
            talk(stack)
            caller.command("hangup")
            called.wait_event("CALL_CLOSED")
            over(stack)
            assert heard_well(notes["pbx"], alice.recording()) and heard_well(notes["phone"], desk.recording())
    finally:
        for phone in opened:
            phone.stop()
        kamailio.close()


def test_linphone_by_tls_and_srtp(stack):
    directory = stack.lab.directory / "linphone-tls"
    directory.mkdir()
    notes = {side: tune(directory, side) for side in ("phone", "pbx")}
    kamailio = Program(stack)
    carol = desk = None
    try:
        desk = start_desk(stack, directory)
        carol = Linphone(
            stack.lab.namespace("phone"), directory / "carol", "carol", directory / "phone.wav",
            sip=f"sip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\nroot_ca={Pki.of_this_run().ca}\nverify_server_certs=1\nverify_server_cn=1\n"
                "media_encryption=srtp\nmedia_encryption_mandatory=1\n")
        carol.type(f"register sip:carol@{SBC_OUT4} sip:{WHERE};transport=tls secret")
        netns.wait_for("carol registered", lambda: "carol" in str(stack.sbc.show("registrations")), 20)
        assert stack.sbc.show("registration", "carol")["registrations"][0]["transport"] == "tls"
        carol.type(f"call sip:desk@{SBC_OUT4}")
        assert desk.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=20)["type"] == "CALL_ESTABLISHED"
        talk(stack)
        carol.type("terminate")
        desk.wait_event("CALL_CLOSED")
        assert heard_well(notes["phone"], desk.recording())
        over(stack)
        desk.command("dial", "sip:carol@10.0.0.5")
        assert desk.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=20)["type"] == "CALL_ESTABLISHED"
        talk(stack)
        desk.command("hangup")
        over(stack)
    finally:
        if carol:
            carol.close()
        if desk:
            desk.stop()
        kamailio.close()
    assert heard_well(notes["pbx"], carol.heard)
