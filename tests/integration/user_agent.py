# SPDX-License-Identifier: BSD-3-Clause
"""User agents over UDP that repeat what is lost, as RFC 3261 (section 17, with RFC 6026) wants it: transactions with all their timers. All
agents of a test live in one asyncio loop; what is between a call's users and the SBC is a Wire, which loses messages and remembers all."""

import asyncio
import time
import traceback

import netns
from sip import Message, compose


def response_to(request, status, body=b"", headers=(), tag="", contact=""):
    to = request["to"] if request.tag("to") or status == 100 else f"{request['to']};tag={tag}"
    fields = [*(("Via", v) for v in request.all("via")), *(("Record-Route", r) for r in request.all("record-route")),
              ("From", request["from"]), ("To", to), ("Call-ID", request.call_id), ("CSeq", request["cseq"])]
    if contact and status > 100:
        fields.append(("Contact", contact))
    return Message(compose(f"SIP/2.0 {status} Reason", [*fields, *headers], body))


def part_of(request, method, to=None):
    """ACK of a refusal, or CANCEL: parts of the INVITE's transaction (sections 17.1.1.3 and 9.1)."""
    return Message(compose(f"{method} {request.uri} SIP/2.0", [
        ("Via", request["via"]), ("Max-Forwards", "70"), *(("Route", r) for r in request.all("route")), ("From", request["from"]),
        ("To", to or request["to"]), ("Call-ID", request.call_id), ("CSeq", f"{request['cseq'].split()[0]} {method}")]))


class Wire:
    """What the users of one call and the SBC say to each other. lose(number, message): whether the number-th message is lost."""

    def __init__(self, lose=lambda number, message: False):
        self.lose = lose
        self.count = self.lost = 0
        self.story, self.faults = [], []
        self.received = {}  # side: messages
        self.transactions = []
        self.began = time.monotonic()
        self.waiters = []

    def passes(self, agent, arrow, message):
        self.count += 1
        lost = self.lose(self.count, message)
        self.lost += bool(lost)
        body = f" +{len(message.body)}" if message.body else ""
        self.note(f"{self.count:3} {agent.name:>8} {arrow}{' LOST' if lost else ''} {message.start} [{message['cseq']}]{body}")
        if not lost and arrow == "<-":
            self.received.setdefault(agent.side, []).append(message)
        return not lost

    def note(self, text):
        self.story.append(f"{time.monotonic() - self.began:7.3f} {text}")

    def fault(self, text):
        self.faults.append(text)
        self.note(f"!!! {text}")

    def wake(self):
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition, what, seconds):
        """condition()'s first true value; it is looked at whenever anything has happened."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{what}: not within {seconds:g} s")
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            await asyncio.wait([waiter], timeout=left)
        return value

    def under_way(self):
        """Transactions that still may say something of their own."""
        return [t for t in self.transactions if t.under_way]

    def check_hidden(self, networks):
        """networks: {side: what its messages must not show}. Nor does one side see what the other has made up."""
        made = {side: {w for m in messages for w in (m.call_id, m.tag("from"), m.tag("to"), m.branch) if len(w) > 5}
                for side, messages in self.received.items()}
        for side, messages in self.received.items():
            words = {w for other, theirs in made.items() if other != side for w in theirs} | set(networks[side])
            everything = b"\n".join(m.raw for m in messages)
            for word in words:
                if word.encode() in everything:
                    self.fault(f"{word} of the other side was seen by {side}")


class UserAgent:
    """A socket, its transactions and the dialogs they belong to. side: who may know of each other's addresses."""

    def __init__(self, name, side, namespace, host, sbc, t1, port=5060):
        self.name, self.side, self.namespace, self.host, self.port, self.sbc = name, side, namespace, host, port, sbc
        self.t1, self.t2, self.t4 = t1, 8 * t1, 10 * t1
        self.clients, self.servers = {}, {}
        self.legs = {}  # (Call-ID, own tag): Leg
        self.wires = {}  # Call-ID: Wire
        self.numbers = {}  # user of a Request-URI: (Wire, function(ServerTransaction)) for requests that begin something
        self.strays = []

    async def open(self):
        self.loop = asyncio.get_running_loop()
        self.socket = netns.udp_socket(self.namespace, self.host, self.port, receive_buffer=4 << 20)
        self.socket.setblocking(False)
        self.loop.add_reader(self.socket, self.drain)
        return self

    def close(self):
        self.loop.remove_reader(self.socket)
        self.socket.close()

    def drain(self):
        """Takes all there is: asyncio's own endpoints take one datagram at a time, and fall behind."""
        while True:
            try:
                data, source = self.socket.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send
                continue
            self.take_datagram(data, source)

    def send(self, message, to):
        wire = self.wires[message.call_id]
        if wire.passes(self, "->", message):
            self.socket.sendto(message.raw, to)
        return message

    def take_datagram(self, data, source):
        message = Message(data, source[:2])
        wire = self.wires.get(message.call_id)
        if wire is None and message.is_request:
            expected = self.numbers.get(message.uri.partition(":")[2].partition("@")[0])
            if expected:
                wire = self.wires[message.call_id] = expected[0]
        if wire is None:
            self.strays.append(message)
            return
        if wire.passes(self, "<-", message):
            try:
                self.take(wire, message)
            except Exception:
                wire.fault(traceback.format_exc())
            wire.wake()

    def take(self, wire, message):
        if message.status:
            client = self.clients.get((message.branch, message.method))
            if client:
                client.take(message)
            elif message.status >= 200:
                wire.fault(f"{self.name}: a response to nothing: {message.start} [{message['cseq']}]")
            return
        leg = self.legs.get((message.call_id, message.tag("to")))
        server = self.servers.get((message.branch, "INVITE" if message.method == "ACK" else message.method))
        if message.method == "ACK":
            if server and server.state != "accepted":
                server.acknowledged(message)
            elif leg:
                leg.take_ack(message)
            return
        if server:
            server.repeated()
            return
        server = ServerTransaction(self, wire, message)
        if message.method == "CANCEL":
            invite = self.servers.get((message.branch, "INVITE"))
            server.reply(200 if invite else 481)
            if invite and invite.under_way and invite.cancelled:
                invite.cancelled()
        elif leg:
            leg.take(server)
        elif message.tag("to"):
            server.reply(481)
        else:
            expected = self.numbers.get(message.uri.partition(":")[2].partition("@")[0])
            if expected:
                expected[1](server)
            else:
                wire.fault(f"{self.name}: {message.start} reaches nobody")
                server.reply(404)


class Transaction:
    def __init__(self, agent, wire, request):
        self.agent, self.wire, self.request = agent, wire, request
        self.is_invite = request.method == "INVITE"
        self.timers = {}
        wire.transactions.append(self)

    def later(self, name, seconds, function):
        self.stop(name)
        self.timers[name] = self.agent.loop.call_later(seconds, self.due, name, function)

    def due(self, name, function):
        del self.timers[name]
        try:
            function()
        except Exception:
            self.wire.fault(traceback.format_exc())
        self.wire.wake()

    def stop(self, *names):
        for name in names:
            if name in self.timers:
                self.timers.pop(name).cancel()

    def __repr__(self):
        return f"{self.agent.name} {type(self).__name__} {self.request.method} {self.state}"


class ClientTransaction(Transaction):
    """taken(response) gets every provisional response and final one, every 2xx of an INVITE however often it comes, and None when there
    never is any."""

    def __init__(self, agent, wire, request, to, taken):
        super().__init__(agent, wire, request)
        self.to, self.taken = to, taken
        self.state, self.final = "calling", None
        self.interval = agent.t1
        agent.clients[(request.branch, request.method)] = self
        agent.send(request, to)
        self.later("repeat", self.interval, self.repeat)
        self.later("deadline", 64 * agent.t1, self.given_up)

    @property
    def under_way(self):
        return self.state in ("calling", "proceeding")

    def repeat(self):
        self.agent.send(self.request, self.to)
        if self.is_invite:
            self.interval *= 2
        else:
            self.interval = self.agent.t2 if self.state == "proceeding" else min(2 * self.interval, self.agent.t2)
        self.later("repeat", self.interval, self.repeat)

    def given_up(self):
        self.stop("repeat")
        self.state = "terminated"
        self.wire.fault(f"{self.agent.name}: {self.request.method} [{self.request['cseq']}] has no final response")
        self.taken(None)

    def take(self, response):
        for header in ("call-id", "cseq", "from"):
            if response[header] != self.request[header]:
                self.wire.fault(f"{self.agent.name}: {header} of {response.start} is not the request's")
        if response.status > 100 and not response.tag("to"):
            self.wire.fault(f"{self.agent.name}: {response.start} without a tag")
        if response.status < 200:
            if self.under_way:
                self.state = "proceeding"
                if self.is_invite:
                    self.stop("repeat", "deadline")
                self.taken(response)
            return
        if self.state == "terminated":
            return
        self.stop("repeat", "deadline")
        first = self.under_way
        if self.final and (self.final.status, self.final.tag("to")) != (response.status, response.tag("to")):
            self.wire.fault(f"{self.agent.name}: {self.request.method} has two final responses: {self.final.start}, {response.start}")
        self.final = self.final or response
        if self.is_invite and response.status >= 300:
            self.state = "completed"
            self.acknowledge(response)
        else:
            self.state = "accepted" if self.is_invite else "completed"
        if first or self.state == "accepted":
            self.taken(response)

    def acknowledge(self, response):
        """ACK of a refusal: part of this transaction (section 17.1.1.3)."""
        self.agent.send(part_of(self.request, "ACK", response["to"]), self.to)


class ServerTransaction(Transaction):
    """answered by reply(); cancelled: what a CANCEL calls."""

    def __init__(self, agent, wire, request):
        super().__init__(agent, wire, request)
        self.state, self.last, self.final, self.cancelled = "proceeding", None, None, None
        agent.servers[(request.branch, request.method)] = self

    @property
    def under_way(self):
        return self.state == "proceeding" or self.state == "completed" and self.is_invite

    def repeated(self):
        if self.last and self.state in ("proceeding", "completed"):
            self.agent.send(self.last, self.request.source)

    def reply(self, status, body=b"", headers=(), tag=None, contact=None):
        return self.respond(response_to(self.request, status, body, headers, tag or self.agent.name, contact))

    def respond(self, response):
        assert self.state == "proceeding", f"a second final response of ours: {response}"
        self.last = response
        self.agent.send(response, self.request.source)
        if response.status >= 200:
            self.final = response
            self.state = "accepted" if self.is_invite and response.status < 300 else "completed"
            if self.is_invite and response.status >= 300:
                self.interval = self.agent.t1
                self.later("repeat", self.interval, self.repeat)
                self.later("deadline", 64 * self.agent.t1, self.given_up)
        return response

    def repeat(self):
        self.agent.send(self.last, self.request.source)
        self.interval = min(2 * self.interval, self.agent.t2)
        self.later("repeat", self.interval, self.repeat)

    def given_up(self):
        self.stop("repeat")
        self.state = "terminated"
        self.wire.fault(f"{self.agent.name}: no ACK of {self.final.start}")

    def acknowledged(self, ack):
        self.stop("repeat", "deadline")
        if self.state == "completed":
            self.state = "confirmed"
            if ack.tag("to") != self.final.tag("to"):
                self.wire.fault(f"{self.agent.name}: the ACK has another tag than {self.final.start}")
