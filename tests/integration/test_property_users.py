# SPDX-License-Identifier: BSD-3-Clause
"""Users who do at random what RFC 3261, 3262, 3264, 3311 and 3515 allow, while messages are lost: whatever they do, in the end both ends
agree on the call's state and on its media, what they agreed on is what is relayed, every transaction has had one final response, and the
SBC has nothing left.

PROPERTY_CALLS: how many calls (150). PROPERTY_SEED: of everything (1; a failure names it). PROPERTY_ONLY: one of these calls."""

import asyncio
import os
import random
import time

import pytest

from media import Media, rtp
from scene import SETTINGS, T1, Scene, failed, nothing_left, perform
from user_leg import MIRROR, NAMES, Calling, Manners, address, direction, streams

GUARD = SETTINGS
CALLS = int(os.environ.get("PROPERTY_CALLS", 150))
SEED = int(os.environ.get("PROPERTY_SEED", 1))  # others by hand: what a run finds must be there in the next one
ONLY = os.environ.get("PROPERTY_ONLY")
SENDS, HEARS = ("sendrecv", "sendonly"), ("sendrecv", "recvonly")
ANSWERS = {"sendrecv": ("sendrecv",) * 3 + ("sendonly", "recvonly", "inactive"), "sendonly": ("recvonly", "inactive"),
           "recvonly": ("sendonly", "inactive"), "inactive": ("inactive",)}


class Whims(Manners):
    def __init__(self, chance):
        self.chance = chance

    def maybe(self, probability):
        return self.chance.random() < probability

    def offered(self, leg, server):
        return 488 if self.maybe(0.15) else 200

    def formats(self, leg, offered):
        """Some of them, in their order; at least one that speaks."""
        kept = [f for f in offered if f not in NAMES or self.maybe(0.7)]
        return kept if any(f in NAMES for f in kept) else [next(f for f in offered if f in NAMES), *kept]

    def direction(self, leg, offered):
        assert MIRROR[offered] in ANSWERS[offered]
        return self.chance.choice(ANSWERS[offered])

    def pause(self, leg, what):
        return self.chance.choice((0, 0, 0, T1, 3 * T1, 6 * T1))

    def described(self, leg):
        return self.maybe(0.2)


class Sockets:
    """Two media ports of one user: he may move from one to the other."""

    def __init__(self, agent):
        self.media = [Media(agent.namespace, agent.host) for _ in range(2)]
        self.ssrc, self.count = random.getrandbits(32), 0

    def send(self, port, destination, mark):
        self.count += 1
        media = next(m for m in self.media if m.port == port)
        media.rtp.sendto(rtp(self.count, 160 * self.count, self.ssrc, mark.ljust(160, b"\0")), destination)

    def forget(self):
        for media in self.media:
            media.forget()

    def places(self, mark):
        """Ports where packets with this mark have arrived."""
        for media in self.media:
            media.drain()
        return [media.port for media in self.media if mark in [packet[12:].rstrip(b"\0") for packet, _ in media.arrived]]

    def close(self):
        for media in self.media:
            media.close()


class Story(Scene):
    def __init__(self, users, index, chance):
        self.chance = chance
        rate = chance.choice((0, 0, 0.03, 0.1))
        loss = random.Random(chance.random())
        super().__init__(users, index, lambda number, message: loss.random() < rate, outward=chance.random() < 0.4,
                         name=f"PROPERTY_SEED={SEED} PROPERTY_ONLY={index}")
        self.sockets = {}  # by agent and number
        self.tasks = []
        self.referred = False
        self.forks = chance.random() < 0.25

    # --- what users have ---

    def ports(self, agent, number):
        sockets = self.sockets.setdefault((agent.name, number), None) or Sockets(agent)
        self.sockets[(agent.name, number)] = sockets
        return sockets

    def whims(self):
        return Whims(random.Random(self.chance.random()))

    def user(self, leg, sockets):
        leg.sockets = sockets
        leg.port = self.chance.choice(sockets.media).port

    def do(self, coroutine):
        self.tasks.append(asyncio.ensure_future(coroutine))

    async def wait(self, most):
        await asyncio.sleep(self.chance.random() * most * T1)

    def maybe(self, probability):
        return self.chance.random() < probability

    # --- what they do ---

    def waiting(self, agent, number):
        sockets = self.ports(agent, number)
        answering = self.answering(agent, number, self.whims(), lambda leg: (self.user(leg, sockets), self.do(self.called(answering, leg))))
        answering.port = sockets.media[0].port

    async def called(self, answering, leg):
        """Rings in some way, and answers, refuses or lets it ring."""
        branches = [leg]
        leg.reply(leg.invite, 100)
        await self.wait(4)
        for _ in range(self.chance.randrange(4)):
            if leg.invite.state != "proceeding":
                return
            if self.forks and self.maybe(0.5) and len(branches) < 3:
                branches.append(answering.branch(leg.invite))
                self.user(branches[-1], leg.sockets)
            branch = self.chance.choice(branches)
            reliable = branch.reliably and (branch.must or self.maybe(0.6))
            if branch.state == "early":
                branch.ring(self.chance.choice((180, 182, 183, 183)), self.maybe(0.6), reliable)
            await self.wait(4)
            if self.maybe(0.3):
                self.early_update(branch)
        await self.wait(4)
        if leg.invite.state != "proceeding":
            return
        branch = self.chance.choice(branches)
        if self.maybe(0.8) and branch.state == "early":
            await self.until(lambda: not branch.open == "mine" or branch.prack_due or branch.state != "early", "an UPDATE's answer")
            if branch.state == "early":
                branch.pick_up()
                await self.until(lambda: branch.state != "early", "the answer")
                for other in branches:
                    if other is not branch:
                        other.end("another branch has answered")
                await self.talk(branch)
        elif self.maybe(0.7) or not self.cancels or len(self.legs) > 2:
            status = self.chance.choice((404, 480, 486, 500, 603))
            leg.refuse(status)
            for other in branches:
                other.end(f"says {status}")

    def early_update(self, leg):
        """Once offer and answer are settled in reliable responses (RFC 3311 section 5.1)."""
        if leg.state == "early" and leg.mine and not leg.open and not leg.prack_due and leg.allowed and leg.invite.state == "proceeding":
            leg.update(self.description(leg))

    def description(self, leg):
        codecs = self.chance.sample(sorted(NAMES), self.chance.randrange(1, 4))
        leg.port = self.chance.choice(leg.sockets.media).port
        return leg.describe(self.chance.choice(("sendrecv", "sendrecv", "sendonly", "recvonly", "inactive")), (*codecs, 101))

    async def calls(self):
        """The caller, until he is in a call or not."""
        headers = self.chance.choice(((), (("Supported", "100rel"),), (("Supported", "100rel"),), (("Require", "100rel"),)))
        sockets = self.ports(self.one, "caller")
        calling = Calling(self.one, self.wire, self.number, self.whims(), sockets.media[0].port, offer=self.maybe(0.8), headers=headers)
        self.legs.append(calling)
        if self.cancels:
            await self.wait(self.chance.choice((2, 10, 40)))
            if not calling.final:
                calling.cancel()
        await self.until(lambda: calling.final is not None or not calling.transaction.under_way, "the end of the INVITE")
        if calling.final and calling.final.status in (400, 481, 502, 503, 504):
            self.wire.fault(f"nobody has said {calling.final.start}")
        if calling.winner:
            self.user(calling.winner, sockets)
            calling.winner.port = sockets.media[0].port
            await self.talk(calling.winner)

    async def talk(self, leg):
        await self.until(lambda: not leg.ok, "the ACK")
        for _ in range(self.chance.randrange(8)):
            await self.wait(self.chance.choice((0, 1, 6)))
            if leg.state != "confirmed":
                return
            self.chance.choice(ACTIONS)(self, leg)
        if self.maybe(0.5) and not leg.ok and not leg.ack_due:
            leg.bye()

    def reinvites(self, leg):
        if leg.is_free:
            leg.reinvite(self.description(leg))

    def reinvites_without_an_offer(self, leg):
        if leg.is_free:
            leg.reinvite()

    def updates(self, leg):
        if leg.is_free and leg.allowed:
            leg.update(self.description(leg))

    def cancels_it(self, leg):
        if leg.inviting and leg.inviting.state == "proceeding":
            leg.cancel(leg.inviting)

    def dials(self, leg):
        leg.ask("INFO", b"Signal=5\r\nDuration=160\r\n", content_type="application/dtmf-relay")

    def asks(self, leg):
        leg.ask("OPTIONS")

    def refers(self, leg):
        """Once in a call: three more may become a crowd."""
        if self.referred or not leg.is_free:
            return
        self.referred = True
        inside = leg.agent.side == "inside"
        number = f"91{self.index:05}" if inside else f"2{self.index:05}"
        self.waiting(self.users.carrier if inside else self.users.pbx, number)
        leg.ask("REFER", headers=[("Refer-To", f"<sip:{number}@{leg.agent.sbc[0]}>")])
        self.do(self.let_go(leg))

    async def let_go(self, leg):
        """Hangs up when he hears of the success."""
        over = lambda: [m for m in leg.log if m.method == "NOTIFY" and b"terminated" in m.raw]
        refused = lambda: [s for method, s in leg.finals if method == "REFER" and s != 202]
        await self.until(lambda: over() or refused() or leg.state == "ended", "the end of the transfer", 30)
        if over() and b"SIP/2.0 200" in over()[-1].body:
            leg.bye("has transferred")

    # --- the end ---

    async def runs(self, _scene):
        self.cancels = self.maybe(0.3)
        self.waiting(self.other, self.number)
        self.do(self.calls())
        try:
            while pending := [t for t in self.tasks if not t.done()]:
                await asyncio.wait(pending)
            for task in self.tasks:
                task.result()
            for calling in (c for c in self.legs if isinstance(c, Calling)):
                if not calling.final and calling.transaction.under_way:
                    calling.cancel()
                    await self.until(lambda: calling.final is not None, "the end of the INVITE")
            await self.agree()
        finally:
            for sockets in self.sockets.values():
                sockets.close()

    def confirmed(self):
        return [leg for leg in self.all_legs() if leg.state == "confirmed"]

    def settled(self):
        """Nothing is under way, and both ends say the same."""
        legs = self.confirmed()
        if self.wire.under_way() or any(not leg.is_free for leg in legs) or len(legs) not in (0, 2):
            return None
        if any(leg.state == "early" for leg in self.all_legs()):
            return None
        if legs and not all(same(x.theirs, y.mine) for x, y in (legs, legs[::-1])):
            return None
        return legs or ["none"]

    async def agree(self):
        try:
            legs = await self.until(self.settled, "agreement of both ends", 20)
        except TimeoutError:
            for leg in self.all_legs():
                mine, theirs = ([direction(b), streams(b)] if b else None for b in (leg.mine, leg.theirs))
                self.wire.note(f"{leg}: free {leg.is_free}, open {leg.open}, mine {mine}, theirs {theirs}")
            raise
        if legs != ["none"]:
            await self.hear(*legs)
            one, other = legs if self.maybe(0.5) else legs[::-1]
            one.bye()
            if self.maybe(0.3):
                other.bye()
            await self.ended(*legs)

    async def hear(self, *legs):
        """What both have agreed on is what goes through, and nothing to who wants nothing."""
        port = lambda leg: address(leg.mine)[1]
        mark = lambda leg: f"{self.index} {leg.agent.name} {leg.call_id} {leg.local}".encode()[:150]
        end = time.monotonic() + 10
        while True:
            for leg in legs:
                leg.sockets.forget()
            for _ in range(3):
                # Also who has nothing to say: a NAT is opened by that (0023). Who is on hold is heard by nobody.
                for leg in legs:
                    leg.sockets.send(port(leg), address(leg.theirs), mark(leg))
                await asyncio.sleep(0.03)
            await asyncio.sleep(0.1)
            wrong = []
            for x, y in (legs, legs[::-1]):
                places = y.sockets.places(mark(x))
                wanted = [port(y)] if direction(y.mine) in HEARS else []
                if places != wanted and (direction(x.mine) in SENDS or places):
                    wrong.append(f"media of {x} arrives at {places} of {y}, agreed is {wanted}")
            if not wrong:
                return
            if time.monotonic() > end:  # what was under way when they agreed is long over
                self.wire.fault(f"{wrong} {[(leg.agent.name, leg.mine, leg.theirs) for leg in legs]}")
                return


def same(told, said):
    return told and said and direction(told) == direction(said) and [f for _, f in streams(told)] == [f for _, f in streams(said)]


ACTIONS = [Story.reinvites, Story.reinvites, Story.reinvites_without_an_offer, Story.updates, Story.updates, Story.cancels_it, Story.dials,
           Story.asks, Story.refers]


@pytest.mark.parametrize("module_stack", ["packet"], indirect=True, scope="module")
def test_whatever_users_do_both_ends_agree(stack):
    chance = random.Random(SEED)
    seeds = [chance.random() for _ in range(CALLS)]
    chosen = [int(ONLY)] if ONLY else range(CALLS)

    def make(users):
        for index in chosen:
            story = Story(users, index, random.Random(seeds[index]))
            yield story.play(story.runs)

    scenes = perform(stack, make, at_once=25)
    outcomes = [leg.why for scene in scenes for leg in scene.all_legs()]
    print(f"PROPERTY_SEED={SEED}: {len(scenes)} calls, {sum(s.wire.count for s in scenes)} messages, {sum(s.wire.lost for s in scenes)} lost; "
          f"{ {why: outcomes.count(why) for why in set(outcomes)} }")
    bad = failed(scenes)
    assert not bad, f"{len(bad)} of {len(scenes)} calls: {[s.name for s in bad]}\n" + "\n".join(s.report() for s in bad[:4])
    nothing_left(stack)
