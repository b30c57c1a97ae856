# SPDX-License-Identifier: BSD-3-Clause
"""Every call flow where messages are lost: each message in turn, and any of them by chance. Both users end in the same state, every
transaction has one final response, and the SBC has nothing left."""

import asyncio
import subprocess
import urllib.parse

import pytest

import netns
from scene import SETTINGS, T1, Scene, failed, nothing_left, perform
from sip import token
from user_leg import Leg, Manners, dialog_tag, direction

GUARD = SETTINGS
KNOWN = ("Supported", "100rel")
COPIES = 6  # of each flow, where chance decides


# --- flows: each ends with all legs ended ---


async def a_call(scene):
    await scene.hung_up(*await scene.talking())


async def a_call_ended_by_the_callee(scene):
    await scene.hung_up(*await scene.talking(), by=1)


async def both_hang_up(scene):
    a, b = await scene.talking()
    a.bye()
    b.bye()
    await scene.ended(a, b)


async def delayed_offer(scene):
    a, b = await scene.talking(offer=False)
    assert a.mine and b.mine and direction(a.theirs) == direction(b.mine)
    await scene.hung_up(a, b)


async def a_reliable_answer(scene):
    calling, b = await scene.begun(headers=[KNOWN])
    b.ring(183, described=True, reliable=True)
    b.ring(180, reliable=True)
    b.pick_up()
    await scene.hung_up(*await scene.connected(calling, b))


async def an_offer_in_a_reliable_response(scene):
    calling, b = await scene.begun(headers=[KNOWN], offer=False)
    b.ring(183, reliable=True)
    b.pick_up()
    a, b = await scene.connected(calling, b)
    assert a.mine and b.mine
    await scene.hung_up(a, b)


async def reliable_on_the_callees_side_alone(scene):
    calling, b = await scene.begun()
    if b.reliably:
        b.ring(183, described=True, reliable=True)
    b.ring(180)
    b.pick_up()
    await scene.hung_up(*await scene.connected(calling, b))


async def reliable_on_the_callers_side_alone(scene):
    calling, b = await scene.begun(headers=[("Require", "100rel")])
    b.ring(183, described=True)
    b.ring(180)
    b.pick_up()
    await scene.hung_up(*await scene.connected(calling, b))


async def asked(scene, leg, request):
    """request() sends an offer or REFER of leg's; it is sent again when it has met an offer, or was too early (RFC 3261 sections 14.1 and 14.2).
    The status that it has in the end."""
    while True:
        seen = len(leg.finals)
        request()
        await scene.until(lambda: leg.is_free and len(leg.finals) > seen, "the answer to an offer")
        status = leg.finals[-1][1]
        if status not in (491, 500):
            return status
        await asyncio.sleep(3 * T1)


async def changed(scene, a, b, request, by=0):
    assert await asked(scene, (a, b)[by], request) == 200
    await scene.until(lambda: a.is_free and b.is_free, "the change at both")
    assert direction(a.theirs) == direction(b.mine) and direction(b.theirs) == direction(a.mine)


async def update_in_an_early_dialog(scene):
    calling, b = await scene.begun(headers=[KNOWN])
    b.ring(183, described=True, reliable=True)
    await scene.until(lambda: not b.prack_due and calling.legs and all(leg.mine for leg in calling.legs.values()), "the PRACK")
    (a,) = calling.legs.values()
    await scene.until(lambda: ("PRACK", 200) in a.finals, "the PRACK's 200")
    await changed(scene, a, b, lambda: a.update(a.describe("sendonly")))
    await changed(scene, a, b, lambda: b.update(b.describe("sendrecv")), by=1)
    b.pick_up()
    await scene.hung_up(*await scene.connected(calling, b))


async def update_in_a_call(scene):
    a, b = await scene.talking()
    await changed(scene, a, b, lambda: a.update(a.describe("sendonly")))
    await changed(scene, a, b, lambda: b.update(b.describe("inactive")), by=1)
    await scene.hung_up(a, b)


async def hold_and_resume(scene):
    a, b = await scene.talking()
    await changed(scene, a, b, lambda: a.reinvite(a.describe("sendonly")))
    await changed(scene, a, b, lambda: a.reinvite(a.describe("sendrecv")))
    await changed(scene, a, b, lambda: b.reinvite(b.describe("inactive")), by=1)
    await scene.hung_up(a, b, by=1)


async def a_change_asked_for_without_an_offer(scene):
    a, b = await scene.talking()
    a.manners.direction = lambda leg, offered: "sendonly" if leg is a else "recvonly"
    await changed(scene, a, b, lambda: a.reinvite())
    assert direction(a.mine) == "sendonly" and direction(b.theirs) == "sendonly"
    await scene.hung_up(a, b)


async def a_refused_change(scene):
    a, b = await scene.talking()
    b.manners.offered = lambda leg, server: 488
    before = (a.mine, a.theirs, b.mine, b.theirs)
    assert await asked(scene, a, lambda: a.reinvite(a.describe("inactive"))) == 488
    assert before == (a.mine, a.theirs, b.mine, b.theirs)
    await scene.hung_up(a, b)


async def a_change_and_its_end_at_once(scene):
    """BYE follows the other side's ACK: the answer to a change is still due to who has asked."""
    a, b = await scene.talking()
    a.reinvite(a.describe("sendonly"))
    await scene.until(lambda: b.mine and direction(b.mine) == "recvonly" and b.is_free, "the change at the callee")
    await scene.hung_up(b, a)
    await scene.until(lambda: a.finals, "the answer to the change")


async def a_cancelled_call(scene):
    calling, b = await scene.begun()
    b.ring(180)
    await scene.until(lambda: calling.transaction.state == "proceeding", "a provisional response")
    calling.cancel()
    await scene.until(lambda: calling.final, "the end of the INVITE")
    await scene.until(lambda: b.state == "ended", "the CANCEL at the callee")
    assert calling.final.status == 487 and b.why == "says 487"


async def cancel_and_answer_at_once(scene):
    calling, b = await scene.begun()
    b.ring(180)
    await scene.until(lambda: calling.transaction.state == "proceeding", "a provisional response")
    calling.cancel()
    b.pick_up()
    await scene.until(lambda: calling.final, "the end of the INVITE")
    await scene.ended(b, *calling.legs.values())


async def a_refused_call(scene):
    calling, b = await scene.begun()
    b.refuse(486)
    await scene.until(lambda: calling.final, "the refusal")
    assert calling.final.status == 486


async def forked(scene):
    answering = scene.answering()
    calling = scene.calling(headers=[KNOWN])
    first = await scene.until(lambda: answering.legs and answering.legs[0], "the INVITE at the callee")
    second = answering.branch(first.invite)
    first.ring(180)
    second.ring(183, described=True, reliable=True)
    second.pick_up()
    a, b = await scene.connected(calling, second)
    first.end("another branch has answered")
    await scene.hung_up(a, b)


async def digits_and_questions(scene):
    a, b = await scene.talking()
    info = lambda leg: leg.ask("INFO", b"Signal=5\r\nDuration=160\r\n", content_type="application/dtmf-relay")
    for request in (info, lambda leg: leg.ask("OPTIONS")):
        for leg in (a, b):
            leg.finals.clear()
            request(leg)
        await scene.until(lambda: [leg.finals and leg.finals[-1][1] for leg in (a, b)] == [200, 200], "both answers")
    assert len([m for m in b.log if m.method == "INFO"]) == 1 == len([m for m in a.log if m.method == "INFO"])
    await scene.hung_up(a, b)


def notified(leg, *words):
    """The last NOTIFY has these words."""
    notifies = [m for m in leg.log if m.method == "NOTIFY"]
    return notifies and all(word in notifies[-1].raw for word in words)


def name_of(leg):
    """Its dialog, as the other side of it is told (RFC 3891 section 3)."""
    return f"{leg.call_id};to-tag={dialog_tag(leg.remote)};from-tag={dialog_tag(leg.local)}"


async def refer(scene, leg, number, replaced=None):
    headers = f"?Replaces={urllib.parse.quote(name_of(replaced), safe='')}" if replaced else ""
    request = lambda: leg.ask("REFER", headers=[("Refer-To", f"<sip:{number}@{leg.agent.sbc[0]}{headers}>")])
    assert await asked(scene, leg, request) == 202


async def joined(scene, b, c, *gone):
    """The others are out of it, these two are in one call."""
    await scene.until(lambda: all(leg.state == "ended" for leg in gone) and b.is_free and c.is_free and b.state == c.state == "confirmed",
                      "the new call")
    assert direction(b.theirs) == direction(c.mine) and direction(c.theirs) == direction(b.mine)
    await scene.hung_up(c, b)


async def a_transfer_that_the_sbc_carries_out(scene):
    a, b = await scene.talking()
    third = scene.answering(scene.other, scene.third, then=lambda leg: (leg.ring(180), leg.pick_up()))
    await refer(scene, a, scene.third)
    await scene.until(lambda: notified(a, b"SIP/2.0 200", b"terminated"), "the NOTIFY of 200")
    (c,) = third.legs
    a.bye("has transferred")
    await joined(scene, b, c, a)


async def a_question_of_the_new_party_before_its_ack(scene):
    """Its dialog is there, if the other party's is not yet."""
    a, b = await scene.talking()
    b.manners.pause = lambda leg, what: 3 * T1 if leg is b else 0
    third = scene.answering(scene.other, scene.third, then=lambda leg: (leg.pick_up(), leg.ask("INFO", b"Signal=5\r\nDuration=160\r\n",
                                                                                              content_type="application/dtmf-relay")))
    await refer(scene, a, scene.third)
    await scene.until(lambda: third.legs and third.legs[0].finals, "the answer to INFO")
    assert third.legs[0].finals != [("INFO", 481)]
    await scene.until(lambda: notified(a, b"SIP/2.0 200", b"terminated"), "the NOTIFY of 200")
    (c,) = third.legs
    a.bye("has transferred")
    await joined(scene, b, c, a)


async def a_transfer_that_fails(scene):
    a, b = await scene.talking()
    scene.answering(scene.other, scene.third, then=lambda leg: leg.refuse(486))
    before = (a.mine, a.theirs, b.mine, b.theirs)
    await refer(scene, a, scene.third)
    await scene.until(lambda: notified(a, b"SIP/2.0 486", b"terminated"), "the NOTIFY of 486")
    assert before == (a.mine, a.theirs, b.mine, b.theirs)
    await scene.hung_up(a, b)


async def consulted(scene, number, agent=None, to=None):
    """A second call of the caller: his leg and the other one."""
    answering = scene.answering(to, number, then=lambda leg: leg.pick_up())
    calling = scene.calling(agent, number)
    await scene.until(lambda: answering.legs, "the INVITE of the second call")
    return await scene.connected(calling, answering.legs[0])


async def an_attended_transfer_that_the_sbc_carries_out(scene):
    a, b = await scene.talking()
    second, c = await consulted(scene, scene.third)
    await refer(scene, a, scene.third, second)
    await scene.until(lambda: notified(a, b"SIP/2.0 200", b"terminated"), "the NOTIFY of 200")
    a.bye("has transferred")
    await joined(scene, b, c, a, second)


async def an_attended_transfer_that_fails(scene):
    """The party that was asked before says no to the other one: both calls go on."""
    a, b = await scene.talking()
    second, c = await consulted(scene, scene.third)
    b.manners.offered = lambda leg, server: 488
    await refer(scene, a, scene.third, second)
    await scene.until(lambda: notified(a, b"SIP/2.0 488", b"terminated"), "the NOTIFY of 488")
    await scene.until(lambda: c.is_free and second.is_free, "the description as it was")
    for one, other in ((a, b), (second, c)):
        assert direction(one.theirs) == direction(other.mine) and direction(other.theirs) == direction(one.mine)
        await scene.hung_up(one, other)


async def a_call_that_another_takes(scene):
    """INVITE with Replaces, carried out by the SBC."""
    a, b = await scene.talking()
    while True:
        taking = scene.calling(headers=[("Require", "replaces"), ("Replaces", name_of(a))])
        await scene.until(lambda: taking.final, "the answer to Replaces")
        if taking.final.status != 491:  # the ACK of the call is on its way
            break
        await asyncio.sleep(3 * T1)
    await scene.until(lambda: taking.winner and taking.winner.is_free, "the call that was taken")
    await joined(scene, b, taking.winner, a)


async def a_call_that_another_takes_at_who_knows_replaces(scene):
    """The same, by the callee."""
    a, b = await scene.talking()
    b.ask("UPDATE", headers=[("Supported", "replaces")])
    await scene.until(lambda: b.finals, "the answer to UPDATE")
    again = scene.answering(then=lambda leg: (leg.pick_up(), b.bye("is replaced")))
    taking = scene.calling(headers=[("Require", "replaces"), ("Replaces", name_of(a))])
    await scene.until(lambda: again.legs, "the INVITE with Replaces")
    assert again.legs[0].invite.request["replaces"] == f"{b.call_id};to-tag={dialog_tag(b.local)};from-tag={dialog_tag(b.remote)}"
    await joined(scene, *await scene.connected(taking, again.legs[0]), a, b)


async def a_ringing_call_that_another_takes(scene):
    calling, b = await scene.begun()
    while not calling.legs:  # it is not repeated, and nobody knows of the dialog without it
        b.ring(180)
        await asyncio.sleep(T1)
    taking = scene.calling(scene.other, scene.third, headers=[("Require", "replaces"), ("Replaces", name_of(b))])
    await scene.until(lambda: taking.winner and calling.winner and taking.winner.is_free and calling.winner.is_free, "the pick-up")
    await joined(scene, taking.winner, calling.winner, b)


class Referred(Manners):
    """Calls whom he is told to, and says how that went; or joins the two who are with him already."""

    def __init__(self, scene):
        self.scene, self.calling, self.consulted = scene, None, None

    def referred(self, leg, server):
        leg.reply(server, 202)
        user, _, name = server.request["refer-to"].strip("<>").partition(":")[2].partition("?")
        if self.consulted:
            other = self.consulted
            assert urllib.parse.unquote(name) == f"Replaces={other.call_id};to-tag={dialog_tag(other.local)};from-tag={dialog_tag(other.remote)}"
            other.bye("is replaced")
        else:
            self.calling = self.scene.calling(leg.agent, user.partition("@")[0])
        event = ("Event", f"refer;id={server.request['cseq'].split()[0]}")
        leg.ask("NOTIFY", b"SIP/2.0 100 Trying\r\n", [event, ("Subscription-State", "active;expires=60")], "message/sipfrag", then=lambda _: (
            leg.ask("NOTIFY", b"SIP/2.0 200 OK\r\n", [event, ("Subscription-State", "terminated;reason=noresource")], "message/sipfrag")))
        return True


async def partners(scene):
    """A call of the PBX to the partner."""
    manners = Referred(scene)
    number = f"8{scene.index:05}"
    answering = scene.answering(scene.users.partner, number, manners, then=lambda leg: leg.pick_up())
    calling = scene.calling(scene.users.pbx, number)
    await scene.until(lambda: answering.legs, "the INVITE at the partner")
    return manners, *await scene.connected(calling, answering.legs[0])


async def a_transfer_that_is_relayed(scene):
    manners, a, b = await partners(scene)
    third = scene.answering(scene.users.pbx, scene.inside, then=lambda leg: (leg.ring(180), leg.pick_up()))
    await refer(scene, a, scene.inside)
    await scene.until(lambda: notified(a, b"SIP/2.0 200", b"terminated"), "the NOTIFY of 200")
    await scene.until(lambda: b.finals.count(("NOTIFY", 200)) == 2, "the answers to NOTIFY")
    await scene.hung_up(a, b)
    await scene.until(lambda: third.legs, "the INVITE of who was referred")
    await scene.hung_up(*await scene.connected(manners.calling, third.legs[0]))


async def an_attended_transfer_that_is_relayed(scene):
    """Both parties are the same PBX's, which needs no call between them."""
    manners, a, b = await partners(scene)
    second, manners.consulted = await consulted(scene, f"88{scene.index:05}", scene.users.pbx, scene.users.partner)
    await refer(scene, a, f"88{scene.index:05}", second)
    await scene.until(lambda: notified(a, b"SIP/2.0 200", b"terminated"), "the NOTIFY of 200")
    await scene.until(lambda: b.finals.count(("NOTIFY", 200)) == 2, "the answers to NOTIFY")
    await scene.ended(second, manners.consulted)
    await scene.hung_up(a, b)


async def a_session_timers_refresh(scene):
    _, a, b = await partners(scene)
    await scene.until(lambda: [m for m in b.log if m.method in ("UPDATE", "INVITE")], "the refresh")
    await scene.hung_up(a, b)


async def a_subscription(scene):
    package, text = ("Event", "message-summary"), b"Messages-Waiting: yes\r\n"
    notifiers = []

    def subscribed(server):
        leg = Leg(scene.other, scene.wire, None, Manners(), 40000)
        leg.begin(server, token())
        leg.take_subscribe = lambda again: leg.reply(again, 200, headers=[("Expires", again.request["expires"])])
        leg.take_subscribe(server)
        notifiers.append(leg)

    scene.other.numbers[scene.number] = (scene.wire, subscribed)
    one = Leg(scene.one, scene.wire, token(20), Manners(), 30000)
    one.local, one.remote = f"<sip:alice@{scene.one.host}>;tag={token()}", f"<sip:{scene.number}@{scene.one.sbc[0]}>"
    one.target = f"sip:{scene.number}@{scene.one.sbc[0]}"
    one.named(dialog_tag(one.local))
    for expires, state in (("600", "active;expires=600"), ("0", "terminated;reason=timeout")):
        asked = len(one.finals)
        request = one.ask("SUBSCRIBE", headers=[package, ("Expires", expires)])
        await scene.until(lambda: len(one.finals) > asked, "the answer to SUBSCRIBE")
        assert one.finals[-1] == ("SUBSCRIBE", 200)
        if expires != "0":
            one.remote, one.target = request.final["to"], request.final.contact_uri
        (other,) = notifiers
        asked = len(other.finals)
        other.ask("NOTIFY", text, [package, ("Subscription-State", state)], "application/simple-message-summary")
        await scene.until(lambda: len(other.finals) > asked, "the answer to NOTIFY")
        assert other.finals[-1] == ("NOTIFY", 200) and notified(one, text, state.partition(";")[0].encode())
    for leg in (one, other):
        leg.end("unsubscribed")


FLOWS = [
    a_call, a_call_ended_by_the_callee, both_hang_up, delayed_offer, a_reliable_answer, an_offer_in_a_reliable_response,
    reliable_on_the_callees_side_alone, reliable_on_the_callers_side_alone, update_in_an_early_dialog, update_in_a_call, hold_and_resume,
    a_change_asked_for_without_an_offer, a_refused_change, a_change_and_its_end_at_once, a_cancelled_call, cancel_and_answer_at_once, a_refused_call, forked,
    digits_and_questions, a_transfer_that_the_sbc_carries_out, a_transfer_that_fails, a_transfer_that_is_relayed,
    an_attended_transfer_that_the_sbc_carries_out, an_attended_transfer_that_fails, an_attended_transfer_that_is_relayed,
    a_call_that_another_takes, a_call_that_another_takes_at_who_knows_replaces, a_ringing_call_that_another_takes, a_session_timers_refresh,
    a_subscription,
]


def check(stack, scenes):
    bad = failed(scenes)
    assert not bad, f"{len(bad)} of {len(scenes)} scenes: {[s.name for s in bad]}\n" + "\n".join(s.report() for s in bad[:3])
    nothing_left(stack)


@pytest.mark.parametrize("outward", [False, True], ids=["inward", "outward"])
def test_any_one_message_of_any_flow_may_be_lost(stack, outward):
    undisturbed = perform(stack, lambda users: [
        Scene(users, i, outward=outward, name=flow.__name__).play(flow) for i, flow in enumerate(FLOWS)])
    check(stack, undisturbed)
    lose = lambda lost: lambda number, message: number == lost
    # Repetitions of what waits for a lost message make some more.
    variants = [(flow, n) for flow, scene in zip(FLOWS, undisturbed) for n in range(1, scene.wire.count + 5)]
    scenes = perform(stack, lambda users: [
        Scene(users, i, lose(n), outward, f"{flow.__name__} without message {n}").play(flow) for i, (flow, n) in enumerate(variants)])
    check(stack, scenes)
    assert sum(scene.wire.lost for scene in scenes) >= 0.8 * sum(scene.wire.count for scene in undisturbed)


def test_a_transfers_new_party_keeps_its_dialog_while_it_waits_for_the_ack(stack):
    flow = a_question_of_the_new_party_before_its_ack
    check(stack, perform(stack, lambda users: [Scene(users, 0, name=flow.__name__).play(flow)]))


def test_a_referrer_hears_of_the_success_before_he_is_hung_up(stack):
    """His NOTIFYs are late by more than T2."""
    lost = []

    def lose(number, message):
        if message.is_request and message.method == "NOTIFY" and len(lost) < 6:
            lost.append(message)
            return True
        return False

    check(stack, perform(stack, lambda users: [Scene(users, 0, lose, name="late NOTIFY").play(a_transfer_that_the_sbc_carries_out)]))
    assert len(lost) == 6


@pytest.fixture
def lossy(stack):
    """The bridges on both sides drop a tenth of their UDP packets, each way."""
    rules = """table bridge loss {
        chain forward {
            type filter hook forward priority 0
            meta l4proto udp numgen random mod 100 < 10 drop
        }
    }"""
    nodes = [stack.lab.namespace(node) for node in ("outside", "inside")]
    for node in nodes:
        subprocess.run(["ip", "netns", "exec", node, "nft", "-f", "-"], input=rules, text=True, check=True)
    yield
    for node in nodes:
        netns.run(node, ["nft", "delete", "table", "bridge", "loss"], check=True)


@pytest.mark.usefixtures("lossy")
def test_a_tenth_of_all_messages_may_be_lost(stack):
    scenes = perform(stack, lambda users: [
        Scene(users, 1000 + i * COPIES + n, name=flow.__name__).play(flow) for i, flow in enumerate(FLOWS) for n in range(COPIES)])
    check(stack, scenes)
