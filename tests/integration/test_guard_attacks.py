# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on the guard itself: packets in others' names that are to make it deny them, hold them, or forget whom people have banned; and guesses
that go around what it counts. The innocent must not notice, and the guilty gain nothing."""

import re
import socket
import struct

import pytest

import netns
from conftest import SBC_OUT4, Stack
from nat import Registrar, phone_at, stream_phone_at
from registrar import Kamailio, Registered, digest
from sip import compose, token
from test_guard import MORE, NAT, SCANNER, TO_SBC, audit, banned, change, options

BANS_MAX = 1024


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more, stack.change = MORE % f"max-bans = {BANS_MAX}  unproven-deny-rate = 100000  alarm-rate = 100000", change
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def clean(stack):
    yield stack
    stack.start("packet")


@pytest.fixture
def kamailio(stack):
    yield Kamailio(stack)


class Forger:
    """Writes whatever address it likes into its datagrams."""

    def __init__(self, stack):
        self.socket = netns.inside(stack.lab.namespace("outside"), socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.sent, self.sbc = 0, stack.sbc
        stack.closing.append(self)

    def close(self):
        self.socket.close()

    def send(self, source, port, payload):
        payload = payload.replace(b"@SOURCE@", f"{source}:{port}".encode())
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(SBC_OUT4))
        self.socket.sendto(head + struct.pack("!HHHH", port, 5060, 8 + len(payload), 0) + payload, (SBC_OUT4, 0))
        self.sent += 1


def received(stack):
    return stack.sbc.counters()["controlplane"]["rx-messages"]


def message(method="OPTIONS", user="100", agent="Phone", more=()):
    return compose(f"{method} sip:{SBC_OUT4} SIP/2.0", [
        ("Via", f"SIP/2.0/UDP @SOURCE@;branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"), ("From", f"<sip:{user}@{SBC_OUT4}>;tag={token()}"),
        ("To", f"<sip:{user}@{SBC_OUT4}>"), ("Call-ID", token()), ("CSeq", f"1 {method}"), ("Contact", f"<sip:{user}@@SOURCE@>"), ("User-Agent", agent), *more])


def guess(user, opaque=""):
    return message("REGISTER", user, more=[("Authorization", f'Digest username="{user}", realm="pbx.inside", nonce="x", uri="sip:{SBC_OUT4}", '
                                            f'response="{"0" * 32}"{opaque}')])


# --- an innocent host -----------------------------------------------------------------------------------------------------


def test_forged_packets_deny_no_host_and_its_phones_register_by_udp_and_tcp(clean, kamailio):
    forger = Forger(clean)
    seal = ', opaque="-n00000000' + "0" * 16 + '"'
    before = received(clean)
    for port in range(40000, 40040):
        for payload in (message(agent="friendly-scanner"), message("INVITE"), message("REGISTER", f"{port}"), guess("100", seal), b"\x01\x02\x03\x04 x\r\n\r\n"):
            forger.send(NAT, port, payload)
    # The port that the phone's own connection will come from, too.
    for _ in range(5):
        forger.send(NAT, 41000, message(agent="friendly-scanner"))
    netns.wait_for("a denial of the port", lambda: f"{NAT}:41000" in [b["source"] for b in banned(clean, NAT)], 10)
    assert all(":" in b["source"] for b in banned(clean, NAT)), banned(clean, NAT)
    assert received(clean) > before
    sources = [s for s in clean.sbc.show("guard")["sources"] if s["source"].split(":")[0] == NAT]
    assert sources and not any(s["proven"] or (":" not in s["source"] and s["step"] != "count") for s in sources), sources
    phone = Registered(phone_at(clean), "alice")
    assert phone.register().status == 200
    assert phone.register(0).status == 200
    by_stream = Registered(stream_phone_at(clean, port=41000), "bob")
    assert by_stream.register().status == 200


def test_what_is_told_of_the_guard_has_its_columns(clean):
    scanner = clean.endpoint("outside", SCANNER, 5073)
    scanner.send(options().replace(b"Max-Forwards: 70", b"Max-Forwards: 70\r\nUser-Agent: friendly-scanner"), TO_SBC)
    netns.wait_for("the ban", lambda: banned(clean, SCANNER), 10)
    head, row = clean.sbc.command("show", "guard").stdout.splitlines()[:2]
    assert head.split() == ["SOURCE", "POINTS", "STEP", "PROVEN", "TIMES", "FOR", "SIGNS"]
    fields = row.split(None, 6)
    assert fields[0] == f"{SCANNER}:5073" and fields[2:5] == ["denial", "no", "1"] and fields[6].strip() == "scanner-agent 1", row
    assert 0 < int(fields[1]) <= 50 and re.search(r"\d", fields[5])
    # A column stands under its name.
    for name, text in zip(("STEP", "SIGNS"), ("denial", "scanner-agent")):
        assert head.index(name) == row.index(text)


# --- an innocent user -------------------------------------------------------------------------------------------------------


def test_forged_guesses_hold_no_user(clean, kamailio):
    forger = Forger(clean)
    before = received(clean)
    for n in range(60):
        forger.send(f"203.0.113.{120 + n}", 5060, guess("alice"))
    netns.wait_for("the guesses", lambda: received(clean) - before >= 60, 10)
    netns.wait_for("their refusals noted", lambda: len([s for s in clean.sbc.show("guard")["sources"] if "bad-password" in s["signs"]]) >= 40, 10)
    phone = Registered(phone_at(clean), "alice")
    assert phone.register().status == 200
    assert phone.challenges == 1


class Hosts:
    """More addresses outside, until all who use them are gone."""

    def __init__(self, stack, count):
        self.namespace, self.addresses = stack.lab.namespace("outside"), [f"203.0.113.{120 + n}" for n in range(count)]
        for address in self.addresses:
            netns.run(self.namespace, ["ip", "address", "add", f"{address}/24", "dev", "br0"], check=True)
        stack.closing.append(self)

    def close(self):
        for address in self.addresses:
            netns.run(self.namespace, ["ip", "address", "del", f"{address}/24", "dev", "br0"])


def test_a_user_is_guarded_however_his_name_is_written(clean, kamailio):
    """Guesses of hosts that show they are there, each too few to be silenced for: all count for the one user they are about."""
    forms = ["alice", "alice;1", "%61lice", "ALICE", "alice%40x", "al%69ce"]
    guessers = []
    for n, host in enumerate(Hosts(clean, 10).addresses):
        guesser = Registered(clean.endpoint("outside", host, 0), forms[n % 6])
        guesser.send()
        value = digest(guesser.answer()["www-authenticate"], "REGISTER", f"sip:{SBC_OUT4}", guesser.user, "wrong")
        guesser.headers = [("Authorization", value)]
        guessers.append(guesser)
    bob = Registered(phone_at(clean), "bob")
    for _ in range(4):
        before = received(clean)
        for guesser in guessers:
            guesser.send()
        netns.wait_for("the guesses taken", lambda before=before: received(clean) - before >= len(guessers), 10)
        assert bob.register().status == 200  # behind them at the registrar: what it refused is known
    heard = sum(len(g.phone.received) - 1 for g in guessers)
    assert 10 <= heard < 30, f"{heard} of 40 were answered"
    assert not clean.sbc.show("bans")["bans"]


# --- bans by order -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_forged_flows_lifts_no_ban_by_order(clean):
    assert clean.sbc.command("ban", "198.51.100.0/24").returncode == 0
    assert clean.sbc.command("ban", "198.51.101.7", "for", "600").returncode == 0
    orders = {"198.51.100.0/24", "198.51.101.7"}
    forger = Forger(clean)
    denials = lambda: clean.sbc.show("guard")["sources"]
    scanner = message(agent="friendly-scanner")
    for n in range(3 * BANS_MAX):
        forger.send(f"203.0.113.{120 + n % 100}", 5060 + n // 100, scanner)
        if n % 256 == 255:
            netns.wait_for("the packets taken", lambda n=n: received(clean) >= n // 2, 20)
    listed = lambda: {b["source"] for b in clean.sbc.show("bans")["bans"]}
    netns.wait_for("a full table", lambda: len(listed()) > BANS_MAX - 64, 20)
    assert orders <= listed() and len(listed()) <= BANS_MAX, len(listed())
    assert denials()
    assert clean.sbc.counters()["dataplane"]["ban-evicted"] == 0
    assert all(row["what"] != "source denied" for row in audit(clean)), "anybody could push orders out of the audit"
    clean.sbc.end("controlplane")
    clean.sbc.end("dataplane")
    clean.sbc.start("dataplane")
    clean.sbc.start("controlplane")
    clean.sbc.wait_ready()
    netns.wait_for("the orders, and nothing else", lambda: listed() == orders, 10)


# --- seals --------------------------------------------------------------------------------------------------------------------


def credentials(value):
    return dict(re.findall(r'(\w+)="([^"]*)"', value))


@pytest.mark.parametrize("own", [None, "", "of the registrar, 1"])
def test_a_registrar_sees_the_opaque_that_it_gave_and_no_other(clean, own):
    registrar = Registrar(clean.pbx())
    phone = Registered(phone_at(clean), "alice")
    phone.send()
    asked = registrar.endpoint.expect("REGISTER")
    more = "" if own is None else f', opaque="{own}"'
    registrar.endpoint.send(compose("SIP/2.0 401 Unauthorized", [
        *(("Via", v) for v in asked.all("via")), ("From", asked["from"]), ("To", f"{asked['to']};tag={token()}"), ("Call-ID", asked.call_id),
        ("CSeq", asked["cseq"]), ("WWW-Authenticate", f'Digest realm="pbx.inside", nonce="n1"{more}, qop="auth"')]), asked.source)
    challenge = phone.answer()["www-authenticate"]
    theirs = credentials(challenge)["opaque"]
    assert theirs.startswith(own or "") and len(theirs) == len(own or "") + 26
    value = f'Digest username="alice", realm="pbx.inside", nonce="n1", uri="sip:x", response="{"0" * 32}", opaque="{theirs}", qop=auth, nc=00000001, cnonce="c"'
    phone.headers = [("Authorization", value)]
    phone.send()
    seen = registrar.accept(phone.phone)
    assert seen["authorization"] == value.replace(f', opaque="{theirs}"', more)
    assert phone.answer().status == 200
