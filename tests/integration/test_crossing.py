# SPDX-License-Identifier: BSD-3-Clause
"""Messages that cross each other, forks of the callee's side, and credentials: what happens on real networks."""

import pytest

import netns
from conftest import SBC_OUT4, Call
from media import check_exactly_once, exchange, open_path
from sip import Dialog, sdp, token
from test_dialog import no_calls_left

TO_SBC = (SBC_OUT4, 5060)


def branch_off(dialog):
    """Another early dialog of the callee's side, as a forking proxy behind it makes them: the same INVITE, another To tag."""
    other = Dialog(dialog.endpoint, dialog.peer)
    other.call_id, other.invite, other.remote, other.target = dialog.call_id, dialog.invite, dialog.remote, dialog.target
    other.local = f"{dialog.invite['to']};tag={token()}"
    return other


def test_both_hang_up_at_once(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    call.b.request("BYE")
    call.a.request("BYE")
    for side in (call.a, call.b):
        side.expect(lambda m: m.status and m.method == "BYE" and m.status in (200, 481))
    for side in (call.a, call.b):  # the other's BYE may have been on its way already
        if side.endpoint.pending(lambda m: m.is_request and m.method == "BYE"):
            side.take_bye()
    no_calls_left(stack)


def test_both_change_the_call_at_once(stack):
    """Glare (RFC 3261 section 14.2): at most one of the changes succeeds, the other is answered 491, the call goes on."""
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    call.a.request("INVITE", sdp(call.near.host, call.near.port, version=2))
    call.b.request("INVITE", sdp(call.far.host, call.far.port, version=2))
    statuses = {}
    offered = lambda m: m.is_request and m.method == "INVITE" and m.tag("to")
    final = lambda m: m.status and m.status >= 200 and m.method == "INVITE"
    while len(statuses) < 2:
        netns.wait_for("a word on the changes", lambda: any(s.endpoint.pending(lambda m: offered(m) or final(m)) for s in (call.a, call.b)), 5)
        for side in (call.a, call.b):
            for message in side.endpoint.pending(lambda m: offered(m) or final(m)):
                side.expect(lambda m: m is message)
                if message.is_request:  # a UA that has an INVITE of its own under way answers so
                    side.reply(message, 491, "Request Pending")
                else:
                    side.ack(message)
                    statuses[side] = message.status
    assert 491 in statuses.values(), statuses.values()
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    call.hang_up()
    no_calls_left(stack)


def test_two_branches_ring_and_the_second_answers(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, loser, winner = stack.media("phone", phone.host), stack.media("pbx", pbx.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port))
    first = pbx.answerer()
    second = branch_off(first)
    loser.destination = winner.destination = first.invite.media()[:2]
    first.reply(first.invite, 183, "Session Progress", sdp(pbx.host, loser.port))
    a.expect(183)
    second.reply(second.invite, 183, "Session Progress", sdp(pbx.host, winner.port))
    second.reply(second.invite, 200, "OK", sdp(pbx.host, winner.port))
    ok = a.expect(200)
    near.destination = ok.media()[:2]
    a.ack(ok)
    assert second.expect("ACK").tag("to") in second.local
    open_path(near, winner)
    exchange([(near, winner)], 10)
    check_exactly_once(near, winner)
    check_exactly_once(winner, near)
    a.request("BYE")
    bye = second.expect("BYE")
    assert bye.tag("to") in second.local
    second.reply(bye, 200, "OK")
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def test_a_second_branch_that_answers_too_is_hung_up(stack):
    """RFC 3261 section 13.2.2.4: every 2xx is acknowledged; the ones too many get a BYE."""
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    first = pbx.answerer()
    second = branch_off(first)
    first.reply(first.invite, 200, "OK", sdp(pbx.host, 30002))
    ok = a.expect(200)
    a.ack(ok)
    first.expect("ACK")
    second.reply(second.invite, 200, "OK", sdp(pbx.host, 30004))
    assert second.expect("ACK").tag("to") in second.local
    bye = second.expect("BYE")
    assert bye.tag("to") in second.local
    second.reply(bye, 200, "OK")
    a.request("BYE")
    bye = first.expect("BYE")
    assert bye.tag("to") in first.local
    first.reply(bye, 200, "OK")
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


@pytest.mark.parametrize("status, challenge, credentials", [
    (401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization"),
])
def test_the_pbx_asks_for_credentials_and_gets_them(stack, status, challenge, credentials):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, status, "Unauthorized", headers=[(challenge, 'Digest realm="calls", nonce="0123456789abcdef", algorithm=MD5, qop="auth"')])
    refusal = a.expect(status)
    a.ack(refusal)
    b.expect("ACK")
    assert 'realm="calls"' in refusal[challenge] and 'nonce="0123456789abcdef"' in refusal[challenge]
    answer = (f'Digest username="alice", realm="calls", nonce="0123456789abcdef", uri="sip:1000@{SBC_OUT4}", algorithm=MD5, qop=auth, '
              'nc=00000001, cnonce="c0ffee", response="0123456789abcdef0123456789abcdef"')
    a.remote = a.remote.split(";tag=")[0]
    a.request("INVITE", sdp(phone.host, 30000), headers=[(credentials, answer)])
    again = pbx.answerer()
    assert 'response="0123456789abcdef0123456789abcdef"' in again.invite[credentials]
    again.reply(again.invite, 486, "Busy Here")
    a.ack(a.expect(486))
    again.expect("ACK")
    no_calls_left(stack)


def test_a_change_that_is_given_up_leaves_the_call(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    call.a.request("INVITE", sdp(call.near.host, call.near.port, version=2))
    offer = call.b.expect("INVITE")
    call.b.reply(offer, 180, "Ringing")
    call.a.cancel()
    call.a.expect(lambda m: m.status == 200 and m.method == "CANCEL")
    cancel = call.b.expect("CANCEL")
    call.b.reply(cancel, 200, "OK")
    call.b.reply(offer, 487, "Request Terminated")
    call.a.ack(call.a.expect(487))
    call.b.expect("ACK")
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    call.hang_up()
    no_calls_left(stack)


def test_the_caller_hangs_up_while_a_change_is_under_way(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    call.b.request("INVITE", sdp(call.far.host, call.far.port, version=2))
    offer = call.a.expect("INVITE")
    call.a.request("BYE")
    call.a.expect(lambda m: m.status == 200 and m.method == "BYE")
    call.a.reply(offer, 487, "Request Terminated")
    call.b.take_bye()
    final = call.b.expect(lambda m: m.status and m.status >= 300 and m.method == "INVITE")
    call.b.ack(final)
    call.a.expect("ACK")
    no_calls_left(stack)


def test_a_caller_that_moves_gets_its_media_there(stack):
    """The phone changes its media port in the call: the SBC follows, and the old port is a wrong source from then on."""
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    moved = stack.media("phone", call.near.host)
    call.a.request("INVITE", sdp(call.near.host, moved.port, version=2))
    offer = call.b.expect("INVITE")
    call.b.reply(offer, 200, "OK", sdp(call.far.host, call.far.port, version=2))
    ok = call.a.expect(200)
    call.a.ack(ok)
    call.b.expect("ACK")
    moved.destination = ok.media()[:2]
    open_path(moved, call.far)
    exchange([(moved, call.far)], 10)
    check_exactly_once(moved, call.far)
    check_exactly_once(call.far, moved)
    wrong = stack.sbc.directions()[0]["wrong-source"]
    call.near.send()
    netns.wait_for("the old port refused", lambda: stack.sbc.directions()[0]["wrong-source"] == wrong + 1, 5)
    call.hang_up()
    no_calls_left(stack)
