# SPDX-License-Identifier: BSD-3-Clause
"""Reliable provisional responses (RFC 3262): on both sides, on one side alone, with offers and answers in them and in PRACK."""

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4
from early import (KNOWN, REQUIRED, TO_SBC, branch, check_hidden, check_in_dialog, check_response, early, hang_up, invite_response,
                   no_calls_left, number, prack, prack_response, reliable, restart_with, rseq, tag, take_prack)
from media import check_exactly_once, exchange, open_path
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"


def start(stack, *headers, body=True):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000) if body else b"", headers=headers)
    return phone, pbx, a, pbx.answerer()


def confirm(a, b, body=b""):
    """200 of the callee and its ACK on both legs; the 200 that the caller got."""
    b.reply(b.invite, 200, body=body)
    ack = b.expect(lambda m: m.method == "ACK" and m.is_request)
    check_in_dialog(ack, b)
    assert number(ack) == number(b.invite) and ack.body == b""
    ok = a.expect(invite_response(200))
    check_response(ok, a)
    a.ack(ok)
    return ok


def finish(stack, phone, pbx):
    check_hidden(phone, pbx)
    no_calls_left(stack)


# --- both sides ---


def test_a_reliable_answer_is_relayed_reliably_and_prack_with_it(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    assert "100rel" in b.invite["supported"] and b.invite["require"] == ""
    sent = reliable(b, 183, 4711, sdp(pbx.host, 30002))
    progress = a.expect(183)
    check_response(progress, a)
    assert progress.media()[0] == SBC_OUT4 and progress["rseq"] != sent["rseq"]
    assert pbx.pending(lambda m: m.method == "PRACK") == []
    mine = prack(a, progress)
    take_prack(b, 4711)
    done = a.expect(prack_response(200))
    assert done.branch == mine.branch and done["cseq"] == mine["cseq"] and done.body == b""
    # Offer and answer are complete on both legs: no 2xx says them again.
    assert confirm(a, b).body == b""
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_each_leg_counts_for_itself(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    numbers, pracks = [], []
    for i, status in enumerate((180, 183, 182)):
        reliable(b, status, 100 + i, sdp(pbx.host, 30002) if status == 183 else b"")
        response = a.expect(status)
        numbers.append(rseq(response))
        prack(a, response)
        pracks.append(number(take_prack(b, 100 + i)))
        a.expect(prack_response(200))
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert pracks == [number(b.invite) + 1, number(b.invite) + 2, number(b.invite) + 3]
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_the_second_reliable_response_waits_for_the_first_prack(stack):
    """RFC 3262 section 3: the first one tells where the numbers begin."""
    phone, pbx, a, b = start(stack, KNOWN)
    reliable(b, 180, 1)
    first = a.expect(180)
    reliable(b, 183, 2, sdp(pbx.host, 30002))
    phone.ask(TO_SBC)
    assert phone.pending(lambda m: m.status == 183) == []
    prack(a, first)
    take_prack(b, 1)
    a.expect(prack_response(200))
    second = a.expect(183)
    assert rseq(second) == rseq(first) + 1
    prack(a, second)
    take_prack(b, 2)
    a.expect(prack_response(200))
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_fresh_offer_in_the_prack_and_its_answer(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000), headers=[KNOWN])
    b = pbx.answerer()
    reliable(b, 183, 1, sdp(pbx.host, 30002))
    progress = a.expect(183)
    prack(a, progress, sdp(phone.host, near.port, version=2))
    request = take_prack(b, 1, body=sdp(pbx.host, far.port, version=2))
    assert request.media()[0] == SBC_IN4
    done = a.expect(prack_response(200))
    assert done.media()[0] == SBC_OUT4
    near.destination, far.destination = done.media()[:2], request.media()[:2]
    assert confirm(a, b).body == b""
    open_path(near, far)
    exchange([(near, far)], 10)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_refused_offer_in_the_prack_leaves_what_was_agreed(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port), headers=[KNOWN])
    b = pbx.answerer()
    far.destination = b.invite.media()[:2]
    reliable(b, 183, 1, sdp(pbx.host, far.port))
    progress = a.expect(183)
    near.destination = progress.media()[:2]
    prack(a, progress, sdp(phone.host, 31000, version=2))
    take_prack(b, 1, status=488)
    assert a.expect(prack_response(488)).body == b""
    open_path(near, far)
    confirm(a, b)
    exchange([(near, far)], 10)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_an_offer_in_a_reliable_response_is_answered_in_the_prack(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", headers=[KNOWN])
    b = pbx.answerer()
    assert b.invite.body == b"" and "100rel" in b.invite["supported"]
    reliable(b, 183, 9, sdp(pbx.host, far.port))
    progress = a.expect(183)
    assert progress.media()[0] == SBC_OUT4
    near.destination = progress.media()[:2]
    prack(a, progress, sdp(phone.host, near.port))
    request = take_prack(b, 9)
    assert request.media()[0] == SBC_IN4
    far.destination = request.media()[:2]
    a.expect(prack_response(200))
    open_path(near, far)
    assert confirm(a, b).body == b""
    exchange([(near, far)], 10)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_prack_without_the_answer_it_owes_is_refused(stack):
    phone, pbx, a, b = start(stack, KNOWN, body=False)
    reliable(b, 183, 9, sdp(pbx.host, 30002))
    progress = a.expect(183)
    prack(a, progress)
    a.expect(prack_response(400))
    assert pbx.pending(lambda m: m.method == "PRACK") == []
    prack(a, progress, sdp(phone.host, 30000))
    take_prack(b, 9)
    a.expect(prack_response(200))
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_challenge_of_the_prack_is_relayed_and_answered(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    reliable(b, 183, 1, sdp(pbx.host, 30002))
    progress = a.expect(183)
    prack(a, progress)
    take_prack(b, 1, status=407, headers=[("Proxy-Authenticate", 'Digest realm="r", nonce="abc"')])
    assert 'nonce="abc"' in a.expect(prack_response(407))["proxy-authenticate"]
    prack(a, progress, headers=[("Proxy-Authorization", 'Digest username="u", response="1"')])
    assert 'username="u"' in take_prack(b, 1)["proxy-authorization"]
    a.expect(prack_response(200))
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_prack_sent_again_is_answered_again_and_reaches_the_callee_once(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    reliable(b, 183, 1, sdp(pbx.host, 30002))
    prack(a, a.expect(183))
    take_prack(b, 1)
    done = a.expect(prack_response(200))
    a.repeat()
    netns.wait_for("the 200 once more", lambda: len([m for m in phone.received if m.raw == done.raw]) == 2, 5)
    confirm(a, b)
    assert len([m for m in pbx.received if m.method == "PRACK" and m.is_request]) == 1
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_the_answer_does_not_wait_for_a_prack_of_mere_ringing(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    reliable(b, 180, 1)
    ringing = a.expect(180)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    b.expect("ACK")
    ok = a.expect(invite_response(200))
    assert ok.media()[0] == SBC_OUT4
    prack(a, ringing)
    take_prack(b, 1)
    a.expect(prack_response(200))
    a.ack(ok)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_each_branch_has_its_own_numbers_and_pracks(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    other = branch(b, "second")
    reliable(b, 183, 50, sdp(pbx.host, 30002))
    one = a.expect(183)
    reliable(other, 183, 7, sdp(pbx.host, 30010))
    two = a.expect(183)
    first, second = early(a, one), early(a, two)
    assert one.tag("to") != two.tag("to")
    prack(second, two)
    take_prack(other, 7)
    second.expect(prack_response(200))
    prack(first, one)  # the same CSeq number in another dialog
    take_prack(b, 50)
    first.expect(prack_response(200))
    b.reply(b.invite, 200)
    check_in_dialog(b.expect("ACK"), b)
    ok = a.expect(invite_response(200))
    assert ok.tag("to") == one.tag("to") and ok.body == b""
    first.ack(ok)
    first.request("BYE")
    bye = b.expect("BYE")
    check_in_dialog(bye, b)
    b.reply(bye, 200)
    first.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, pbx)


@pytest.mark.parametrize("winner", ["first", "second"])
def test_two_branches_that_both_offer_do_it_one_after_the_other(stack, winner):
    phone, pbx = stack.phone(), stack.pbx()
    near = [stack.media("phone", phone.host) for _ in range(2)]
    far = [stack.media("pbx", pbx.host) for _ in range(2)]
    a = phone.call(TO_SBC, "1000", headers=[KNOWN])
    b = pbx.answerer()
    other = branch(b, "second")
    reliable(b, 183, 9, sdp(pbx.host, far[0].port))
    progress = a.expect(183)
    early_offer = reliable(other, 183, 40, sdp(pbx.host, far[1].port))
    pbx.ask((SBC_IN4, 5060))
    assert phone.pending(lambda m: m.status == 183) == []
    one = early(a, progress)
    prack(one, progress, sdp(phone.host, near[0].port))
    take_prack(b, 9)
    one.expect(prack_response(200))
    pbx.send(early_offer.raw, other.peer)  # RFC 3262 section 3: it was not acknowledged
    progress = a.expect(183)
    two = early(a, progress)
    prack(two, progress, sdp(phone.host, near[1].port))
    to_far = take_prack(other, 40).media()[:2]
    two.expect(prack_response(200))
    i, caller, callee = (0, one, b) if winner == "first" else (1, two, other)
    callee.reply(b.invite, 200)
    check_in_dialog(callee.expect(lambda m: m.is_request and m.method == "ACK" and m.tag("to") == tag(callee)), callee)
    ok = a.expect(invite_response(200))
    assert ok.body == b"" and ok["to"] == caller.remote
    caller.ack(ok)
    near[i].destination, far[i].destination = progress.media()[:2], to_far
    open_path(near[i], far[i])
    exchange([(near[i], far[i])], 10)
    check_exactly_once(near[i], far[i])
    check_exactly_once(far[i], near[i])
    hang_up(caller, callee)
    finish(stack, phone, pbx)


@pytest.mark.parametrize("headers", [[KNOWN], []], ids=["the-callers", "our-own"])
def test_a_prack_that_the_callee_does_not_answer_ends_the_call(stack, headers):
    """RFC 3261 section 12.2.1.2; Timer F is short here."""
    restart_with(stack, 't1 = "50ms"')
    phone, pbx, a, b = start(stack, *headers)
    reliable(b, 180, 9)
    ringing = a.expect(180)
    if headers:
        prack(a, ringing)
    b.expect("PRACK")
    refusal = a.expect(lambda m: m.status and m.status >= 300 and m.method == "INVITE", timeout=15)
    assert refusal.status == 408
    a.ack(refusal)
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200)
    b.reply(b.invite, 487)
    b.expect("ACK")
    finish(stack, phone, pbx)
    stack.start(stack.kind)


# --- the callee alone ---


def test_a_reliable_callee_is_acknowledged_here_for_a_caller_that_knows_nothing_of_it(stack):
    phone, pbx, a, b = start(stack)
    assert "100rel" in b.invite["supported"]
    reliable(b, 183, 33, sdp(pbx.host, 30002))
    take_prack(b, 33)
    progress = a.expect(183)
    assert progress["rseq"] == progress["require"] == "" and progress.media()[0] == SBC_OUT4
    reliable(b, 180, 34)
    take_prack(b, 34)
    a.expect(180)
    ok = confirm(a, b)
    assert ok.media()[:2] == progress.media()[:2]  # he has not heard it reliably yet
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_2xx_that_differs_from_a_reliable_answer_is_not_believed(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port))
    b = pbx.answerer()
    far.destination = b.invite.media()[:2]
    reliable(b, 183, 1, sdp(pbx.host, far.port))
    take_prack(b, 1)
    near.destination = a.expect(183).media()[:2]
    confirm(a, b, sdp(pbx.host, 31234, version=2))
    open_path(near, far)
    exchange([(near, far)], 10)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_repeated_and_disordered_reliable_responses(stack):
    phone, pbx, a, b = start(stack)
    first = reliable(b, 183, 5, sdp(pbx.host, 30002))
    take_prack(b, 5)
    a.expect(183)
    pbx.send(first.raw, b.peer)
    reliable(b, 181, 7)  # 6 is missing
    pbx.ask((SBC_IN4, 5060))
    assert pbx.pending(lambda m: m.method == "PRACK") == [] and phone.pending(lambda m: m.status == 181) == []
    reliable(b, 182, 6)
    take_prack(b, 6)
    a.expect(182)
    reliable(b, 181, 7)
    take_prack(b, 7)
    a.expect(181)
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_lost_prack_is_sent_again(stack):
    phone, pbx, a, b = start(stack)
    reliable(b, 183, 5, sdp(pbx.host, 30002))
    request = b.expect("PRACK")
    netns.wait_for("the PRACK again", lambda: len([m for m in pbx.received if m.raw == request.raw]) >= 2, 5)
    b.reply(request, 200)
    a.expect(183)
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_prack_follows_the_routes_of_the_reliable_response(stack):
    phone, pbx, a, b = start(stack)
    proxy = stack.endpoint("inside", "10.0.0.100")
    reliable(b, 183, 5, sdp(pbx.host, 30002), headers=[("Record-Route", "<sip:10.0.0.100;lr>")])
    request = proxy.expect("PRACK", b.call_id)
    check_in_dialog(request, b)
    assert request["route"] == "<sip:10.0.0.100;lr>"
    b.reply(request, 200)
    assert a.expect(183)["record-route"] == ""
    b.reply(b.invite, 200, headers=[("Record-Route", "<sip:10.0.0.100;lr>")])
    assert proxy.expect("ACK", b.call_id)["route"] == "<sip:10.0.0.100;lr>"
    a.ack(a.expect(invite_response(200)))
    a.request("BYE")
    b.reply(proxy.expect("BYE", b.call_id), 200)
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, pbx)


def test_no_offer_is_asked_of_a_callee_that_the_caller_could_not_answer(stack):
    phone, pbx, a, b = start(stack, body=False)
    assert "100rel" not in b.invite["supported"]
    b.reply(b.invite, 180)
    a.expect(180)
    b.reply(b.invite, 486)
    a.ack(a.expect(486))
    finish(stack, phone, pbx)


# --- the caller alone ---


def test_a_caller_that_requires_it_gets_it_of_an_unreliable_callee(stack):
    phone, pbx, a, b = start(stack, REQUIRED)
    assert b.invite["require"] == ""
    b.reply(b.invite, 183, body=sdp(pbx.host, 30002))
    progress = a.expect(183)
    assert progress.media()[0] == SBC_OUT4
    netns.wait_for("the 183 again", lambda: len([m for m in phone.received if m.raw == progress.raw]) >= 2, 5)
    mine = prack(a, progress)
    done = a.expect(prack_response(200))
    assert done.branch == mine.branch and done.body == b""
    assert confirm(a, b, sdp(pbx.host, 30002)).body == b""
    assert pbx.pending(lambda m: m.method == "PRACK") == []
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_caller_that_supports_it_is_not_made_to(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    b.reply(b.invite, 183, body=sdp(pbx.host, 30002))
    assert a.expect(183)["require"] == ""
    confirm(a, b, sdp(pbx.host, 30002))
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_the_answer_waits_for_the_prack_of_a_description(stack):
    phone, pbx, a, b = start(stack, REQUIRED)
    b.reply(b.invite, 183, body=sdp(pbx.host, 30002))
    progress = a.expect(183)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    b.expect("ACK")
    phone.ask(TO_SBC)
    assert phone.pending(invite_response(200)) == []
    prack(a, progress)
    a.expect(prack_response(200))
    ok = a.expect(invite_response(200))
    assert ok.body == b""
    a.ack(ok)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_refusal_waits_for_no_prack(stack):
    phone, pbx, a, b = start(stack, REQUIRED)
    b.reply(b.invite, 183, body=sdp(pbx.host, 30002))
    a.expect(183)
    b.reply(b.invite, 486)
    b.expect("ACK")
    a.ack(a.expect(486))
    finish(stack, phone, pbx)


@pytest.mark.parametrize("rack", ["1 1 INVITE", "{rseq} {cseq} BYE", "{rseq} 999999 INVITE", "{rseq}", "x y z", ""])
def test_a_prack_that_acknowledges_nothing_is_481(stack, rack):
    phone, pbx, a, b = start(stack, REQUIRED)
    b.reply(b.invite, 180)
    ringing = a.expect(180)
    prack(a, ringing, acknowledges=rack.format(rseq=rseq(ringing), cseq=number(ringing)) or "\t")
    a.expect(prack_response(481))
    prack(a, ringing)
    a.expect(prack_response(200))
    prack(a, ringing)  # once more, as a new request
    a.expect(prack_response(481))
    confirm(a, b, sdp(pbx.host, 30002))
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_prack_outside_of_any_dialog_is_481(stack):
    phone, pbx, a, b = start(stack, REQUIRED)
    b.reply(b.invite, 180)
    ringing = a.expect(180)
    stranger = early(a, ringing)
    stranger.remote = stranger.remote.replace(ringing.tag("to"), "nobody")
    prack(stranger, ringing)
    stranger.expect(prack_response(481))
    prack(a, ringing)
    a.expect(prack_response(200))
    a.cancel()
    a.ack(a.expect(487))
    b.reply(b.expect("CANCEL"), 200)
    b.reply(b.invite, 487)
    b.expect("ACK")
    finish(stack, phone, pbx)


def test_other_options_are_refused_by_name(stack):
    phone = stack.phone()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000), headers=[("Require", "100rel, frobnicate")])
    refusal = a.expect(420)
    assert refusal["unsupported"] == "frobnicate"
    a.ack(refusal)
    no_calls_left(stack)


def test_no_prack_ends_the_call_with_504(stack):
    """64*T1 without it (RFC 3262 section 3); T1 is short here."""
    restart_with(stack, 't1 = "50ms"')
    phone, pbx, a, b = start(stack, REQUIRED)
    b.reply(b.invite, 180)
    ringing = a.expect(180)
    refusal = a.expect(lambda m: m.status and m.status >= 300, timeout=15)
    assert refusal.status == 504
    assert len([m for m in phone.received if m.raw == ringing.raw]) == 7  # T1, doubled each time
    a.ack(refusal)
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200)
    b.reply(b.invite, 487)
    b.expect("ACK")
    finish(stack, phone, pbx)
    stack.start(stack.kind)


def test_tags_of_the_callee_do_not_cross(stack):
    phone, pbx, a, b = start(stack, KNOWN)
    reliable(b, 183, 1, sdp(pbx.host, 30002))
    progress = a.expect(183)
    assert tag(b).encode() not in progress.raw and b"Require: 100rel" in progress.raw
    prack(a, progress)
    take_prack(b, 1)
    a.expect(prack_response(200))
    confirm(a, b)
    hang_up(a, b)
    finish(stack, phone, pbx)
