# SPDX-License-Identifier: BSD-3-Clause
"""Messages of a call's beginning that cross each other, come twice, late or by two ways, or never come."""

import pytest

import netns
from conftest import SBC_IN4
from early import (TO_SBC, branch, check_hidden, check_in_dialog, early, hang_up, invite_response, no_calls_left, number, restart_with,
                   tag)
from sip import Message, compose, sdp, token

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"


def start(stack, body=True, headers=()):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000) if body else b"", headers=headers)
    return phone, pbx, a, pbx.answerer()


def finish(stack, phone, pbx):
    check_hidden(phone, pbx)
    no_calls_left(stack)


def cancelled(a):
    """The caller gives up: 200 of the CANCEL, 487 of the INVITE and its ACK."""
    sent = a.cancel()
    done = a.expect(lambda m: m.status and m.method == "CANCEL")
    refusal = a.expect(487)
    assert done.status == 200 and done.branch == sent.branch
    assert refusal["cseq"] == a.invited["cseq"] and refusal.branch == a.invited.branch
    a.ack(refusal)
    return refusal


def take_cancel(b):
    """RFC 3261 section 9.1: the INVITE's Request-URI, branch, From, To and number."""
    cancel = b.expect("CANCEL")
    invite = b.invite
    assert (cancel.uri, cancel["via"], cancel["from"], cancel["to"]) == (invite.uri, invite["via"], invite["from"], invite["to"])
    assert cancel["cseq"] == f"{number(invite)} CANCEL"
    b.reply(cancel, 200)
    return cancel


def hung_up(b):
    """The callee's answer nobody waits for any more: ACK and BYE."""
    ack = b.expect(lambda m: m.is_request and m.method == "ACK" and m.tag("to") == tag(b))
    bye = b.expect(lambda m: m.is_request and m.method == "BYE" and m.tag("to") == tag(b))
    check_in_dialog(ack, b)
    check_in_dialog(bye, b)
    assert number(ack) == number(b.invite) < number(bye)
    b.reply(bye, 200)
    return bye


# --- CANCEL ---


def test_cancel_before_any_response_waits_for_one(stack):
    """RFC 3261 section 9.1: no CANCEL before a provisional response."""
    phone, pbx, a, b = start(stack)
    cancelled(a)
    pbx.ask((SBC_IN4, 5060))
    assert pbx.pending(lambda m: m.method == "CANCEL") == []
    b.reply(b.invite, 100)
    take_cancel(b)
    b.reply(b.invite, 487)
    assert b.expect("ACK").branch == b.invite.branch
    finish(stack, phone, pbx)


def test_cancel_before_any_response_and_then_the_answer(stack):
    phone, pbx, a, b = start(stack)
    cancelled(a)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    hung_up(b)
    assert [m for m in pbx.received if m.method == "CANCEL"] == []
    finish(stack, phone, pbx)


def test_cancel_that_crosses_the_callees_answer(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    a.expect(180)
    cancelled(a)
    cancel = b.expect("CANCEL")
    answer = b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    b.reply(cancel, 200)
    hung_up(b)
    acks = len([m for m in pbx.received if m.method == "ACK"])
    pbx.send(answer.raw, b.peer)  # its ACK was lost
    netns.wait_for("the ACK again", lambda: len([m for m in pbx.received if m.method == "ACK"]) > acks, 5)
    assert [m for m in phone.received if m.status == 200 and m.method == "INVITE"] == []
    finish(stack, phone, pbx)


def test_cancel_that_crosses_the_answers_of_two_branches(stack):
    phone, pbx, a, b = start(stack)
    other = branch(b, "second")
    b.reply(b.invite, 180)
    other.reply(b.invite, 180)
    a.expect(180)
    cancelled(a)
    take_cancel(b)
    other.reply(b.invite, 200, body=sdp(pbx.host, 30010))
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    hung_up(other)
    hung_up(b)
    finish(stack, phone, pbx)


def test_cancel_that_crosses_the_answer_to_the_caller(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(invite_response(200))
    a.cancel()
    assert a.expect(lambda m: m.status and m.method == "CANCEL").status == 200
    a.ack(ok)
    check_in_dialog(b.expect("ACK"), b)
    hang_up(a, b)
    assert [m for m in pbx.received if m.method == "CANCEL"] == []
    assert [m for m in phone.received if m.status and m.status >= 300] == []
    finish(stack, phone, pbx)


def test_cancel_that_crosses_a_refusal(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    a.expect(180)
    cancelled(a)
    take_cancel(b)
    b.reply(b.invite, 486)
    assert b.expect("ACK").branch == b.invite.branch
    finish(stack, phone, pbx)


def test_a_repeated_cancel_is_answered_again_and_passed_on_once(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    a.expect(180)
    sent = a.cancel()
    done = a.expect(lambda m: m.status and m.method == "CANCEL")
    a.ack(a.expect(487))
    phone.send(sent.raw, TO_SBC)
    netns.wait_for("the 200 again", lambda: len([m for m in phone.received if m.raw == done.raw]) == 2, 5)
    take_cancel(b)
    b.reply(b.invite, 487)
    b.expect("ACK")
    assert len({m.raw for m in pbx.received if m.method == "CANCEL"}) == 1
    finish(stack, phone, pbx)


def test_cancel_of_nothing_is_481(stack):
    phone, pbx, a, b = start(stack)
    stranger = Message(a.invited.raw.replace(a.invited.branch.encode(), b"z9hG4bKstranger"))
    real, a.invited = a.invited, stranger
    a.cancel()
    assert a.expect(lambda m: m.status and m.method == "CANCEL").status == 481
    a.invited = real
    b.reply(b.invite, 486)
    a.ack(a.expect(486))
    finish(stack, phone, pbx)


# --- BYE ---


def test_bye_in_an_early_dialog_that_crosses_the_answer(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    one = early(a, a.expect(180))
    one.request("BYE")
    one.expect(lambda m: m.status == 200 and m.method == "BYE")
    a.ack(a.expect(487))
    cancel = b.expect("CANCEL")
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    b.reply(cancel, 200)
    hung_up(b)
    finish(stack, phone, pbx)


def test_the_callees_bye_that_overtakes_the_callers_ack(stack):
    """RFC 3261 section 15: no BYE to him before his ACK."""
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(invite_response(200))
    b.expect("ACK")
    b.cseq = 7
    b.request("BYE")
    b.expect(lambda m: m.status == 200 and m.method == "BYE")
    phone.ask(TO_SBC)
    assert phone.pending(lambda m: m.method == "BYE") == []
    a.ack(ok)
    bye = a.take_bye()
    assert bye.tag("from") == ok.tag("to") and bye.tag("to") == ok.tag("from")
    finish(stack, phone, pbx)


def test_the_callees_offer_that_overtakes_the_callers_ack_waits_for_it(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(invite_response(200))
    b.expect("ACK")
    b.cseq = 7
    b.request("INVITE", sdp(pbx.host, 30002, "sendonly", version=2))
    b.expect(100)
    pbx.ask((SBC_IN4, 5060))
    assert phone.pending(lambda m: m.method == "INVITE" and m.is_request) == []
    a.ack(ok)
    offer = a.expect("INVITE")
    assert offer.tag("from") == ok.tag("to") and offer.media()[2] == "sendonly"
    a.reply(offer, 200, body=sdp(phone.host, 30000, "recvonly", version=2))
    a.expect("ACK")
    b.ack(b.expect(invite_response(200)))
    pbx.ask((SBC_IN4, 5060))
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_an_offer_that_waits_for_the_callers_ack_ends_with_the_call(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(invite_response(200))
    b.expect("ACK")
    b.cseq = 7
    b.request("INVITE", sdp(pbx.host, 30002, "sendonly", version=2))
    b.expect(100)
    b.request("BYE")
    b.ack(b.expect(487))
    b.expect(lambda m: m.status == 200 and m.method == "BYE")
    a.ack(ok)
    a.take_bye()
    finish(stack, phone, pbx)


def test_the_callers_bye_before_his_ack(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    a.expect(invite_response(200))
    b.expect("ACK")
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_the_callers_bye_before_his_ack_owes_the_callee_one(stack):
    """Delayed offer: the callee's ACK waits for the caller's, and must come all the same."""
    phone, pbx, a, b = start(stack, body=False)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    a.expect(invite_response(200))
    a.request("BYE")
    hung_up(b)
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, pbx)


# --- lost and repeated ---


def test_each_side_repeats_its_answer_until_its_own_ack(stack):
    """RFC 6026: the SBC's 200 to the caller and its ACK to the callee have nothing to do with each other."""
    phone, pbx, a, b = start(stack)
    answer = b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    first = b.expect("ACK")
    ok = a.expect(invite_response(200))
    pbx.send(answer.raw, b.peer)
    netns.wait_for("both again", lambda: len([m for m in pbx.received if m.raw == first.raw]) == 2
                   and len([m for m in phone.received if m.raw == ok.raw]) >= 2, 5)
    a.ack(ok)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_repeated_ack_changes_nothing(stack):
    phone, pbx, a, b = start(stack, body=False)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    a.ack(a.expect(invite_response(200)), sdp(phone.host, 30000))
    b.expect("ACK")
    a.repeat()
    phone.ask(TO_SBC)
    assert len([m for m in pbx.received if m.method == "ACK"]) == 1
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_refusal_is_repeated_until_its_ack(stack):
    phone, pbx, a, b = start(stack)
    refused = b.reply(b.invite, 486)
    first = b.expect("ACK")
    refusal = a.expect(486)
    pbx.send(refused.raw, b.peer)
    netns.wait_for("both again", lambda: len([m for m in pbx.received if m.raw == first.raw]) == 2
                   and len([m for m in phone.received if m.raw == refusal.raw]) >= 2, 5)
    a.ack(refusal)
    finish(stack, phone, pbx)


def test_ringing_in_the_same_words_reaches_the_caller_each_time(stack):
    """His proxies have a Timer C, too (RFC 3261 section 13.3.1.1)."""
    phone, pbx, a, b = start(stack)
    ringing = b.reply(b.invite, 180)
    first = a.expect(180)
    for n in (2, 3):
        pbx.send(ringing.raw, b.peer)
        netns.wait_for(f"180 number {n}", lambda: len([m for m in phone.received if m.raw == first.raw]) == n, 5)
    b.reply(b.invite, 486)
    a.ack(a.expect(486))
    finish(stack, phone, pbx)


# --- two ways, no way ---


def test_the_same_invite_by_two_ways_is_482(stack):
    """RFC 3261 section 8.2.2.2: while the first one is under way, and still when it has been answered."""
    phone, pbx, carrier = stack.phone(), stack.pbx(), stack.carrier()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()

    def by_another_way():
        via = f"Via: SIP/2.0/UDP {carrier.host}:{carrier.port};branch=z9hG4bK{token()}"
        carrier.send(via.join(a.invited.raw.decode().split(f"Via: {a.invited['via']}", 1)).encode(), TO_SBC)
        merged = carrier.expect(lambda m: m.status and m.status > 100, a.call_id)
        assert merged.status == 482 and merged["cseq"] == a.invited["cseq"]

    by_another_way()
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(invite_response(200))
    by_another_way()
    a.ack(ok)
    b.expect("ACK")
    by_another_way()
    hang_up(a, b)
    assert len([m for m in pbx.received if m.method == "INVITE"]) == 1
    finish(stack, phone, pbx)


def test_an_invite_that_may_travel_no_further_is_483(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call_id = token()

    def invite(hops):
        return compose(f"INVITE sip:1000@{TO_SBC[0]} SIP/2.0", [
            ("Via", f"SIP/2.0/UDP {phone.host}:{phone.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", str(hops)),
            ("From", f"<sip:a@{phone.host}>;tag={token()}"), ("To", f"<sip:1000@{TO_SBC[0]}>"), ("Call-ID", call_id),
            ("CSeq", "1 INVITE"), ("Contact", f"<sip:a@{phone.host}:{phone.port}>")], sdp(phone.host, 30000))

    phone.send(invite(0), TO_SBC)
    assert phone.expect(lambda m: m.status and m.status > 100, call_id).status == 483
    assert [m for m in pbx.received if m.method == "INVITE"] == []
    phone.send(invite(1), TO_SBC)
    b = pbx.answerer()
    assert b.invite["max-forwards"] == "0"
    b.reply(b.invite, 486)
    assert phone.expect(lambda m: m.status and m.status > 100, call_id).status == 486
    b.expect("ACK")
    no_calls_left(stack)


def test_an_answer_after_timer_c_is_hung_up(stack):
    restart_with(stack, 'timer-c = "2s"')
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    a.expect(180)
    cancel = b.expect("CANCEL", timeout=10)
    refusal = a.expect(lambda m: m.status and m.status >= 300)
    assert refusal.status == 408
    a.ack(refusal)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    b.reply(cancel, 200)
    hung_up(b)
    finish(stack, phone, pbx)
    stack.start(stack.kind)


def test_a_cancelled_callee_that_never_says_anything_again_is_forgotten(stack):
    """RFC 3261 section 9.1: 64*T1 after the CANCEL; T1 is short here."""
    restart_with(stack, 't1 = "50ms"')
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    a.expect(180)
    cancelled(a)
    b.reply(b.expect("CANCEL"), 200)
    finish(stack, phone, pbx)
    stack.start(stack.kind)
