# SPDX-License-Identifier: BSD-3-Clause
"""One user's side of a call: its dialog (RFC 3261 section 12), offers and answers (RFC 3264), reliable responses (RFC 3262), UPDATE (RFC
3311); and what every message of the SBC must be like. A user decides by overriding Manners."""

import random
import re

from sip import Message, bracket, compose, token
from user_agent import ClientTransaction, part_of, response_to

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER, NOTIFY, OPTIONS, SUBSCRIBE")
MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000"}


def direction(body):
    """Of the first stream; RFC 2543's hold included."""
    said = re.search(rb"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", body, re.M)
    said = said.group(1).decode() if said else "sendrecv"
    if b"c=IN IP4 0.0.0.0" in body:
        said = {"sendrecv": "sendonly", "recvonly": "inactive"}.get(said, said)
    return said


def streams(body):
    """(port, formats) of each m= line."""
    return [(int(port), formats.split()) for port, formats in re.findall(r"^m=\S+ (\d+) \S+ ([^\r\n]*)", body.decode(), re.M)]


def address(body):
    """(host, port) of the first stream."""
    return re.search(rb"^c=IN IP[46] (\S+)", body, re.M).group(1).decode(), streams(body)[0][0]


def dialog_tag(value):
    return re.search(r";tag=([^;>]+)", value).group(1)


class Manners:
    """What a user does when he is asked. Nothing is refused and everything at once here."""

    def offered(self, leg, server):
        """A status for the offer in a request of a dialog."""
        return 200

    def formats(self, leg, offered):
        return offered

    def direction(self, leg, offered):
        return MIRROR[offered]

    def pause(self, leg, what):
        """Seconds until a "final" response or an "ACK"."""
        return 0

    def described(self, leg):
        """Whether a new description is said at an opportunity that needs none: in PRACK."""
        return False

    def referred(self, leg, server):
        """A REFER; True when it has been answered."""
        return False


class Leg:
    """A dialog. States: "early", "confirmed", "ending" (our BYE is under way), "ended"."""

    def __init__(self, agent, wire, call_id, manners, port):
        self.agent, self.wire, self.call_id, self.manners = agent, wire, call_id, manners
        self.port = port  # of its media
        self.state, self.why = "early", None
        self.cseq, self.seen_cseq = random.randrange(1, 30000), 0
        self.local = self.remote = self.target = None
        self.routes, self.peer = [], agent.sbc
        self.contact = f"<sip:{agent.name}@{bracket(agent.host)}:{agent.port}>"
        self.session, self.version, self.said = random.randrange(10**9, 10**10), 0, None
        self.mine = self.theirs = None  # the descriptions in force
        self.open = self.offer = None  # an offer without its answer: "mine" or "theirs"
        self.texts = {}  # versions of theirs
        self.invite = None  # ServerTransaction of their INVITE
        self.inviting = None  # our ClientTransaction of a re-INVITE
        self.reliable = []  # ours, not sent or not acknowledged: (status, body)
        self.rseq, self.prack_due, self.their_rseq = random.randrange(1, 1000), None, None
        self.ok = None  # our 2xx that waits for its ACK
        self.acks, self.ack_due = {}, False  # by CSeq: those we sent
        self.pracked_answer, self.previewed = False, None
        self.log = []  # requests they made here
        self.allowed = True  # UPDATE
        self.reliably = False  # they know 100rel
        self.finals = []  # (method, status) of our requests
        wire.transactions.append(self)

    under_way = property(lambda self: bool(self.ok or self.prack_due or self.state == "ending"))

    def __repr__(self):
        return f"{self.agent.name} {self.state} ({self.why})"

    @property
    def is_free(self):
        """Nothing of offer and answer is under way, nor an INVITE."""
        asked = self.state != "early" and self.invite and self.invite.under_way
        return not (self.open or self.inviting or asked or self.ok or self.prack_due or self.ack_due)

    def named(self, tag):
        self.agent.legs[(self.call_id, tag)] = self
        self.agent.wires[self.call_id] = self.wire

    def end(self, why):
        if self.state != "ended":
            self.state, self.why = "ended", why
            self.wire.note(f"    {self.agent.name} is out: {why}")
            self.prack_due = None  # a 2xx of ours goes on being repeated, and one of theirs has to come, also after BYE
            self.reliable.clear()

    def later(self, seconds, function, *arguments):
        def due():
            function(*arguments)
            self.wire.wake()

        if seconds:
            self.agent.loop.call_later(seconds, due)
        else:
            function(*arguments)

    # --- descriptions ---

    def describe(self, way="sendrecv", formats=(0, 101), port=None):
        """Our description; its version is another one only if the text is."""
        family = "IP6" if ":" in self.agent.host else "IP4"
        text = "\r\n".join([
            "s=-", f"c=IN {family} {self.agent.host}", "t=0 0", f"m=audio {port or self.port} RTP/AVP {' '.join(map(str, formats))}",
            *(f"a=rtpmap:{f} {NAMES[f]}" for f in formats if f in NAMES), *(["a=rtpmap:101 telephone-event/8000"] if 101 in formats else []),
            f"a={way}", ""])
        if text != self.said:
            self.version += 1
            self.said = text
        return f"v=0\r\no=- {self.session} {self.version} IN {family} {self.agent.host}\r\n{text}".encode()

    def answer_to(self, offer):
        formats = [int(f) for f in streams(offer)[0][1]]
        return self.describe(self.manners.direction(self, direction(offer)), self.manners.formats(self, formats))

    def check_description(self, body):
        """RFC 3264 section 8: one session; another version if, and only if, the text is another one."""
        session, version = re.search(rb"^o=\S+ (\d+) (\d+)", body, re.M).groups()
        text = re.sub(rb"^o=.*$", b"", body, flags=re.M)
        version = int(version)
        if self.texts and session != self.their_session:
            self.wire.fault(f"{self.agent.name}: another session in {body}")
        if self.texts.setdefault(version, text) != text:
            self.wire.fault(f"{self.agent.name}: version {version} was another description: {self.texts[version]} {text}")
        self.their_session = session

    def offers(self, body):
        assert not self.open, f"a second offer of ours, while {self.open} is open"
        self.open, self.offer = "mine", body
        return body

    def heard_offer(self, body):
        self.check_description(body)
        self.open, self.offer = "theirs", body

    def answers(self):
        """Our answer to their open offer, which is in force with it."""
        body, self.previewed = self.previewed or self.answer_to(self.offer), None
        self.mine, self.theirs, self.open = body, self.offer, None
        self.wire.note(f"    {self.agent.name} answers {direction(body)} {streams(body)} to {direction(self.theirs)} {streams(self.theirs)}")
        return body

    def heard_answer(self, body):
        self.check_description(body)
        if self.open != "mine":
            self.wire.fault(f"{self.agent.name}: an answer to no offer")
        self.mine, self.theirs, self.open = self.offer, body, None
        self.wire.note(f"    {self.agent.name} has the answer {direction(body)} {streams(body)} to {direction(self.mine)} {streams(self.mine)}")

    def withdrawn(self):
        """The offer was refused: what was agreed before stays."""
        self.open = self.offer = None
        if self.mine:
            self.said = None  # whatever is said next is another version

    # --- as client ---

    def compose(self, method, body=b"", headers=(), cseq=None, content_type="application/sdp"):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        fields = [("Via", f"SIP/2.0/UDP {bracket(self.agent.host)}:{self.agent.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
                  *(("Route", r) for r in self.routes), ("From", self.local), ("To", self.remote), ("Call-ID", self.call_id),
                  ("CSeq", f"{cseq} {method}")]
        if method in ("INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY"):
            fields.append(("Contact", self.contact))
        if method in ("INVITE", "UPDATE"):
            fields.append(ALLOW)
        return Message(compose(f"{method} {self.target} SIP/2.0", [*fields, *headers], body, content_type))

    def ask(self, method, body=b"", headers=(), content_type="application/sdp", then=None):
        """A request of this dialog; then(final response, None if there is none)."""
        def taken(response):
            if response is None or response.status >= 200:
                self.finals.append((method, response.status if response else None))
                if response is not None and response.status in (481, 408) and self.state == "confirmed" and method != "BYE":
                    self.bye(f"{response.status} to {method}")
                if then:
                    then(response)

        return ClientTransaction(self.agent, self.wire, self.compose(method, body, headers, content_type=content_type), self.peer, taken)

    def bye(self, why="hangs up"):
        if self.state in ("ending", "ended"):
            return
        self.state, self.why = "ending", why
        self.prack_due = None
        self.ask("BYE", then=lambda response: self.end(why))

    def update(self, body):
        def then(response):
            if self.state == "ended" or self.open != "mine" or self.offer != body:
                return
            if response is not None and response.status == 200:
                self.learn(response)
                self.heard_answer(response.body)
            else:
                self.withdrawn()

        return self.ask("UPDATE", self.offers(body), then=then)

    def reinvite(self, body=b""):
        """A re-INVITE, with an offer or without."""
        if body:
            self.offers(body)
        state = {"answered": False}

        def taken(response):
            if response is not None and response.status < 200:
                return
            if response is not None and response.status < 300:
                if not state["answered"]:
                    state["answered"] = True
                    self.learn(response)
                    self.finals.append(("INVITE", response.status))
                    self.ack_due = True
                    if body:
                        self.heard_answer(response.body)
                        answer = b""
                    else:
                        self.heard_offer(response.body)
                        answer = self.answers()
                    self.later(self.manners.pause(self, "ACK"), self.acknowledges, response, answer)
                else:
                    self.acknowledges_again(response)
                return
            self.inviting = None
            self.finals.append(("INVITE", response.status if response is not None else None))
            if body and self.open == "mine":
                self.withdrawn()
            if self.state == "confirmed" and (response is None or response.status in (408, 481)):
                self.bye("re-INVITE lost")

        self.inviting = ClientTransaction(self.agent, self.wire, self.compose("INVITE", body, [("Supported", "100rel")]), self.peer, taken)
        return self.inviting

    def acknowledges(self, response, body=b""):
        ack = self.acks[response["cseq"]] = self.compose("ACK", body, cseq=int(response["cseq"].split()[0]))
        self.inviting, self.ack_due = None, False
        self.agent.send(ack, self.peer)

    def acknowledges_again(self, response):
        """A 2xx that is repeated (RFC 3261 section 13.2.2.4), unless the ACK still has to be sent."""
        if response["cseq"] in self.acks:
            self.agent.send(self.acks[response["cseq"]], self.peer)

    def cancel(self, invite):
        if (invite.request.branch, "CANCEL") not in self.agent.clients:
            ClientTransaction(self.agent, self.wire, part_of(invite.request, "CANCEL"), self.peer, lambda response: None)

    def learn(self, response):
        if response["contact"]:
            self.target = response.contact_uri
        elif response.status < 300 and response.method in ("INVITE", "UPDATE"):
            self.wire.fault(f"{self.agent.name}: {response.start} [{response['cseq']}] without Contact")

    # --- as server ---

    def check_request(self, request):
        """RFC 3261 sections 12.2 and 8.1.1."""
        fault = lambda text: self.wire.fault(f"{self.agent.name}: {request.method}: {text}")
        number, method = request["cseq"].split()
        if method != request.method:
            fault(f"CSeq {request['cseq']}")
        if request.method != "ACK":
            self.seen_cseq = max(int(number), self.seen_cseq)
        if "tag=" not in self.remote:  # a subscriber's: the first NOTIFY makes the dialog (RFC 6665 section 4.4.1)
            self.remote, self.target = request["from"], request.contact_uri
        if f"tag={request.tag('from')}" not in self.remote:
            fault("the tag in From is not the dialog's")
        if request.uri != self.contact[1:-1]:
            fault(f"Request-URI {request.uri}")
        if not request.branch.startswith("z9hG4bK") or not 0 < int(request["max-forwards"]) <= 70:
            fault("branch or Max-Forwards")
        if method in ("INVITE", "UPDATE") and not request["contact"]:
            fault("no Contact")

    def reply(self, server, status, body=b"", headers=()):
        contact = self.contact if server.request.method in ("INVITE", "UPDATE", "REFER", "SUBSCRIBE") and status < 300 else ""
        headers = [*headers, ALLOW] if contact else headers
        return server.reply(status, body, headers, dialog_tag(self.local), contact)

    def take(self, server):
        request = server.request
        late = int(request["cseq"].split()[0]) <= self.seen_cseq
        self.check_request(request)
        if late:  # overtaken by a later request (section 12.2.2)
            self.reply(server, 500)
            return
        self.log.append(request)
        if self.state in ("ending", "ended") and request.method != "BYE":
            self.reply(server, 481)
            return
        getattr(self, f"take_{request.method.lower()}", self.take_other)(server)

    def take_other(self, server):
        self.reply(server, 200)

    def take_refer(self, server):
        if not self.manners.referred(self, server):
            self.reply(server, 603)

    def take_bye(self, server):
        self.reply(server, 200)
        if self.invite and self.invite.state == "proceeding":
            self.reply(self.invite, 487)
        self.end("is hung up" if self.state != "ending" else "both hang up")

    def busy(self, request):
        """RFC 3261 section 14.2, RFC 3311 section 5.2."""
        if self.open == "mine" or request.method == "INVITE" and self.inviting:
            return 491
        if self.open == "theirs" or request.method == "INVITE" and self.invite and self.invite.state == "proceeding":
            return 500
        return 0

    def take_update(self, server):
        request = server.request
        status = self.busy(request) if request.body else 0
        if not status and request.body:
            status = self.manners.offered(self, server)
        if status >= 300:
            self.reply(server, status, headers=[("Retry-After", "0")] if status == 500 else [])
            return
        self.target = request.contact_uri
        answer = b""
        if request.body:
            self.heard_offer(request.body)
            answer = self.answers()
        self.reply(server, 200, answer)

    def take_invite(self, server):
        status = self.busy(server.request)
        if status:
            self.reply(server, status, headers=[("Retry-After", "0")] if status == 500 else [])
            return
        self.invite = server
        if server.request.body:
            self.heard_offer(server.request.body)
        server.cancelled = self.reinvite_cancelled
        self.later(self.manners.pause(self, "final"), self.answer_reinvite, server)

    def reinvite_cancelled(self):
        if self.invite.state == "proceeding":
            self.reply(self.invite, 487)
            if self.invite.request.body:
                self.open = None

    def answer_reinvite(self, server):
        if server.state != "proceeding" or self.state != "confirmed":
            if server.state == "proceeding":
                self.reply(server, 487)
            return
        status = self.manners.offered(self, server)
        if status >= 300:
            self.open = None
            self.reply(server, status)
            return
        self.target = server.request.contact_uri
        self.accept(server, self.answers() if server.request.body else self.offers(self.describe()))

    def accept(self, server, body, headers=()):
        """2xx, repeated until its ACK (RFC 3261 section 13.3.1.4)."""
        self.ok = ok = self.reply(server, 200, body, headers)
        interval = [self.agent.t1]
        end = self.agent.loop.time() + 64 * self.agent.t1

        def again():
            if self.ok is not ok:
                return
            if self.agent.loop.time() >= end:
                self.wire.fault(f"{self.agent.name}: no ACK of the answer")
                self.ok = None
                self.bye("no ACK")
                self.wire.wake()
                return
            self.agent.send(ok, server.request.source)
            interval[0] = min(2 * interval[0], self.agent.t2)
            self.agent.loop.call_later(interval[0], again)

        self.agent.loop.call_later(interval[0], again)

    def take_ack(self, request):
        self.check_request(request)
        if not self.ok or request["cseq"].split()[0] != self.ok["cseq"].split()[0]:
            return
        self.ok = None
        if self.open == "mine":
            if request.body:
                self.heard_answer(request.body)
            elif self.state not in ("ending", "ended"):
                self.wire.fault(f"{self.agent.name}: no answer in the ACK")
        elif request.body:
            self.wire.fault(f"{self.agent.name}: a description in the ACK that nobody asked for")

    def take_prack(self, server):
        request = server.request
        if not self.prack_due or request["rack"] != f"{self.rseq} {self.invite.request['cseq']}":
            self.reply(server, 481)
            return
        offered, self.prack_due = self.prack_due.body and not self.mine, None
        answer = b""
        if offered:
            if request.body:
                self.heard_answer(request.body)
            else:
                self.wire.fault(f"{self.agent.name}: no answer in the PRACK")
        elif request.body:
            self.heard_offer(request.body)
            answer = self.answers()
        self.reply(server, 200, answer)
        self.proceed()

    # --- the callee, before his answer ---

    def begin(self, server, tag):
        """What begins a call here."""
        request = server.request
        self.invite, self.call_id, self.peer = server, request.call_id, request.source
        self.local, self.remote = f"{request['to']};tag={tag}", request["from"]
        self.target, self.routes = request.contact_uri, request.all("record-route")
        self.seen_cseq = int(request["cseq"].split()[0])
        self.reliably = "100rel" in request["supported"] + request["require"]
        self.must = "100rel" in request["require"]
        self.allowed = "UPDATE" in request["allow"]
        self.named(tag)
        if request.body:
            self.heard_offer(request.body)

    def preview(self):
        """The answer, said where it is not one yet: it stays what it is (RFC 3261 section 13.2.1)."""
        self.previewed = self.previewed or self.answer_to(self.offer)
        return self.previewed

    def ring(self, status=180, described=False, reliable=False):
        """18x; reliable ones wait for each other."""
        if reliable:
            self.reliable.append((status, described))
            self.proceed()
            return
        body = self.preview() if described and self.open == "theirs" else b""
        self.reply(self.invite, status, body)

    def proceed(self):
        """The next reliable response, or the answer that waited for the last one's PRACK."""
        if self.prack_due or self.state != "early" or not self.reliable or self.invite.state != "proceeding":
            return
        status, described = self.reliable.pop(0)
        body = b""
        if status >= 200:
            self.accepted()
            return
        if self.open == "theirs" and described:
            body = self.answers()
        elif not self.open and not self.mine:
            body = self.offers(self.describe())
        self.rseq += 1
        response = self.prack_due = self.reply(self.invite, status, body, [("Require", "100rel"), ("RSeq", str(self.rseq))])
        interval, end = [self.agent.t1], self.agent.loop.time() + 64 * self.agent.t1

        def again():
            if self.prack_due is not response or self.invite.state != "proceeding":
                return
            if self.agent.loop.time() >= end:
                self.wire.fault(f"{self.agent.name}: no PRACK")
                self.refuse(504)
                return
            self.agent.send(response, self.invite.request.source)
            interval[0] *= 2
            self.agent.loop.call_later(interval[0], again)

        self.agent.loop.call_later(interval[0], again)

    def pick_up(self):
        """The answer, once all reliable responses are acknowledged."""
        self.reliable.append((200, False))
        self.proceed()

    def accepted(self):
        self.state = "confirmed"
        if self.open == "theirs":
            body = self.answers()
        elif not self.mine:
            body = self.offers(self.describe())
        else:
            body = b""
        self.accept(self.invite, body)

    def refuse(self, status):
        if self.invite.state == "proceeding":
            self.reply(self.invite, status)
        self.end(f"says {status}")

    def is_cancelled(self):
        if self.invite.state == "proceeding":
            self.refuse(487)
        self.end("is cancelled")


class Calling:
    """An INVITE that begins a call: an early dialog for each tag of the callee, one of which becomes the call."""

    def __init__(self, agent, wire, number, manners, port, offer=True, headers=(), user="alice"):
        self.agent, self.wire, self.manners = agent, wire, manners
        first = Leg(agent, wire, f"{token(20)}@{bracket(agent.host)}", manners, port)
        wire.transactions.remove(first)
        self.first, self.legs, self.winner, self.final = first, {}, None, None
        self.cancelling = self.cancelled = False
        first.local = f"<sip:{user}@{bracket(agent.host)}>;tag={token()}"
        first.remote = f"<sip:{number}@{bracket(agent.sbc[0])}>"
        first.target = f"sip:{number}@{bracket(agent.sbc[0])}:{agent.sbc[1]}"
        agent.wires[first.call_id] = wire
        self.body = first.offers(first.describe()) if offer else b""
        self.reliably = any("100rel" in v for _, v in headers)
        self.invite = first.compose("INVITE", self.body, [ALLOW, *headers])
        self.transaction = ClientTransaction(agent, wire, self.invite, agent.sbc, self.taken)

    def __repr__(self):
        return f"{self.agent.name} calling: {self.transaction.state}, legs {list(self.legs.values())}"

    def leg_of(self, response):
        """The dialog that a response belongs to, made by its first one."""
        tag = response.tag("to")
        if tag not in self.legs:
            first = self.first
            leg = self.legs[tag] = Leg(self.agent, self.wire, first.call_id, self.manners, first.port)
            leg.local, leg.remote, leg.cseq = first.local, response["to"], int(self.invite["cseq"].split()[0])
            leg.session, leg.version, leg.said = first.session, first.version, first.said
            leg.open, leg.offer = first.open, first.offer
            leg.routes = response.all("record-route")[::-1]
            leg.allowed = "UPDATE" in response["allow"]
            leg.caller_of = self
            self.agent.legs[(leg.call_id, dialog_tag(first.local))] = LegsByTag(self)
        return self.legs[tag]

    def cancel(self):
        self.cancelling = True
        self.send_cancel()

    def send_cancel(self):
        if self.cancelling and not self.cancelled and self.transaction.state == "proceeding":
            self.cancelled = True
            self.first.cancel(self.transaction)

    def taken(self, response):
        if response is None or response.status >= 300:
            self.final = response
            for leg in self.legs.values():
                leg.end(f"refused: {response.status if response is not None else 'silence'}")
            return
        if response.status == 100 or not response.tag("to"):
            self.send_cancel()
            return
        leg = self.leg_of(response)
        leg.allowed = leg.allowed or "UPDATE" in response["allow"]
        if response.status < 200:
            if leg.state == "early":
                self.take_provisional(leg, response)
            self.send_cancel()
        elif self.winner is None:
            self.take_answer(leg, response)
        elif leg is not self.winner:
            self.wire.fault(f"{self.agent.name}: two answers")
        else:
            leg.acknowledges_again(response)

    def take_provisional(self, leg, response):
        leg.learn(response)
        if "100rel" not in response["require"]:
            if response.body:
                leg.check_description(response.body)
                if not self.body:
                    self.wire.fault(f"{self.agent.name}: an offer that is not reliable")
            return
        if not self.reliably:
            self.wire.fault(f"{self.agent.name}: 100rel that we do not know")
        number = int(response["rseq"])
        if leg.their_rseq is not None and number != leg.their_rseq + 1:
            if number > leg.their_rseq + 1:
                self.wire.fault(f"{self.agent.name}: RSeq {number} after {leg.their_rseq}")
            return
        leg.their_rseq = number
        body = b""
        if leg.open == "mine" and response.body:
            leg.heard_answer(response.body)
            leg.pracked_answer = True
            if self.manners.described(leg):
                body = leg.offers(leg.describe(port=leg.port))
        elif not leg.open and not leg.mine:
            if response.body:
                leg.heard_offer(response.body)
                body = leg.answers()
            else:
                self.wire.fault(f"{self.agent.name}: the first reliable response has no offer")
        elif response.body:
            leg.check_description(response.body)

        def then(final):
            if leg.state == "ended":
                return
            if body and leg.open == "mine" and leg.offer == body:
                if final is not None and final.status == 200 and final.body:
                    leg.heard_answer(final.body)
                else:
                    leg.withdrawn()

        leg.ask("PRACK", body, [("RAck", f"{number} {response['cseq']}")], then=then)

    def take_answer(self, leg, response):
        leg.learn(response)
        leg.routes = response.all("record-route")[::-1]
        self.winner, self.final = leg, response
        for other in self.legs.values():
            if other is not leg:
                other.end("another branch has answered")
        answer = b""
        if leg.open == "mine" and self.body and not leg.pracked_answer:
            if response.body:
                leg.heard_answer(response.body)
            else:
                self.wire.fault(f"{self.agent.name}: 200 without an answer")
        elif not self.body and not leg.mine and not leg.open:
            if response.body:
                leg.heard_offer(response.body)
                answer = leg.answers()
            else:
                self.wire.fault(f"{self.agent.name}: 200 without an offer")
        elif response.body:
            leg.check_description(response.body)
        if leg.state == "early":
            leg.state, leg.ack_due = "confirmed", True
        leg.later(self.manners.pause(leg, "ACK"), self.acknowledge, leg, response, answer)

    def acknowledge(self, leg, response, answer):
        leg.acknowledges(response, answer)
        if self.cancelling:
            leg.bye("answered after all")


class LegsByTag:
    """Requests in one of a caller's early dialogs: all have the caller's tag, each the tag of its callee."""

    def __init__(self, calling):
        self.calling = calling

    def find(self, request):
        return self.calling.legs.get(request.tag("from"))

    def take(self, server):
        leg = self.find(server.request)
        if leg:
            leg.take(server)
        else:
            server.reply(481)

    def take_ack(self, request):
        leg = self.find(request)
        if leg:
            leg.take_ack(request)


class Answering:
    """Waits for INVITEs to a number; each makes a Leg."""

    def __init__(self, agent, wire, number, manners, port, then=None):
        self.agent, self.wire, self.manners, self.port, self.then = agent, wire, manners, port, then
        self.legs = []
        agent.numbers[number] = (wire, self.invited)

    def invited(self, server):
        if server.request.method != "INVITE":
            server.reply(501)
            return
        leg = self.branch(server)
        server.cancelled = lambda: [branch.is_cancelled() for branch in self.legs if branch.invite is server and branch.state == "early"]
        if len(self.legs) > 1:
            self.wire.note(f"    {self.agent.name} is called again")
        if self.then:
            self.then(leg)

    def branch(self, server):
        """An early dialog; more than one of an INVITE are those of a proxy that forks."""
        leg = Leg(self.agent, self.wire, server.request.call_id, self.manners, self.port)
        leg.begin(server, token())
        self.legs.append(leg)
        return leg


__all__ = ["ALLOW", "Answering", "Calling", "Leg", "Manners", "address", "dialog_tag", "direction", "response_to", "streams"]
