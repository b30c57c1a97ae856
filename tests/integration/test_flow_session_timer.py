# SPDX-License-Identifier: BSD-3-Clause
"""Session timers (RFC 4028) of each leg alone: agreed, refreshed by either side, refused, run out. Intervals far below what the RFC allows,
which is what min-session-timer is there for."""

import pytest

import netns
from change import no_calls_left, origin
from conftest import SBC_OUT4, Stack
from sip import sdp

TO_SBC = (SBC_OUT4, 5060)
INTERVAL = 12
GUARD = "\nguard { untrusted-rate = 1000  untrusted-burst = 1000 }\nsip-config { min-session-timer = 4 }\n"
UPDATE = ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE")
TIMER = ("Supported", "timer")


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more = GUARD
    for_profiles = f"session-timer = {INTERVAL}  session-timer-mode = supported  nat"
    stack.change = lambda text: text.replace("{ nat", "{ " + for_profiles)
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


class TimedCall:
    def __init__(self, stack, caller=(), callee=()):
        phone, pbx = stack.phone(), stack.pbx()
        self.offer, self.answer = sdp(phone.host, 31000, session=1), sdp(pbx.host, 32000, session=2)
        self.a = phone.call(TO_SBC, "1000", self.offer, headers=caller)
        self.b = pbx.answerer()
        self.b.reply(self.b.invite, 200, "OK", self.answer, headers=callee)
        self.ok = self.a.expect(200)
        self.a.ack(self.ok)
        self.b.expect("ACK")
        phone.ask(TO_SBC)

    def hang_up(self, stack):
        self.a.request("BYE")
        self.b.take_bye()
        self.a.expect(lambda m: m.status == 200 and m.method == "BYE")
        no_calls_left(stack)


def session(seconds, refresher):
    return ("Session-Expires", f"{seconds};refresher={refresher}")


def test_each_leg_has_its_own_interval_and_refresher(stack):
    call = TimedCall(stack, [TIMER, UPDATE, session(8, "uas")], [TIMER, UPDATE, session(10, "uas"), ("Require", "timer")])
    assert call.b.invite["session-expires"] == f"{INTERVAL}" and "timer" in call.b.invite["supported"]
    assert call.ok["session-expires"] == "8;refresher=uas"
    for _ in range(2):
        # We refresh the caller's leg ...
        refresh = call.a.expect("UPDATE", timeout=8)
        assert refresh["session-expires"] == "8;refresher=uac" and not refresh.body
        assert refresh.call_id == call.a.call_id and refresh.tag("from") == call.ok.tag("to")
        call.a.reply(refresh, 200, "OK", headers=[session(8, "uac"), ("Require", "timer")])
        # ... and the callee his.
        call.b.request("UPDATE", headers=[TIMER, session(10, "uac")])
        answer = call.b.expect(200)
        assert answer["session-expires"] == "10;refresher=uac" and answer["require"] == "timer"
    assert call.a.endpoint.pending(lambda m: m.is_request) == [] and call.b.endpoint.pending(lambda m: m.is_request) == []
    call.hang_up(stack)


def test_who_knows_no_timers_is_refreshed_by_a_reinvite_that_changes_nothing(stack):
    call = TimedCall(stack)
    assert not call.ok["session-expires"] and "timer" not in call.ok["require"]
    first = {id(call.a): call.ok, id(call.b): call.b.invite}
    due = {id(d): (d, said) for d, said in ((call.b, call.answer), (call.a, call.offer))}
    waiting = lambda: [d for d, _ in due.values() if d.endpoint.pending(lambda m: m.is_request)]
    while due:  # one after the other, whichever is first
        netns.wait_for("a refresh", waiting, INTERVAL)
        dialog, said = due.pop(id(waiting()[0]))
        refresh = dialog.expect("INVITE")
        assert origin(refresh) == origin(first[id(dialog)]) and refresh.body == first[id(dialog)].body
        dialog.reply(refresh, 200, "OK", said)
        dialog.expect("ACK")
    assert call.a.endpoint.pending(lambda m: m.is_request) == [] and call.b.endpoint.pending(lambda m: m.is_request) == []
    call.hang_up(stack)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_of_a_peer_is_answered_here(stack, method):
    call = TimedCall(stack, [TIMER, session(INTERVAL, "uac")], [session(INTERVAL, "uas")])
    assert call.ok["session-expires"] == f"{INTERVAL};refresher=uac" and call.ok["require"] == "timer"
    call.a.request(method, call.offer if method == "INVITE" else b"", headers=[TIMER, session(INTERVAL, "uac")])
    answer = call.a.expect(200)
    assert answer["session-expires"] == f"{INTERVAL};refresher=uac"
    if method == "INVITE":
        assert answer.body == call.ok.body
        call.a.ack(answer)
    call.a.endpoint.ask(TO_SBC)
    assert call.b.endpoint.pending(lambda m: m.is_request) == []
    call.hang_up(stack)


def test_a_session_nobody_refreshes_ends_on_both_sides_with_a_reason(stack):
    call = TimedCall(stack, [TIMER, session(4, "uac")], [session(INTERVAL, "uas")])
    for dialog in (call.a, call.b):
        assert "Q.850;cause=102" in dialog.take_bye(timeout=8)["reason"]
    no_calls_left(stack)


def test_a_side_that_has_lost_the_dialog_is_found_out(stack):
    call = TimedCall(stack, [TIMER, UPDATE, session(4, "uas")], [session(INTERVAL, "uas")])
    refresh = call.a.expect("UPDATE", timeout=8)
    call.a.reply(refresh, 481)
    call.b.take_bye()
    no_calls_left(stack)


def test_an_interval_that_is_too_short_is_422_with_our_minimum(stack):
    phone = stack.phone()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 31000), headers=[TIMER, ("Session-Expires", "3")])
    refusal = a.expect(422)
    assert refusal["min-se"] == "4"
    a.ack(refusal)
    no_calls_left(stack)


def test_422_of_the_callee_is_met_with_his_minimum(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 31000), headers=[TIMER])
    b = pbx.answerer()
    first = b.invite
    b.reply(first, 422, headers=[("Min-SE", "90")])
    b.expect("ACK")
    again = pbx.expect("INVITE")
    assert again["session-expires"].startswith("90") and again["min-se"] == "90"
    assert again.call_id == first.call_id and int(again["cseq"].split()[0]) > int(first["cseq"].split()[0])
    b.reply(again, 200, "OK", sdp(pbx.host, 32000), headers=[session(90, "uas")])
    ok = a.expect(200)
    a.ack(ok)
    b.expect("ACK")
    phone.ask(TO_SBC)
    a.request("BYE")
    b.take_bye()
    no_calls_left(stack)


def test_a_relayed_change_refreshes_each_leg_by_its_own_terms(stack):
    call = TimedCall(stack, [TIMER, session(8, "uac")], [session(10, "uas")])
    call.a.request("INVITE", sdp(call.a.endpoint.host, 31000, "sendonly", 1, 2), headers=[TIMER, session(8, "uac")])
    seen = call.b.expect("INVITE")
    assert seen["session-expires"] == "10;refresher=uas"
    call.b.reply(seen, 200, "OK", sdp(call.b.endpoint.host, 32000, "recvonly", 2, 2), headers=[session(10, "uas"), ("Require", "timer")])
    answer = call.a.expect(lambda m: m.status == 200 and m["cseq"] == call.a.last["cseq"])
    assert answer["session-expires"] == "8;refresher=uac"
    call.a.ack(answer)
    call.b.expect("ACK")
    call.a.endpoint.ask(TO_SBC)
    call.hang_up(stack)
