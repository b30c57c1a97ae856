# SPDX-License-Identifier: BSD-3-Clause
"""How calls end other than by a plain BYE: why is said to both sides, in every state."""

import pytest

import attempts
import netns
import transfer
from attempts import TO_SBC, answer, finish, refuse, refused

from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = attempts.CONFIG
BY_DECISION = "Q.850;cause=31"


def start(stack, number="1000", port=5060):
    phone, pbx = stack.phone(), stack.pbx(port=port)
    a = phone.call(TO_SBC, number, sdp(phone.host, 30000))
    return phone, pbx, a, pbx.answerer()


def hangup(stack, *words):
    return stack.sbc.command("hangup", *words)


def only_call(stack):
    (row,) = stack.sbc.show("calls")["calls"]
    return row["id"]


def both_get_bye(a, b, reason, timeout=5):
    """BYE in each side's own dialog; each answers."""
    numbers = []
    for dialog in (a, b):
        bye = dialog.take_bye(timeout)
        assert bye["reason"] == reason and bye.tag("from") and bye.tag("to"), bye.raw
        numbers.append((bye.call_id, bye.branch))
    assert numbers[0][0] != numbers[1][0] and numbers[0][1] != numbers[1][1]


def test_a_call_that_is_too_long_ends_on_both_sides(stack):
    phone, pbx, a, b = start(stack, "5000", 5068)
    answer(a, b)
    both_get_bye(a, b, BY_DECISION, timeout=8)
    finish(stack, phone, pbx)


def test_an_established_call_is_hung_up_by_the_administrator(stack):
    phone, pbx, a, b = start(stack)
    answer(a, b)
    assert hangup(stack, only_call(stack)).stdout == "1 call hung up\n"
    both_get_bye(a, b, BY_DECISION)
    finish(stack, phone, pbx)
    assert "hung up by the administrator" in stack.sbc.log_path("controlplane").read_text()
    assert "calls hung up by command" in stack.sbc.log_path("mgmt").read_text()


def test_a_ringing_call_is_hung_up_by_the_administrator(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    hangup(stack, only_call(stack))
    assert refused(a, 480)["reason"] == BY_DECISION
    cancel = b.expect("CANCEL")
    assert cancel["reason"] == BY_DECISION and cancel.branch == b.invite.branch
    b.reply(cancel, 200)
    refuse(b, 487)
    finish(stack, phone, pbx)


def test_a_call_that_has_no_response_yet_is_hung_up_by_the_administrator(stack):
    phone, pbx, a, b = start(stack)
    hangup(stack, "all")
    refused(a, 480)
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))  # crossing
    b.expect("ACK")
    b.take_bye()
    finish(stack, phone, pbx)


def test_a_call_that_waits_for_the_callers_ack_is_hung_up_by_the_administrator(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    b.expect("ACK")
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    hangup(stack, "all")
    assert b.take_bye()["reason"] == BY_DECISION
    assert not phone.pending(lambda m: m.is_request)
    a.ack(ok)
    assert a.take_bye()["reason"] == BY_DECISION
    finish(stack, phone, pbx)


def test_a_callee_that_hangs_up_before_the_callers_ack_is_quoted_after_it(stack):
    phone, pbx, a, b = start(stack)
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    b.expect("ACK")
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    b.bye([("Reason", "Q.850;cause=16;text=\"of 10.0.0.5\"")])
    assert not phone.pending(lambda m: m.is_request)
    a.ack(ok)
    assert a.take_bye()["reason"] == "Q.850;cause=16"
    finish(stack, phone, pbx)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_call_that_is_being_changed_is_hung_up_by_the_administrator(stack, by):
    phone, pbx, a, b = start(stack)
    answer(a, b)
    one, other = (a, b) if by == "caller" else (b, a)
    one.request("INVITE", sdp(one.endpoint.host, 30010, direction="sendonly", version=2))
    offer = other.expect("INVITE")
    hangup(stack, "all")
    waits = one.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE")
    assert waits.status == 487
    one.ack(waits)
    both_get_bye(a, b, BY_DECISION)
    other.reply(offer, 487)
    other.expect("ACK")
    finish(stack, phone, pbx)


def test_a_call_on_hold_is_hung_up_by_the_administrator(stack):
    phone, pbx, a, b = start(stack)
    answer(a, b)
    a.request("INVITE", sdp(phone.host, 30010, direction="inactive", version=2))
    b.reply(b.expect("INVITE"), 200, "OK", sdp(pbx.host, 30002, direction="inactive", version=2))
    a.ack(a.expect(200))
    b.expect("ACK")
    hangup(stack, "all")
    both_get_bye(a, b, BY_DECISION)
    finish(stack, phone, pbx)


def test_a_call_whose_reliable_ringing_is_unacknowledged_is_hung_up_by_the_administrator(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000), headers=[("Supported", "100rel")])
    b = pbx.answerer()
    b.reply(b.invite, 183, "Progress", sdp(pbx.host, 30002), [("Require", "100rel"), ("RSeq", "7"), ("Contact", b.contact)])
    assert a.expect(183)["require"] == "100rel"
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))  # held back until the PRACK
    b.expect("ACK")
    hangup(stack, "all")
    assert refused(a, 480)["reason"] == BY_DECISION
    assert b.take_bye()["reason"] == BY_DECISION
    finish(stack, phone, pbx)


def test_a_transfer_under_way_is_hung_up_by_the_administrator_on_all_sides(stack):
    phone, pbx, a, b = start(stack)
    answer(a, b)
    transfer.refer(a, "<sip:1003@203.0.113.10>")
    assert transfer.final(a, "REFER").status == 202
    transfer.told(a, 100)
    c = pbx.answerer(match=lambda m: "1003" in m.uri)
    c.reply(c.invite, 180)
    transfer.told(a, 180)
    hangup(stack, "all")
    transfer.told(a, 487, ended=True)
    both_get_bye(a, b, BY_DECISION)
    cancel = c.expect("CANCEL")
    c.reply(cancel, 200)
    refuse(c, 487)
    finish(stack, phone, pbx)


REASONS = [("Reason", 'Q.850 ;cause=17 ;text="of 10.0.0.5"'), ("Reason", 'SIP;cause=600;text="elsewhere", X-10.0.0.5;cause=1')]


@pytest.mark.parametrize("from_caller", [True, False])
def test_reason_of_a_bye_crosses_without_its_words(stack, from_caller):
    phone, pbx, a, b = start(stack)
    answer(a, b)
    first, second = (a, b) if from_caller else (b, a)
    first.request("BYE", headers=REASONS)
    assert second.take_bye()["reason"] == "Q.850;cause=17, SIP;cause=600"
    first.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, pbx)


def test_reason_of_a_refusal_crosses_and_the_status_stays(stack):
    phone, pbx, a, b = start(stack)
    refuse(b, 486, [REASONS[0]])
    assert refused(a, 486)["reason"] == "Q.850;cause=17"
    finish(stack, phone, pbx)


def test_hangup_is_for_calls_that_are_there_and_for_a_realm(stack):
    phone, pbx, a, b = start(stack)
    answer(a, b)
    for words, status, text in ((["0-999999"], 1, "no such call"), (["nonsense"], 2, "show calls"), (["all", "realm"], 2, "realm NAME"),
                                (["all", "kingdom", "core"], 2, "realm NAME"), ([], 2, "missing CALL")):
        result = hangup(stack, *words)
        assert result.returncode == status and text in result.stderr, (words, result)
    assert hangup(stack, "all", "realm", "nowhere").stdout == "0 calls hung up\n"
    result = hangup(stack, "all", "realm", "core", "--json")
    assert '"hung-up": 1' in result.stdout and '"realm": "core"' in result.stdout
    both_get_bye(a, b, BY_DECISION)
    finish(stack, phone, pbx)


def test_many_calls_are_hung_up_at_once(stack):
    phone, pbx = stack.phone(), stack.pbx()
    calls = []
    for n in range(300):
        a = phone.call(TO_SBC, str(1000 + n), sdp(phone.host, 30000))
        b = pbx.answerer(match=lambda m, n=n: f"sip:{1000 + n}@" in m.uri)
        b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
        b.expect("ACK")
        a.ack(a.expect(lambda m: m.status == 200 and m.method == "INVITE"))
        calls += [a, b]
    phone.ask(TO_SBC)
    assert hangup(stack, "all").stdout == "300 calls hung up\n"
    for dialog in calls:
        dialog.take_bye(timeout=20)
    netns.wait_for("no calls", lambda: not stack.sbc.show("calls")["calls"], 10)
