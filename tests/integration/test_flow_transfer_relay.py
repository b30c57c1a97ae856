# SPDX-License-Identifier: BSD-3-Clause
"""`transfer = relay`: the other side carries the transfer out; REFER and NOTIFY cross with every name in them that of the side they go to."""

import re
import urllib.parse

import pytest

from transfer import GUARD, attended, check_sides, connected, final, no_calls_left, number, refer, relayed, tags

pytestmark = pytest.mark.parametrize("module_stack", ["packet"], indirect=True, scope="module")
assert GUARD


@pytest.fixture(autouse=True)
def relaying(stack):
    if stack.change is not relayed:
        stack.change = relayed
        stack.start(stack.kind)


def crossed(dialog):
    """The REFER on the far side."""
    request = dialog.expect("REFER")
    assert (request.tag("to"), request.tag("from")) == tags(dialog) and request["contact"]
    assert len(request.all("refer-to")) == 1 and request.body == b""
    assert request.branch.startswith("z9hG4bK") and len(request.all("via")) == 1
    return request


def notify(dialog, request, body, state):
    return dialog.request(
        "NOTIFY", body, [("Event", f"refer;id={number(request)}"), ("Subscription-State", state), ("Contact", dialog.contact)],
        content_type="message/sipfrag;version=2.0")


def test_blind_by_the_phone_is_for_the_pbx(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    sent = refer(call.a, "<sip:1003@203.0.113.10?X-Evil=192.168.77.2&Subject=x>", [("Referred-By", "\"A\" <sip:alice@192.168.77.2>")])
    request = crossed(call.b)
    # Our address to the phone is the PBX itself.
    assert request["refer-to"] == "<sip:1003@10.0.0.5>" and "<sip:alice@10.0.0.1>" in request["referred-by"]
    call.b.reply(request, 202, headers=[("Contact", call.b.contact)])
    accepted = final(call.a, "REFER")
    assert accepted.status == 202 and "203.0.113.10" in accepted["contact"]
    for body, state, status in ((b"SIP/2.0 100 Trying at 10.0.0.5\r\nVia: SIP/2.0/UDP 10.0.0.7\r\n", "active;expires=60", 100),
                                (b"SIP/2.0 200 OK\r\nContact: <sip:x@10.0.0.7>\r\n", "terminated;reason=noresource", 200)):
        notify(call.b, request, body, state)
        got = call.a.expect("NOTIFY")
        assert got["event"] == f"refer;id={number(sent)}" and got["subscription-state"] == state
        assert re.fullmatch(rb"SIP/2\.0 %d [A-Za-z]+\r\n" % status, got.body), got.body
        call.a.reply(got, 200)
        assert final(call.b, "NOTIFY").status == 200
    # It is over: nothing more of it crosses.
    notify(call.b, request, b"SIP/2.0 200 OK\r\n", "terminated")
    assert final(call.b, "NOTIFY").status == 481
    check_sides([phone], [pbx])
    call.hang_up()
    no_calls_left(stack)


def test_blind_by_the_pbx_comes_back_as_a_call_and_is_routed(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.b, "<sip:1005@10.0.0.5>")
    request = crossed(call.a)
    assert request["refer-to"] == "<sip:1005@203.0.113.10>"
    call.a.reply(request, 202, headers=[("Contact", call.a.contact)])
    assert final(call.b, "REFER").status == 202
    again = connected(stack, phone, pbx, "1005")
    notify(call.a, request, b"SIP/2.0 200 OK\r\n", "terminated;reason=noresource")
    call.b.reply(call.b.expect("NOTIFY"), 200)
    final(call.a, "NOTIFY")
    check_sides([phone], [pbx])
    call.hang_up()
    again.hang_up()
    no_calls_left(stack)


def test_a_refusal_comes_back_and_nothing_is_owed(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    request = crossed(call.b)
    call.b.reply(request, 603)
    assert final(call.a, "REFER").status == 603
    notify(call.b, request, b"SIP/2.0 100 Trying\r\n", "active")
    assert final(call.b, "NOTIFY").status == 481
    call.hang_up()
    no_calls_left(stack)


def test_several_refers_are_told_apart(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    sent, requests = [], []
    for user in ("1003", "1004"):
        sent.append(refer(call.a, f"<sip:{user}@203.0.113.10>"))
        requests.append(crossed(call.b))
        call.b.reply(requests[-1], 202, headers=[("Contact", call.b.contact)])
        final(call.a, "REFER")
    for i in (1, 0):
        notify(call.b, requests[i], b"SIP/2.0 486 Busy\r\n", "terminated")
        got = call.a.expect("NOTIFY")
        assert got["event"] == f"refer;id={number(sent[i])}"
        call.a.reply(got, 200)
        final(call.b, "NOTIFY")
    call.hang_up()
    no_calls_left(stack)


def subscriptions(stack):
    return stack.sbc.show("status")["subscriptions"]


def referred(call, user="1003"):
    """REFER of the caller, accepted by the callee: both as their senders wrote them."""
    sent = refer(call.a, f"<sip:{user}@203.0.113.10>")
    request = crossed(call.b)
    call.b.reply(request, 202, headers=[("Contact", call.b.contact)])
    assert final(call.a, "REFER").status == 202
    return sent, request


def heard(call, sent, status, state, reply=200):
    """The NOTIFY at the referrer, answered; and that answer at who has told."""
    got = call.a.expect("NOTIFY")
    assert got["event"] == f"refer;id={number(sent)}" and got["subscription-state"] == state
    assert (got.tag("to"), got.tag("from")) == tags(call.a) and got.call_id == call.a.call_id and got["contact"]
    assert re.fullmatch(rb"SIP/2\.0 %d [A-Za-z ]+\r\n" % status, got.body), got.body
    call.a.reply(got, reply)
    assert final(call.b, "NOTIFY").status == reply


@pytest.mark.parametrize("by", ["a", "b"])
def test_the_subscription_goes_on_when_the_call_has_ended(stack, by):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    (sent, request), (other, second) = referred(call), referred(call, "1004")
    hanging, hung = (call.a, call.b) if by == "a" else (call.b, call.a)
    hanging.request("BYE")
    bye = hung.expect("BYE")
    # Also before the last answer to BYE is there.
    notify(call.b, request, b"SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP 10.0.0.7\r\n", "active;expires=60")
    heard(call, sent, 100, "active;expires=60")
    hung.reply(bye, 200)
    assert final(hanging, "BYE").status == 200
    no_calls_left(stack)
    notify(call.b, second, b"SIP/2.0 486 Busy\r\n", "terminated;reason=noresource")
    heard(call, other, 486, "terminated;reason=noresource")
    notify(call.b, second, b"SIP/2.0 486 Busy\r\n", "terminated;reason=noresource")
    assert final(call.b, "NOTIFY").status == 481
    # Who wants to hear for longer, says so.
    call.a.request("SUBSCRIBE", headers=[("Event", f"refer;id={number(sent)}"), ("Expires", "120"), ("Contact", call.a.contact)])
    again = call.b.expect("SUBSCRIBE")
    assert again["event"] == f"refer;id={number(request)}" and again["expires"] == "120"
    call.b.reply(again, 200, headers=[("Contact", call.b.contact), ("Expires", "90")])
    longer = final(call.a, "SUBSCRIBE")
    assert longer.status == 200 and longer["expires"] == "90"
    call.b.request("NOTIFY", b"busy", [("Event", f"refer;id={number(request)}"), ("Subscription-State", "active"), ("Contact", call.b.contact)],
                   content_type="text/plain")
    assert final(call.b, "NOTIFY").status == 415
    notify(call.b, request, b"SIP/2.0 200 OK\r\nContact: <sip:x@10.0.0.7>\r\n", "terminated;reason=noresource")
    heard(call, sent, 200, "terminated;reason=noresource")
    assert not subscriptions(stack)
    notify(call.b, request, b"SIP/2.0 200 OK\r\n", "terminated")
    assert final(call.b, "NOTIFY").status == 481
    check_sides([phone], [pbx])


def test_a_notify_on_its_way_outlives_the_call(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    sent, request = referred(call)
    notify(call.b, request, b"SIP/2.0 200 OK\r\n", "terminated;reason=noresource")
    got = call.a.expect("NOTIFY")
    call.hang_up()
    no_calls_left(stack)
    assert subscriptions(stack) == 1
    call.a.reply(got, 200)
    assert final(call.b, "NOTIFY").status == 200
    assert not subscriptions(stack)


def test_a_referrer_that_has_forgotten_is_told_no_more(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    sent, request = referred(call)
    call.hang_up()
    no_calls_left(stack)
    notify(call.b, request, b"SIP/2.0 100 Trying\r\n", "active;expires=60")
    heard(call, sent, 100, "active;expires=60", reply=481)
    assert not subscriptions(stack)
    notify(call.b, request, b"SIP/2.0 200 OK\r\n", "terminated")
    assert final(call.b, "NOTIFY").status == 481


def test_attended_names_the_dialog_as_the_pbx_knows_it(stack):
    phone, pbx = stack.phone(), stack.pbx()
    one, two = connected(stack, phone, pbx), connected(stack, phone, pbx, "1001")
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    request = crossed(one.b)
    own, other = tags(two.b)
    name = urllib.parse.unquote(re.fullmatch(r"<sip:1001@10\.0\.0\.5\?Replaces=([^&>]+)>", request["refer-to"]).group(1))
    assert name == f"{two.b.call_id};to-tag={own};from-tag={other}"
    one.b.reply(request, 202, headers=[("Contact", one.b.contact)])
    final(one.a, "REFER")
    check_sides([phone], [pbx])
    one.hang_up()
    two.hang_up()
    no_calls_left(stack)


def test_a_peer_that_knows_no_refer_is_not_asked(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    call.b.request("UPDATE", headers=[("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")])
    assert final(call.b, "UPDATE").status == 200
    refer(call.a, "<sip:1003@203.0.113.10>")
    assert final(call.a, "REFER").status == 202
    trying = call.a.expect("NOTIFY")
    call.a.reply(trying, 200)
    b = pbx.answerer(match=lambda m: "1003" in m.uri)
    b.reply(b.invite, 486)
    b.expect("ACK")
    call.a.reply(call.a.expect("NOTIFY"), 200)
    assert not [m for m in pbx.received if m.method == "REFER"]
    call.hang_up()
    no_calls_left(stack)
