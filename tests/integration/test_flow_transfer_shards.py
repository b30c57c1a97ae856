# SPDX-License-Identifier: BSD-3-Clause
"""Calls on several shards: Replaces, and REFER with Replaces, that name a dialog of another shard than the call they come in."""

import pytest

from sip import sdp
from transfer import (GUARD, OUT, attended, check_sides, connected, dialog_elsewhere, ends, final, hear, knows_replaces, no_calls_left,
                      number, refer, relayed, replaces, shard, shard_of_tag, tags, talk, told)

pytestmark = pytest.mark.parametrize("module_stack", ["packet, 3 shards"], indirect=True, scope="module")
assert GUARD


def other_call(stack, first, number):
    """A call on another shard than that of `first`: where one goes is the keyed hash of its Call-ID."""
    while True:
        call = connected(stack, first.a.endpoint, first.b.endpoint, number)
        if shard(call) != shard(first):
            return call
        call.hang_up()


def test_a_phone_takes_the_call_of_another(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    media = stack.media("phone", other.host)
    taking = dialog_elsewhere(other, "1000", shard(call))
    taking.request("INVITE", sdp(other.host, media.port), [("Replaces", replaces(call.a)), ("Require", "replaces")])
    offer = call.b.expect("INVITE")
    assert (offer.tag("to"), offer.tag("from")) == tags(call.b)
    taking.repeat()  # goes where the first one went
    hear(call.b, call.far, offer, pbx)
    call.b.expect("ACK")
    ok = final(taking, "INVITE")
    assert ok.status == 200 and shard_of_tag(ok.tag("to")) == shard(call)
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


def test_cancelled_before_the_remaining_party_answers(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = connected(stack, phone, pbx)
    taking = dialog_elsewhere(other, "1000", shard(call))
    taking.request("INVITE", sdp(other.host, 30000), [("Replaces", replaces(call.a))])
    offer = call.b.expect("INVITE")
    call.b.reply(offer, 100)
    taking.cancel()
    assert final(taking, "CANCEL").status == 200
    refused = final(taking, "INVITE")
    assert refused.status == 487
    taking.ack(refused)
    call.b.reply(call.b.expect("CANCEL"), 200)
    call.b.reply(offer, 487)
    call.b.expect("ACK")
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_a_dialog_that_was_on_another_shard_is_answered_481(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    name = replaces(call.a)
    call.hang_up()
    no_calls_left(stack)
    taking = dialog_elsewhere(phone, "1000", shard(call))
    taking.request("INVITE", sdp(phone.host, 30000), [("Replaces", name)])
    refused = final(taking, "INVITE")
    assert refused.status == 481
    taking.ack(refused)


def test_attended_the_new_party_is_asked_to_replace_its_dialog(stack):
    phone, pbx = stack.phone(), stack.pbx()
    one = connected(stack, phone, pbx)
    two = other_call(stack, one, "1001")
    knows_replaces(two.b)
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    assert final(one.a, "REFER").status == 202
    told(one.a, 100)
    b = pbx.answerer(match=lambda m: m["replaces"])
    own, remote = tags(two.b)
    assert b.invite["replaces"] == f"{two.b.call_id};to-tag={own};from-tag={remote}" and b.invite["require"] == "replaces"
    assert b.invite.body == b"" and "1000" in b.invite["from"]
    target = stack.media("pbx", pbx.host)
    b.reply(b.invite, 200, "OK", sdp(pbx.host, target.port))
    again = one.b.expect("INVITE")
    hear(one.b, one.far, again, pbx)
    one.b.expect("ACK")
    ack = b.expect("ACK")
    assert number(ack) == number(b.invite)
    target.destination = ack.media()[:2]
    told(one.a, 200, ended=True)
    two.b.request("BYE")  # RFC 3891 section 3: by who has replaced it
    ends(two.a)
    final(two.b, "BYE")
    one.a.bye()
    talk(one.far, target)
    check_sides([phone], [pbx])
    b.request("BYE")
    ends(one.b)
    final(b, "BYE")
    no_calls_left(stack)


def test_attended_with_a_party_that_knows_no_replaces_fails_and_nothing_changes(stack):
    phone, pbx = stack.phone(), stack.pbx()
    one = connected(stack, phone, pbx)
    two = other_call(stack, one, "1001")
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    assert final(one.a, "REFER").status == 202
    told(one.a, 100)
    told(one.a, 481, ended=True)
    for call in (one, two):
        talk(call.near, call.far)
        call.hang_up()
    no_calls_left(stack)


def test_relayed_the_other_side_gets_its_own_name_of_the_dialog(stack):
    plain = stack.change
    stack.change = lambda text: relayed(plain(text))
    stack.start(stack.kind)
    try:
        phone, pbx = stack.phone(), stack.pbx()
        one = connected(stack, phone, pbx)
        two = other_call(stack, one, "1001")
        refer(one.a, attended(two.a, "1001", "203.0.113.10"))
        request = one.b.expect("REFER")
        own, remote = tags(two.b)
        assert f"Replaces={two.b.call_id}%3Bto-tag%3D{own}%3Bfrom-tag%3D{remote}" in request["refer-to"]
        one.b.reply(request, 202, headers=[("Contact", one.b.contact)])
        assert final(one.a, "REFER").status == 202
        check_sides([phone], [pbx])
        one.hang_up()
        two.hang_up()
        no_calls_left(stack)
    finally:
        stack.change = plain
        stack.start(stack.kind)
