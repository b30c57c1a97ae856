# SPDX-License-Identifier: BSD-3-Clause
"""Calls between raw peers, message by message: answered, refused, given up, changed and ended from either side."""

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4, SBC_OUT6, Call
from media import check_exactly_once, exchange, open_path
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")

TO_SBC = (SBC_OUT4, 5060)


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 5)


def talk(call, count=10):
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], count)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)


@pytest.mark.parametrize("phone_ip, pbx_ip", [(4, 4), (6, 6), (4, 6), (6, 4)], ids=["4-4", "6-6", "4-6", "6-4"])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_bye_from_either_side_ends_both_legs(stack, phone_ip, pbx_ip, by):
    call = Call(stack, stack.phone(phone_ip), stack.pbx(pbx_ip), "1000" if pbx_ip == 4 else "6000")
    talk(call)
    call.hang_up(by)
    no_calls_left(stack)


@pytest.mark.parametrize("version", [4, 6])
def test_the_pbx_calls_out(stack, version):
    number = "9123" if version == 4 else "96123"
    call = Call(stack, stack.pbx(), stack.carrier(version), number, to=(SBC_IN4, 5060))
    assert call.b.invite.source == ((SBC_OUT4 if version == 4 else SBC_OUT6), 5060)
    talk(call)
    call.hang_up("callee")
    no_calls_left(stack)


def test_the_legs_have_separate_dialogs(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    a, b = call.a.invited, call.b.invite
    assert b.call_id != a.call_id
    assert b.branch.startswith("z9hG4bK") and b.branch != a.branch
    assert b.tag("from") not in ("", a.tag("from"))
    assert call.ok.tag("to") not in ("", b.tag("from"))
    assert len(b.all("via")) == 1 and SBC_IN4 in b["via"]
    assert int(b["max-forwards"]) < 70
    assert SBC_IN4 in b["contact"] and SBC_OUT4 in call.ok["contact"]
    assert "1000" in b.uri and "alice" in b["from"]
    call.hang_up()


def test_media_before_the_answer(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000", sdp(phone.host, near.port))
    b = pbx.answerer()
    far.destination = b.invite.media()[:2]
    answer = sdp(pbx.host, far.port)
    b.reply(b.invite, 183, "Session Progress", answer)
    progress = a.expect(183)
    near.destination = progress.media()[:2]
    assert near.destination[0] == SBC_OUT4
    open_path(near, far)
    exchange([(near, far)], 25)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    b.reply(b.invite, 200, "OK", answer)
    ok = a.expect(200)
    assert ok.media() == progress.media()
    assert ok.tag("to") == progress.tag("to")
    a.ack(ok)
    b.expect("ACK")
    exchange([(near, far)], 25)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    a.bye_sent = a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


ORIGIN = lambda message: next(line for line in message.body.decode().split("\r\n") if line.startswith("o=")).split()


@pytest.mark.parametrize("by", ["caller", "callee"])
@pytest.mark.parametrize("way", ["sendonly", "inactive", "0.0.0.0"])
def test_hold_and_resume(stack, by, way):
    call = Call(stack, stack.phone(), stack.pbx())
    talk(call)
    if by == "caller":
        holder, held, media, first_seen = call.a, call.b, call.near, call.b.invite
    else:
        holder, held, media, first_seen = call.b, call.a, call.far, call.ok
    other = call.far if media is call.near else call.near
    answer_direction = {"sendonly": "recvonly", "inactive": "inactive", "0.0.0.0": ""}[way]

    def change(direction, answer, version):
        host = "0.0.0.0" if direction == "0.0.0.0" else holder.endpoint.host
        holder.request("INVITE", sdp(host, media.port, "" if direction == "0.0.0.0" else direction, 4711, version))
        offer = held.expect("INVITE")
        held.reply(offer, 200, "OK", sdp(held.endpoint.host, other.port, answer, 4712, version))
        ok = holder.expect(200)
        holder.ack(ok)
        held.expect("ACK")
        return offer, ok

    offer, ok = change(way, answer_direction, 2)
    if way == "0.0.0.0":
        assert offer.media()[0] == "0.0.0.0" or offer.media()[2] in ("sendonly", "inactive")
    else:
        assert offer.media()[2] == way and ok.media()[2] == answer_direction
    # One session, one o= line, a version that counts up by one when the description changes (RFC 3264 section 8).
    before, after = ORIGIN(first_seen), ORIGIN(offer)
    assert after[:2] == before[:2] and int(after[2]) == int(before[2]) + 1
    held_side = 1 if by == "caller" else 0
    assert stack.sbc.the_call()["legs"][1 - held_side]["holds"]
    counted = lambda: stack.sbc.directions()[held_side]["packets"]
    already = counted()

    # Who holds with sendonly plays music; nobody is to hear the other way.
    media.forget()
    other.forget()
    for _ in range(5):
        other.send()
    if way == "sendonly":
        for _ in range(5):
            media.send()
        other.wait(5)
        check_exactly_once(media, other)
    netns.wait_for("the held side's packets having been counted", lambda: counted() >= already + 5, 3)
    media.drain()
    assert media.arrived == []

    _, ok = change("sendrecv", "sendrecv", 3)
    assert ok.media()[2] == "sendrecv"
    media.forget()
    other.forget()
    talk(call)
    call.hang_up()
    no_calls_left(stack)


def test_a_refused_change_leaves_the_call_as_it_was(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    talk(call)
    call.a.request("INVITE", sdp(call.near.host, call.near.port, "inactive", version=2))
    offer = call.b.expect("INVITE")
    call.b.reply(offer, 488, "Not Acceptable Here")
    refusal = call.a.expect(488)
    call.a.ack(refusal)
    call.b.expect("ACK")
    talk(call)
    call.hang_up()
    no_calls_left(stack)


def test_cancel_while_ringing(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    a.cancel()
    assert a.expect(lambda m: m.status and m.method == "CANCEL").status == 200
    cancel = b.expect("CANCEL")
    assert cancel.branch == b.invite.branch and cancel.uri == b.invite.uri
    b.reply(cancel, 200, "OK")
    b.reply(b.invite, 487, "Request Terminated")
    a.ack(a.expect(487))
    assert b.expect("ACK").branch == b.invite.branch
    no_calls_left(stack)


def test_cancel_before_the_callee_said_anything_waits_for_it(stack):
    """RFC 3261 section 9.1: no CANCEL before a provisional response."""
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    a.cancel()
    assert a.expect(lambda m: m.status and m.method == "CANCEL").status == 200
    assert pbx.pending(lambda m: m.method == "CANCEL") == []
    b.reply(b.invite, 180, "Ringing")
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200, "OK")
    b.reply(b.invite, 487, "Request Terminated")
    a.ack(a.expect(487))
    b.expect("ACK")
    no_calls_left(stack)


def test_cancel_crossing_the_answer_ends_the_call_on_both_sides(stack):
    """The callee answers when the CANCEL is already on its way to it."""
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    a.cancel()
    cancel = b.expect("CANCEL")
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    b.reply(cancel, 200, "OK")
    a.expect(lambda m: m.status == 200 and m.method == "CANCEL")
    final = a.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE")
    a.ack(final)
    if final.status < 300:  # the SBC may also pass the answer on; then the caller hangs up
        a.request("BYE")
    else:
        assert final.status == 487
    b.expect("ACK")
    b.take_bye()
    no_calls_left(stack)


def test_cancel_after_the_answer_changes_nothing(stack):
    """The caller gives up when the SBC has already sent it the 200."""
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    a.cancel()
    assert a.expect(lambda m: m.status and m.method == "CANCEL").status in (200, 481)
    a.ack(ok)
    b.expect("ACK")
    assert pbx.pending(lambda m: m.method == "CANCEL") == []
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


@pytest.mark.parametrize("status, reason", [(486, "Busy Here"), (480, "Temporarily Unavailable"), (404, "Not Found"), (603, "Decline")])
def test_a_refusal_reaches_the_caller(stack, status, reason):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    b.reply(b.invite, status, reason)
    a.ack(a.expect(status))
    assert b.expect("ACK").branch == b.invite.branch
    no_calls_left(stack)


def test_an_unknown_number_is_answered_404(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "nobody", sdp(phone.host, 30000))
    a.ack(a.expect(404))
    assert pbx.received == []
    no_calls_left(stack)


def test_an_offer_in_the_answer(stack):
    """INVITE without SDP: the offer comes in the 200, the answer in the ACK (RFC 3261 section 13.2.1)."""
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call(TO_SBC, "1000")
    b = pbx.answerer()
    assert b.invite.body == b""
    b.reply(b.invite, 200, "OK", sdp(pbx.host, far.port))
    ok = a.expect(200)
    near.destination = ok.media()[:2]
    a.ack(ok, sdp(phone.host, near.port))
    far.destination = b.expect("ACK").media()[:2]
    open_path(near, far)
    exchange([(near, far)], 10)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def test_a_repeated_invite_makes_no_second_call(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    for _ in range(3):
        a.repeat()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    repeated = len([m for m in phone.received if m.status == 180])
    a.repeat()
    netns.wait_for("the 180 once more", lambda: len([m for m in phone.received if m.status == 180]) > repeated, 5)
    b.reply(b.invite, 486, "Busy Here")
    a.ack(a.expect(486))
    b.expect("ACK")
    assert len({m.branch for m in pbx.received if m.method == "INVITE"}) == 1
    no_calls_left(stack)


def test_the_answer_is_repeated_until_its_ack(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    answer = b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    ok = a.expect(200)
    netns.wait_for("the 200 twice more", lambda: len([m for m in phone.received if m.raw == ok.raw]) >= 3, 5)
    a.ack(ok)
    b.expect("ACK")
    acks = len([m for m in pbx.received if m.method == "ACK"])
    pbx.send(answer.raw, b.peer)  # as if the ACK had been lost
    netns.wait_for("the ACK once more", lambda: len([m for m in pbx.received if m.method == "ACK"]) > acks, 5)
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def test_routes_of_the_callees_proxy_are_followed(stack):
    phone, pbx = stack.phone(), stack.pbx()
    proxy = stack.endpoint("inside", "10.0.0.100")
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    route = ("Record-Route", "<sip:10.0.0.100;lr>")
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002), headers=[route])
    ok = a.expect(200)
    assert ok["record-route"] == ""  # the callee's side of the world
    a.ack(ok)
    ack = proxy.expect("ACK", b.call_id)
    assert "10.0.0.100" in ack["route"] and "10.0.0.5" in ack.uri
    a.request("BYE")
    bye = proxy.expect("BYE", b.call_id)
    assert "10.0.0.100" in bye["route"]
    b.reply(bye, 200, "OK")
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)
