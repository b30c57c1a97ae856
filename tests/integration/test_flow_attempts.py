# SPDX-License-Identifier: BSD-3-Clause
"""Calls to groups: the next member is asked on a leg of its own, the one that was given up is hung up, the caller gets one answer."""

import pytest

import attempts
from attempts import PBX_B, TO_SBC, answer, check_other_leg, finish, refuse, refused
from early import hang_up
from media import exchange, open_path
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = attempts.CONFIG


def start(stack, number="2000"):
    phone, pbx, other = stack.phone(), stack.pbx(), stack.pbx(port=PBX_B)
    a = phone.call(TO_SBC, number, sdp(phone.host, 30000))
    return phone, pbx, other, a, pbx.answerer()


def test_the_next_member_takes_the_call_when_the_first_is_not_available(stack):
    phone, pbx, other, a, first = start(stack)
    refuse(first, 503)
    second = other.answerer()
    check_other_leg(first.invite, second.invite)
    assert second.invite.uri.startswith("sip:2000@10.0.0.5:5062")
    assert second.invite.media()[0] == "10.0.0.1"
    answer(a, second)
    hang_up(a, second)
    assert [m.status for m in phone.received if m.status and m.status >= 200 and m.method == "INVITE"] == [200]
    finish(stack, phone, pbx, other)


def test_a_member_that_says_nothing_is_given_up_and_its_late_answer_hung_up(stack):
    phone, pbx, other, a, first = start(stack)
    second = other.answerer(timeout=8)
    answer(a, second)
    first.reply(first.invite, 200, "OK", sdp(pbx.host, 30004))
    ack = first.expect("ACK")
    bye = first.take_bye()
    assert ack.call_id == bye.call_id == first.call_id and ack["cseq"].split()[0] == first.invite["cseq"].split()[0]
    assert int(bye["cseq"].split()[0]) > int(ack["cseq"].split()[0])
    hang_up(a, second)
    finish(stack, phone, pbx, other)


def test_a_member_that_rings_after_it_was_given_up_is_cancelled(stack):
    phone, pbx, other, a, first = start(stack)
    second = other.answerer(timeout=8)
    first.reply(first.invite, 180, "Ringing")
    cancel = first.expect("CANCEL")
    assert cancel.branch == first.invite.branch and cancel.uri == first.invite.uri and cancel["reason"] == "SIP;cause=408"
    first.reply(cancel, 200)
    refuse(first, 487)
    answer(a, second)
    assert not [m for m in phone.received if m.status == 180]
    hang_up(a, second)
    finish(stack, phone, pbx, other)


def test_early_media_of_the_first_member_and_the_answer_of_the_second(stack):
    phone, pbx, other = stack.phone(), stack.pbx(), stack.pbx(port=PBX_B)
    near, early, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "2001", sdp(phone.host, near.port))
    first = pbx.answerer()
    early.destination = first.invite.media()[:2]
    first.reply(first.invite, 183, "Session Progress", sdp(pbx.host, early.port))
    progress = a.expect(183)
    near.destination = progress.media()[:2]
    open_path(near, early)
    refuse(first, 503)
    second = other.answerer()
    far.destination = second.invite.media()[:2]
    second.reply(second.invite, 200, "OK", sdp(pbx.host, far.port))
    second.expect("ACK")
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    a.ack(ok)
    assert ok.tag("to") != progress.tag("to") and ok.media()[:2] == progress.media()[:2]
    phone.ask(TO_SBC)
    open_path(near, far)
    exchange([(near, far)], 20)
    hang_up(a, second)
    finish(stack, phone, pbx, other)


def test_a_member_in_another_realm_gets_ports_of_that_realm(stack):
    phone, pbx, carrier = stack.phone(), stack.pbx(), stack.carrier()
    near, far = stack.media("phone", phone.host), stack.media("outside", carrier.host)
    a = phone.call(TO_SBC, "3000", sdp(phone.host, near.port))
    first = pbx.answerer()
    refuse(first, 503)
    second = carrier.answerer()
    check_other_leg(first.invite, second.invite)
    assert second.invite.media()[0] == "203.0.113.10" and b"10.0.0." not in second.invite.raw
    far.destination = second.invite.media()[:2]
    second.reply(second.invite, 200, "OK", sdp(carrier.host, far.port))
    second.expect("ACK")
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    a.ack(ok)
    near.destination = ok.media()[:2]
    phone.ask(TO_SBC)
    open_path(near, far)
    exchange([(near, far)], 20)
    hang_up(a, second)
    finish(stack, phone, pbx)


@pytest.mark.parametrize("first_status, second_status, expected", [(503, 486, 486), (503, 603, 603), (503, 503, 503), (504, 404, 404)])
def test_the_caller_gets_the_best_refusal_and_only_one(stack, first_status, second_status, expected):
    phone, pbx, other, a, first = start(stack)
    refuse(first, first_status)
    second = other.answerer()
    refuse(second, second_status)
    refused(a, expected)
    assert len([m for m in phone.received if m.status and m.status >= 200 and m.method == "INVITE"]) == 1
    finish(stack, phone, pbx, other)


def test_cancel_goes_to_the_member_that_rings(stack):
    phone, pbx, other, a, first = start(stack)
    refuse(first, 503)
    second = other.answerer()
    second.reply(second.invite, 180, "Ringing")
    a.expect(180)
    a.cancel()
    cancel = second.expect("CANCEL")
    second.reply(cancel, 200)
    refuse(second, 487)
    refused(a, 487)
    assert not pbx.pending(lambda m: m.method == "CANCEL")
    finish(stack, phone, pbx, other)


def test_an_agent_has_no_more_calls_than_its_max_sessions(stack):
    phone, narrow = stack.phone(), stack.pbx(port=5070)
    a = phone.call(TO_SBC, "8000", sdp(phone.host, 30000))
    b = narrow.answerer()
    answer(a, b)
    more = phone.call(TO_SBC, "8001", sdp(phone.host, 30010))
    assert refused(more, 503)["retry-after"]
    hang_up(a, b)
    finish(stack, phone, narrow)
    again = phone.call(TO_SBC, "8002", sdp(phone.host, 30000))
    c = narrow.answerer()
    answer(again, c)
    hang_up(again, c)
    finish(stack, phone, narrow)
