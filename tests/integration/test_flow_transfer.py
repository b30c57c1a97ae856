# SPDX-License-Identifier: BSD-3-Clause
"""`transfer = terminate`: REFER is carried out by the SBC, with the remaining party in a call to the target; blind and attended, from either
side."""

import pytest

from sip import Dialog, sdp, token
from transfer import (GUARD, IN, OUT, attended, check_sides, connected, ends, final, hear, no_calls_left, number, refer, replaces, talk,
                      tags, told)

pytestmark = pytest.mark.parametrize("module_stack", ["packet"], indirect=True, scope="module")
assert GUARD


def ring(target, user, remaining):
    """The INVITE for the target: without an offer, from the remaining party."""
    b = target.answerer(match=lambda m: user in m.uri)
    assert b.invite.body == b"" and remaining in b.invite["from"]
    return b


def accept(stack, b, dialog, node, endpoint, media):
    """The target answers; its offer goes to the remaining party in a re-INVITE of its dialog, whose answer comes in the ACK."""
    target = stack.media(node, b.endpoint.host)
    b.reply(b.invite, 200, "OK", sdp(b.endpoint.host, target.port))
    again = dialog.expect("INVITE")
    assert (again.tag("to"), again.tag("from")) == tags(dialog) and again.body
    hear(dialog, media, again, endpoint)
    assert number(dialog.expect("ACK")) == number(again)
    ack = b.expect("ACK")
    assert number(ack) == number(b.invite) and ack.body
    target.destination = ack.media()[:2]
    return target


def notifies(dialog):
    """The numbers of those in this dialog, however often each has come."""
    return {number(m) for m in dialog.endpoint.received if m.is_request and m.method == "NOTIFY" and m.call_id == dialog.call_id}


def test_blind_by_the_phone(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    talk(call.near, call.far)
    refer(call.a, "<sip:1003@203.0.113.10>", [("Referred-By", "<sip:alice@192.168.77.2>")])
    accepted = final(call.a, "REFER")
    assert accepted.status == 202 and accepted["contact"]
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    assert "alice@10.0.0.1" in b.invite["referred-by"]
    b.reply(b.invite, 180, "Ringing")
    told(call.a, 180)
    talk(call.near, call.far)  # nothing has changed yet
    target = accept(stack, b, call.b, "pbx", pbx, call.far)
    told(call.a, 200, ended=True)
    call.a.bye()
    talk(call.far, target)
    check_sides([phone], [pbx])
    b.request("BYE")
    ends(call.b)
    final(b, "BYE")
    no_calls_left(stack)


def test_blind_by_the_pbx_to_the_carrier(stack):
    phone, pbx, carrier = stack.phone(), stack.pbx(), stack.carrier()
    call = connected(stack, phone, pbx)
    refer(call.b, "<sip:9123@10.0.0.1>")
    assert final(call.b, "REFER").status == 202
    told(call.b, 100)
    b = ring(carrier, "9123", "alice")
    target = accept(stack, b, call.a, "outside", phone, call.near)
    told(call.b, 200, ended=True)
    call.b.bye()
    talk(call.near, target)
    check_sides([phone, carrier], [pbx])
    call.a.request("BYE")
    ends(b)
    final(call.a, "BYE")
    no_calls_left(stack)


def test_the_referrer_that_stays_is_hung_up(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    target = accept(stack, ring(pbx, "1003", "1000"), call.b, "pbx", pbx, call.far)
    told(call.a, 200, ended=True)
    call.a.expect("BYE", timeout=10)
    call.a.reply(call.a.endpoint.received[-1], 200)
    talk(call.far, target)
    call.b.request("BYE")
    pbx.expect("BYE")


@pytest.mark.parametrize("status", [486, 404, 603])
def test_a_target_that_refuses_leaves_the_call_as_it_was(stack, status):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    assert final(call.a, "REFER").status == 202
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    b.reply(b.invite, status)
    b.expect("ACK")
    told(call.a, status, ended=True)
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_a_target_that_nobody_routes(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.b, "<sip:777@10.0.0.1>")
    assert final(call.b, "REFER").status == 202
    told(call.b, 100)
    told(call.b, 404, ended=True)
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_the_remaining_party_that_refuses_keeps_its_call(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30000))
    again = call.b.expect("INVITE")
    call.b.reply(again, 488)
    call.b.expect("ACK")
    b.expect("ACK")
    ends(b)
    told(call.a, 488, ended=True)
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_glare_with_the_remaining_party_is_tried_again(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    far = stack.media("pbx", pbx.host)
    b.reply(b.invite, 200, "OK", sdp(pbx.host, far.port))
    again = call.b.expect("INVITE")
    call.b.reply(again, 491)
    call.b.expect("ACK")
    more = call.b.expect(lambda m: m.is_request and m.method == "INVITE" and number(m) > number(again), timeout=10)
    hear(call.b, call.far, more, pbx)
    far.destination = b.expect("ACK").media()[:2]
    told(call.a, 200, ended=True)
    call.a.bye()
    talk(call.far, far)
    b.request("BYE")
    ends(call.b)


def test_the_referrer_hangs_up_before_the_end(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    call.a.bye()
    # Of its dialog the subscription is left (RFC 5057): nothing else is taken there.
    for method, kwargs in (("INFO", {"body": b"5", "content_type": "application/dtmf"}), ("INVITE", {"body": sdp(phone.host, 30000)}),
                           ("REFER", {"headers": [("Refer-To", "<sip:1004@203.0.113.10>"), ("Contact", call.a.contact)]})):
        call.a.request(method, **kwargs)
        refused = final(call.a, method)
        assert refused.status == 481
        if method == "INVITE":
            call.a.ack(refused)
    b.reply(b.invite, 180)
    told(call.a, 180)
    target = accept(stack, b, call.b, "pbx", pbx, call.far)
    told(call.a, 200, ended=True)
    talk(call.far, target)
    b.request("BYE")
    ends(call.b)
    final(b, "BYE")
    no_calls_left(stack)


def test_the_referrer_is_gone_and_the_target_refuses(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    call.a.bye()
    b.reply(b.invite, 486)
    told(call.a, 486, ended=True)
    ends(call.b)
    no_calls_left(stack)


def test_the_last_news_does_not_wait_for_a_referrer_that_is_gone(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    call.a.bye()
    b.reply(b.invite, 180)
    unanswered = call.a.expect("NOTIFY")
    b.reply(b.invite, 486)
    assert number(told(call.a, 486, ended=True)) == number(unanswered) + 1
    ends(call.b)
    no_calls_left(stack)


def test_a_referrer_that_knows_nothing_of_it_any_more_is_told_no_more(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    call.a.bye()
    b.reply(b.invite, 180)
    told(call.a, 180, reply=481)
    phone.ask(OUT)
    accept(stack, b, call.b, "pbx", pbx, call.far)
    b.request("BYE")
    ends(call.b)
    final(b, "BYE")
    no_calls_left(stack)
    assert len(notifies(call.a)) == 2


def test_the_remaining_party_hangs_up_meanwhile(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    b.reply(b.invite, 180)
    told(call.a, 180)
    call.b.request("BYE")
    told(call.a, 487, ended=True)
    ends(call.a)
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200)
    b.reply(b.invite, 487)
    no_calls_left(stack)


def test_one_transfer_at_a_time_and_no_offers_meanwhile(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    refer(call.a, "<sip:1004@203.0.113.10>")
    assert final(call.a, "REFER").status == 491
    call.b.request("INVITE", sdp(pbx.host, 31000, version=3))
    glare = final(call.b, "INVITE")
    assert glare.status == 491
    call.b.ack(glare)
    b.reply(b.invite, 486)
    told(call.a, 486, ended=True)
    call.hang_up()
    no_calls_left(stack)


@pytest.mark.parametrize("target, headers, status", [
    ("<sip:1003@203.0.113.10;method=BYE>", [], 603),
    ("<sips:1003@203.0.113.10>", [], 416),
    ("nonsense", [], 400),
    ("<sip:1003@203.0.113.10>", [("Refer-To", "<sip:1004@203.0.113.10>")], 400),
    ("<sip:1003@203.0.113.10?Replaces=%00>", [], 400),
])
def test_a_refer_that_leads_nowhere_is_refused(stack, target, headers, status):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, target, headers)
    assert final(call.a, "REFER").status == status
    call.hang_up()
    no_calls_left(stack)


def test_refer_outside_of_a_dialog_is_refused(stack):
    phone = stack.phone()
    dialog = Dialog(phone, OUT)
    dialog.local, dialog.remote = f"<sip:alice@192.168.77.2>;tag={token()}", "<sip:1000@203.0.113.10>"
    dialog.target = "sip:1000@203.0.113.10"
    refer(dialog, "<sip:1003@203.0.113.10>")
    assert final(dialog, "REFER").status == 403


def test_nobody_is_told_who_does_not_want_it(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, "<sip:1003@203.0.113.10>", [("Refer-Sub", "false"), ("Require", "norefersub")])
    accepted = final(call.a, "REFER")
    assert accepted.status == 202 and accepted["refer-sub"] == "false"
    b = ring(pbx, "1003", "1000")
    b.reply(b.invite, 180)
    accept(stack, b, call.b, "pbx", pbx, call.far)
    call.a.bye()
    assert not notifies(call.a)
    b.request("BYE")
    ends(call.b)


def test_a_subscription_is_prolonged_and_ended(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    request = refer(call.a, "<sip:1003@203.0.113.10>")
    final(call.a, "REFER")
    told(call.a, 100)
    b = ring(pbx, "1003", "1000")
    event = ("Event", f"refer;id={number(request)}")
    call.a.request("SUBSCRIBE", headers=[event, ("Expires", "60")])
    assert final(call.a, "SUBSCRIBE")["expires"] == "60"
    told(call.a, 100)
    call.a.request("SUBSCRIBE", headers=[event, ("Expires", "0")])
    assert final(call.a, "SUBSCRIBE").status == 200
    told(call.a, 100, ended=True)
    b.reply(b.invite, 486)
    b.expect("ACK")
    call.a.request("SUBSCRIBE", headers=[event, ("Expires", "60")])
    assert final(call.a, "SUBSCRIBE").status == 481
    assert len(notifies(call.a)) == 3
    call.hang_up()


# --- attended ---

def consultation(stack, referrer, first, second, number="1001"):
    return connected(stack, referrer, first, "1000"), connected(stack, referrer, second, number)


def joined(stack, one, two, near, far):
    """re-INVITE to the party of the second call without an offer, its offer to that of the first."""
    ask = two.expect("INVITE")
    assert ask.body == b"" and (ask.tag("to"), ask.tag("from")) == tags(two)
    two.reply(ask, 200, "OK", sdp(two.endpoint.host, far.port, version=2))
    offer = one.expect("INVITE")
    assert (offer.tag("to"), offer.tag("from")) == tags(one)
    hear(one, near, offer, one.endpoint)
    one.expect("ACK")
    ack = two.expect("ACK")
    assert number(ack) == number(ask)
    far.destination = ack.media()[:2]


def test_attended_by_the_phone(stack):
    phone, pbx = stack.phone(), stack.pbx()
    one, two = consultation(stack, phone, pbx, pbx)
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    assert final(one.a, "REFER").status == 202
    told(one.a, 100)
    joined(stack, one.b, two.b, one.far, two.far)
    told(one.a, 200, ended=True)
    ends(two.a)
    one.a.bye()
    talk(one.far, two.far)
    check_sides([phone], [pbx])
    two.b.request("BYE")
    ends(one.b)
    final(two.b, "BYE")
    no_calls_left(stack)


def test_attended_by_the_pbx_between_phone_and_carrier(stack):
    phone, pbx, carrier = stack.phone(), stack.pbx(), stack.carrier()
    one = connected(stack, phone, pbx)
    two = connected(stack, pbx, carrier, "9123")
    refer(one.b, attended(two.a, "9123", "10.0.0.1"))
    assert final(one.b, "REFER").status == 202
    told(one.b, 100)
    joined(stack, one.a, two.b, one.near, two.far)
    told(one.b, 200, ended=True)
    ends(two.a)
    one.b.bye()
    talk(one.near, two.far)
    check_sides([phone, carrier], [pbx])
    one.a.request("BYE")
    ends(two.b)
    final(one.a, "BYE")
    no_calls_left(stack)


def test_attended_to_a_dialog_that_is_not_there(stack):
    phone, pbx = stack.phone(), stack.pbx()
    one = connected(stack, phone, pbx)
    refer(one.a, "<sip:1001@203.0.113.10?Replaces=nobody%3Bto-tag%3Da%3Bfrom-tag%3Db>")
    assert final(one.a, "REFER").status == 202
    told(one.a, 100)
    told(one.a, 481, ended=True)
    refer(one.a, attended(one.a, "1000", "203.0.113.10"))
    final(one.a, "REFER")
    told(one.a, 100)
    told(one.a, 482, ended=True)
    one.hang_up()
    no_calls_left(stack)


def test_attended_and_one_party_refuses(stack):
    phone, pbx = stack.phone(), stack.pbx()
    one, two = consultation(stack, phone, pbx, pbx)
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    final(one.a, "REFER")
    told(one.a, 100)
    ask = two.b.expect("INVITE")
    two.b.reply(ask, 200, "OK", sdp(pbx.host, two.far.port, version=2))
    offer = one.b.expect("INVITE")
    one.b.reply(offer, 488)
    assert two.b.expect("ACK").media()[:2] == two.far.destination
    told(one.a, 488, ended=True)
    talk(one.near, one.far)
    talk(two.near, two.far)
    one.hang_up()
    two.hang_up()
    no_calls_left(stack)


@pytest.mark.parametrize("which", ["first", "second"])
def test_attended_and_the_referrer_leaves_a_call_at_once(stack, which):
    phone, pbx = stack.phone(), stack.pbx()
    one, two = consultation(stack, phone, pbx, pbx)
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    final(one.a, "REFER")
    told(one.a, 100)
    (one if which == "first" else two).a.bye()
    joined(stack, one.b, two.b, one.far, two.far)
    talk(one.far, two.far)
    if which == "second":
        told(one.a, 200, ended=True)
        one.a.bye()
    else:
        ends(two.a)
    one.b.request("BYE")
    ends(two.b)
    final(one.b, "BYE")
    no_calls_left(stack)


@pytest.mark.parametrize("which", ["first", "second"])
def test_attended_and_a_remaining_party_hangs_up(stack, which):
    phone, pbx = stack.phone(), stack.pbx()
    one, two = consultation(stack, phone, pbx, pbx)
    refer(one.a, attended(two.a, "1001", "203.0.113.10"))
    final(one.a, "REFER")
    told(one.a, 100)
    ask = two.b.expect("INVITE")
    two.b.reply(ask, 100)
    gone, left = (one, two) if which == "first" else (two, one)
    gone.b.request("BYE")
    ends(gone.a)
    cancel = two.b.expect("CANCEL")
    two.b.reply(cancel, 200)
    two.b.reply(ask, 487)
    talk(left.near, left.far)
    left.hang_up()
    no_calls_left(stack)


def test_replaces_names_nothing_of_ours_on_the_wrong_side(stack):
    """The PBX knows its own names only: those of the phone's dialog are none."""
    phone, pbx = stack.phone(), stack.pbx()
    one, two = consultation(stack, phone, pbx, pbx)
    text = replaces(two.a)
    thief = pbx.call(IN, "9123", sdp(pbx.host, 31000), headers=[("Replaces", text)])
    refused = final(thief, "INVITE")
    assert refused.status == 481
    thief.ack(refused)
    one.hang_up()
    two.hang_up()
    no_calls_left(stack)
