# SPDX-License-Identifier: BSD-3-Clause
"""re-INVITE from either side: relayed, answered here, refused, crossing, cancelled, cut off by a BYE."""

import pytest

from change import Parties, directions, no_calls_left, origin, talk
from conftest import SBC_OUT4, Call
from sip import sdp

GUARD = "guard { untrusted-rate = 1000  untrusted-burst = 1000 }\n"
BY = pytest.mark.parametrize("by", ["caller", "callee"])


def parties(stack, by):
    return Parties(Call(stack, stack.phone(), stack.pbx()), by)


def end(stack, p):
    talk(p.call)
    p.call.hang_up()
    no_calls_left(stack)


@BY
def test_an_offer_and_its_answer_cross_with_the_dialogs_of_each_side(stack, by):
    p = parties(stack, by)
    for version, pair in enumerate([("sendonly", "recvonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")], 2):
        seen, final = p.change(p.sdp(p.asker, version, pair[0]), p.sdp(p.asked, version, pair[1]))
        assert directions(seen) == [pair[0]] and directions(final) == [pair[1]]
        assert origin(seen)[1] == origin(final)[1] == version
    end(stack, p)


@BY
def test_an_offer_asked_for_comes_with_the_2xx_and_is_answered_in_the_ack(stack, by):
    p = parties(stack, by)
    seen = p.offer()
    assert not seen.body
    p.asked.dialog.reply(seen, 200, "OK", p.sdp(p.asked, 2, "sendonly"))
    final = p.asker.dialog.expect(200)
    p.asker.check_response(final)
    assert directions(final) == ["sendonly"]
    p.asker.dialog.ack(final, p.sdp(p.asker, 2, "recvonly"))
    ack = p.asked.dialog.expect("ACK")
    p.asked.check_description(ack)
    p.asked.check_hiding(ack)
    assert directions(ack) == ["recvonly"]
    p.settle()
    p.change(p.sdp(p.asker, 3, "sendrecv"), p.sdp(p.asked, 3, "sendrecv"))
    end(stack, p)


@BY
def test_a_description_that_has_not_changed_is_answered_by_the_sbc(stack, by):
    p = parties(stack, by)
    p.change(p.sdp(p.asker, 2, "sendonly"), p.sdp(p.asked, 2, "recvonly"))
    for _ in range(2):
        before = origin(p.asker.dialog.invited)
        p.asker.dialog.request("INVITE", p.sdp(p.asker, 2, "sendonly"))
        assert origin(p.asker.dialog.invited) == before
        final = p.asker.dialog.expect(200)
        p.asker.check_response(final)
        assert directions(final) == ["recvonly"]
        p.asker.dialog.ack(final)
    p.nothing_relayed("INVITE", "UPDATE")
    p.change(p.sdp(p.asker, 3, "sendrecv"), p.sdp(p.asked, 3, "sendrecv"))
    end(stack, p)


@BY
@pytest.mark.parametrize("status, mapped", [(488, 488), (491, 491), (403, 403), (500, 500), (603, 603)])
def test_a_refusal_leaves_the_call_as_it_was(stack, by, status, mapped):
    """RFC 6141: media, descriptions, and where the asker is."""
    p = parties(stack, by)
    talk(p.call)
    elsewhere = ("Contact", f"<sip:elsewhere@{p.asker.dialog.endpoint.host}:5099>")
    p.asker.dialog.contact, contact = elsewhere[1], p.asker.dialog.contact
    seen = p.offer(body=p.sdp(p.asker, 2, "inactive"))
    final = p.answer(seen, status=status, headers=[("Warning", f'399 {p.asked.dialog.endpoint.host} "no"')])
    p.asker.dialog.contact = contact
    assert final.status == mapped
    assert not any(leg["holds"] for leg in stack.sbc.the_call()["legs"])
    talk(p.call)
    # What is in force is what was before; the number that was seen with something else is not used again.
    p.asked.dialog.request("INVITE", p.sdp(p.asked, 2, "sendrecv"))
    seen = p.asker.dialog.expect("INVITE")
    assert "elsewhere" not in seen.uri
    p.asker.check_request(seen)
    p.asker.dialog.reply(seen, 200, "OK", p.sdp(p.asker, 3, "sendrecv"))
    p.asker.dialog.expect("ACK")
    final = p.asked.dialog.expect(200)
    assert origin(final)[1] == 3
    p.asked.dialog.ack(final)
    p.settle()
    end(stack, p)


@BY
def test_a_target_moves_with_a_reinvite_that_is_accepted(stack, by):
    p = parties(stack, by)
    p.asker.dialog.contact = p.asker.dialog.contact.replace("sip:raw@", "sip:moved@")
    p.change(p.sdp(p.asker, 2, "sendonly"), p.sdp(p.asked, 2, "recvonly"))
    p.asked.dialog.request("INVITE", p.sdp(p.asked, 3, "sendrecv"))
    seen = p.asker.dialog.expect("INVITE")
    assert seen.uri.startswith("sip:moved@")
    p.asker.dialog.reply(seen, 200, "OK", p.sdp(p.asker, 3, "sendrecv"))
    p.asker.dialog.expect("ACK")
    p.asked.dialog.ack(p.asked.dialog.expect(200))
    p.asked.dialog.endpoint.ask(p.asked.dialog.peer)
    end(stack, p)


@BY
def test_crossing_offers_get_491_and_both_can_try_again(stack, by):
    p = parties(stack, by)
    seen = p.offer(body=p.sdp(p.asker, 2, "sendonly"))
    p.asked.dialog.request("INVITE", p.sdp(p.asked, 2, "inactive"))
    glare = p.asked.dialog.expect(491)
    p.asked.check_response(glare)
    assert not glare["retry-after"]
    p.asked.dialog.ack(glare)
    # The other side saw ours before its own was refused: it refuses too, and each waits by RFC 3261 section 14.1.
    final = p.answer(seen, status=491)
    assert final.status == 491
    p.change(p.sdp(p.asker, 3, "sendonly"), p.sdp(p.asked, 3, "recvonly"))
    p.change(p.sdp(p.asker, 4, "sendrecv"), p.sdp(p.asked, 4, "sendrecv"))
    end(stack, p)


@BY
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_that_overtakes_the_other_sides_ack_waits_for_it(stack, by, method):
    """The SBC has acknowledged its sender, who cannot know of the other leg: nothing crosses."""
    p = parties(stack, by)
    asker, asked = p.asker.dialog, p.asked.dialog
    seen = p.offer(body=p.sdp(p.asker, 2, "sendonly"))
    asked.reply(seen, 200, "OK", p.sdp(p.asked, 2, "recvonly"))
    asked.expect("ACK")
    final = asker.expect(200)
    p.asker.check_response(final)
    asked.request(method, p.sdp(p.asked, 3, "sendrecv"))
    asked.endpoint.ask(asked.peer)
    answers = asked.endpoint.pending(lambda m: m.status and m["cseq"] == asked.last["cseq"])
    assert [m.status for m in answers] == [100] * (method == "INVITE")
    assert asker.endpoint.pending(lambda m: m.is_request) == []
    asker.ack(final)
    seen = asker.expect("INVITE")
    p.asker.check_request(seen)
    asker.reply(seen, 200, "OK", p.sdp(p.asker, 3, "sendrecv"))
    asker.expect("ACK")
    final = asked.expect(lambda m: m.status == 200 and m.method == method)
    p.asked.check_response(final)
    if method == "INVITE":
        asked.ack(final)
        asked.endpoint.ask(asked.peer)
    end(stack, p)


@BY
def test_a_second_offer_of_the_same_side_gets_500_with_retry_after(stack, by):
    p = parties(stack, by)
    seen = p.offer(body=p.sdp(p.asker, 2, "sendonly"))
    first = p.asker.dialog.invited
    p.asker.dialog.request("INVITE", p.sdp(p.asker, 3, "inactive"))
    refusal = p.asker.dialog.expect(500)
    assert 0 <= int(refusal["retry-after"]) <= 10
    p.asker.dialog.ack(refusal)
    p.asked.dialog.reply(seen, 200, "OK", p.sdp(p.asked, 2, "recvonly"))
    p.asked.dialog.expect("ACK")
    final = p.asker.dialog.expect(200)
    assert final["cseq"] == first["cseq"]
    p.asker.check_response(final)
    p.asker.dialog.ack(final)
    p.settle()
    p.change(p.sdp(p.asker, 4, "sendrecv"), p.sdp(p.asked, 4, "sendrecv"))
    end(stack, p)


@BY
def test_a_cancelled_reinvite_ends_as_the_other_side_decides(stack, by):
    p = parties(stack, by)
    asker, asked = p.asker.dialog, p.asked.dialog
    for wins in (True, False):
        seen = p.offer(body=p.sdp(p.asker, 2 if wins else 3, "sendonly" if wins else "inactive"))
        asked.reply(seen, 180, "Ringing")
        asker.cancel()
        assert asker.expect(lambda m: m.status and m.method == "CANCEL").status == 200
        cancel = asked.expect("CANCEL")
        assert cancel.branch == seen.branch and cancel.uri == seen.uri
        asked.reply(cancel, 200, "OK")
        if wins:
            asked.reply(seen, 487, "Request Terminated")
            asker.ack(asker.expect(487))
            asked.expect("ACK")
            p.asked.version = p.before
        else:
            asked.reply(seen, 200, "OK", p.sdp(p.asked, 2, "inactive"))
            asked.expect("ACK")
            final = asker.expect(lambda m: m.status == 200 and m.method == "INVITE")
            p.asker.check_response(final)
            asker.ack(final)
        p.settle()
    assert all(leg["holds"] for leg in stack.sbc.the_call()["legs"])
    p.change(p.sdp(p.asker, 4, "sendrecv"), p.sdp(p.asked, 3, "sendrecv"))
    end(stack, p)


@BY
@pytest.mark.parametrize("status", [481, 408])
def test_a_side_that_has_no_dialog_any_more_ends_the_call(stack, by, status):
    """RFC 3261 section 12.2.1.2."""
    p = parties(stack, by)
    seen = p.offer(body=p.sdp(p.asker, 2, "sendonly"))
    p.asked.dialog.reply(seen, status)
    final = p.asker.dialog.expect(lambda m: m.status and m.status >= 300)
    p.asker.dialog.ack(final)
    p.asker.dialog.take_bye()
    if status == 408:
        p.asked.dialog.take_bye()
    no_calls_left(stack)


@BY
def test_bye_within_a_reinvite_answers_it_487(stack, by):
    p = parties(stack, by)
    seen = p.offer(body=p.sdp(p.asker, 2, "sendonly"))
    p.asked.dialog.request("BYE")
    final = p.asker.dialog.expect(487)
    p.asker.dialog.ack(final)
    p.asker.dialog.take_bye()
    p.asked.dialog.expect(lambda m: m.status == 200 and m.method == "BYE")
    p.asked.dialog.reply(seen, 487)
    p.asked.dialog.expect("ACK")
    no_calls_left(stack)


@BY
def test_a_body_that_is_no_description_is_415(stack, by):
    p = parties(stack, by)
    p.asker.dialog.request("INVITE", b"hello\r\n", content_type="text/plain")
    final = p.asker.dialog.expect(415)
    assert "application/sdp" in final["accept"]
    p.asker.dialog.ack(final)
    p.nothing_relayed("INVITE")
    end(stack, p)


PART = "--b\r\nContent-Type: {}\r\n{}\r\n{}\r\n"


@pytest.mark.parametrize("other, status", [
    (PART.format("application/isup;version=x", "Content-Disposition: signal;handling=required\r\n", "x"), 415),
    ("--b\r\nContent-Type application/isup\r\n\r\n", 400),
], ids=["required", "broken"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_body_of_which_a_part_must_cross_and_cannot_is_refused(stack, method, other, status):
    p = parties(stack, "caller")
    body = PART.format("application/sdp", "", p.sdp(p.asker, 2, "sendonly").decode()) + other + "--b--\r\n"
    p.asker.dialog.request(method, body.encode(), content_type="multipart/mixed;boundary=b")
    final = p.asker.dialog.expect(status)
    if method == "INVITE":
        p.asker.dialog.ack(final)
    p.nothing_relayed(method)
    end(stack, p)


def test_an_answer_without_a_stream_is_none_and_ends_the_call(stack):
    p = parties(stack, "caller")
    seen = p.offer(body=p.sdp(p.asker, 2, "sendonly"))
    empty = b"v=0\r\no=- 7 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n"
    p.asked.dialog.reply(seen, 200, "OK", empty)
    p.asked.dialog.expect("ACK")
    final = p.asker.dialog.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE")
    assert final.status >= 300
    p.asker.dialog.ack(final)
    for one in (p.asked, p.asker):
        assert "cause=503" in one.dialog.take_bye()["reason"]
    no_calls_left(stack)


def test_a_call_answered_without_a_stream_is_refused(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call((SBC_OUT4, 5060), "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 200, "OK", b"v=0\r\no=- 7 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n")
    b.expect("ACK")
    b.take_bye()
    final = a.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE")
    assert final.status == 502
    a.ack(final)
    no_calls_left(stack)
