# SPDX-License-Identifier: BSD-3-Clause
"""Early dialogs: several of a callee that forks, early media that changes or comes from another branch, delayed offers."""

import pytest

import netns
from conftest import SBC_IN4
from early import TO_SBC, branch, check_hidden, check_in_dialog, check_response, early, hang_up, invite_response, no_calls_left, number, tag
from media import check_exactly_once, exchange, open_path
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"


def start(stack, body=True):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000) if body else b"")
    return phone, pbx, a, pbx.answerer()


def finish(stack, phone, pbx):
    check_hidden(phone, pbx)
    no_calls_left(stack)


def answer(a, b, body=b""):
    """200 of the callee, ACK on both legs."""
    b.reply(b.invite, 200, body=body)
    ack = b.expect(lambda m: m.method == "ACK" and m.is_request and m.tag("to") == tag(b))
    check_in_dialog(ack, b)
    assert number(ack) == number(b.invite)
    ok = a.expect(invite_response(200))
    check_response(ok, a)
    a.ack(ok)
    return ok


def test_each_branch_is_an_early_dialog_of_its_own_and_the_second_wins(stack):
    phone, pbx, a, b = start(stack)
    other = branch(b, "second")
    b.reply(b.invite, 180)
    first = a.expect(180)
    other.reply(b.invite, 183, body=sdp(pbx.host, 30010))
    second = a.expect(183)
    check_response(first, a)
    check_response(second, a)
    assert first.tag("to") != second.tag("to") and not {first.tag("to"), second.tag("to")} & {tag(b), tag(other)}
    ok = answer(a, other, sdp(pbx.host, 30010))
    assert ok.tag("to") == second.tag("to")
    hang_up(a, other)
    finish(stack, phone, pbx)


def test_a_branch_that_answers_second_is_acknowledged_and_hung_up(stack):
    phone, pbx, a, b = start(stack)
    other = branch(b, "second")
    b.reply(b.invite, 180)
    a.expect(180)
    other.reply(b.invite, 180)
    a.expect(180)
    answer(a, b, sdp(pbx.host, 30002))
    other.reply(b.invite, 200, body=sdp(pbx.host, 30010))
    ack = pbx.expect(lambda m: m.method == "ACK" and m.tag("to") == tag(other))
    bye = pbx.expect(lambda m: m.method == "BYE" and m.tag("to") == tag(other))
    check_in_dialog(ack, other)
    check_in_dialog(bye, other)
    assert number(ack) == number(b.invite) < number(bye)
    other.reply(bye, 200)
    assert len([m for m in phone.received if m.status == 200 and m.method == "INVITE"]) == 1
    hang_up(a, b)
    finish(stack, phone, pbx)


@pytest.mark.parametrize("meanwhile", ["a re-INVITE", "BYE"])
def test_a_branch_that_answers_late_is_acknowledged_and_hung_up(stack, meanwhile):
    """RFC 3261 section 13.2.2.4, also when its INVITE is not the last one any more, or the call is over."""
    phone, pbx, a, b = start(stack)
    other = branch(b, "second")
    b.reply(b.invite, 180)
    ringing = a.expect(180)
    first = b.invite
    answer(a, b, sdp(pbx.host, 30002))
    if meanwhile == "BYE":
        hang_up(a, b)
        no_calls_left(stack)
    else:
        a.request("INVITE", sdp(phone.host, 30000, "sendonly", version=2))
        b.reply(b.expect("INVITE"), 200, body=sdp(pbx.host, 30002, "recvonly", version=2))
        b.expect("ACK")
        a.ack(a.expect(invite_response(200)))
        phone.ask(TO_SBC)
    other.reply(first, 200, body=sdp(pbx.host, 30010))
    ack = pbx.expect(lambda m: m.method == "ACK" and m.tag("to") == tag(other))
    bye = pbx.expect(lambda m: m.method == "BYE" and m.tag("to") == tag(other))
    check_in_dialog(ack, other)
    check_in_dialog(bye, other)
    assert number(ack) == number(first) < number(bye)
    other.reply(bye, 200)
    assert {m.tag("to") for m in phone.received if m.status == 200 and m.method == "INVITE"} == {ringing.tag("to")}
    if meanwhile != "BYE":
        hang_up(a, b)
    finish(stack, phone, pbx)


def test_early_media_of_one_branch_and_then_the_answer_of_another(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, announcement, winner = stack.media("phone", phone.host), stack.media("pbx", pbx.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port))
    b = pbx.answerer()
    other = branch(b, "second")
    announcement.destination = winner.destination = b.invite.media()[:2]
    b.reply(b.invite, 183, body=sdp(pbx.host, announcement.port))
    progress = a.expect(183)
    near.destination = progress.media()[:2]
    open_path(near, announcement)
    exchange([(near, announcement)], 10)
    check_exactly_once(announcement, near)
    ok = answer(a, other, sdp(pbx.host, winner.port))
    assert ok.tag("to") != progress.tag("to")
    near.destination = ok.media()[:2]
    near.forget()
    open_path(near, winner)
    exchange([(near, winner)], 10)
    check_exactly_once(near, winner)
    check_exactly_once(winner, near)
    hang_up(a, other)
    finish(stack, phone, pbx)


def test_media_follows_the_newest_early_answer_of_a_branch(stack):
    """18x with a description that changes, then a 2xx without one: the last one counts."""
    phone, pbx = stack.phone(), stack.pbx()
    near, first, second = stack.media("phone", phone.host), stack.media("pbx", pbx.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port))
    b = pbx.answerer()
    first.destination = second.destination = b.invite.media()[:2]
    b.reply(b.invite, 183, body=sdp(pbx.host, first.port, session=1, version=1))
    near.destination = a.expect(183).media()[:2]
    open_path(near, first)
    b.reply(b.invite, 183, reason="Again", body=sdp(pbx.host, second.port, session=1, version=2))
    # To the caller nothing has changed: the same bytes once more.
    netns.wait_for("the second 183", lambda: len([m for m in phone.received if m.status == 183]) == 2, 5)
    open_path(near, second)
    ok = answer(a, b)
    assert ok.media()[:2] == near.destination  # a 2xx must have it, unless it was said reliably
    exchange([(near, second)], 10)
    check_exactly_once(near, second)
    check_exactly_once(second, near)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_2xx_that_differs_from_an_unreliable_early_answer_counts(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, first, second = stack.media("phone", phone.host), stack.media("pbx", pbx.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port))
    b = pbx.answerer()
    first.destination = second.destination = b.invite.media()[:2]
    b.reply(b.invite, 183, body=sdp(pbx.host, first.port))
    near.destination = a.expect(183).media()[:2]
    open_path(near, first)
    assert answer(a, b, sdp(pbx.host, second.port)).media()[:2] == near.destination
    open_path(near, second)
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_all_kinds_of_provisional_responses_are_relayed_in_order(stack):
    phone, pbx, a, b = start(stack)
    tags = set()
    for status in (181, 182, 183, 180):
        b.reply(b.invite, status, body=sdp(pbx.host, 30002) if status == 183 else b"")
        response = a.expect(lambda m: m.status and m.status > 100)
        assert response.status == status and bool(response.body) == (status == 183)
        check_response(response, a)
        tags.add(response.tag("to"))
    b.reply(b.invite, 183)
    assert a.expect(183).body == b""
    assert len(tags) == 1
    assert answer(a, b, sdp(pbx.host, 30002)).tag("to") in tags
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_bye_in_one_early_dialog_of_several_ends_that_one(stack):
    phone, pbx, a, b = start(stack)
    other = branch(b, "second")
    b.reply(b.invite, 180)
    one = early(a, a.expect(180))
    other.reply(b.invite, 180)
    two = early(a, a.expect(180))
    two.request("BYE")
    bye = pbx.expect("BYE")
    check_in_dialog(bye, other)
    other.reply(bye, 200)
    two.expect(lambda m: m.status == 200 and m.method == "BYE")
    ok = answer(a, b, sdp(pbx.host, 30002))
    assert ok["to"] == one.remote
    assert pbx.pending(lambda m: m.method == "CANCEL") == []
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_bye_in_the_only_early_dialog_ends_the_call(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    one = early(a, a.expect(180))
    one.request("BYE")
    one.expect(lambda m: m.status == 200 and m.method == "BYE")
    a.ack(a.expect(487))
    cancel = b.expect("CANCEL")
    assert cancel.branch == b.invite.branch and cancel["cseq"] == f"{number(b.invite)} CANCEL"
    b.reply(cancel, 200)
    b.reply(b.invite, 487)
    b.expect("ACK")
    finish(stack, phone, pbx)


def test_the_callees_bye_in_an_early_dialog_is_refused(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180)
    a.expect(180)
    b.cseq = 1
    b.request("BYE")
    assert b.expect(lambda m: m.status and m.method == "BYE").status == 481
    answer(a, b, sdp(pbx.host, 30002))
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_a_branch_behind_a_proxy_is_reached_by_its_own_route(stack):
    phone, pbx, a, b = start(stack)
    proxy = stack.endpoint("inside", "10.0.0.100")
    b.reply(b.invite, 180)
    a.expect(180)
    other = branch(b, "second")
    other.reply(b.invite, 200, body=sdp(pbx.host, 30002), headers=[("Record-Route", "<sip:10.0.0.100;lr>")])
    ack = proxy.expect("ACK", b.call_id)
    check_in_dialog(ack, other)
    assert ack["route"] == "<sip:10.0.0.100;lr>"
    ok = a.expect(200)
    assert ok["record-route"] == ""
    a.ack(ok)
    a.request("BYE")
    bye = proxy.expect("BYE", b.call_id)
    check_in_dialog(bye, other)
    assert bye["route"] == "<sip:10.0.0.100;lr>"
    other.reply(bye, 200)
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, pbx)


# --- delayed offer ---


def test_a_delayed_offer_is_answered_in_the_ack(stack):
    phone, pbx, a, b = start(stack, body=False)
    assert b.invite.body == b"" and b.invite["content-type"] == "" and "100rel" not in b.invite["supported"]
    b.reply(b.invite, 180)
    a.expect(180)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(200)
    check_response(ok, a)
    assert pbx.pending(lambda m: m.method == "ACK") == []
    a.ack(ok, sdp(phone.host, 30000))
    ack = b.expect("ACK")
    check_in_dialog(ack, b)
    assert ack.media()[0] == SBC_IN4
    hang_up(a, b)
    finish(stack, phone, pbx)


def test_an_early_description_is_no_offer_unless_it_is_reliable(stack):
    phone, pbx, a, b = start(stack, body=False)
    b.reply(b.invite, 183, body=sdp(pbx.host, 30002))
    assert a.expect(183).body == b""
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    ok = a.expect(200)
    a.ack(ok, sdp(phone.host, 30000))
    assert b.expect("ACK").media()[0] == SBC_IN4
    hang_up(a, b)
    finish(stack, phone, pbx)


@pytest.mark.parametrize("body", [b"", b"neither m= nor v=\r\n"], ids=["none", "unusable"])
def test_a_delayed_offer_without_an_answer_in_the_ack_ends_both_legs(stack, body):
    phone, pbx, a, b = start(stack, body=False)
    b.reply(b.invite, 200, body=sdp(pbx.host, 30002))
    a.ack(a.expect(200), body)
    b.expect("ACK")
    bye = b.take_bye()
    check_in_dialog(bye, b)
    a.take_bye()
    finish(stack, phone, pbx)


def test_a_2xx_without_any_offer_ends_the_call(stack):
    """Neither side has described anything: RFC 3261 section 13.2.1 asks for an offer in the 2xx."""
    phone, pbx, a, b = start(stack, body=False)
    b.reply(b.invite, 200)
    b.expect("ACK")
    check_in_dialog(b.take_bye(), b)
    refusal = a.expect(lambda m: m.status and m.status >= 300)
    assert refusal.status == 502
    a.ack(refusal)
    finish(stack, phone, pbx)


def test_a_2xx_without_an_answer_ends_the_call(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200)
    b.expect("ACK")
    check_in_dialog(b.take_bye(), b)
    a.ack(a.expect(502))
    finish(stack, phone, pbx)


def test_a_branch_of_a_delayed_offer_wins_with_an_offer_of_its_own(stack):
    phone, pbx, a, b = start(stack, body=False)
    other = branch(b, "second")
    b.reply(b.invite, 180)
    first = a.expect(180)
    other.reply(b.invite, 200, body=sdp(pbx.host, 30010))
    ok = a.expect(200)
    assert ok.tag("to") != first.tag("to")
    a.ack(ok, sdp(phone.host, 30000))
    ack = b.expect("ACK")
    check_in_dialog(ack, other)
    assert ack.media()[0] == SBC_IN4
    hang_up(a, other)
    finish(stack, phone, pbx)
