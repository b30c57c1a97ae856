# SPDX-License-Identifier: BSD-3-Clause
"""SUBSCRIBE and NOTIFY (RFC 6665) between raw peers: two dialogs that know nothing of each other, in every order, both ways."""

import copy
import re

import pytest

from conftest import SBC_IN4, SBC_OUT4
from relayed import TO_ACCESS, TO_CORE, asked, check_answer, check_hidden, check_request, final, number, outside
from sip import token
from transfer import connected, no_calls_left, tags

# Short timers; and the two dialogs of a pair are found on the shard that has them.
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\nsip-config { shards = 3  t1 = 50ms  timer-b = 3200ms }\n"
PBX = "10.0.0."


class Pair:
    """A subscriber's dialog and the notifier's, up to the SUBSCRIBE that the notifier got."""

    def __init__(self, stack, way="in", package="message-summary", expires="600", headers=()):
        self.pbx = stack.pbx()
        self.peer = stack.phone() if way == "in" else stack.carrier()
        self.one, self.other = (self.peer, self.pbx) if way == "in" else (self.pbx, self.peer)
        self.to = TO_ACCESS if way == "in" else TO_CORE
        self.package = package
        self.subscriber = outside(self.one, "1000" if way == "in" else "9123", self.to)
        self.sent = self.subscribe(expires, headers)
        self.notifier = asked(self.other, "SUBSCRIBE")
        self.got = self.notifier.invite

    def subscribe(self, expires, headers=()):
        return self.subscriber.request("SUBSCRIBE", headers=[("Event", self.package + ";id=me77"), ("Expires", expires), *headers])

    def answer(self, status=200, expires="600", headers=()):
        """The notifier's answer to the last SUBSCRIBE, as it reaches the subscriber."""
        self.notifier.reply(self.got, status, headers=[("Expires", expires), ("Contact", self.notifier.contact), *headers])
        answer = self.subscriber.expect(final("SUBSCRIBE"))
        check_answer(answer, self.sent)
        if answer.status < 300:
            self.subscriber.remote = answer["to"]
            self.subscriber.target = answer.contact_uri
        return answer

    def notify(self, state, body=b"", type_="application/simple-message-summary", status=200, notifier=None):
        """A NOTIFY through to the subscriber and its answer back; the NOTIFY as it arrived."""
        notifier = notifier or self.notifier
        mine = notifier.request("NOTIFY", body=body, content_type=type_, headers=[
            ("Event", self.package), ("Subscription-State", state), ("Contact", notifier.contact)])
        theirs = self.one.expect(lambda m: m.is_request and m.method == "NOTIFY" and m.call_id == self.subscriber.call_id)
        if not theirs.tag("from") in self.subscriber.remote:  # it makes the dialog
            self.subscriber.remote, self.subscriber.target = theirs["from"], theirs.contact_uri
        check_request(theirs, self.subscriber)
        assert theirs["event"] == self.package + ";id=me77"
        self.subscriber.reply(theirs, status)
        answer = notifier.expect(final("NOTIFY"))
        check_answer(answer, mine)
        assert answer.status == status
        return theirs

    def is_gone(self):
        """Neither side's dialog is known any more."""
        self.subscribe("60")
        assert self.subscriber.expect(final("SUBSCRIBE")).status == 481
        self.notifier.request("NOTIFY", headers=[("Event", self.package), ("Subscription-State", "active")])
        assert self.notifier.expect(final("NOTIFY")).status == 481

    def hidden(self):
        peer, pbx = [self.peer.host], [PBX]
        (peer if self.one is self.peer else pbx).append("me77")  # the subscriber's
        check_hidden((self.peer, peer), (self.pbx, pbx))


@pytest.mark.parametrize("way", ["in", "out"])
def test_the_whole_course_of_a_subscription(stack, way):
    pair = Pair(stack, way)
    assert pair.got["event"] == "message-summary" and pair.got["expires"] == "600" and pair.got["contact"]
    assert pair.got.call_id != pair.sent.call_id and pair.got.tag("from") != pair.sent.tag("from")
    answer = pair.answer(expires="300")
    assert answer["expires"] == "300" and (SBC_OUT4 if way == "in" else SBC_IN4) in answer["contact"]
    host = pair.other.host
    notify = pair.notify("active;expires=299", f"Messages-Waiting: yes\r\nMessage-Account: sip:1000@{host}\r\n"
                         f"Voice-Message: 1/2 (0/0)\r\nX-Where: {host}\r\n".encode())
    assert notify["subscription-state"] == "active;expires=299"
    assert notify.body == (f"Messages-Waiting: yes\r\nMessage-Account: sip:1000@{pair.to[0]}\r\n"
                           "Voice-Message: 1/2 (0/0)\r\n").encode()
    assert stack.sbc.show("status")["subscriptions"] == 1
    # Refresh, then the end.
    for expires in ("200", "0"):
        pair.sent = pair.subscribe(expires)
        before = number(pair.got)
        pair.got = pair.notifier.expect("SUBSCRIBE")
        check_request(pair.got, pair.notifier)
        assert number(pair.got) == before + 1 and pair.got["expires"] == expires
        assert pair.answer(expires=expires)["expires"] == expires
    assert pair.notify("terminated;reason=timeout")["subscription-state"] == "terminated;reason=timeout"
    pair.is_gone()
    assert stack.sbc.show("status")["subscriptions"] == 0
    pair.hidden()


def test_a_notify_that_is_faster_than_the_200(stack):
    pair = Pair(stack)
    pair.notify("pending;expires=600")
    tag = re.search(r";tag=([^;]+)", pair.subscriber.remote).group(1)
    assert pair.answer().tag("to") == tag
    pair.notify("active;expires=600")
    pair.hidden()


def test_a_fetch_is_over_with_its_notify(stack):
    pair = Pair(stack, expires="0")
    pair.notify("terminated;reason=timeout;retry-after=9")
    pair.answer(expires="0")
    pair.is_gone()
    pair.hidden()


def test_each_branch_of_a_subscribe_that_forks_is_a_dialog(stack):
    pair = Pair(stack, package="presence")
    pair.answer()
    pair.notify("active;expires=600")
    first = pair.subscriber.remote
    branch = copy.copy(pair.notifier)
    branch.local = f"{pair.got['to']};tag={token()}"
    branch.contact = f"<sip:branch@{pair.other.host}:{pair.other.port}>"
    pair.notify("active;expires=600", notifier=branch)
    assert pair.subscriber.remote != first
    # The subscriber refreshes the second, and ends it; the first goes on.
    pair.sent = pair.subscribe("0")
    got = branch.expect("SUBSCRIBE")
    check_request(got, branch)
    branch.reply(got, 200, headers=[("Expires", "0"), ("Contact", branch.contact)])
    check_answer(pair.subscriber.expect(final("SUBSCRIBE")), pair.sent)
    pair.notify("terminated;reason=timeout", notifier=branch)
    pair.subscriber.remote = first
    pair.notify("active;expires=500")
    pair.hidden()


def test_an_expiry_without_a_refresh_is_told_the_subscriber(stack):
    pair = Pair(stack, expires="1")
    pair.answer(expires="1")
    pair.notify("active;expires=1")
    last = pair.one.expect("NOTIFY", timeout=15)
    assert last["subscription-state"] == "terminated;reason=timeout" and last["event"].endswith(";id=me77")
    check_request(last, pair.subscriber)
    pair.subscriber.reply(last, 200)
    pair.is_gone()
    pair.hidden()


def test_without_any_notify_it_fails(stack):
    pair = Pair(stack)
    pair.answer()
    last = pair.one.expect("NOTIFY", timeout=15)
    assert last["subscription-state"] == "terminated;reason=timeout"
    pair.subscriber.reply(last, 200)
    pair.is_gone()


def test_481_to_a_notify_ends_both(stack):
    pair = Pair(stack)
    pair.answer()
    pair.notify("active", status=481)
    pair.is_gone()


def test_a_subscriber_that_does_not_answer_is_481_in_the_end(stack):
    pair = Pair(stack)
    pair.answer()
    pair.notifier.request("NOTIFY", headers=[("Event", "message-summary"), ("Subscription-State", "active"),
                                             ("Contact", pair.notifier.contact)])
    pair.one.expect("NOTIFY")
    assert pair.notifier.expect(final("NOTIFY"), timeout=15).status == 481
    assert pair.one.repeats > 2
    pair.is_gone()


@pytest.mark.parametrize("status, header, back", [
    (423, ("Min-Expires", "90"), 423), (489, ("Allow-Events", "presence"), 489), (481, ("X", "y"), 481), (404, ("X", "y"), 404),
    (302, ("Contact", "<sip:1000@10.0.0.77>"), 480), (405, ("Allow", "INVITE"), 501),
])
def test_what_the_notifier_refuses(stack, status, header, back):
    pair = Pair(stack)
    pair.notifier.reply(pair.got, status, headers=[header])
    answer = pair.subscriber.expect(final("SUBSCRIBE"))
    assert answer.status == (480 if status == 481 else back)
    check_answer(answer, pair.sent)
    assert status != 423 or answer["min-expires"] == "90"
    assert status != 489 or "message-summary" in answer["allow-events"]
    pair.hidden()


def test_a_package_that_is_not_relayed_is_489(stack):
    phone, pbx = stack.phone(), stack.pbx()
    mine = outside(phone, "1000", TO_ACCESS)
    mine.request("SUBSCRIBE", headers=[("Event", "conference")])
    answer = mine.expect(final("SUBSCRIBE"))
    assert answer.status == 489 and answer["allow-events"] == "message-summary, dialog, presence"
    assert pbx.received == []


def test_a_lost_answer_to_subscribe_is_repeated(stack):
    pair = Pair(stack)
    answer = pair.answer()
    pair.subscriber.endpoint.send(pair.sent.raw, pair.to)
    pair.one.ask(pair.to)
    assert [m.raw for m in pair.one.received].count(answer.raw) == 2
    assert not pair.other.pending(lambda m: m.method == "SUBSCRIBE")


def test_a_lamp_shows_a_call_of_the_pbx_and_nothing_of_the_inside(stack):
    pair = Pair(stack, package="dialog")
    pair.answer()
    body = f"""<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="partial" entity="sip:1000@{pair.other.host}">
<dialog id="77@{pair.other.host}" call-id="77@{pair.other.host}" local-tag="abc" remote-tag="def" direction="recipient">
<state>early</state>
<local><identity display="Bob">sip:1000@{pair.other.host}</identity><target uri="sip:1000@10.0.0.33:5062"/></local>
<remote><identity>sip:2000@10.0.0.34</identity></remote></dialog></dialog-info>""".encode()
    notify = pair.notify("active;expires=600", body, "application/dialog-info+xml")
    text = notify.body.decode()
    assert f'entity="sip:1000@{SBC_OUT4}"' in text and "<state>early</state>" in text and 'display="Bob"' in text
    assert f"<identity>sip:2000@{SBC_OUT4}</identity>" in text and "call-id" not in text and "10.0.0" not in text
    # What is not to be read does not cross; the state does.
    notify = pair.notify("active;expires=600", b"<!DOCTYPE x><dialog-info/>", "application/dialog-info+xml")
    assert notify.body == b"" and not notify["content-type"]
    pair.hidden()


def calls_on_all_shards(stack, pbx, carrier):
    """A call of the PBX on each of them: the keyed hash of its Call-ID decides, the tag we give it tells which."""
    calls = {}
    while len(calls) < 3:
        call = connected(stack, pbx, carrier, "9123")
        if calls.setdefault(tags(call.a)[1][:2], call) is not call:
            call.hang_up()
    return list(calls.values())


def test_the_dialogs_in_a_body_are_named_whichever_shard_has_them(stack):
    pair = Pair(stack, package="dialog")
    pair.answer()
    calls = calls_on_all_shards(stack, pair.pbx, stack.carrier())
    dialogs = "".join(
        f'<dialog id="{n}" call-id="{call.a.call_id}" local-tag="{tags(call.a)[0]}" remote-tag="{tags(call.a)[1]}" direction="initiator">'
        "<state>confirmed</state></dialog>" for n, call in enumerate(calls))
    body = (f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="full" entity="sip:1000@{pair.other.host}">'
            f"{dialogs}</dialog-info>").encode()
    names = [f'call-id="{call.b.call_id}" local-tag="{tags(call.b)[1]}" remote-tag="{tags(call.b)[0]}"' for call in calls]
    text = pair.notify("active;expires=600", body, "application/dialog-info+xml").body.decode()
    assert [text.count(name) for name in names] == [1, 1, 1], text
    # What comes behind one that waits stays behind it, and is answered.
    send = lambda version: pair.notifier.request("NOTIFY", body.replace(b'version="3"', b'version="%d"' % version), [
        ("Event", "dialog"), ("Subscription-State", "active;expires=600"), ("Contact", pair.notifier.contact)], content_type="application/dialog-info+xml")
    for version in range(4, 8):
        send(version)
    for version in range(4, 8):
        theirs = pair.one.expect(lambda m: m.is_request and m.method == "NOTIFY" and m.call_id == pair.subscriber.call_id)
        assert f'version="{version}"' in theirs.body.decode() and all(name in theirs.body.decode() for name in names)
        pair.subscriber.reply(theirs, 200)
        assert pair.notifier.expect(final("NOTIFY")).status == 200
    for call in calls:
        call.hang_up()
    # A dialog that is over has no name any more, wherever it was.
    text = pair.notify("terminated;reason=noresource", body.replace(b"confirmed", b"terminated"), "application/dialog-info+xml").body.decode()
    assert "call-id" not in text and text.count("<state>terminated</state>") == 3
    pair.hidden()
    no_calls_left(stack)
    pair.is_gone()
