# SPDX-License-Identifier: BSD-3-Clause
"""Kamailio as the proxy behind the SBC and as the one in front of it, both on UDP and both on TCP: route sets in both directions, telephones that it makes
ring at once, what it redirects and refuses. It refuses requests of a dialog that have no Route of its own."""

import pytest

import test_loss_flows as flows
from conftest import SBC_IN4, SBC_OUT4, Stack
from kamailio import Kamailio
from scene import SETTINGS, T1, Scene, Users, failed, nothing_left, perform
from user_agent import UserAgent
from user_leg import Leg

PROXY, PEER = "10.0.0.100", "203.0.113.101"
REMOTE = "203.0.113.100:5071"
ROUTES = """
session-agent proxy { realm = core  address = "%s:10.0.0.100:5060" }
local-policy to-proxy { from-realm = access  to = "^7[0-9]+$"  next-hop = "agent:proxy"  priority = 1 }
"""
FLOWS = [flows.a_call, flows.a_call_ended_by_the_callee, flows.both_hang_up, flows.delayed_offer, flows.a_reliable_answer,
         flows.an_offer_in_a_reliable_response, flows.update_in_an_early_dialog, flows.update_in_a_call, flows.hold_and_resume,
         flows.a_refused_change, flows.a_cancelled_call, flows.cancel_and_answer_at_once, flows.a_refused_call, flows.digits_and_questions]


@pytest.fixture(scope="module", params=["udp", "tcp"])
def module_stack(request):
    stack = Stack()
    stack.more = SETTINGS.replace(f'"udp:{PEER}:5060"', f'"{request.param}:{PEER}:5060"') + ROUTES % request.param

    def change(text):
        for host in (SBC_IN4, SBC_OUT4):
            text = text.replace(f'"udp:{host}:5060"', f'"udp:{host}:5060", "tcp:{host}:5060"')
        return text

    stack.change = change
    proxies = []
    try:
        stack.start("packet")
        proxies.append(Kamailio(stack.lab, "inside", PROXY, "10.0.0.5:5071", "10.0.0.5:5072", SBC_IN4, "^71", request.param))
        proxies.append(Kamailio(stack.lab, "outside", PEER, REMOTE, REMOTE, SBC_OUT4, "^8", request.param))
        stack.transport = request.param
        yield stack
    finally:
        for proxy in proxies:
            proxy.close()
        stack.down()


class Behind(Users):
    """Two telephones behind the proxy, one behind the peer's proxy."""

    def __init__(self, stack):
        super().__init__(stack)
        at = lambda name, port: UserAgent(name, "inside", stack.lab.namespace("pbx"), "10.0.0.5", (PROXY, 5060), T1, port)
        self.desk, self.office = at("desk", 5071), at("office", 5072)
        self.remote = UserAgent("remote", "outside", stack.lab.namespace("outside"), "203.0.113.100", (PEER, 5060), T1, 5071)
        self.stack = stack

    def __iter__(self):  # the partner's address is the other proxy's
        return iter((self.phone, self.carrier, self.pbx, self.desk, self.office, self.remote))


class Proxied(Scene):
    """digits: what the proxy does with the number."""

    def __init__(self, users, index, digits="71", name="", outward=False, outer=False):
        super().__init__(users, index, name=name, outward=outward)
        self.one, self.other = (users.desk, users.carrier) if outward else (users.phone, users.desk)
        if outer:
            self.one, self.other = (users.desk, users.remote) if outward else (users.remote, users.desk)
        self.number = f"{digits}{index:05}"


def run(stack, *scenes):
    """(flow, keywords of Proxied) each; all at once."""
    done = perform(stack, lambda users: [Proxied(users, i, name=flow.__name__, **kwargs).play(flow) for i, (flow, kwargs) in enumerate(scenes)],
                   users=Behind)
    bad = failed(done)
    assert not bad, "\n".join(s.report() for s in bad[:3])
    nothing_left(stack)


def test_every_flow_through_a_proxy_that_stays_in_the_path(stack):
    run(stack, *((flow, {}) for flow in FLOWS))


def test_every_flow_from_behind_the_proxy(stack):
    run(stack, *((flow, {"digits": "9", "outward": True}) for flow in FLOWS))


def test_every_flow_between_two_proxies(stack):
    run(stack, *((flow, {"digits": digits, "outward": outward, "outer": True})
                 for flow in FLOWS for digits, outward in (("71", False), ("8", True))))


def test_two_telephones_ring_and_one_answers(stack):
    async def flow(scene):
        first = scene.answering()
        second = scene.answering(scene.users.office)
        calling = scene.calling(headers=[flows.KNOWN])
        await scene.until(lambda: first.legs and second.legs, "both ring")
        (one,), (other,) = first.legs, second.legs
        one.ring(180)
        other.ring(183, described=True, reliable=other.reliably)
        await scene.until(lambda: len(calling.legs) == 2 and not other.prack_due, "two early dialogs")
        other.pick_up()
        a, b = await scene.connected(calling, other)
        await scene.until(lambda: one.state == "ended", "the CANCEL at the other telephone")
        assert one.why == "says 487"
        await flows.changed(scene, a, b, lambda: a.reinvite(a.describe("sendonly")))
        await scene.hung_up(a, b, by=1)

    run(stack, (flow, {"digits": "72"}))


def test_two_telephones_ring_and_the_caller_gives_up(stack):
    async def flow(scene):
        first, second = scene.answering(), scene.answering(scene.users.office)
        calling = scene.calling()
        await scene.until(lambda: first.legs and second.legs, "both ring")
        for leg in (*first.legs, *second.legs):
            leg.ring(180)
        await scene.until(lambda: len(calling.legs) == 2, "two early dialogs")
        calling.cancel()
        await scene.until(lambda: calling.final is not None, "the end of the INVITE")
        assert calling.final.status == 487
        await scene.ended(*first.legs, *second.legs)

    run(stack, (flow, {"digits": "72"}))


def test_two_telephones_answer_at_once(stack):
    """The proxy passes on both answers; one of them is the call, the other is hung up."""
    async def flow(scene):
        first, second = scene.answering(), scene.answering(scene.users.office)
        calling = scene.calling()
        await scene.until(lambda: first.legs and second.legs, "both ring")
        for leg in (*first.legs, *second.legs):
            leg.pick_up()
        await scene.until(lambda: calling.winner and calling.winner.is_free, "the answer")
        both = [*first.legs, *second.legs]
        await scene.until(lambda: sum(leg.state == "confirmed" for leg in both) == 1 and not any(leg.ok for leg in both), "one of two")
        (b,) = [leg for leg in both if leg.state == "confirmed"]
        await scene.hung_up(calling.winner, b)

    run(stack, (flow, {"digits": "72"}))


def test_a_redirection_of_the_proxy_is_followed(stack):
    async def flow(scene):
        answering = scene.answering(number=f"71{scene.index:05}")
        calling = scene.calling()
        await scene.until(lambda: answering.legs, "the INVITE where the redirection leads")
        (b,) = answering.legs
        b.pick_up()
        await scene.hung_up(*await scene.connected(calling, b))

    run(stack, (flow, {"digits": "73"}))


@pytest.mark.parametrize("digits, status", [("74", 483), ("75", 482)], ids=["too many hops", "a loop"])
def test_a_refusal_of_the_proxy_reaches_the_caller(stack, digits, status):
    async def flow(scene):
        calling = scene.calling()
        await scene.until(lambda: calling.final is not None, "the refusal", 30)
        assert calling.final.status == status

    run(stack, (flow, {"digits": digits}))


def test_route_sets_are_those_of_each_side(stack):
    """The caller behind a proxy and the callee behind another one: each leg has the Record-Routes of its side, and no other's."""
    async def flow(scene):
        answering = scene.answering()
        calling = scene.calling()
        await scene.until(lambda: answering.legs, "the INVITE behind the other proxy")
        (b,) = answering.legs
        assert b.invite.request["x-came-by"] == stack.transport
        b.pick_up()
        a, b = await scene.connected(calling, b)
        assert b.routes and all(PEER in route for route in b.routes)
        assert a.routes and all(PROXY in route for route in a.routes)
        await flows.changed(scene, a, b, lambda: b.reinvite(b.describe("sendonly")), by=1)
        await scene.hung_up(a, b)

    run(stack, (flow, {"digits": "8", "outward": True, "outer": True}))


def test_a_long_invite_goes_to_the_proxy_by_tcp(stack, monkeypatch):
    """RFC 3261 section 18.1.1: longer than 1,300 bytes; what comes back by UDP is the same call."""
    describe = Leg.describe
    padding = b"".join(b"a=rtpmap:%d opus/48000/2\r\n" % n for n in range(102, 127))
    lengthen = lambda body: body.replace(b"RTP/AVP 0 101", b"RTP/AVP 0 101 " + b" ".join(b"%d" % n for n in range(102, 127))) + padding
    monkeypatch.setattr(Leg, "describe", lambda leg, *a, **k: lengthen(describe(leg, *a, **k)) if leg.agent.name == "phone" else describe(leg, *a, **k))

    async def flow(scene):
        calling, b = await scene.begun()
        assert len(b.invite.request.raw) > 1300 and b.invite.request["x-came-by"] == "tcp"
        b.ring(180)
        b.pick_up()
        a, b = await scene.connected(calling, b)
        await scene.hung_up(a, b, by=1)

    run(stack, (flow, {}))
