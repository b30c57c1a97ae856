# SPDX-License-Identifier: BSD-3-Clause
"""A SIP user agent of raw text over UDP sockets inside a namespace: it does exactly what a test says and nothing else.

Repetitions of a message already received (same bytes) are counted and kept away from the test; nothing is repeated unless
the test does it."""

import random
import re
import string
import threading
import time
from dataclasses import dataclass, field

import netns

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}


def token(n=12):
    return "".join(random.choice(string.ascii_lowercase + string.digits) for _ in range(n))


def bracket(host):
    return f"[{host}]" if ":" in host else host


class Message:
    def __init__(self, raw, source=None):
        self.raw = raw
        self.source = source
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape")).split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((COMPACT.get(name, name), value.strip()))
        words = self.start.split(" ", 2)
        self.status = int(words[1]) if words[0] == "SIP/2.0" else None
        self.method = words[0] if self.status is None else self["cseq"].split()[-1]
        self.uri = words[1] if self.status is None else None

    def __getitem__(self, name):
        """First value of a header, "" if there is none."""
        return next((v for n, v in self.headers if n == name.lower()), "")

    def all(self, name):
        return [v for n, v in self.headers if n == name.lower()]

    @property
    def is_request(self):
        return self.status is None

    @property
    def call_id(self):
        return self["call-id"]

    def tag(self, header):
        found = re.search(r";\s*tag=([^;>\s]+)", self[header])
        return found.group(1) if found else ""

    @property
    def branch(self):
        found = re.search(r";\s*branch=([^;,\s]+)", self["via"])
        return found.group(1) if found else ""

    @property
    def contact_uri(self):
        found = re.search(r"<([^>]+)>", self["contact"])
        return found.group(1) if found else self["contact"].split(";")[0]

    def media(self, index=0):
        """(address, port, direction) of one m= line of the SDP."""
        session = address = None
        streams = []
        direction = "sendrecv"
        for line in self.body.decode().split("\r\n"):
            if line.startswith("c="):
                address = line.split()[2]
                if streams:
                    streams[-1][0] = address
                else:
                    session = address
            elif line.startswith("m="):
                streams.append([session, int(line.split()[1]), direction])
            elif line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"):
                if streams:
                    streams[-1][2] = line[2:]
                else:
                    direction = line[2:]
        return tuple(streams[index])

    def __repr__(self):
        return f"<{self.start} call-id={self.call_id} cseq={self['cseq']} from {self.source}>"


def sdp(host, port, direction="", session=None, version=1, user="-", name="-", extra=()):
    """A session description of one PCMU stream."""
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0", f"o={user} {session or random.randrange(10**9, 10**10)} {version} IN {family} {host}", f"s={name}",
        f"c=IN {family} {host}", "t=0 0", f"m=audio {port} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15",
    ]
    if direction:
        lines.append(f"a={direction}")
    return ("\r\n".join([*lines, *extra]) + "\r\n").encode()


def compose(start, headers, body=b"", content_type="application/sdp"):
    lines = [start, *(f"{n}: {v}" for n, v in headers)]
    if body:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Endpoint:
    """A UDP socket with a thread that sorts what arrives."""

    namespace: str
    host: str
    port: int = 5060
    agent: str = "raw-peer/1"
    received: list = field(default_factory=list)  # every message, repetitions included
    repeats: int = 0
    transport = "UDP"  # of its Via
    uri_parameters = ""  # of its Contact

    def __post_init__(self):
        self.socket = netns.udp_socket(self.namespace, self.host, self.port, receive_buffer=4 << 20)
        self.port = self.socket.getsockname()[1]
        self.inbox = []
        self._seen = set()
        self._changed = threading.Condition()
        self._open = True
        self.socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while self._open:
            try:
                raw, source = self.socket.recvfrom(65535)
            except TimeoutError:
                continue
            except OSError:
                if self._open:  # an ICMP error of an earlier send
                    continue
                return
            try:
                message = Message(raw, source[:2])
            except (ValueError, IndexError):
                continue
            with self._changed:
                self.received.append(message)
                if raw in self._seen:
                    self.repeats += 1
                else:
                    self._seen.add(raw)
                    self.inbox.append(message)
                self._changed.notify_all()

    def close(self):
        self._open = False
        self.socket.sendto(b"", self.socket.getsockname())  # wakes the thread
        self._thread.join()
        self.socket.close()

    def send(self, raw, to):
        self.socket.sendto(raw, to)

    def expect(self, what, call_id=None, timeout=5.0):
        """The first message not yet taken that matches: a method ("INVITE": a request), a status (200) or a predicate."""
        if callable(what):
            match = what
        elif isinstance(what, int):
            match = lambda m: m.status == what
        else:
            match = lambda m: m.is_request and m.method == what
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for i, message in enumerate(self.inbox):
                    if match(message) and (call_id is None or message.call_id == call_id):
                        return self.inbox.pop(i)
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"{self.namespace} {self.host}: no {what} within {timeout:g} s; waiting there: {self.inbox}"
                    )
                self._changed.wait(left)

    def pending(self, match):
        with self._changed:
            return [m for m in self.inbox if match(m)]

    def ask(self, to, timeout=5.0):
        """OPTIONS and its answer. What was sent to there before it has been dealt with by then (one socket, one shard)."""
        mark, host, there = f"ask-{token()}", bracket(self.host), bracket(to[0])
        self.send(compose(
            f"OPTIONS sip:{there} SIP/2.0",
            [("Via", f"SIP/2.0/{self.transport} {host}:{self.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
             ("From", f"<sip:ask@{there}>;tag={token()}"), ("To", f"<sip:{there}>"), ("Call-ID", mark), ("CSeq", "1 OPTIONS")],
        ), to)
        return self.expect(200, call_id=mark, timeout=timeout)

    # --- calls ---

    def call(self, to, user, body=b"", caller="alice", headers=(), domain=None):
        """Sends an INVITE to (host, port) for `user`; returns the Dialog."""
        dialog = Dialog(self, to)
        dialog.local = f'<sip:{caller}@{bracket(domain or self.host)}>;tag={token()}'
        dialog.remote = f"<sip:{user}@{bracket(to[0])}>"
        dialog.target = f"sip:{user}@{bracket(to[0])}:{to[1]}"
        dialog.request("INVITE", body, headers)
        return dialog

    def answerer(self, timeout=5.0, match=None):
        """Waits for an INVITE that begins a dialog; returns its Dialog."""
        invite = self.expect(
            lambda m: m.is_request and m.method == "INVITE" and not m.tag("to") and (not match or match(m)), timeout=timeout
        )
        dialog = Dialog(self, invite.source)
        dialog.call_id = invite.call_id
        dialog.local = f"{invite['to']};tag={token()}"
        dialog.remote = invite["from"]
        dialog.target = invite.contact_uri
        dialog.routes = invite.all("record-route")
        dialog.invite = invite
        return dialog


class Dialog:
    """One dialog as one side sees it, from whichever side the INVITE came."""

    def __init__(self, endpoint, peer):
        self.endpoint = endpoint
        self.peer = peer
        self.call_id = f"{token(20)}@{bracket(endpoint.host)}"
        self.cseq = random.randrange(1, 30000)
        self.routes = []
        self.invite = None  # the last INVITE received
        self.last = None  # the last request sent: Message
        self.invited = None  # the last INVITE sent: Message
        self.contact = f"<sip:raw@{bracket(endpoint.host)}:{endpoint.port}{endpoint.uri_parameters}>"

    # --- as client ---

    def request(self, method, body=b"", headers=(), cseq=None, branch=None, content_type="application/sdp"):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or "z9hG4bK" + token()
        endpoint = self.endpoint
        fields = [
            ("Via", f"SIP/2.0/{endpoint.transport} {bracket(endpoint.host)}:{endpoint.port};branch={branch};rport"),
            ("Max-Forwards", "70"),
            *(("Route", r) for r in self.routes),
            ("From", self.local), ("To", self.remote), ("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}"),
            ("User-Agent", endpoint.agent),
        ]
        if method in ("INVITE", "UPDATE", "SUBSCRIBE", "OPTIONS"):
            fields.append(("Contact", self.contact))
        raw = compose(f"{method} {self.target} SIP/2.0", [*fields, *headers], body, content_type)
        self.last = Message(raw)
        if method == "INVITE":
            self.invited = self.last
        endpoint.send(raw, self.peer)
        return self.last

    def repeat(self):
        self.endpoint.send(self.last.raw, self.peer)

    def expect(self, what, timeout=5.0):
        """A response to our requests, or a request of the other side, in this dialog. Learns tag, target and routes."""
        message = self.endpoint.expect(what, self.call_id, timeout)
        if message.status and message.status > 100:
            if message.tag("to") and message.method == "INVITE" and message.status < 300:
                self.remote = message["to"]
            if message["contact"] and message.status < 300:
                self.target = message.contact_uri
            if message.status < 300 and message.method == "INVITE":
                self.routes = message.all("record-route")[::-1]
        elif message.is_request and message.method == "INVITE":
            self.invite = message
        return message

    def ack(self, response, body=b""):
        """ACK of a final response: for 2xx a request of its own, else part of the INVITE's transaction."""
        number = int(response["cseq"].split()[0])
        if response.status < 300:
            return self.request("ACK", body, cseq=number)
        invite = self.invited
        raw = compose(
            f"ACK {invite.uri} SIP/2.0",
            [("Via", invite["via"]), ("Max-Forwards", "70"), ("From", invite["from"]), ("To", response["to"]),
             ("Call-ID", self.call_id), ("CSeq", f"{number} ACK")],
        )
        self.endpoint.send(raw, self.peer)
        return Message(raw)

    def cancel(self):
        invite = self.invited
        raw = compose(
            f"CANCEL {invite.uri} SIP/2.0",
            [("Via", invite["via"]), ("Max-Forwards", "70"), ("From", invite["from"]), ("To", invite["to"]),
             ("Call-ID", self.call_id), ("CSeq", f"{invite['cseq'].split()[0]} CANCEL")],
        )
        self.endpoint.send(raw, self.peer)
        return Message(raw)

    def bye(self, headers=()):
        """BYE and its 200."""
        self.request("BYE", headers=headers)
        return self.expect(lambda m: m.status == 200 and m.method == "BYE")

    # --- as server ---

    def reply(self, request, status, reason="", body=b"", headers=(), contact=True):
        fields = [
            *(("Via", v) for v in request.all("via")),
            *(("Record-Route", r) for r in request.all("record-route")),
            ("From", request["from"]),
            ("To", request["to"] if request.tag("to") or status == 100 else self.local),
            ("Call-ID", request.call_id), ("CSeq", request["cseq"]), ("Server", self.endpoint.agent),
        ]
        if contact and request.method in ("INVITE", "UPDATE") and 100 < status < 300:
            fields.append(("Contact", self.contact))
        raw = compose(f"SIP/2.0 {status} {reason or 'Reason'}", [*fields, *headers], body)
        self.endpoint.send(raw, request.source)
        return Message(raw)

    def take_bye(self, timeout=5.0):
        """Waits for BYE and answers it."""
        bye = self.expect("BYE", timeout)
        self.reply(bye, 200, "OK")
        return bye
