# SPDX-License-Identifier: BSD-3-Clause
"""After a power cut all phones register at once: the registrar sees no more than it can take, who is registered stays so, and all come back."""

import re
import selectors
import socket
import struct
import threading
import time

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4
from registrar import digest
from sip import compose, sdp, token

PHONES, HOSTS, RATE = 2000, 40, 400
PASSWORD = "secret"

GUARD = f"""
guard {{ untrusted-rate = 100000  untrusted-burst = 100000  untrusted-class-rate = 0 }}
registration {{ upstream-rate = {RATE}  per-source-rate = 20  per-aor-rate = 20 }}
local-policy to-phones {{ from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }}
local-policy register  {{ from-realm = access  to = "^[a-z]+[0-9]*$"  next-hop = "agent:pbx"  priority = 30 }}
"""


def change(text):
    return text.replace("ip-profile = phone  allow-anonymous = all", "ip-profile = phone  registration = cache  allow-anonymous = registered")


@pytest.fixture(scope="module")
def module_stack():
    from conftest import Stack

    stack = Stack()
    stack.more, stack.change = GUARD, change
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


def field(raw, name):
    found = re.search(rb"\r\n" + name + rb": ([^\r]*)", raw)
    return found.group(1).decode() if found else ""


SO_TIMESTAMPNS = 35


class Pbx:
    """Challenges each REGISTER, and takes the right answer. `times`: when each came by the wire, repetitions too."""

    def __init__(self, stack):
        self.socket = netns.udp_socket(stack.lab.namespace("pbx"), "10.0.0.5", 5060, receive_buffer=8 << 20)
        self.socket.settimeout(0.2)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.seen, self.times, self.registered, self.contacts, self.invited = set(), [], set(), {}, None
        self.nonces = {}
        self.replies = {}
        self.open = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        stack.closing.append(self)

    def run(self):
        while self.open:
            try:
                raw, control, _, source = self.socket.recvmsg(65535, 64)
            except TimeoutError:
                continue
            if raw.startswith(b"REGISTER "):
                seconds, nanoseconds = struct.unpack("qq", control[0][2])
                self.times.append(seconds + nanoseconds / 1e9)
                if raw not in self.replies:
                    self.replies[raw] = self.answer(raw)
                self.socket.sendto(self.replies[raw], source)
            elif raw.startswith(b"SIP/2.0") and b" INVITE\r\n" in raw:
                self.invited = raw

    def answer(self, raw):
        user = re.search(r"sip:([^@]+)@", field(raw, b"To")).group(1)
        head = [("Via", field(raw, b"Via")), ("From", field(raw, b"From")), ("To", f"{field(raw, b'To')};tag={token()}"),
                ("Call-ID", field(raw, b"Call-ID")), ("CSeq", field(raw, b"CSeq"))]
        given = field(raw, b"Authorization")
        challenge = f'Digest realm="pbx", nonce="{self.nonces.get(user, "")}"'
        if user in self.nonces and given and re.search('response="([^"]+)"', given).group(1) in digest(
                challenge, "REGISTER", f"sip:{SBC_OUT4}", user, PASSWORD):
            self.registered.add(user)
            contact = re.search(r"<([^>]+)>", field(raw, b"Contact")).group(1)
            self.contacts[user] = contact
            return compose("SIP/2.0 200 OK", [*head, ("Contact", f"<{contact}>;expires=3600")])
        self.nonces[user] = token(20)
        return compose("SIP/2.0 401 Unauthorized", [*head, ("WWW-Authenticate", f'Digest realm="pbx", nonce="{self.nonces[user]}"')])

    def close(self):
        self.open = False
        self.thread.join()
        self.socket.close()


class Phone:
    """Registers when it may: answers challenges, waits as it is told, and repeats what is not answered."""

    def __init__(self, sock, user):
        self.socket, self.user = sock, user
        self.host, self.port = sock.getsockname()
        self.call_id, self.tag, self.cseq = token(20), token(), 0
        self.due, self.authorization, self.done, self.told_to_wait, self.retry = 0.0, None, False, 0, 0.5
        self.raw, self.back = None, None

    def send(self, now, fresh=True):
        if fresh:
            self.cseq += 1
            self.retry = 0.5
            headers = [("Authorization", self.authorization)] if self.authorization else []
            self.raw = compose(f"REGISTER sip:{SBC_OUT4} SIP/2.0", [
                ("Via", f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
                ("From", f"<sip:{self.user}@{SBC_OUT4}>;tag={self.tag}"), ("To", f"<sip:{self.user}@{SBC_OUT4}>"),
                ("Call-ID", self.call_id), ("CSeq", f"{self.cseq} REGISTER"), ("Contact", f"<sip:{self.user}@{self.host}:{self.port}>"),
                ("Expires", "3600"), *headers])
        else:
            self.retry = min(2 * self.retry, 4)
        self.socket.sendto(self.raw, (SBC_OUT4, 5060))
        self.due = now + self.retry

    def tick(self, now):
        if not self.done and now >= self.due:
            self.send(now, fresh=self.waits or self.raw is None)
            self.waits = False

    waits = False

    def hear(self, now):
        raw = self.socket.recv(65535)
        if not raw.startswith(b"SIP/2.0 ") or field(raw, b"CSeq") != f"{self.cseq} REGISTER" or self.waits or self.done:
            return
        status = int(raw[8:11])
        if status == 401:
            self.authorization = digest(field(raw, b"WWW-Authenticate"), "REGISTER", f"sip:{SBC_OUT4}", self.user, PASSWORD)
            self.send(now)
        elif status == 200:
            self.done, self.back = True, now
        else:
            assert status in (503, 429), raw.decode()
            self.told_to_wait += 1
            self.waits, self.authorization = True, None
            self.due = now + int(field(raw, b"Retry-After"))


def power_cut(stack):
    namespace = stack.lab.namespace("outside")
    phones = []
    for n in range(HOSTS):
        host = f"203.0.113.{101 + n}"
        netns.run(namespace, ["ip", "address", "replace", f"{host}/24", "dev", "br0"], check=True)
        # Host by host, as the worst order is.
        phones += [Phone(netns.udp_socket(namespace, host, 20000 + i), f"phone{n * PHONES // HOSTS + i}") for i in range(PHONES // HOSTS)]
    return phones


def most_in_a_second(times):
    first, most = 0, 0
    for i, at in enumerate(times):
        while times[first] <= at - 1:
            first += 1
        most = max(most, i - first + 1)
    return most


def shares_at_half_time(phones):
    half = sorted(p.back for p in phones)[len(phones) // 2]
    return [sum(p.back <= half for p in phones[n:n + PHONES // HOSTS]) for n in range(0, PHONES, PHONES // HOSTS)]


def test_all_come_back_at_the_rate_that_the_registrar_can_take(stack):
    pbx = Pbx(stack)
    namespace = stack.lab.namespace("outside")
    first = Phone(netns.udp_socket(namespace, "203.0.113.100", 5080), "first")
    selector = selectors.DefaultSelector()
    selector.register(first.socket, selectors.EVENT_READ, first)
    everybody = [first]

    def live(until, deadline):
        end = time.monotonic() + deadline
        while not until():
            now = time.monotonic()
            assert now < end, f"{sum(not p.done for p in everybody)} phones are not back after {deadline} s"
            for key, _ in selector.select(0.01):
                key.data.hear(now)
            for phone in everybody:
                phone.tick(now)

    live(lambda: first.done, 20)
    phones = power_cut(stack)
    for phone in phones:
        selector.register(phone.socket, selectors.EVENT_READ, phone)
    everybody += phones
    asked_before, began = len(pbx.times), time.monotonic()
    # Who is registered is served all the while, and asks the registrar nothing.
    refreshes = 0
    while not all(p.done for p in phones):
        first.done, first.authorization = False, None
        first.send(time.monotonic())
        live(lambda: first.done, 60)
        refreshes += 1
        mark = time.monotonic() + 1
        live(lambda: time.monotonic() > mark or all(p.done for p in phones), 300)
        assert time.monotonic() < began + 300
    took = time.monotonic() - began
    asked = len(pbx.times) - asked_before
    assert pbx.registered == {p.user for p in phones} | {"first"}
    assert first.told_to_wait == 0 and refreshes > 2
    assert asked >= 2 * PHONES
    most = most_in_a_second(pbx.times)
    shares = shares_at_half_time(phones)
    print(f"{PHONES} phones back after {took:.1f} s, least {2 * PHONES / RATE:.1f} s; "
          f"{sum(p.told_to_wait for p in phones)} times told to wait, {refreshes} refreshes; the registrar saw {most} in a second; "
          f"at half time hosts had {min(shares)} to {max(shares)} of {PHONES // HOSTS}")
    assert most <= RATE
    assert min(shares) > 0 and max(shares) < PHONES // HOSTS
    for phone in everybody:
        phone.socket.close()
