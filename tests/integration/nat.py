# SPDX-License-Identifier: BSD-3-Clause
"""NATs of every kind in the lab's router (nftables), and registered phones behind them.

RFC 4787's names: where a NAT lets packets in (filtering) and what port it gives (mapping). Linux maps an inner port to the same outer port
while that is free, and lets in who was written to (address and port): what restricts less is made of maps that the packets fill."""

import re
import subprocess
import threading

import netns
from conftest import SBC_IN4, SBC_OUT4
from media import Media, check_exactly_once, exchange, open_path
from sip import Endpoint, bracket, compose, sdp, token
from stream_peer import StreamEndpoint

PUBLIC = "203.0.113.2"
TO_CORE = (SBC_IN4, 5060)
GUARD = "guard { untrusted-rate = 1000  untrusted-burst = 1000 }"

# Towards the phone goes what conntrack knows, and what a rule has translated on purpose.
FORWARD = "chain forward { type filter hook forward priority filter; iifname wan ct status dnat accept; iifname wan ct state new drop; }"

LEARN = """
    map inner { type inet_service : ipv4_addr; flags dynamic; size 1000; }
    set asked { type ipv4_addr; flags dynamic; size 1000; }
    chain learn { type filter hook postrouting priority mangle; oifname wan meta l4proto udp update @inner { udp sport : ip saddr }
                  oifname wan meta l4proto udp update @asked { ip daddr }; }
"""

KINDS = {
    "full cone": LEARN + """
    chain back { type nat hook prerouting priority dstnat; iifname wan meta l4proto udp dnat ip to udp dport map @inner; }
    chain out { type nat hook postrouting priority srcnat; oifname wan masquerade persistent; }""",
    "address restricted": LEARN + """
    chain back { type nat hook prerouting priority dstnat;
                 iifname wan meta l4proto udp ip saddr @asked dnat ip to udp dport map @inner; }
    chain out { type nat hook postrouting priority srcnat; oifname wan masquerade persistent; }""",
    "port restricted": "chain out { type nat hook postrouting priority srcnat; oifname wan masquerade; }",
    "symmetric": "chain out { type nat hook postrouting priority srcnat; oifname wan masquerade random,fully-random; }",
}


class Router:
    """The lab's NAT, made anew as one of KINDS."""

    def __init__(self, stack, kind="symmetric", timeout=None):
        self.stack = stack
        self.namespace = stack.lab.namespace("nat")
        self.rules(KINDS[kind])
        self.forget()  # what another kind of router has let through
        # Always: an earlier test may have shortened them.
        for name in ("udp_timeout", "udp_timeout_stream"):
            self.run("sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}={timeout or 120}")
        stack.closing.append(self)

    def run(self, *command, text=None):
        netns.run(self.namespace, list(command), check=True, input=text)

    def rules(self, chains, forward=FORWARD):
        self.run("nft", "-f", "-", text=f"flush ruleset\ntable inet nat {{\n{chains}\n{forward}\n}}\n")

    def forget(self):
        """All bindings go, as when the router is switched off and on: masquerading ends with its interface."""
        self.run("ip", "link", "set", "wan", "down")
        self.run("ip", "link", "set", "wan", "up")
        self.run("ip", "address", "replace", "2001:db8:1::2/64", "dev", "wan", "nodad")

    def move(self, address):
        """Another public address, as DSL lines get each night."""
        old = netns.run(self.namespace, ["ip", "-4", "-o", "address", "show", "dev", "wan"], check=True).stdout
        for found in re.findall(r"inet (\S+)", old):
            self.run("ip", "address", "delete", found, "dev", "wan")
        self.run("ip", "address", "add", f"{address}/24", "dev", "wan")

    def close(self):
        self.run("sysctl", "-q", "-w", "net.netfilter.nf_conntrack_udp_timeout=30", "net.netfilter.nf_conntrack_udp_timeout_stream=120")
        self.move(PUBLIC)
        self.rules(KINDS["symmetric"])


class Carrier:
    """A second NAT in a row: the phone's namespace becomes a home router on 100.64.0.0/10 (RFC 6598), and a namespace behind it the phone's."""

    def __init__(self, stack):
        self.stack = stack
        self.home, self.inner = stack.lab.namespace("phone"), stack.lab.namespace("inner")
        at = lambda namespace, *command: netns.run(namespace, list(command), check=True)
        subprocess.run(["ip", "netns", "add", self.inner], check=True)
        stack.closing.append(self)
        subprocess.run(["ip", "link", "add", "eth0", "netns", self.inner, "type", "veth", "peer", "name", "lan", "netns", self.home], check=True)
        for namespace, interface in ((self.inner, "eth0"), (self.home, "lan")):
            at(namespace, "ethtool", "-K", interface, "tx", "off")
            at(namespace, "ip", "link", "set", interface, "up")
        at(self.inner, "ip", "link", "set", "lo", "up")
        at(self.inner, "ip", "address", "add", "192.168.178.2/24", "dev", "eth0")
        at(self.home, "ip", "address", "add", "192.168.178.1/24", "dev", "lan")
        at(self.inner, "ip", "route", "add", "default", "via", "192.168.178.1")
        at(self.home, "ip", "address", "add", "100.64.7.2/10", "dev", "eth0")
        netns.run(stack.lab.namespace("nat"), ["ip", "address", "add", "100.64.0.1/10", "dev", "lan"], check=True)
        at(self.home, "ip", "route", "replace", "default", "via", "100.64.0.1", "src", "100.64.7.2")
        at(self.home, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        netns.run(self.home, ["nft", "-f", "-"], check=True, input="table ip home {\nchain out {\n"
                  "type nat hook postrouting priority srcnat\noifname eth0 masquerade random,fully-random\n}\n}\n")

    def close(self):
        netns.run(self.home, ["nft", "delete", "table", "ip", "home"], check=True)
        subprocess.run(["ip", "netns", "delete", self.inner], check=True)
        netns.run(self.home, ["ip", "route", "replace", "default", "via", "192.168.77.1"], check=True)
        netns.run(self.home, ["ip", "address", "delete", "100.64.7.2/10", "dev", "eth0"], check=True)
        netns.run(self.home, ["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"])
        netns.run(self.stack.lab.namespace("nat"), ["ip", "address", "delete", "100.64.0.1/10", "dev", "lan"], check=True)


class Middlebox:
    """An ALG that believes that it understands SIP: a relay in the router between phones and the SBC, which writes wrong ports into Via and
    Contact, and the router's address, with the phone's port, into descriptions, on the way out; and changes nothing on the way back."""

    PORT = 5099

    def __init__(self, router):
        self.router = router
        router.rules(KINDS["symmetric"] + f"""
            chain divert {{ type nat hook prerouting priority dstnat; iifname lan ip daddr {SBC_OUT4} udp dport 5060 redirect to :{self.PORT}; }}""")
        self.inside = netns.udp_socket(router.namespace, "0.0.0.0", self.PORT)
        self.inside.settimeout(0.2)
        self.outside = {}  # phone -> socket towards the SBC
        self._open = True
        self._threads = [threading.Thread(target=self._out, daemon=True)]
        self._threads[0].start()
        router.stack.closing.append(self)

    def spoil(self, raw):
        head, end, body = raw.partition(b"\r\n\r\n")
        head = re.sub(rb"(Via: SIP/2.0/UDP )[^;]+", rb"\g<1>%s:1" % PUBLIC.encode(), head, count=1)
        head = re.sub(rb"(Contact: <sip:[^@>]*@)[^>;]+", rb"\g<1>%s:4321" % PUBLIC.encode(), head)
        spoilt = re.sub(rb"(IN IP4 )[0-9.]+", rb"\g<1>%s" % PUBLIC.encode(), body)
        head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(spoilt), head)
        return head + end + spoilt

    def _out(self):
        while self._open:
            try:
                raw, phone = self.inside.recvfrom(65535)
            except TimeoutError:
                continue
            if phone not in self.outside:
                self.outside[phone] = netns.udp_socket(self.router.namespace, PUBLIC)
                self.outside[phone].settimeout(0.2)
                thread = threading.Thread(target=self._back, args=(phone,), daemon=True)
                self._threads.append(thread)
                thread.start()
            self.outside[phone].sendto(self.spoil(raw), (SBC_OUT4, 5060))

    def _back(self, phone):
        while self._open:
            try:
                self.inside.sendto(self.outside[phone].recv(65535), phone)
            except TimeoutError:
                continue
            except OSError:
                return

    def close(self):
        self._open = False
        for thread in self._threads:
            thread.join()
        for sock in (self.inside, *self.outside.values()):
            sock.close()


def registering(text):
    """The lab's configuration, its phones registering at its access interface."""
    return text.replace("ip-profile = phone  allow-anonymous = all", "ip-profile = phone  registration = cache  allow-anonymous = registered")


# --- phones -----------------------------------------------------------------------------------------------------------------

class Registration:
    """What a phone does to be registered: REGISTER and its refreshes, one Call-ID, ascending CSeq."""

    def __init__(self, phone, user, to=(SBC_OUT4, 5060), expires=3600, headers=()):
        self.phone, self.user, self.to, self.expires, self.headers = phone, user, to, expires, headers
        self.call_id, self.tag, self.cseq = token(20), token(), 0
        self.registrar = None  # who knows of it

    def send(self, expires=None):
        phone, host = self.phone, bracket(self.to[0])
        self.cseq += 1
        phone.send(compose(
            f"REGISTER sip:{host} SIP/2.0",
            [("Via", f"SIP/2.0/{phone.transport} {bracket(phone.host)}:{phone.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
             ("From", f"<sip:{self.user}@{host}>;tag={self.tag}"), ("To", f"<sip:{self.user}@{host}>"), ("Call-ID", self.call_id),
             ("CSeq", f"{self.cseq} REGISTER"), ("Contact", f"<sip:{self.user}@{bracket(phone.host)}:{phone.port}{phone.uri_parameters}>"),
             ("Expires", str(self.expires if expires is None else expires)), ("User-Agent", phone.agent), *self.headers],
        ), self.to)

    def answer(self, status=200, timeout=10.0):
        return self.phone.expect(
            lambda m: m.status and m.status >= 200 and m.method == "REGISTER" and m["cseq"].split()[0] == str(self.cseq), self.call_id, timeout)

    def close(self):
        """Nothing of it is left for another test, whatever became of this one."""
        if not self.registrar:
            return
        try:
            self.refresh(self.registrar, 0)
        except AssertionError:
            pass

    def refresh(self, registrar=None, expires=None):
        """Registers; `registrar` has to be asked, or None: the SBC answers from its cache. The 200."""
        self.send(expires)
        asked = registrar.accept(self.phone) if registrar else None
        answer = self.answer(timeout=5.0)
        self.registrar = (registrar or self.registrar) if expires != 0 else None
        assert answer.status == 200, answer.raw.decode()
        if asked:
            self.contact_uri = asked.contact_uri  # what the PBX calls this phone by
            self.contact_user = re.match(r"sip:([^@;>]+)@", asked.contact_uri).group(1)
        return answer


def registered(stack, registrar, phone, user="alice", to=(SBC_OUT4, 5060), **kwargs):
    registration = Registration(phone, user, to, **kwargs)
    registration.refresh(registrar)
    stack.closing.append(registration)
    return registration


class Registrar:
    """The PBX's side of registrations: an endpoint that says yes."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def accept(self, phone=None, timeout=5.0):
        try:
            request = self.endpoint.expect("REGISTER", timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; the phone got {[m.raw for m in phone.received] if phone else None}") from None
        tagged = f"{request['to']};tag={token()}"
        contact = request["contact"]
        self.endpoint.send(compose("SIP/2.0 200 OK", [
            *(("Via", v) for v in request.all("via")), ("From", request["from"]), ("To", tagged), ("Call-ID", request.call_id),
            ("CSeq", request["cseq"]), ("Contact", f"<{request.contact_uri}>;expires={request['expires'] or 3600}"),
            ("Expires", request["expires"] or "3600"), ("X-Was", "seen") if contact else ("X-Was", "empty"),
        ]), request.source)
        return request


class Ear:
    """A socket that keeps STUN messages (RFC 8489) apart from SIP."""

    def __init__(self, sock, stun):
        self._socket, self._stun = sock, stun

    def recvfrom(self, size):
        data, source = self._socket.recvfrom(size)
        if data[4:8] == bytes.fromhex("2112a442"):
            self._stun.append(data)
            raise TimeoutError
        return data, source

    def __getattr__(self, name):
        return getattr(self._socket, name)


class AnsweringPhone(Endpoint):
    """Answers OPTIONS, as phones do: while `answers_options`. Counts them; STUN messages are in `stun`."""

    answers_options = True

    def __post_init__(self):
        self.asked, self.stun = 0, []
        super().__post_init__()

    def send_answer(self, message):
        self.send(compose("SIP/2.0 200 OK", [
            *(("Via", v) for v in message.all("via")), ("From", message["from"]), ("To", f"{message['to']};tag={token()}"),
            ("Call-ID", message.call_id), ("CSeq", message["cseq"]), ("Server", self.agent)]), message.source)

    def _read(self):
        inbox = self.inbox
        phone = self
        self.socket = Ear(self.socket, self.stun)

        class Inbox(list):
            def append(self, message):
                if message.is_request and message.method == "OPTIONS":
                    phone.asked += 1
                    if phone.answers_options:
                        phone.send_answer(message)
                else:
                    list.append(self, message)

        self.inbox = Inbox(inbox)
        super()._read()


def phone_at(stack, host="192.168.77.2", port=5060, node="phone", cls=AnsweringPhone, **kwargs):
    """A phone's endpoint; its address is added to the node if need be."""
    namespace = stack.lab.namespace(node)
    if node == "phone" and host not in netns.run(namespace, ["ip", "address", "show", "dev", "eth0"]).stdout:
        netns.run(namespace, ["ip", "address", "add", f"{host}/24", "dev", "eth0"], check=True)
    endpoint = cls(namespace, host, port, **kwargs)
    stack.closing.append(endpoint)
    return endpoint


def stream_phone_at(stack, host="192.168.77.2", port=0):
    endpoint = StreamEndpoint(stack.lab.namespace("phone"), host, port)
    stack.closing.append(endpoint)
    return endpoint


# --- calls ------------------------------------------------------------------------------------------------------------------

class Talk:
    """An answered call from `caller` to `number` at `to`, answered by `callee`, with media on both sides, heard both ways."""

    def __init__(self, stack, caller, to, number, callee, caller_user="alice"):
        self.near, self.far = (Media(e.namespace, e.host) for e in (caller, callee))
        stack.closing += [self.near, self.far]
        self.a = caller.call(to, number, sdp(caller.host, self.near.port), caller=caller_user)
        self.b = callee.answerer()
        self.far.destination = self.b.invite.media()[:2]
        self.b.reply(self.b.invite, 180, "Ringing")
        self.a.expect(180)
        self.b.reply(self.b.invite, 200, "OK", sdp(callee.host, self.far.port))
        self.ok = self.a.expect(200)
        self.near.destination = self.ok.media()[:2]
        self.a.ack(self.ok)
        self.b.expect("ACK")
        caller.ask(to)  # the SBC acknowledges on its own: now it has the caller's ACK too

    def heard(self, count=5):
        """RTP both ways; the phone opens its NAT."""
        opener, other = (self.far, self.near) if self.near.namespace.endswith("-pbx") else (self.near, self.far)
        open_path(opener, other)
        exchange([(self.near, self.far)], count)
        check_exactly_once(self.near, self.far)
        check_exactly_once(self.far, self.near)
        self.near.forget()
        self.far.forget()
        return self

    def change(self, asker, asked, direction, answer):
        """A re-INVITE with another direction, answered."""
        media = {self.a: self.near, self.b: self.far}
        asker.request("INVITE", sdp(asker.endpoint.host, media[asker].port, direction, version=2))
        invite = asked.expect("INVITE")
        assert invite.media()[2] == direction
        asked.reply(invite, 200, "OK", sdp(asked.endpoint.host, media[asked].port, answer, version=2))
        ok = asker.expect(lambda m: m.status == 200 and m.method == "INVITE")
        asker.ack(ok)
        asked.expect("ACK")
        asker.endpoint.ask(asker.peer)  # the SBC acknowledges on its own: now it has the asker's ACK too
        assert ok.media()[2] == answer

    def hold_and_resume(self, by):
        other = self.b if by is self.a else self.a
        self.change(by, other, "sendonly", "recvonly")
        self.change(by, other, "sendrecv", "sendrecv")

    def end_by_callee(self):
        self.end(self.b)

    def end(self, by):
        other = self.b if by is self.a else self.a
        by.request("BYE")
        other.take_bye()
        by.expect(lambda m: m.status == 200 and m.method == "BYE")


def incoming(stack, pbx, registration, to):
    """The PBX calls the phone as it was told to."""
    talk = Talk(stack, pbx, to, registration.contact_user, registration.phone)
    assert talk.b.invite.source[0] == registration.to[0], "not from where the phone has registered"
    assert talk.b.invite.source[1] == registration.to[1], "from another port than the phone has registered at: no NAT lets that in"
    return talk


def wait_until_asked(phone, times=1, deadline=20.0):
    before = phone.asked
    netns.wait_for(f"{times} OPTIONS at the phone", lambda: phone.asked >= before + times, deadline)
