# SPDX-License-Identifier: BSD-3-Clause
"""INFO, MESSAGE, PUBLISH, OPTIONS and unsolicited NOTIFY through the SBC, both ways, within calls and outside of dialogs."""

import pytest

from conftest import SBC_OUT4, Call
from relayed import TO_ACCESS, TO_CORE, asked, check_answer, check_hidden, check_request, final, number, outside

GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\nsip-config { t1 = 50ms  timer-b = 3200ms }\n"
PHONE, PBX = "192.168.77.", "10.0.0."


def hidden(phone, pbx):
    check_hidden((phone, [PHONE, "203.0.113."]), (pbx, [PBX]))


def relayed(asker, answerer, method, status=200, **kwargs):
    """One request of `asker`'s dialog through to `answerer`'s and its answer back: both, as they arrived."""
    mine = asker.request(method, **kwargs)
    theirs = answerer.expect(method)
    check_request(theirs, answerer)
    answerer.reply(theirs, status)
    answer = asker.expect(final(method))
    check_answer(answer, mine)
    assert answer.status == status
    return theirs, answer


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_info_crosses_within_a_call_each_way(stack, by):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    one, other = (call.a, call.b) if by == "caller" else (call.b, call.a)
    for key in "5*":
        info, _ = relayed(one, other, "INFO", body=f"Signal={key}\r\nDuration=160\r\n".encode(),
                          content_type="application/dtmf-relay")
        assert info["content-type"] == "application/dtmf-relay" and info.body == f"Signal={key}\r\nDuration=160\r\n".encode()
    relayed(one, other, "INFO", status=486, body=b"5", content_type="application/dtmf")
    one.request("INFO", body=b"<x>10.0.0.5</x>", content_type="application/x+xml")
    assert one.expect(final("INFO")).status == 415
    call.hang_up()
    hidden(phone, pbx)


def test_requests_count_up_on_each_leg_alone(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    last = number(call.b.invite)
    for _ in range(3):
        message, _ = relayed(call.a, call.b, "MESSAGE", body=b"hello", content_type="text/plain")
        assert number(message) == last + 1 and message.body == b"hello" and not message["contact"]
        last = number(message)
    back, _ = relayed(call.b, call.a, "MESSAGE", body="grüß".encode(), content_type="text/plain;charset=utf-8")
    assert back.body == "grüß".encode() and back["content-type"] == "text/plain;charset=utf-8"
    call.hang_up("callee")
    hidden(phone, pbx)


DIVERTED = [("Diversion", "<sip:boss@{0}>;reason=no-answer"), ("History-Info", "<sip:boss@{0}>;index=1"),
            ("History-Info", "<sip:boss@{0};cause=302>;index=1.1")]


def test_who_was_diverted_is_nobodys_business_within_a_call(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    for one, other in ((call.a, call.b), (call.b, call.a)):
        lines = [(name, value.format(one.endpoint.host)) for name, value in DIVERTED]
        message, _ = relayed(one, other, "MESSAGE", body=b"hello", content_type="text/plain", headers=lines)
        info, _ = relayed(one, other, "INFO", body=b"5", content_type="application/dtmf", headers=lines)
        for got in (message, info):
            assert not got["diversion"] and not got["history-info"] and b"boss" not in got.raw
    call.hang_up()
    hidden(phone, pbx)


def test_a_call_that_ends_leaves_no_request_without_its_answer(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    call.a.request("INFO", body=b"5", content_type="application/dtmf")
    call.b.expect("INFO")
    call.b.request("BYE")
    assert call.a.expect(final("INFO")).status == 487
    call.a.take_bye()
    call.b.expect(final("BYE"))
    hidden(phone, pbx)


def test_a_request_that_is_never_answered_gets_408_before_its_sender_gives_up(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    call.a.request("INFO", body=b"5", content_type="application/dtmf")
    call.b.expect("INFO")
    assert call.a.expect(final("INFO"), timeout=10).status == 408
    assert pbx.repeats > 0  # it was asked again meanwhile
    call.hang_up()


def test_a_lost_answer_is_asked_for_and_sent_again(stack):
    phone, pbx = stack.phone(), stack.pbx()
    mine = outside(phone, "1000", TO_ACCESS)
    sent = mine.request("MESSAGE", body=b"hello", content_type="text/plain")
    theirs = asked(pbx, "MESSAGE")
    # The first answer of the PBX is lost: it comes with the repetition alone.
    count = len(pbx.received)
    while len(pbx.received) == count:
        phone.ask(TO_ACCESS)
    theirs.reply(theirs.invite, 200)
    check_answer(mine.expect(final("MESSAGE")), sent)
    # Ours was lost: the request, repeated, gets the same one and nobody else hears of it.
    count = len(pbx.received)
    mine.repeat()
    phone.ask(TO_ACCESS)
    assert phone.repeats == 1 and len(pbx.received) == count
    hidden(phone, pbx)


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_message_outside_of_dialogs_is_routed(stack, way):
    pbx = stack.pbx()
    peer = stack.phone() if way == "in" else stack.carrier()
    one, other, to, user = (peer, pbx, TO_ACCESS, "1000") if way == "in" else (pbx, peer, TO_CORE, "9123")
    mine = outside(one, user, to)
    sent = mine.request("MESSAGE", body=b"hello", content_type="text/plain", headers=[("Subject", "10.0.0.5")])
    theirs = asked(other, "MESSAGE")
    message = theirs.invite
    assert message.body == b"hello" and not message["contact"] and user in message.uri and other.host in message.uri
    assert message["max-forwards"] == "69" and message.tag("from") != sent.tag("from") and message.call_id != sent.call_id
    theirs.reply(message, 202)
    answer = mine.expect(final("MESSAGE"))
    assert answer.status == 202
    check_answer(answer, sent)
    theirs.endpoint.ask(TO_CORE if other is pbx else TO_ACCESS)
    check_hidden((peer, [peer.host, "203.0.113.2"]) if way == "in" else (peer, [peer.host]), (pbx, [PBX]))


def test_a_message_that_cannot_go_on_is_refused(stack):
    phone = stack.phone()
    for user, status, type_ in (("nobody", 404, "text/plain"), ("1000", 415, "message/cpim")):
        mine = outside(phone, user, TO_ACCESS)
        mine.request("MESSAGE", body=b"x", content_type=type_)
        answer = mine.expect(final("MESSAGE"))
        assert answer.status == status
        assert status != 415 or answer["accept"] == "text/plain"


def test_publish_and_its_entity_tag(stack):
    phone, pbx = stack.phone(), stack.pbx()
    pidf = (f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:1000@{SBC_OUT4}"><tuple id="i{phone.host}">'
            f"<status><basic>open</basic></status><contact>sip:1000@{phone.host}</contact></tuple></presence>").encode()
    mine = outside(phone, "1000", TO_ACCESS)
    mine.request("PUBLISH", body=pidf, content_type="application/pidf+xml", headers=[("Event", "presence"), ("Expires", "600")])
    theirs = asked(pbx, "PUBLISH")
    assert theirs.invite["event"] == "presence" and theirs.invite["expires"] == "600" and b"<basic>open</basic>" in theirs.invite.body
    assert f'entity="sip:1000@{pbx.host}"'.encode() in theirs.invite.body
    theirs.reply(theirs.invite, 200, headers=[("SIP-ETag", "a.17.3"), ("Expires", "300")])
    answer = mine.expect(final("PUBLISH"))
    assert answer["sip-etag"] == "a.17.3" and answer["expires"] == "300"
    mine.request("PUBLISH", headers=[("Event", "presence"), ("SIP-If-Match", "a.17.3"), ("Expires", "1")])
    theirs = asked(pbx, "PUBLISH")
    assert theirs.invite["sip-if-match"] == "a.17.3"
    theirs.reply(theirs.invite, 423, headers=[("Min-Expires", "60")])
    answer = mine.expect(final("PUBLISH"))
    assert answer.status == 423 and answer["min-expires"] == "60"
    hidden(phone, pbx)


def test_options_says_what_there_is_in_a_call_and_outside(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    call.a.request("OPTIONS")
    inside = call.a.expect(final("OPTIONS"))
    alone = outside(phone, "1000", TO_ACCESS)
    raw = alone.request("OPTIONS").raw.replace(b"Max-Forwards: 70", b"Max-Forwards: 0").replace(b"z9hG4bK", b"z9hG4bKlast")
    assert alone.expect(final("OPTIONS")).status == 200
    phone.send(raw, TO_ACCESS)
    last = alone.expect(final("OPTIONS"))
    for answer in (inside, last):
        assert answer.status == 200
        allowed = {m.strip() for m in answer["allow"].split(",")}
        assert {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "MESSAGE", "REFER", "NOTIFY", "SUBSCRIBE",
                "PUBLISH"} == allowed
        assert answer["accept"] and answer["accept-language"] == "en" and "100rel" in answer["supported"]
        assert "message-summary" in answer["allow-events"]
    assert not pbx.pending(lambda m: m.method == "OPTIONS")
    call.hang_up()


@pytest.mark.parametrize("method", ["FROBNICATE", "REGISTER"])
def test_a_method_that_is_not_taken_is_405_in_a_dialog_too(stack, method):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    call.a.request(method)
    answer = call.a.expect(lambda m: m.status and m.status >= 200 and m["cseq"].endswith(method))
    assert answer.status == 405 and "INFO" in answer["allow"]
    call.hang_up()


def test_only_what_is_not_understood_is_named_unsupported(stack):
    phone = stack.phone()
    mine = outside(phone, "1000", TO_ACCESS)
    mine.request("SUBSCRIBE", headers=[("Event", "presence"), ("Require", "privacy, 100rel, xyz"), ("Proxy-Require", "privacy,abc")])
    answer = mine.expect(final("SUBSCRIBE"))
    assert answer.status == 420
    named = {t.strip() for value in answer.all("unsupported") for t in value.split(",")}
    assert named == {"100rel", "xyz", "abc"}


SUMMARY = b"Messages-Waiting: yes\r\nMessage-Account: sip:9123@10.0.0.5\r\nVoice-Message: 2/8 (0/2)\r\n"


def notify(pbx):
    mine = outside(pbx, "9123", TO_CORE)
    mine.request("NOTIFY", body=SUMMARY, content_type="application/simple-message-summary",
                 headers=[("Event", "message-summary"), ("Contact", "<sip:asterisk@10.0.0.5:5060>")])
    return mine


def test_an_unsolicited_notify_is_481_unless_the_profile_takes_it(stack):
    pbx, carrier = stack.pbx(), stack.carrier()
    assert notify(pbx).expect(final("NOTIFY")).status == 481
    stack.end_test()
    stack.start(change=lambda text: text.replace("ip-profile trunk  {", "ip-profile trunk  { unsolicited-notify = yes "))
    pbx, carrier = stack.pbx(), stack.carrier()
    mine = notify(pbx)
    theirs = asked(carrier, "NOTIFY")
    assert theirs.invite["event"] == "message-summary" and theirs.invite["subscription-state"]
    assert theirs.invite.body == SUMMARY.replace(b"10.0.0.5", SBC_OUT4.encode())
    theirs.reply(theirs.invite, 200)
    assert mine.expect(final("NOTIFY")).status == 200
    check_hidden((carrier, [carrier.host]), (pbx, [PBX]))
    stack.end_test()
    stack.start()
