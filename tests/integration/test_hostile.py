# SPDX-License-Identifier: BSD-3-Clause
"""Input made to break things: refused or passed over, and the next call is fine."""

import pytest

import sip
import torture
from conftest import SBC_IN4, SBC_OUT4, SBC_OUT6, Call
from sip import sdp, token

TO_SBC = (SBC_OUT4, 5060)
GUARD = "guard { untrusted-rate = 1000  untrusted-burst = 1000 }\n"


MESSAGES = list(torture.messages())


@pytest.mark.parametrize("name, raw, allowed", MESSAGES, ids=[m[0] for m in MESSAGES])
def test_a_tortuous_message(stack, name, raw, allowed):
    attacker, pbx = stack.carrier(), stack.pbx()
    attacker.send(raw, TO_SBC)
    attacker.ask(TO_SBC)
    answers = [m.status for m in attacker.received if not m.call_id.startswith("ask-") and m.status != 100]
    assert len(answers) <= 1, answers
    if allowed == "ok":
        assert answers == [200], name
    elif allowed == "bad":
        assert not answers or 400 <= answers[0] < 600, name
    elif allowed == "silent":
        assert answers == [], name
    assert pbx.received == []  # nothing of it went through


@pytest.mark.parametrize("kind", ["packet", "xdp"])
def test_a_long_message_in_fragments_is_answered(stack, kind):
    """SIP longer than the link's MTU comes in fragments; IPv4 and IPv6."""
    if stack.kind != kind:
        stack.start(kind)
    for version, to in ((4, TO_SBC), (6, (SBC_OUT6, 5060))):
        carrier = stack.carrier(version)
        for size in (1400, 1500, 1800, 3000, 6000, 12000):
            mark = f"long-{token()}"
            host = sip.bracket(carrier.host)
            carrier.send(sip.compose(
                f"OPTIONS sip:{sip.bracket(to[0])} SIP/2.0",
                [("Via", f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
                 ("From", f"<sip:long@{host}>;tag={token()}"), ("To", f"<sip:{sip.bracket(to[0])}>"), ("Call-ID", mark), ("CSeq", "1 OPTIONS")],
                b"x" * size, "text/plain",
            ), to)
            carrier.expect(200, call_id=mark)
        carrier.close()
        stack.closing.remove(carrier)


def test_after_all_of_it_a_call_is_fine(stack):
    attacker = stack.carrier()
    for _, raw, _ in torture.messages():
        attacker.send(raw, TO_SBC)
        attacker.ask(TO_SBC)
    attacker.close()
    stack.closing.remove(attacker)
    Call(stack, stack.phone(), stack.pbx()).hang_up()


@pytest.mark.parametrize("seed", range(4))
def test_500_damaged_invites(stack, seed):
    attacker, pbx = stack.carrier(), stack.pbx()
    for i, raw in enumerate(torture.mutations(500, seed)):
        attacker.send(raw, TO_SBC)
        if i % 20 == 19:
            attacker.ask(TO_SBC)
    attacker.ask(TO_SBC)
    assert not [m for m in attacker.received if m.status and 200 <= m.status < 300 and not m.call_id.startswith("ask-")]
    pbx.close()
    stack.closing.remove(pbx)
    Call(stack, stack.phone(), stack.pbx()).hang_up()


@pytest.mark.parametrize("name, body", torture.SDPS, ids=[n for n, _ in torture.SDPS])
def test_a_hostile_offer_is_refused_or_passed_on_clean(stack, name, body):
    caller, pbx = stack.carrier(), stack.pbx()
    a = caller.call(TO_SBC, "1000", body.encode())
    final = None
    while final is None:
        try:
            invite = pbx.expect("INVITE", timeout=0.3)
        except AssertionError:
            pass
        else:
            assert b"203.0.113" not in invite.body and b"\0" not in invite.body
            b = sip.Dialog(pbx, invite.source)
            b.call_id, b.local = invite.call_id, f"{invite['to']};tag={token()}"
            b.reply(invite, 488, "Not Acceptable Here")
            b.expect("ACK")
        try:
            final = a.expect(lambda m: m.status and m.status >= 200, timeout=0.3 if final is None and not pbx.received else 5)
        except AssertionError:
            if pbx.received:
                raise
            caller.ask(TO_SBC)  # silence is no answer to a well-formed INVITE: keep waiting only while it lives
            final = a.expect(lambda m: m.status and m.status >= 200)
    assert 400 <= final.status < 600
    a.ack(final)
    caller.ask(TO_SBC)


@pytest.mark.parametrize("damage", [
    "no via", "two via", "other branch", "no cseq", "other cseq", "no to", "no call-id", "code 99", "code 700", "no reason",
    "nul", "huge header", "contact garbage", "sdp garbage", "body too short",
])
def test_a_broken_response_harms_only_itself(stack, damage):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    send = pbx.send
    good = []
    pbx.send = lambda raw, to: good.append(raw)
    b.reply(b.invite, 183, "Session Progress", sdp(pbx.host, 30002))
    pbx.send = send
    raw = good[0]
    lines = raw.split(b"\r\n")
    without = lambda name: b"\r\n".join(l for l in lines if not l.lower().startswith(name + b":"))
    broken = {
        "no via": without(b"via"), "no cseq": without(b"cseq"), "no to": without(b"to"), "no call-id": without(b"call-id"),
        "two via": raw.replace(b"\r\nFrom:", b"\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKother\r\nFrom:", 1),
        "other branch": raw.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"),
        "other cseq": raw.replace(b" INVITE\r\n", b" OPTIONS\r\n"), "code 99": raw.replace(b"SIP/2.0 183", b"SIP/2.0 99"),
        "code 700": raw.replace(b"SIP/2.0 183", b"SIP/2.0 700"), "no reason": raw.replace(b" Session Progress", b""),
        "nul": raw.replace(b"Server:", b"Ser\0ver:"), "huge header": raw.replace(b"Server:", b"X: " + b"y" * 9000 + b"\r\nServer:"),
        "contact garbage": raw.replace(b"Contact: <", b"Contact: ;;<<\",<"), "sdp garbage": raw.replace(b"c=IN IP4 ", b"c=IN IP9 "),
        "body too short": raw[:-30],
    }[damage]
    assert broken != raw
    pbx.send(broken, b.peer)
    pbx.ask((SBC_IN4, 5060))
    b.reply(b.invite, 486, "Busy Here")
    final = a.expect(lambda m: m.status and m.status >= 200)
    a.ack(final)
    b.expect("ACK") if final.status == 486 else None
    assert final.status >= 400
    phone.ask(TO_SBC)
