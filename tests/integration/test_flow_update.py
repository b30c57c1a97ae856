# SPDX-License-Identifier: BSD-3-Clause
"""UPDATE (RFC 3311) from either side: relayed as UPDATE or as re-INVITE, answered here, refused while another offer is open."""

import pytest

from change import Parties, directions, no_calls_left, origin, talk
from conftest import SBC_OUT4, Call
from sip import sdp

# Timer F of both sides, so that a test need not wait 32 s.
GUARD = 'guard { untrusted-rate = 1000  untrusted-burst = 1000 }\nsip-config { timer-b = "4s" }\n'
BY = pytest.mark.parametrize("by", ["caller", "callee"])
ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK")


class UpdateCall(Call):
    """Both sides, or one, say in INVITE and 2xx that they take UPDATE."""

    def __init__(self, stack, caller_allows=True, callee_allows=True):
        caller, callee = stack.phone(), stack.pbx()
        self.near, self.far = stack.media("phone", caller.host), stack.media("pbx", callee.host)
        self.a = caller.call((SBC_OUT4, 5060), "1000", sdp(caller.host, self.near.port), headers=[ALLOW] if caller_allows else [])
        self.b = callee.answerer()
        self.far.destination = self.b.invite.media()[:2]
        self.b.reply(self.b.invite, 200, "OK", sdp(callee.host, self.far.port), headers=[ALLOW] if callee_allows else [])
        self.ok = self.a.expect(200)
        self.near.destination = self.ok.media()[:2]
        self.a.ack(self.ok)
        self.b.expect("ACK")
        caller.ask((SBC_OUT4, 5060))


def end(stack, p):
    talk(p.call)
    p.call.hang_up()
    no_calls_left(stack)


@BY
@pytest.mark.parametrize("known", [True, False], ids=["update", "no update"])
def test_an_offer_crosses_by_the_method_the_other_side_knows(stack, by, known):
    p = Parties(UpdateCall(stack, known, known), by)
    relayed = "UPDATE" if known else "INVITE"
    for version, pair in enumerate([("sendonly", "recvonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")], 2):
        seen, final = p.change(p.sdp(p.asker, version, pair[0]), p.sdp(p.asked, version, pair[1]), "UPDATE", relayed)
        assert directions(seen) == [pair[0]] and directions(final) == [pair[1]]
        assert final["cseq"].endswith("UPDATE") and origin(seen)[1] == origin(final)[1] == version
    end(stack, p)


@BY
def test_a_reinvite_crosses_as_one_even_to_who_knows_update(stack, by):
    p = Parties(UpdateCall(stack), by)
    p.change(p.sdp(p.asker, 2, "sendonly"), p.sdp(p.asked, 2, "recvonly"))
    p.change(p.sdp(p.asker, 3, "sendrecv"), p.sdp(p.asked, 3, "sendrecv"), "UPDATE", "UPDATE")
    end(stack, p)


@BY
def test_update_without_a_description_is_answered_here_and_moves_the_target(stack, by):
    p = Parties(UpdateCall(stack), by)
    p.asker.dialog.contact = p.asker.dialog.contact.replace("sip:raw@", "sip:moved@")
    p.asker.dialog.request("UPDATE")
    final = p.asker.dialog.expect(200)
    p.asker.check_response(final)
    assert not final.body and "INVITE" in final["allow"]
    p.nothing_relayed("UPDATE", "INVITE")
    p.asked.dialog.request("UPDATE", p.sdp(p.asked, 2, "sendonly"))
    seen = p.asker.dialog.expect("UPDATE")
    assert seen.uri.startswith("sip:moved@")
    p.asker.check_request(seen)
    p.asker.dialog.reply(seen, 200, "OK", p.sdp(p.asker, 2, "recvonly"))
    p.asked.check_response(p.asked.dialog.expect(200))
    p.change(p.sdp(p.asker, 3, "sendrecv"), p.sdp(p.asked, 3, "sendrecv"), "UPDATE", "UPDATE")
    end(stack, p)


@BY
def test_a_description_that_has_not_changed_is_answered_here(stack, by):
    p = Parties(UpdateCall(stack), by)
    p.change(p.sdp(p.asker, 2, "sendonly"), p.sdp(p.asked, 2, "recvonly"), "UPDATE", "UPDATE")
    p.asker.dialog.request("UPDATE", p.sdp(p.asker, 2, "sendonly"))
    final = p.asker.dialog.expect(200)
    p.asker.check_response(final)
    assert directions(final) == ["recvonly"]
    p.nothing_relayed("UPDATE", "INVITE")
    p.change(p.sdp(p.asker, 3, "sendrecv"), p.sdp(p.asked, 3, "sendrecv"), "UPDATE", "UPDATE")
    end(stack, p)


@BY
@pytest.mark.parametrize("relayed", ["UPDATE", "INVITE"])
def test_a_refusal_leaves_the_call_as_it_was(stack, by, relayed):
    p = Parties(UpdateCall(stack, relayed == "UPDATE", relayed == "UPDATE"), by)
    for status in (488, 491):
        seen = p.offer("UPDATE", p.sdp(p.asker, 2, "inactive"), relayed=relayed)
        assert p.answer(seen, status=status).status == status
    assert not any(leg["holds"] for leg in stack.sbc.the_call()["legs"])
    end(stack, p)


@BY
@pytest.mark.parametrize("first, second", [("INVITE", "UPDATE"), ("UPDATE", "INVITE"), ("UPDATE", "UPDATE")])
def test_crossing_offers_get_491_and_a_second_one_500(stack, by, first, second):
    p = Parties(UpdateCall(stack), by)
    seen = p.offer(first, p.sdp(p.asker, 2, "sendonly"), relayed=first)
    p.asked.dialog.request(second, p.sdp(p.asked, 2, "inactive"))
    glare = p.asked.dialog.expect(491)
    assert not glare["retry-after"]
    if second == "INVITE":
        p.asked.dialog.ack(glare)
    if second == "UPDATE":
        mine = p.asker.dialog.last
        p.asker.dialog.request("UPDATE", p.sdp(p.asker, 3, "inactive"))
        again = p.asker.dialog.expect(500)
        assert 0 <= int(again["retry-after"]) <= 10
        p.asker.dialog.last = mine
    p.answer(seen, p.sdp(p.asked, 3, "recvonly"))
    p.change(p.sdp(p.asker, 4, "sendrecv"), p.sdp(p.asked, 4, "sendrecv"), "UPDATE", "UPDATE")
    end(stack, p)


@BY
def test_what_an_update_did_within_a_reinvite_that_fails_stands(stack, by):
    """RFC 6141 section 3.3."""
    p = Parties(UpdateCall(stack), by)
    seen = p.offer(body=p.sdp(p.asker, 2, "inactive"))
    reinvite = p.asker.dialog.last
    p.asker.dialog.contact = p.asker.dialog.contact.replace("sip:raw@", "sip:moved@")
    p.asker.dialog.request("UPDATE")
    p.asker.dialog.expect(200)
    p.asker.dialog.last = reinvite
    p.answer(seen, status=488)
    p.asked.dialog.request("UPDATE", p.sdp(p.asked, 2, "sendrecv"))
    back = p.asker.dialog.expect("UPDATE")
    assert back.uri.startswith("sip:moved@")
    p.asker.dialog.reply(back, 200, "OK", p.sdp(p.asker, 3, "sendrecv"))
    p.asked.dialog.expect(200)
    end(stack, p)


@BY
def test_an_update_relayed_as_reinvite_is_answered_504_before_its_sender_gives_up_and_undone(stack, by):
    p = Parties(UpdateCall(stack, False, False), by)
    seen = p.offer("UPDATE", p.sdp(p.asker, 2, "inactive"))
    p.asked.dialog.reply(seen, 180, "Ringing")
    p.asker.dialog.expect(504, timeout=20)
    cancel = p.asked.dialog.expect("CANCEL")
    p.asked.dialog.reply(cancel, 200, "OK")
    # Too late for that: it has accepted, and is told what holds.
    p.asked.dialog.reply(seen, 200, "OK", p.sdp(p.asked, 2, "inactive"))
    p.asked.dialog.expect("ACK")
    restored = p.asked.dialog.expect("INVITE")
    assert directions(restored) == ["sendrecv"] and origin(restored)[1] == origin(seen)[1] + 1
    p.asked.dialog.reply(restored, 200, "OK", p.sdp(p.asked, 3, "sendrecv"))
    p.asked.dialog.expect("ACK")
    end_of_restore(stack, p)


def end_of_restore(stack, p):
    """What it said in that answer is new to us: the asker is offered it, and then all is as before."""
    seen = p.asker.dialog.expect("INVITE")
    p.asker.dialog.reply(seen, 200, "OK", p.sdp(p.asker, 3, "sendrecv"))
    p.asker.dialog.expect("ACK")
    assert not any(leg["holds"] for leg in stack.sbc.the_call()["legs"])
    end(stack, p)


@BY
@pytest.mark.parametrize("relayed", ["UPDATE", "INVITE"])
def test_a_side_that_is_gone_ends_the_call(stack, by, relayed):
    p = Parties(UpdateCall(stack, relayed == "UPDATE", relayed == "UPDATE"), by)
    seen = p.offer("UPDATE", p.sdp(p.asker, 2, "inactive"), relayed=relayed)
    p.asked.dialog.reply(seen, 481)
    p.asker.dialog.expect(480)
    p.asker.dialog.take_bye()
    no_calls_left(stack)


@BY
def test_bye_answers_a_pending_update_487(stack, by):
    p = Parties(UpdateCall(stack), by)
    seen = p.offer("UPDATE", p.sdp(p.asker, 2, "inactive"), relayed="UPDATE")
    p.asked.dialog.request("BYE")
    assert p.asker.dialog.expect(487)["cseq"].endswith("UPDATE")
    p.asker.dialog.take_bye()
    p.asked.dialog.expect(lambda m: m.status == 200 and m.method == "BYE")
    p.asked.dialog.reply(seen, 487)
    no_calls_left(stack)


# --- early dialogs ---


class EarlyCall:
    """Ringing, the callee's 183 with its description sent reliably and acknowledged on both sides."""

    def __init__(self, stack, callee_allows=True, reliable=True):
        caller, callee = stack.phone(), stack.pbx()
        self.near, self.far = stack.media("phone", caller.host), stack.media("pbx", callee.host)
        self.a = caller.call((SBC_OUT4, 5060), "1000", sdp(caller.host, self.near.port, session=4711),
                             headers=[ALLOW, ("Supported", "100rel")])
        self.b = callee.answerer()
        self.far.destination = self.b.invite.media()[:2]
        headers = [("Require", "100rel"), ("RSeq", "11")] if reliable else []
        self.b.reply(self.b.invite, 183, "Session Progress", sdp(callee.host, self.far.port, session=4712),
                     headers=headers + ([ALLOW] if callee_allows else []))
        self.ok = self.a.expect(183)
        self.near.destination = self.ok.media()[:2]
        if reliable:
            self.a.request("PRACK", headers=[("RAck", f"{self.ok['rseq']} {self.ok['cseq']}")])
            prack = self.b.expect("PRACK")
            self.b.reply(prack, 200, "OK")
            self.a.expect(lambda m: m.status == 200 and m.method == "PRACK")

    def answer(self, stack):
        self.b.reply(self.b.invite, 200, "OK")
        ok = self.a.expect(lambda m: m.status == 200 and m.method == "INVITE")
        self.a.ack(ok)
        self.b.expect("ACK")
        self.a.endpoint.ask((SBC_OUT4, 5060))
        talk(self)
        self.a.request("BYE")
        self.b.take_bye()
        self.a.expect(lambda m: m.status == 200 and m.method == "BYE")
        no_calls_left(stack)


@BY
def test_an_offer_crosses_before_the_answer_once_the_first_one_is_settled(stack, by):
    call = EarlyCall(stack)
    p = Parties(call, by)
    for version, pair in enumerate([("sendonly", "recvonly"), ("sendrecv", "sendrecv")], 2):
        seen, final = p.change(p.sdp(p.asker, version, pair[0]), p.sdp(p.asked, version, pair[1]), "UPDATE", "UPDATE")
        assert directions(seen) == [pair[0]] and directions(final) == [pair[1]]
    call.answer(stack)


def test_before_that_it_is_refused(stack):
    """RFC 3311 section 5.2."""
    call = EarlyCall(stack, reliable=False)
    call.a.request("UPDATE", sdp(call.near.host, call.near.port, "sendonly", 4711, 2))
    assert call.a.expect(500)["retry-after"]
    call.b.request("UPDATE", sdp(call.far.host, call.far.port, "sendonly", 4712, 2))
    call.b.expect(491)
    call.b.reply(call.b.invite, 200, "OK", sdp(call.far.host, call.far.port, session=4712))
    ok = call.a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    call.a.ack(ok)
    call.b.expect("ACK")
    call.a.endpoint.ask((SBC_OUT4, 5060))
    call.a.request("BYE")
    call.b.take_bye()
    no_calls_left(stack)


def test_who_cannot_be_asked_before_the_answer_is_asked_after_it(stack):
    call = EarlyCall(stack, callee_allows=False)
    call.a.request("UPDATE", sdp(call.near.host, call.near.port, "sendonly", 4711, 2))
    call.a.expect(504)
    assert call.b.endpoint.pending(lambda m: m.is_request and m.method in ("UPDATE", "INVITE")) == []
    call.answer(stack)
