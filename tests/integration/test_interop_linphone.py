# SPDX-License-Identifier: BSD-3-Clause
"""Linphone behind a NAT calls the PBX, and in front of the SBC is called by it, over UDP and TCP: audio both ways, hold and resume, digits in
RTP and by INFO, transfers by it and of it, calls that are given up, refused and declined. The far end is a raw peer that sees every message
and packet."""

import itertools

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4, Stack
from linphone import Linphone
from sip import sdp
from test_flow_transfer import accept, ring
from transfer import ends, final, number, refer, relayed, told

TO_PBX_SIDE = (SBC_IN4, 5060)
NUMBERS = itertools.count(1)
TELEPHONE_EVENT = 101


@pytest.fixture(scope="module", params=["udp", "tcp"])
def module_stack(request):
    stack = Stack()
    stack.more = """
guard { untrusted-rate = 10000  untrusted-burst = 10000 }
local-policy between-users { from-realm = core  to = "^1[0-9]+$"  next-hop = "agent:pbx"  priority = 20 }
"""
    stack.transport = request.param

    def change(text):
        text = text.replace('"udp:203.0.113.10:5060"', '"udp:203.0.113.10:5060", "tcp:203.0.113.10:5060"')
        return text.replace('"udp:203.0.113.100:5060"', f'"{request.param}:203.0.113.100:5060"')

    stack.change = change
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


def linphone(stack, node, user, host, **kwargs):
    phone = Linphone(stack.lab.namespace(node), stack.lab.directory / f"linphone-{next(NUMBERS)}", user, host, stack.transport, **kwargs)
    stack.closing.append(phone)
    return phone


@pytest.fixture
def phone(stack):
    return linphone(stack, "phone", "alice", "192.168.77.2")


def dialled(stack, phone, pbx, number="1000"):
    """A call of the linphone behind the NAT, as it arrives at the PBX."""
    phone.command(f"call sip:{number}@{SBC_OUT4};transport={stack.transport}")
    b = pbx.answerer(timeout=20)
    assert number in b.invite.uri and b"192.168." not in b.invite.raw and b"203.0.113." not in b.invite.raw
    return b


def answered(stack, phone, pbx, **kwargs):
    b = dialled(stack, phone, pbx, **kwargs)
    media = stack.media("pbx", pbx.host)
    media.destination = b.invite.media()[:2]
    b.reply(b.invite, 180)
    phone.wait("Event: LinphoneCallOutgoingRinging")
    b.reply(b.invite, 200, body=sdp(pbx.host, media.port, version=1, session=77))
    b.expect("ACK")
    phone.wait("Event: LinphoneCallStreamsRunning")
    phone.play()
    return b, media


def talk(phone, media):
    """What it plays arrives, and then what is sent to it (0023: the NAT is known by its first packet)."""
    media.forget()
    media.wait(25, timeout=20)
    heard = phone.log.read_text(errors="replace").count("(audio)")

    def hears():
        media.send()
        return phone.log.read_text(errors="replace").count("(audio)") > heard + 1 and phone.hears() > 20

    netns.wait_for("linphone hearing", hears, 30, interval=0.02)


def no_calls_left(stack):
    netns.wait_for("no call left", lambda: not stack.sbc.show("calls")["calls"] and stack.sbc.show("status")["sessions"] == 0, 20)


def again(stack, phone, b, media, version, directions, answer):
    """A re-INVITE of linphone's, answered."""
    offer = b.expect("INVITE", timeout=20)
    assert offer.media()[2] in directions
    b.reply(offer, 200, body=sdp(b.endpoint.host, media.port, answer, version=version, session=77))
    b.expect("ACK")


def test_a_call_with_audio_hold_and_resume(stack, phone):
    pbx = stack.pbx()
    b, media = answered(stack, phone, pbx)
    talk(phone, media)
    phone.command("call-pause 1")
    again(stack, phone, b, media, 2, ("sendonly", "inactive"), "recvonly")
    phone.wait("Event: LinphoneCallPaused$")
    resumed = len(phone.lines)
    phone.command("call-resume 1")
    again(stack, phone, b, media, 3, ("sendrecv",), "")
    phone.wait("Event: LinphoneCallStreamsRunning", begin=resumed)
    phone.play()
    talk(phone, media)
    phone.command("terminate 1")
    b.take_bye(timeout=20)
    no_calls_left(stack)


def test_the_pbx_holds_and_resumes_and_hangs_up(stack, phone):
    pbx = stack.pbx()
    b, media = answered(stack, phone, pbx)
    talk(phone, media)
    for version, said, answer in ((2, "sendonly", "recvonly"), (3, "", "sendrecv")):
        b.request("INVITE", sdp(pbx.host, media.port, said, version=version, session=77))
        final = b.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE", timeout=20)
        b.ack(final)
        assert final.status == 200 and final.media()[2] == answer
    phone.play()
    talk(phone, media)
    b.bye()
    phone.wait("Event: LinphoneCallEnd")
    no_calls_left(stack)


def test_digits_in_rtp(stack, phone):
    pbx = stack.pbx()
    b, media = answered(stack, phone, pbx)
    talk(phone, media)
    media.forget()
    phone.command("dtmf 5")

    def heard():
        media.drain()
        return [p for p, _ in media.arrived if p[1] & 0x7F == TELEPHONE_EVENT and p[12] == 5]

    netns.wait_for("the digit", heard, 20)
    phone.command("terminate 1")
    b.take_bye(timeout=20)
    no_calls_left(stack)


def test_digits_by_info(stack):
    pbx = stack.pbx()
    phone = linphone(stack, "phone", "alice", "192.168.77.2", info=True)
    b, media = answered(stack, phone, pbx)
    talk(phone, media)
    phone.command("dtmf 5")
    info = b.expect("INFO", timeout=20)
    assert info["content-type"] == "application/dtmf-relay" and b"Signal=5" in info.body.replace(b" ", b"")
    b.reply(info, 200)
    phone.command("terminate 1")
    b.take_bye(timeout=20)
    no_calls_left(stack)


def test_a_transfer_of_the_phones(stack, phone):
    """The SBC carries it out (0053): the PBX stays, and its other user is called."""
    pbx = stack.pbx()
    b, media = answered(stack, phone, pbx)
    talk(phone, media)
    phone.command(f"call-transfer 1 sip:1003@{SBC_OUT4};transport={stack.transport}")
    c = ring(pbx, "1003", "1000")
    c.reply(c.invite, 180)
    target = accept(stack, c, b, "pbx", pbx, media)
    phone.wait("Event: LinphoneCallEnd")
    media.forget()
    for _ in range(5):
        media.send()
    target.wait(5)
    c.request("BYE")
    ends(b)
    c.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def test_a_transfer_by_the_pbx_that_the_sbc_carries_out(stack, phone):
    """It stays, and does not hear of it but by an offer."""
    pbx = stack.pbx()
    b, media = answered(stack, phone, pbx)
    talk(phone, media)
    refer(b, f"<sip:1003@{SBC_IN4}>")
    assert final(b, "REFER").status == 202
    told(b, 100)
    c = pbx.answerer(match=lambda m: "1003" in m.uri)
    target = stack.media("pbx", pbx.host)
    c.reply(c.invite, 200, body=sdp(pbx.host, target.port, version=1, session=78))
    ack = c.expect("ACK", timeout=20)
    target.destination = ack.media()[:2]
    told(b, 200, ended=True)
    b.bye()
    talk(phone, target)
    phone.command("terminate 1")
    c.take_bye(timeout=20)
    no_calls_left(stack)


def test_a_transfer_by_the_pbx_that_it_carries_out_itself(stack):
    """REFER and NOTIFYs cross, and its new call comes as any other."""
    before = stack.change
    stack.start(stack.kind, lambda text: relayed(before(text)))
    try:
        pbx, phone = stack.pbx(), linphone(stack, "phone", "alice", "192.168.77.2")
        b, media = answered(stack, phone, pbx)
        talk(phone, media)
        sent = refer(b, f"<sip:1003@{SBC_IN4}>")
        assert final(b, "REFER").status == 202
        again(stack, phone, b, media, 2, ("sendonly", "inactive"), "recvonly")  # on hold meanwhile
        c = pbx.answerer(match=lambda m: "1003" in m.uri, timeout=20)
        assert b"192.168." not in c.invite.raw and b"203.0.113." not in c.invite.raw
        target = stack.media("pbx", pbx.host)
        target.destination = c.invite.media()[:2]
        begin = len(phone.lines)
        c.reply(c.invite, 200, body=sdp(pbx.host, target.port, version=1, session=78))
        c.expect("ACK")
        phone.wait("Event: LinphoneCallStreamsRunning", begin=begin)
        while True:
            notify = b.expect("NOTIFY", timeout=20)
            assert notify["event"] in ("refer", f"refer;id={number(sent)}") and notify.body.startswith(b"SIP/2.0 ")
            b.reply(notify, 200)
            if notify["subscription-state"].startswith("terminated") or b"SIP/2.0 200" in notify.body:
                break
        b.bye()
        phone.wait("Event: LinphoneCallEnd", begin=begin)
        phone.play()
        talk(phone, target)
        c.bye()
        no_calls_left(stack)
    finally:
        stack.start(stack.kind)


def test_a_call_given_up_while_it_rings(stack, phone):
    pbx = stack.pbx()
    b = dialled(stack, phone, pbx)
    b.reply(b.invite, 180)
    phone.wait("Event: LinphoneCallOutgoingRinging")
    phone.command("terminate 1")
    cancel = b.expect("CANCEL", timeout=20)
    b.reply(cancel, 200)
    b.reply(b.invite, 487)
    b.expect("ACK")
    phone.wait("Event: LinphoneCallEnd")
    no_calls_left(stack)


def test_a_busy_callee(stack, phone):
    pbx = stack.pbx()
    b = dialled(stack, phone, pbx)
    b.reply(b.invite, 486)
    b.expect("ACK")
    phone.wait("Event: LinphoneCallError")
    no_calls_left(stack)


# --- it is called ---


@pytest.fixture
def callee(stack):
    """It serves no network that has no way out."""
    route = lambda verb: netns.run(stack.lab.namespace("outside"), ["ip", "route", verb, "default", "via", SBC_OUT4], check=True)
    route("add")
    yield linphone(stack, "outside", "9123", "203.0.113.100")
    route("del")


def test_it_is_called_and_answers(stack, callee):
    pbx = stack.pbx()
    media = stack.media("pbx", pbx.host)
    a = pbx.call(TO_PBX_SIDE, "9123", sdp(pbx.host, media.port, version=1, session=77))
    a.expect(180, timeout=20)
    callee.wait("Event: LinphoneCallIncomingReceived")
    callee.command("answer 1")
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE", timeout=20)
    assert b"203.0.113." not in ok.raw
    media.destination = ok.media()[:2]
    a.ack(ok)
    callee.wait("Event: LinphoneCallStreamsRunning")
    callee.play()
    talk(callee, media)
    callee.command("call-pause 1")
    again(stack, callee, a, media, 2, ("sendonly", "inactive"), "recvonly")
    callee.wait("Event: LinphoneCallPaused$")
    callee.command("terminate 1")
    a.take_bye(timeout=20)
    no_calls_left(stack)


def test_the_caller_gives_up_while_it_rings(stack, callee):
    pbx = stack.pbx()
    a = pbx.call(TO_PBX_SIDE, "9123", sdp(pbx.host, 30000))
    a.expect(180, timeout=20)
    a.cancel()
    refusal = a.expect(487, timeout=20)
    a.ack(refusal)
    callee.wait("Event: LinphoneCallEnd")
    no_calls_left(stack)


def test_it_declines(stack, callee):
    pbx = stack.pbx()
    a = pbx.call(TO_PBX_SIDE, "9123", sdp(pbx.host, 30000))
    a.expect(180, timeout=20)
    callee.wait("Event: LinphoneCallIncomingReceived")
    callee.command("terminate 1")
    refusal = a.expect(lambda m: m.status and m.status >= 300, timeout=20)
    assert refusal.status in (486, 603)
    a.ack(refusal)
    no_calls_left(stack)
