# SPDX-License-Identifier: BSD-3-Clause
"""INVITE with Replaces from outside of any REFER (RFC 3891): the caller takes the place of a leg, here or at the peer that knows the dialog."""

import pytest

from sip import sdp
from transfer import GUARD, OUT, check_sides, connected, ends, final, hear, no_calls_left, number, replaces, tags, talk

pytestmark = pytest.mark.parametrize("module_stack", ["packet"], indirect=True, scope="module")
assert GUARD


def pick_up(endpoint, to, user, name, body=b"", headers=()):
    return endpoint.call(to, user, body, caller="thief", headers=[("Replaces", name), *headers])


def test_a_phone_takes_the_call_of_another(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    media = stack.media("phone", other.host)
    taking = pick_up(other, OUT, "1000", replaces(call.a), sdp(other.host, media.port), [("Require", "replaces")])
    offer = call.b.expect("INVITE")
    assert (offer.tag("to"), offer.tag("from")) == tags(call.b) and not offer["replaces"]
    hear(call.b, call.far, offer, pbx)
    assert number(call.b.expect("ACK")) == number(offer)
    ok = final(taking, "INVITE")
    assert ok.status == 200
    media.destination = ok.media()[:2]
    taking.ack(ok)
    ends(call.a)
    other.ask(OUT)
    talk(media, call.far)
    check_sides([phone, other], [pbx])
    taking.request("BYE")
    ends(call.b)
    final(taking, "BYE")
    no_calls_left(stack)


def test_without_an_offer_the_remaining_party_makes_it(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    media = stack.media("phone", other.host)
    taking = pick_up(other, OUT, "1000", replaces(call.a))
    ask = call.b.expect("INVITE")
    assert ask.body == b""
    call.b.reply(ask, 200, "OK", sdp(pbx.host, call.far.port, version=2))
    ok = final(taking, "INVITE")
    media.destination = ok.media()[:2]
    taking.ack(ok, sdp(other.host, media.port))
    ack = call.b.expect("ACK")
    call.far.destination = ack.media()[:2]
    ends(call.a)
    talk(media, call.far)
    taking.request("BYE")
    ends(call.b)
    final(taking, "BYE")
    no_calls_left(stack)


@pytest.mark.parametrize("change, status", [
    (lambda name: name + ";early-only", 486),
    (lambda name: name.replace("to-tag=", "to-tag=x"), None),
    (lambda name: name.split(";")[0], 400),
])
def test_what_replaces_nothing(stack, change, status):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    taking = pick_up(other, OUT, "1001", change(replaces(call.a)), sdp(other.host, 30000))
    if status is None:  # another's dialog, as far as anybody knows: the call goes on without the header
        b = pbx.answerer(match=lambda m: "1001" in m.uri)
        assert not b.invite["replaces"]
        b.reply(b.invite, 486)
        status = 486
    refused = final(taking, "INVITE")
    assert refused.status == status
    taking.ack(refused)
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_a_dialog_that_was_ours_is_answered_481(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    name = replaces(call.a)
    call.hang_up()
    no_calls_left(stack)
    taking = pick_up(phone, OUT, "1000", name, sdp(phone.host, 30000))
    refused = final(taking, "INVITE")
    assert refused.status == 481
    taking.ack(refused)


def test_nobody_else_takes_the_call_of_an_agent(stack):
    pbx, carrier, phone = stack.pbx(), stack.carrier(), stack.phone()
    call = connected(stack, pbx, carrier, "9123")
    taking = pick_up(phone, OUT, "1000", replaces(call.b), sdp(phone.host, 30000))
    refused = final(taking, "INVITE")
    assert refused.status == 403
    taking.ack(refused)
    call.hang_up()
    no_calls_left(stack)


def test_the_remaining_party_refuses_and_the_call_goes_on(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    taking = pick_up(other, OUT, "1000", replaces(call.a), sdp(other.host, 30000))
    offer = call.b.expect("INVITE")
    call.b.reply(offer, 488)
    call.b.expect("ACK")
    refused = final(taking, "INVITE")
    assert refused.status == 488
    taking.ack(refused)
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_a_peer_that_knows_replaces_gets_it_with_its_own_names(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    call.b.request("UPDATE", headers=[("Supported", "replaces")])
    final(call.b, "UPDATE")
    taking = pick_up(other, OUT, "1000", replaces(call.a), sdp(other.host, 30000))
    b = pbx.answerer()
    own, remote = tags(call.b)
    assert b.invite["replaces"] == f"{call.b.call_id};to-tag={own};from-tag={remote}"
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30010))
    b.expect("ACK")
    ok = final(taking, "INVITE")
    taking.ack(ok)
    call.b.request("BYE")  # RFC 3891 section 3: by who has accepted
    ends(call.a)
    final(call.b, "BYE")
    check_sides([phone, other], [pbx])
    taking.request("BYE")
    ends(b)
    final(taking, "BYE")
    no_calls_left(stack)


def test_cancelled_before_the_remaining_party_answers(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    taking = pick_up(other, OUT, "1000", replaces(call.a), sdp(other.host, 30000))
    offer = call.b.expect("INVITE")
    call.b.reply(offer, 100)
    taking.cancel()
    refused = final(taking, "INVITE")
    assert refused.status == 487
    taking.ack(refused)
    cancel = call.b.expect("CANCEL")
    call.b.reply(cancel, 200)
    call.b.reply(offer, 487)
    call.b.expect("ACK")
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)
