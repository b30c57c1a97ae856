# SPDX-License-Identifier: BSD-3-Clause
"""Call pick-up: INVITE with Replaces of an early dialog (RFC 3891 section 3). The caller and who takes his call answer each other's offer."""

import pytest

from sip import sdp
from transfer import GUARD, IN, OUT, check_sides, ends, final, no_calls_left, replaces, talk

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
assert GUARD

PCMA = b"v=0\r\no=- 5 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"


class Ringing:
    """A call that rings, as a rule from the phone to the PBX."""

    def __init__(self, stack, caller, callee, to=OUT, number="1000", body=None):
        if body is None:
            self.near = stack.media("phone", caller.host)
            body = sdp(caller.host, self.near.port)
        self.a = caller.call(to, number, body)
        self.b = callee.answerer(match=lambda m: number in m.uri)
        self.b.reply(self.b.invite, 180)
        self.a.expect(180)

    def name(self):
        """What the PBX tells its other telephones of the one that rings."""
        own, other = self.b.local.split(";tag=")[1], self.b.invite.tag("from")
        return f"{self.b.call_id};to-tag={other};from-tag={own}"

    def take(self, pbx, body, more=""):
        return pbx.call(IN, "alice", body, caller="1001", headers=[("Replaces", self.name() + more)])

    def cancelled(self):
        cancel = self.b.expect("CANCEL")
        self.b.reply(cancel, 200)
        self.b.reply(self.b.invite, 487)
        self.b.expect("ACK")
        return cancel

    def give_up(self):
        self.a.cancel()
        final(self.a, "CANCEL")
        self.a.ack(final(self.a, "INVITE"))
        self.cancelled()


@pytest.mark.parametrize("more", ["", ";early-only"])
def test_a_call_that_rings_is_taken_by_a_colleague(stack, more):
    phone, pbx = stack.phone(), stack.pbx()
    call = Ringing(stack, phone, pbx)
    media = stack.media("pbx", pbx.host)
    taking = call.take(pbx, sdp(pbx.host, media.port), more)
    ok = final(taking, "INVITE")
    assert ok.status == 200
    media.destination = ok.media()[:2]
    taking.ack(ok)
    answer = final(call.a, "INVITE")
    assert answer.status == 200
    call.near.destination = answer.media()[:2]
    call.a.ack(answer)
    assert call.cancelled()["reason"].startswith("SIP;cause=200")
    phone.ask(OUT)
    talk(call.near, media)
    check_sides([phone], [pbx])
    # It is a call as any other one: each may change it and end it.
    taking.request("INVITE", sdp(pbx.host, media.port, direction="sendonly", version=2))
    held = call.a.expect("INVITE")
    call.a.reply(held, 200, "OK", sdp(phone.host, call.near.port, direction="recvonly", version=2))
    again = final(taking, "INVITE")
    assert again.status == 200 and again.media()[2] == "recvonly"
    taking.ack(again)
    call.a.expect("ACK")
    call.a.request("BYE")
    ends(taking)
    final(call.a, "BYE")
    no_calls_left(stack)


@pytest.mark.parametrize("body", [b"", PCMA])
def test_what_cannot_answer_the_caller_is_refused_and_it_rings_on(stack, body):
    phone, pbx = stack.phone(), stack.pbx()
    call = Ringing(stack, phone, pbx)
    taking = call.take(pbx, body)
    refused = final(taking, "INVITE")
    assert refused.status == 488
    taking.ack(refused)
    call.give_up()
    no_calls_left(stack)


def test_a_caller_without_an_offer_cannot_be_answered(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Ringing(stack, phone, pbx, body=b"")
    taking = call.take(pbx, sdp(pbx.host, 30000))
    refused = final(taking, "INVITE")
    assert refused.status == 488
    taking.ack(refused)
    call.give_up()
    no_calls_left(stack)


def test_an_early_dialog_that_another_has_begun_is_not_replaced(stack):
    phone, other, pbx = stack.phone(), stack.phone(port=5070), stack.pbx()
    call = Ringing(stack, phone, pbx)
    call.a.remote = next(m["to"] for m in phone.received if m.status == 180)
    taking = other.call(OUT, "1000", sdp(other.host, 30000), headers=[("Replaces", replaces(call.a))])
    refused = final(taking, "INVITE")
    assert refused.status == 481
    taking.ack(refused)
    call.give_up()
    no_calls_left(stack)


def test_nobody_else_takes_the_call_of_an_agent(stack):
    phone, pbx, carrier = stack.phone(), stack.pbx(), stack.carrier()
    call = Ringing(stack, pbx, carrier, IN, "9123", sdp(pbx.host, 30000))
    taking = phone.call(OUT, "1000", sdp(phone.host, 30000), headers=[("Replaces", call.name())])
    refused = final(taking, "INVITE")
    assert refused.status == 403
    taking.ack(refused)
    call.give_up()
    no_calls_left(stack)


def test_the_caller_hangs_up_as_the_call_is_taken(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Ringing(stack, phone, pbx)
    taking = call.take(pbx, sdp(pbx.host, 30000))
    ok = final(taking, "INVITE")
    answer = final(call.a, "INVITE")
    taking.ack(ok)
    call.a.ack(answer)
    call.a.request("BYE")
    ends(taking)
    final(call.a, "BYE")
    call.b.reply(call.b.invite, 200, "OK", sdp(pbx.host, 30002))  # crosses the CANCEL
    call.b.expect("ACK")
    ends(call.b)
    no_calls_left(stack)
