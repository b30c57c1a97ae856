# SPDX-License-Identifier: BSD-3-Clause
"""Programs that people use, with SRTP keyed by SDES: baresip and linphone against a plain PBX and against one that must have it, each hearing
the other."""

import itertools

import pytest

import baresip
import melody
import netns
from conftest import SBC_OUT4, lab
from linphone import Linphone

SECONDS = 2
NUMBERS = itertools.count(1)
MORE = """
guard { untrusted-rate = 1000  untrusted-burst = 1000 }
ip-profile secret { nat = never  latching = fixed  media-security = require  srtp-without-tls = yes }
session-agent vault { realm = core  address = "udp:10.0.0.100:5060"  ip-profile = secret }
local-policy to-vault { from-realm = access  to = "^7[0-9]+$"  next-hop = "agent:vault"  priority = 9 }
"""


@pytest.fixture(scope="module")
def module_stack():
    def change(text):
        return text.replace("latching = latch }", "latching = latch  media-security = prefer  srtp-without-tls = yes }").replace(
            "5060\"          ip-profile = trunk }", "5060\"  ip-profile = phone }")

    with lab(MORE, change) as stack:
        yield stack


@pytest.fixture
def tunes(stack):
    directory = stack.lab.directory / f"srtp-{next(NUMBERS)}"
    directory.mkdir()
    tunes = {side: melody.compose(side, SECONDS + 6) for side in ("phone", "pbx")}
    for side, notes in tunes.items():
        melody.write(directory / f"{side}.wav", notes)
    return directory, tunes


def start(stack, directory, node, name, user, host, answer, encryption):
    options = f";mediaenc={encryption}" if encryption else ""
    return baresip.Baresip(stack.lab.namespace(node), directory / name, user, host, f"aufile,{directory}/{name}.wav", answer, options,
                           more="module srtp.so\n")


def callee(stack, directory, encryption):
    """A PBX that is called by 1000, or one with SRTP by 7000."""
    node, number, host = ("inside", "7000", "10.0.0.100") if encryption else ("pbx", "1000", "10.0.0.5")
    return number, start(stack, directory, node, "pbx", number, host, "auto", encryption)


def talked(stack):
    netns.wait_for(f"{SECONDS} s of media each way", lambda: stack.sbc.show("calls")["calls"]
                   and min(d["relayed"] for d in stack.sbc.directions()) >= 50 * SECONDS, SECONDS + 20, interval=0.2)
    call = stack.sbc.the_call()
    return [direction["suite"] for direction in stack.sbc.directions(call)], [direction["srtp-auth-failed"] for direction in stack.sbc.directions(call)]


def heard(who, tune):
    notes = melody.hear(melody.read(who.recording()))
    assert melody.longest_match(tune, notes) >= SECONDS / melody.NOTE_SECONDS - 4, f"{who.user} heard {notes} of {tune}"


@pytest.mark.parametrize("near, far", [("srtp", None), (None, "srtp-mand"), ("srtp-mandf", "srtp-mandf"), ("srtp", "srtp")])
def test_baresip_calls_baresip(stack, tunes, near, far):
    directory, notes = tunes
    number, pbx = callee(stack, directory, far)
    phone = start(stack, directory, "phone", "phone", "alice", "192.168.77.2", "manual", near)
    try:
        phone.command("dial", f"sip:{number}@{SBC_OUT4}")
        established = phone.wait_event("CALL_ESTABLISHED", "CALL_CLOSED")
        assert established["type"] == "CALL_ESTABLISHED", established
        suites, failed = talked(stack)
        # It opens its NAT with a packet in clear.
        assert [bool(suite) for suite in suites] == [bool(near), bool(far)] and failed[0] <= 1 and failed[1] == 0
        phone.command("hangup")
        pbx.wait_event("CALL_CLOSED")
    finally:
        phone.stop()
        pbx.stop()
    heard(pbx, notes["phone"])
    heard(phone, notes["pbx"])


@pytest.mark.parametrize("near, far", [("srtp", None), ("srtp", "srtp-mand")])
def test_linphone_calls_baresip(stack, tunes, near, far):
    directory, _ = tunes
    number, pbx = callee(stack, directory, far)
    phone = Linphone(stack.lab.namespace("phone"), directory / "linphone", "alice", "192.168.77.2", encryption=near)
    stack.closing.append(phone)
    try:
        phone.command(f"call sip:{number}@{SBC_OUT4}")
        phone.wait("Event: LinphoneCallStreamsRunning")
        phone.play()
        suites, failed = talked(stack)
        assert [bool(suite) for suite in suites] == [near == "srtp", bool(far)] and failed == [0, 0]
        netns.wait_for("linphone hearing", lambda: phone.hears() > 20, 20)
        phone.command("terminate 1")
        pbx.wait_event("CALL_CLOSED")
    finally:
        pbx.stop()
    heard(pbx, melody.hear(melody.read(phone.tune)))


def test_linphone_is_called_with_rtp_avp_and_keys_and_may_take_them(stack, tunes):
    """At the carrier's place, whose profile is the phones' here. Linphone 5.1 goes on with plain RTP."""
    directory, _ = tunes
    phone = Linphone(stack.lab.namespace("outside"), directory / "linphone", "bob", "203.0.113.100", encryption="srtp")
    stack.closing.append(phone)
    pbx = start(stack, directory, "pbx", "pbx", "1000", "10.0.0.5", "manual", None)
    try:
        pbx.command("dial", "sip:9000@10.0.0.1")
        phone.wait("Event: LinphoneCallIncomingReceived")
        phone.command("answer 1")
        phone.wait("Event: LinphoneCallStreamsRunning")
        phone.play()
        suites, failed = talked(stack)
        assert suites[0] is None and failed == [0, 0]
        netns.wait_for("linphone hearing", lambda: phone.hears() > 20, 20)
        phone.command("terminate 1")
        pbx.wait_event("CALL_CLOSED")
    finally:
        pbx.stop()
