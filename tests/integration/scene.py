# SPDX-License-Identifier: BSD-3-Clause
"""Scenes: calls of users who repeat what is lost, many at once through one SBC, each with a wire of its own; and how every one must end."""

import asyncio
import traceback

import netns
from conftest import SBC_IN4, SBC_OUT4
from user_agent import UserAgent, Wire
from user_leg import Answering, Calling, Manners

T1 = 0.1
# The SBC's timers are the users'. All of them come from few addresses.
SETTINGS = """
guard { untrusted-rate = 100000  untrusted-burst = 100000  untrusted-class-rate = 0 }
sip-config { t1 = 100ms  t2 = 800ms  t4 = 1s  timer-d = 6400ms  min-session-timer = 8 }
ip-profile partner { nat = never  latching = fixed  transfer = relay  session-timer = 8 }
session-agent partner { realm = access  address = "udp:203.0.113.101:5060"  ip-profile = partner }
local-policy to-partner { from-realm = core  to = "^8[0-9]+$"  next-hop = "agent:partner"  priority = 5 }
"""
NETWORKS = {"outside": ("10.0.0.",), "inside": ("192.168.77.", "203.0.113.")}
PATIENCE = 64 * T1 * 2


class Users:
    """The agents of a lab. Ports of media are only names here: a scene has some of its own."""

    def __init__(self, stack):
        at = lambda name, side, node, host, sbc: UserAgent(name, side, stack.lab.namespace(node), host, (sbc, 5060), T1)
        self.phone = at("phone", "outside", "phone", "192.168.77.2", SBC_OUT4)
        self.carrier = at("carrier", "outside", "outside", "203.0.113.100", SBC_OUT4)
        self.partner = at("partner", "outside", "outside", "203.0.113.101", SBC_OUT4)  # told of transfers, asked whether he is there
        self.pbx = at("pbx", "inside", "pbx", "10.0.0.5", SBC_IN4)

    def __iter__(self):
        return iter((self.phone, self.carrier, self.partner, self.pbx))

    async def open(self):
        for agent in self:
            await agent.open()
        return self

    def close(self):
        for agent in self:
            agent.close()


class Scene:
    """What a flow may use. outward: the PBX calls the carrier; else the phone calls the PBX. third: the
    number of another user where the callee is; inside: of one at the PBX."""

    def __init__(self, users, index, lose=lambda number, message: False, outward=False, name=""):
        self.users, self.index, self.name = users, index, name
        self.wire = Wire(lose)
        self.one, self.other = (users.pbx, users.carrier) if outward else (users.phone, users.pbx)
        self.number, self.third = (f"90{index:05}", f"91{index:05}") if outward else (f"1{index:05}", f"2{index:05}")
        self.inside = f"3{index:05}"
        self.outward = outward
        self.legs = []

    def calling(self, agent=None, number=None, manners=None, **kwargs):
        calling = Calling(agent or self.one, self.wire, number or self.number, manners or Manners(), 30000, **kwargs)
        self.legs.append(calling)
        return calling

    def answering(self, agent=None, number=None, manners=None, then=None):
        answering = Answering(agent or self.other, self.wire, number or self.number, manners or Manners(), 40000, then)
        self.legs.append(answering)
        return answering

    async def until(self, condition, what, seconds=PATIENCE):
        return await self.wire.until(condition, what, seconds)

    async def begun(self, **kwargs):
        """An INVITE that has arrived: the caller and the callee's leg."""
        answering = self.answering()
        calling = self.calling(**kwargs)
        await self.until(lambda: answering.legs, "the INVITE at the callee")
        return calling, answering.legs[0]

    async def talking(self, **kwargs):
        """An established call: both legs."""
        calling, b = await self.begun(**kwargs)
        b.ring(180)
        b.pick_up()
        return await self.connected(calling, b)

    async def connected(self, calling, b):
        await self.until(lambda: calling.winner and calling.winner.is_free and b.state == "confirmed" and b.is_free, "the call's ACKs")
        return calling.winner, b

    async def hung_up(self, *legs, by=0):
        legs[by].bye()
        await self.ended(*legs)

    async def ended(self, *legs):
        await self.until(lambda: all(leg.state == "ended" for leg in legs), f"the end of {legs}")

    def all_legs(self):
        for one in self.legs:
            if isinstance(one, Calling):
                yield from one.legs.values()
            else:
                yield from one.legs

    async def play(self, flow, *arguments):
        """Runs the flow and waits for its end; what went wrong is among the wire's faults."""
        try:
            await flow(self, *arguments)
            await self.until(lambda: not self.wire.under_way(), "the end of every transaction")
            for leg in self.all_legs():
                if leg.state != "ended":
                    self.wire.fault(f"in the end {leg}")
        except Exception:
            self.wire.fault(traceback.format_exc(limit=-3))
            self.wire.note(f"under way: {self.wire.under_way()}, legs: {list(self.all_legs())}")
        self.wire.check_hidden(NETWORKS)
        return self

    def report(self):
        return "\n".join([f"--- {self.name}: {self.wire.lost} of {self.wire.count} messages lost", *self.wire.story, *self.wire.faults])


def nothing_left(stack):
    """The SBC has no call, no media, no subscription and, when the last timers are over, no transaction."""
    def left():
        status = stack.sbc.show("status")
        return {name: status[name] for name in ("calls", "sessions", "transactions", "subscriptions") if status.get(name)}

    try:
        netns.wait_for("an SBC without calls", lambda: not left(), 64 * T1 + 20, interval=0.2)
    except TimeoutError:
        raise AssertionError(f"left in the SBC: {left()}\n{stack.sbc.command('show', 'calls').stdout}") from None


def failed(scenes):
    return [scene for scene in scenes if scene.wire.faults]


def perform(stack, make, at_once=40, users=Users):
    """Runs the coroutines of make(users), so many at once; returns what they return."""
    async def run():
        agents = await users(stack).open()
        gate = asyncio.Semaphore(at_once)

        async def one(coroutine):
            async with gate:
                return await coroutine

        try:
            return await asyncio.gather(*(one(c) for c in make(agents)))
        finally:
            agents.close()

    return asyncio.run(run())
