# SPDX-License-Identifier: BSD-3-Clause
"""Peers that say nothing: the SBC gives up by its timers, made short here."""

import pytest

import netns
from conftest import SBC_OUT4, Stack
from sip import sdp

TO_SBC = (SBC_OUT4, 5060)


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    try:
        stack.start("packet", change=lambda text: text + '\nsip-config { timer-b = "2s"  timer-c = "3s" }\n'
                    'session-agent absent { realm = core  address = "udp:10.0.0.66:5060" }\n'
                    'local-policy to-absent { from-realm = access  to = "^000$"  next-hop = "agent:absent"  priority = 1 }\n')
        yield stack
    finally:
        stack.down()


def final(dialog, timeout):
    answer = dialog.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE", timeout)
    dialog.ack(answer)
    return answer.status


def no_calls_left(stack):
    netns.wait_for("no call left", lambda: not stack.sbc.show("calls")["calls"], 5)


def test_a_callee_that_never_says_anything_is_given_up(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    pbx.answerer()
    assert final(a, 6) in (408, 480, 503, 504)
    assert len([m for m in pbx.received if m.method == "INVITE"]) >= 3  # repeated by Timer A meanwhile
    no_calls_left(stack)


def test_a_callee_that_rings_for_ever_is_cancelled(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    cancel = b.expect("CANCEL", timeout=8)
    assert cancel["reason"] == "SIP;cause=408, Q.850;cause=102"
    b.reply(cancel, 200, "OK")
    b.reply(b.invite, 487, "Request Terminated")
    b.expect("ACK")
    refused = a.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE")
    a.ack(refused)
    assert refused.status == 408 and refused["reason"] == "Q.850;cause=102"
    no_calls_left(stack)


def test_a_pbx_whose_sip_is_not_running(stack):
    phone = stack.phone()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    assert final(a, 6) in (408, 480, 500, 502, 503, 504)
    no_calls_left(stack)


def test_a_pbx_that_is_not_there_at_all(stack):
    phone = stack.phone()
    a = phone.call(TO_SBC, "000", sdp(phone.host, 30000))
    assert final(a, 6) in (408, 480, 500, 502, 503, 504)
    no_calls_left(stack)


def test_a_callee_that_does_not_answer_the_bye_is_forgotten(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    a.ack(a.expect(200))
    b.expect("ACK")
    a.request("BYE")
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    b.expect("BYE")
    netns.wait_for("the call forgotten", lambda: not stack.sbc.show("calls")["calls"], 8)


def test_a_caller_that_never_acknowledges_is_hung_up(stack):
    """No ACK for 64*T1: the SBC ends the session with BYE (RFC 3261 section 13.3.1.4). T1 is short here."""
    stack.start("packet", change=lambda text: text + '\nsip-config { t1 = "50ms" }\n')
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    a.expect(200)
    a.take_bye(timeout=8)
    b.take_bye(timeout=8)
    no_calls_left(stack)
