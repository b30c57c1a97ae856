# SPDX-License-Identifier: BSD-3-Clause
"""The border: bans, access lists, trust, the source's rate, its class's rate, in this order, each drop by its name; and what a flood cannot do."""

import contextlib
import ctypes
import errno
import ipaddress
import itertools
import socket
import struct
import threading
import time

import pytest

import netns
from bed import ACCESS4, ACCESS6, CARRIER, CARRIER6, CORE4, PBX, STRANGER, is_silent, receive, syn_frame, udp_frame
from dataplane_api import C, COUNTERS, S, DataplaneError, host_port, key_text, source_key
from media import check_exactly_once, exchange, open_path

CLASS_RATE = 5000
GUARD = (f"guard {{ untrusted-rate = 20  untrusted-burst = 40  stream-rate = 50  syn-rate = 5  untrusted-class-rate = {CLASS_RATE}"
         "  syn-class-rate = 100  link-rate = 1000  max-sources = 1024 }\n")
BED = {"media_manager": "max-sessions = 100", "more": GUARD + """
session-agent trunk { realm = access  address = "udp:203.0.113.100:5060" }
access-control office   { realm = access  source = "198.51.100.0/24"  action = permit  trust = trusted }
access-control office6  { realm = access  source = "2001:db8:51::/48"  action = permit  trust = trusted }
access-control limited  { realm = access  source = "198.51.101.0/24"  action = permit  rate = 50 }
access-control bad      { realm = access  source = "192.0.2.0/24"  action = deny }
access-control bad6     { realm = access  source = "2001:db8:bad::/48"  action = deny }
access-control better   { realm = access  source = "192.0.2.128/25"  action = permit }
access-control worst    { realm = access  source = "192.0.2.200/32"  action = deny }
access-control better6  { realm = access  source = "2001:db8:bad:1::/64"  action = permit }
access-control worst6   { realm = access  source = "2001:db8:bad:1::66/128"  action = deny }
"""}
OFFICE = {4: "198.51.100.7", 6: "2001:db8:51::7"}
BAD = {4: "192.0.2.7", 6: "2001:db8:bad::7"}
NOBODY = {4: "198.18.0.7", 6: "2001:db8:18::7"}  # neither trusted nor denied by anything
OURS = {4: ACCESS4, 6: ACCESS6}
BOTH = pytest.mark.parametrize("version", [4, 6])
fresh_source = map(str, (ipaddress.ip_address("198.19.0.1") + i for i in range(65000)))


class Outside:
    """Frames of any source from the outside, and the kernel's sockets behind the mirror that get what passes."""

    def __init__(self, bed):
        self.bed = bed
        self.sock = bed.raw("outside", "sbc")
        self.mac = bed.mac("sbc", "sp-outside")
        self.servers = {version: netns.udp_socket(bed.lab.namespace("sbc"), host, 5060, receive_buffer=8 << 20) for version, host in OURS.items()}
        bed.closing += self.servers.values()
        self.number = 0

    def frame(self, source, port=5060, payload=b""):
        return udp_frame(self.mac, source, port, OURS[6 if ":" in source else 4], 5060, payload or b"OPTIONS sip:sbc SIP/2.0")

    def send(self, source, count=1, port=5060):
        """`count` packets, each different; returns their payloads."""
        out = []
        for _ in range(count):
            self.number += 1
            out.append(b"OPTIONS %d" % self.number)
            self.sock.send(self.frame(source, port, out[-1]))
        return out

    def burst(self, frames):
        """Many frames, no more at a time than the port's ring takes."""
        for at in range(0, len(frames), 1000):
            before = self.bed.counted("rx-packets")["rx-packets"]
            part = frames[at : at + 1000]
            for frame in part:
                self.sock.send(frame)
            netns.wait_for("the frames received", lambda: self.bed.counted("rx-packets")["rx-packets"] >= before + len(part), 10)

    def arrived(self, version=4):
        """{(source, port): packets} of what came to the kernel by now."""
        out = {}
        self.servers[version].setblocking(False)
        while True:
            try:
                _, source = self.servers[version].recvfrom(4096)
            except BlockingIOError:
                return out
            out[source[:2]] = out.get(source[:2], 0) + 1

    def passes(self, source, count=1, port=5060):
        """All of `count` packets come to the kernel, whatever else comes there meanwhile."""
        wanted = {(payload, (source, port)) for payload in self.send(source, count, port)}
        end = time.monotonic() + 10
        while wanted:
            assert time.monotonic() < end, f"{len(wanted)} of {count} packets of {source} do not arrive; {self.bed.counted()}"
            wanted.discard(receive(self.servers[6 if ":" in source else 4]))

    def dropped(self, source, why, count=1, port=5060):
        """None of `count` packets comes to the kernel; all are counted by that name and by no other."""
        version = 6 if ":" in source else 4
        self.arrived(version)
        self.bed.mark()
        self.send(source, count, port)
        self.bed.wait_counted(why, count)
        assert self.bed.drops() == {why: count} and self.arrived(version) == {}


@pytest.fixture
def outside(bed):
    with cleared(bed):
        yield Outside(bed)


@contextlib.contextmanager
def cleared(bed):
    """No bans and trusts of one test are there in the next."""
    yield
    if bed.api and bed.sbc.alive("dataplane"):
        for clear, rows in ((bed.api.unban, bed.api.bans()), (bed.api.distrust, [t for t in bed.api.trusts() if not t.configured])):
            if rows:
                clear(*[key_text(row.key) for row in rows])


def new_source(version=4):
    """One that no test has used: its rate is untouched."""
    address = next(fresh_source)
    return address if version == 4 else f"2001:db8:{int(ipaddress.ip_address(address)) & 0xFFFF:x}:1::1"


# --- bans ---


@BOTH
def test_a_banned_address_is_dropped_until_it_is_lifted(bed, outside, version):
    source, other = NOBODY[version], str(ipaddress.ip_address(NOBODY[version]) + 1)
    bed.api.ban(source, reason="scanner")
    outside.dropped(source, "drop-banned", 5)
    outside.passes(other)
    rows = bed.api.bans()
    assert [(key_text(b.key), b.packets, b.reason, b.expires_us) for b in rows] == [(source, 5, b"scanner", 0)]
    assert bed.api.stats().bans == 1
    bed.api.unban(source)
    outside.passes(source)
    assert bed.api.bans() == [] and bed.api.stats().bans == 0


@BOTH
def test_a_banned_network_is_dropped_whole_and_its_neighbours_are_not(bed, outside, version):
    network = {4: "198.18.4.0/22", 6: "2001:db8:18::/48"}[version]
    first, last = ipaddress.ip_network(network)[0], ipaddress.ip_network(network)[-1]
    bed.api.ban(network)
    for inner in (first, last):
        outside.dropped(str(inner), "drop-banned", 2)
    for outer in (first - 1, last + 1):
        outside.passes(str(outer))


@BOTH
def test_behind_one_nat_the_attackers_port_is_banned_and_not_the_office(bed, outside, version):
    source = NOBODY[version]
    bed.api.ban((source, 40001))
    outside.dropped(source, "drop-banned", 3, port=40001)
    outside.passes(source, 2, port=40002)
    assert [key_text(b.key) for b in bed.api.bans()] == [(source, 40001)]


def test_a_ban_ends_when_its_time_is_over(bed, outside):
    bed.api.ban(NOBODY[4], seconds=1)
    bed.api.ban(BAD[4], seconds=3600)
    outside.dropped(NOBODY[4], "drop-banned")
    shown = {key_text(b.key): b.expires_us for b in bed.api.bans()}
    assert 0 < shown[NOBODY[4]] <= 1e6 and 3.5e9 < shown[BAD[4]] <= 3.6e9

    def through():
        outside.send(NOBODY[4])
        return outside.arrived()

    netns.wait_for("the ban's end", through, 10, interval=0.1)
    netns.wait_for("the ban leaving the list", lambda: [key_text(b.key) for b in bed.api.bans()] == [BAD[4]], 15, interval=0.1)
    netns.wait_for("its place being free again", lambda: bed.api.stats().bans == 1, 15, interval=0.1)


def test_a_ban_set_again_is_replaced(bed, outside):
    bed.api.ban(NOBODY[4], reason="first")
    bed.api.ban(NOBODY[4], seconds=3600, reason="second")
    assert [(b.reason, b.expires_us > 0) for b in bed.api.bans()] == [(b"second", True)]


def test_configured_agents_and_trusted_sources_are_banned_by_force_alone(bed, outside):
    bed.api.trust(("198.18.9.9", 5070))
    for source in (CARRIER, "203.0.113.0/24", OFFICE[4], "198.18.9.9"):
        with pytest.raises(DataplaneError) as refused:
            bed.api.ban(source)
        assert refused.value.errno == errno.EPERM
    assert bed.api.bans() == []
    bed.api.ban(OFFICE[4], force=True)
    outside.dropped(OFFICE[4], "drop-banned")


@pytest.mark.parametrize("key", [
    lambda: source_key("0.0.0.0/33") if False else S["dp_source_key"](address=source_key("192.0.2.1").address, length=33),
    lambda: S["dp_source_key"](address=source_key("192.0.2.1").address, length=24),
    lambda: S["dp_source_key"](address=source_key("192.0.2.0", 5060).address, length=24),
    lambda: S["dp_source_key"](length=32),
], ids=["length", "bits behind the length", "port of a network", "no family"])
def test_a_ban_of_nothing_is_refused(bed, outside, key):
    with pytest.raises(DataplaneError) as refused:
        bed.api.ban(key())
    assert refused.value.errno == errno.EINVAL
    assert bed.api.bans() == []


def test_of_a_batch_what_can_be_done_is_done_and_the_first_that_cannot_is_named(bed, outside):
    good, bad = source_key("198.18.1.1"), S["dp_source_key"](length=7)
    body = b"".join(bytes(S["dp_ban"](key=key)) for key in (good, bad, source_key("198.18.1.2"), bad))
    reply = S["dp_done"].from_buffer_copy(bed.api.request("DP_BAN_SET", body))
    assert (reply.done, reply.status, reply.failed) == (2, -errno.EINVAL, 1)
    assert {key_text(b.key) for b in bed.api.bans()} == {"198.18.1.1", "198.18.1.2"}


def test_a_million_bans_are_set_listed_once_each_in_force_and_cleared(bed, outside):
    """In batches of 256; the first address of a run of 2^20, as 11.0.0.0/12 has them."""
    count, first = 1000000, int(ipaddress.ip_address("11.0.0.0"))
    template = bytes(S["dp_ban"](key=source_key("11.0.0.0")))
    numbers = [struct.pack("!I", first + i) for i in range(count)]
    assert template[:4] == numbers[0]
    assert batches(bed.api, "DP_BAN_SET", template[4:], numbers) == count
    assert bed.api.stats().bans == count
    for banned in ("11.0.0.0", "11.7.161.32", str(ipaddress.ip_address(first + count - 1))):
        outside.dropped(banned, "drop-banned")
    outside.passes(str(ipaddress.ip_address(first + count)))
    assert listed(bed.api) == sorted(numbers)
    assert batches(bed.api, "DP_BAN_CLEAR", bytes(source_key("11.0.0.0"))[4:], numbers) == count
    assert bed.api.stats().bans == 0 and bed.api.bans() == []
    outside.passes("11.7.161.32")


def batches(api, message, rest, numbers):
    """All in batches, some under way at a time; returns how many were done."""
    done, asked = 0, []
    for i in itertools.chain(range(0, len(numbers), C["DP_BATCH_MAX"]), [None]):
        if i is not None:
            asked.append(api.ask(message, b"".join(n + rest for n in numbers[i : i + C["DP_BATCH_MAX"]])))
        while len(asked) > 7 or (i is None and asked):
            done += api._done(asked.pop(0))
    return done


def listed(api):
    """The first four octets of each ban's address, page by page, sorted."""
    out, cursor, size, head = [], 0, ctypes.sizeof(S["dp_ban"]), ctypes.sizeof(S["dp_table_reply"])
    while True:
        body = api.request("DP_BAN_LIST", S["dp_table_request"](cursor=cursor, limit=100000))
        out += [body[at : at + 4] for at in range(head, len(body), size)]
        cursor = S["dp_table_reply"].from_buffer_copy(body).cursor
        if cursor == 0:
            return sorted(out)


def test_entries_that_stay_come_exactly_once_while_others_come_and_go(bed, outside):
    stay = {f"198.18.{i // 256}.{i % 256}" for i in range(3000)}
    bed.api.ban(*stay)
    seen, cursor = [], 0
    for page in itertools.count():
        body = bed.api.request("DP_BAN_LIST", S["dp_table_request"](cursor=cursor, limit=200))
        reply = S["dp_table_reply"].from_buffer_copy(body)
        seen += [key_text(S["dp_ban"].from_buffer_copy(body, ctypes.sizeof(reply) + i * ctypes.sizeof(S["dp_ban"])).key) for i in range(reply.count)]
        cursor = reply.cursor
        if cursor == 0:
            break
        bed.api.ban(*[f"198.20.{page}.{i}" for i in range(100)])
        if page:
            bed.api.unban(*[f"198.20.{page - 1}.{i}" for i in range(100)])
    assert sorted(s for s in seen if s in stay) == sorted(stay)


def test_a_full_table_of_bans_lifts_the_oldest_and_says_so(bed):
    bed.start(bed.kind, **{**BED, "more": "guard { max-bans = 1024 }\n"})
    bed.api.ban(*[f"198.18.{i // 256}.{i % 256}" for i in range(1024)])
    bed.mark()
    bed.api.ban("198.20.0.1", "198.20.0.2")
    assert bed.counted("ban-evicted") == {"ban-evicted": 2}
    left = {key_text(b.key) for b in bed.api.bans()}
    assert len(left) == 1024 and {"198.20.0.1", "198.20.0.2"} <= left and not {"198.18.0.0", "198.18.0.1"} & left


# --- the order ---


@BOTH
def test_bans_come_before_access_lists(bed, outside, version):
    bed.api.ban(BAD[version], force=True)
    outside.dropped(BAD[version], "drop-banned")  # and not as access denied
    bed.api.ban(OFFICE[version], force=True)
    outside.dropped(OFFICE[version], "drop-banned")  # permitted and trusted: of no help


@BOTH
def test_access_lists_come_before_trust(bed, outside, version):
    bed.api.trust((BAD[version], 5060))
    outside.dropped(BAD[version], "drop-access-denied", 2)


@BOTH
def test_trust_comes_before_the_rate_of_a_source(bed, outside, version):
    trusted, stranger = f"{NOBODY[version]}", new_source(version)
    bed.api.trust(trusted)
    outside.passes(trusted, 200)
    bed.mark()
    outside.send(stranger, 200)
    netns.wait_for("most dropped", lambda: sum(bed.drops().values()) >= 100, 10)
    assert set(bed.drops()) == {"drop-source-rate"}


def test_the_rate_of_a_source_comes_before_that_of_its_class(bed, outside):
    """What one source sends too much takes nothing from the others of its class."""
    bed.mark()
    outside.send(new_source(), 3000)
    netns.wait_for("3,000 packets settled", lambda: bed.counted("drop-source-rate")["drop-source-rate"] >= 2800, 10)
    assert set(bed.drops()) == {"drop-source-rate"}
    for _ in range(20):
        outside.passes(new_source())


def test_a_class_over_its_rate_drops_and_another_class_goes_on(bed, outside):
    bed.mark()
    sources = [new_source() for _ in range(1000)]
    frames = [outside.frame(s) for s in sources for _ in range(4)]
    outside.burst(frames)
    netns.wait_for("the class over its rate", lambda: bed.counted("drop-class-rate")["drop-class-rate"] > 0, 10)
    outside.passes(OFFICE[4], 100)
    assert set(bed.drops()) == {"drop-class-rate"}


# --- access lists ---


@BOTH
@pytest.mark.parametrize("source, permitted", [
    (("192.0.2.1", "2001:db8:bad::1"), False), (("192.0.2.127", "2001:db8:bad:0:ffff::"), False),
    (("192.0.2.128", "2001:db8:bad:1::1"), True), (("192.0.2.200", "2001:db8:bad:1::66"), False),
    (("192.0.2.201", "2001:db8:bad:1::67"), True), (("192.0.3.0", "2001:db8:bae::"), True),
])
def test_the_longest_prefix_of_the_access_list_decides(bed, outside, source, permitted, version):
    source = source[version == 6]
    outside.passes(source) if permitted else outside.dropped(source, "drop-access-denied", 3)


def test_an_access_list_belongs_to_its_realm(bed, outside):
    """192.0.2.7 is denied outside; inside nobody has said so."""
    server = netns.udp_socket(bed.lab.namespace("sbc"), CORE4, 5060)
    sock, mac = bed.raw("inside", "sbc"), bed.mac("sbc", "sp-inside")
    bed.closing.append(server)
    sock.send(udp_frame(mac, BAD[4], 5060, CORE4, 5060, b"inside"))
    assert receive(server)[0] == b"inside"


def test_a_rate_of_an_access_list_is_that_of_each_of_its_sources(bed, outside):
    bed.mark()
    outside.send("198.51.101.1", 1000)
    netns.wait_for("1,000 packets settled", lambda: bed.counted("drop-source-rate")["drop-source-rate"] >= 600, 10)
    outside.arrived()
    outside.passes("198.51.101.2", 60)  # more than an untrusted source may
    assert set(bed.drops()) == {"drop-source-rate"}


def test_ten_thousand_entries_load_and_the_longest_decides(bed):
    entries = [f'access-control n{i} {{ realm = access  source = "11.{i // 250}.{i % 250}.0/24"  action = deny }}\n' for i in range(9900)]
    entries += [f'access-control p{i} {{ realm = access  source = "11.{i}.7.{i}/32"  action = permit }}\n' for i in range(30)]
    entries += [f'access-control v{i} {{ realm = access  source = "2001:db8:{i + 1000:x}::/48"  action = deny }}\n' for i in range(70)]
    bed.start(bed.kind, **{**BED, "more": "".join(entries)})
    outside = Outside(bed)
    for i in (0, 1, 20, 29):
        outside.dropped(f"11.{i}.7.{i + 1}", "drop-access-denied")
        outside.passes(f"11.{i}.7.{i}")
    outside.dropped("11.39.149.255", "drop-access-denied")
    outside.passes("11.39.150.0")
    outside.dropped("2001:db8:42d:1::1", "drop-access-denied")
    outside.passes("2001:db8:42e::1")


# --- trust ---


@BOTH
def test_trust_of_a_flow_is_that_of_its_port_alone(bed, outside, version):
    source = new_source(version)
    bed.api.trust((source, 40001))
    outside.passes(source, 300, port=40001)
    bed.mark()
    outside.send(source, 300, port=40002)
    netns.wait_for("most dropped", lambda: bed.counted("drop-source-rate")["drop-source-rate"] >= 200, 10)
    outside.arrived(version)
    outside.passes(source, 100, port=40001)


@BOTH
def test_trust_of_a_network_is_that_of_all_its_hosts(bed, outside, version):
    network = {4: "198.18.8.0/24", 6: "2001:db8:1808::/48"}[version]
    bed.api.trust(network)
    outside.passes(str(ipaddress.ip_network(network)[77]), 200)
    assert network in [key_text(t.key) for t in bed.api.trusts() if not t.configured]
    bed.api.distrust(network)
    bed.mark()
    outside.send(str(ipaddress.ip_network(network)[78]), 200)
    netns.wait_for("most dropped", lambda: bed.counted("drop-source-rate")["drop-source-rate"] >= 100, 10)


def test_trust_has_an_end(bed, outside):
    bed.api.trust((NOBODY[4], 5060), seconds=1)
    assert bed.api.stats().trusts >= 1
    netns.wait_for("the trust's end", lambda: not [t for t in bed.api.trusts() if not t.configured], 15, interval=0.1)


def test_a_trusted_source_with_a_rate_of_its_own_is_held_to_it(bed, outside):
    source = new_source()
    bed.api.trust(source, rate=10, burst=60)
    outside.passes(source, 50)
    bed.mark()
    outside.send(source, 300)
    netns.wait_for("most dropped", lambda: bed.counted("drop-source-rate")["drop-source-rate"] >= 200, 10)
    assert set(bed.drops()) == {"drop-source-rate"}


def test_a_configured_agent_is_trusted_and_cannot_be_cleared(bed, outside):
    agents = [t for t in bed.api.trusts() if t.configured]
    assert {key_text(t.key) for t in agents} == {CARRIER, "198.51.100.0/24", "2001:db8:51::/48"}
    with pytest.raises(DataplaneError) as refused:
        bed.api.distrust(CARRIER)
    assert refused.value.errno == errno.EPERM
    outside.passes(CARRIER, 200, port=5099)


def test_a_trusted_realm_has_no_rate(bed, outside):
    server = netns.udp_socket(bed.lab.namespace("sbc"), CORE4, 5060, receive_buffer=8 << 20)
    sock, mac = bed.raw("inside", "sbc"), bed.mac("sbc", "sp-inside")
    bed.closing.append(server)
    bed.mark()
    for i in range(300):
        sock.send(udp_frame(mac, PBX, 5060, CORE4, 5060, b"%d" % i))
    assert [receive(server)[0] for _ in range(300)] == [b"%d" % i for i in range(300)] and bed.drops() == {}


# --- floods ---


@contextlib.contextmanager
def flood(frames, sock):
    """Sends these frames again and again, from a thread, until the block ends: 20,000 a second, which the ports' rings take."""
    stop = threading.Event()

    def run():
        for i, frame in enumerate(itertools.cycle(frames)):
            if stop.is_set():
                return
            with contextlib.suppress(OSError):
                sock.send(frame)
            if i % 100 == 99:
                stop.wait(0.005)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_flood_of_strangers_touches_neither_trusted_requests_nor_media(bed, outside):
    stream = bed.stream(bed.peer(STRANGER), bed.peer(PBX))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    carrier = bed.media("outside", CARRIER)
    server = outside.servers[4]
    bed.mark()
    frames = [outside.frame(new_source(), payload=b"flood") for _ in range(2000)]
    with flood(frames, outside.sock):
        netns.wait_for("the flood over its rate", lambda: sum(bed.drops().values()) > 2000, 20)
        exchange([(stream.near, stream.far)], 50)
        for i in range(50):
            request = b"trusted %d" % i
            carrier.rtp.sendto(request, (ACCESS4, 5060))
            end = time.monotonic() + 10
            while receive(server) != (request, (CARRIER, carrier.port)):  # the part of the flood that its class may send comes too
                assert time.monotonic() < end, f"request {i} is lost; {bed.counted()}"
            server.sendto(b"200 OK %d" % i, (CARRIER, carrier.port))
            assert receive(carrier.rtp)[0] == b"200 OK %d" % i
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)
    assert set(bed.drops()) <= {"drop-source-rate", "drop-class-rate"}


def test_media_of_a_call_is_no_matter_of_the_border(bed, outside):
    """A ban refuses signalling; a call that is up has its media relayed by its own rules."""
    stream = bed.stream(bed.peer(STRANGER), bed.peer(PBX))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    bed.api.ban(STRANGER)
    outside.dropped(STRANGER, "drop-banned")
    exchange([(stream.near, stream.far)], 200, interval=0.002)
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)


def test_connection_attempts_are_policed_and_a_trusted_one_goes_through(bed, outside):
    def listen():
        sock = socket.create_server((ACCESS4, 5060), backlog=512)
        return sock

    server = netns.inside(bed.lab.namespace("sbc"), listen)
    bed.closing.append(server)
    single = new_source()
    bed.mark()
    for port in range(100):
        outside.sock.send(syn_frame(outside.mac, single, 20000 + port, ACCESS4, 5060))
    netns.wait_for("one source over its rate", lambda: bed.counted("drop-syn-rate")["drop-syn-rate"] >= 80, 10)
    frames = [syn_frame(outside.mac, new_source(), 4000, ACCESS4, 5060) for _ in range(2000)]
    with flood(frames, outside.sock):
        netns.wait_for("all over their rate", lambda: bed.counted("drop-syn-rate")["drop-syn-rate"] >= 2000, 20)
        connect = lambda: socket.create_connection((ACCESS4, 5060), 10, source_address=(CARRIER, 0))
        for _ in range(5):
            netns.inside(bed.lab.namespace("outside"), connect).close()
    assert set(bed.drops()) == {"drop-syn-rate"}


def test_neighbours_are_resolved_under_a_flood(bed, outside):
    frames = [outside.frame(new_source(), payload=b"flood") for _ in range(1000)]
    bed.mark()
    with flood(frames, outside.sock):
        netns.wait_for("the flood over its rate", lambda: sum(bed.drops().values()) > 2000, 20)
        for host, target in ((CARRIER, ACCESS4), (CARRIER6, ACCESS6)):
            netns.run(bed.lab.namespace("outside"), ["ip", "neighbour", "flush", "dev", "br0"], check=True)
            resolved = lambda: netns.run(bed.lab.namespace("outside"), ["ping", "-c", "1", "-W", "1", "-I", host, target]).returncode == 0
            netns.wait_for(f"{target} resolved", resolved, 10)


def test_a_flood_of_arp_is_held_to_the_links_rate_and_udp_goes_on(bed, outside):
    mac = bytes.fromhex("020000000099")
    frames = [b"\xff" * 6 + mac + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + mac + bytes([203, 0, 113, i]) + bytes(6)
              + ipaddress.ip_address(ACCESS4).packed for i in range(150, 250)]
    bed.mark()
    with flood(frames, outside.sock):
        netns.wait_for("ARP over its rate", lambda: bed.counted("drop-link-rate")["drop-link-rate"] > 1000, 20)
        outside.passes(OFFICE[4], 20)


def test_very_many_sources_cannot_push_out_who_is_trusted(bed, outside):
    """max-sources is 1,024: five thousand others come and go; whom to trust is kept elsewhere."""
    flows = [(f"198.18.77.{i}", 5060) for i in range(1, 101)]
    bed.api.trust(*flows)
    bed.mark()
    frames = [outside.frame(str(ipaddress.ip_address("100.64.0.0") + i)) for i in range(5000)]
    outside.burst(frames)
    netns.wait_for("sources forgotten", lambda: bed.counted("source-evicted")["source-evicted"] > 0, 10)
    stats = bed.api.stats()
    assert stats.sources <= stats.sources_max and stats.sources_max < 5000
    assert {key_text(t.key) for t in bed.api.trusts() if not t.configured} == set(flows)
    outside.arrived()
    for host, port in flows:
        outside.passes(host, 3, port)


def test_who_sends_most_is_shown_first(bed, outside):
    loud, quiet = new_source(), new_source()
    outside.send(quiet, 3)
    outside.send(loud, 2000)
    netns.wait_for("2,000 packets counted", lambda: top(bed).get(loud, (0, 0))[0] == 2000, 10)
    rows = top(bed)
    assert rows[loud][1] >= 1900 and rows[quiet] == (3, 0)
    assert max(rows, key=lambda host: rows[host][0]) == loud


def top(bed):
    return {host_port(row.address)[0]: (row.packets, row.dropped) for row in bed.api.top_sources()}


# --- samples ---


@BOTH
@pytest.mark.parametrize("size", [20, 470, 1400])
def test_a_sample_shows_the_dropped_packet_as_it_came(bed, outside, version, size):
    source = NOBODY[version]
    bed.api.ban(source)
    frame = outside.frame(source, 4711, bytes(i & 0xFF for i in range(size)))
    taken = None

    def sampled():  # samples of this second may be used up by the test before
        nonlocal taken
        outside.sock.send(frame)
        samples = bed.api.take_events("DP_EVENT_DROP_SAMPLE")
        taken = next((s for s in samples if (s[0].counter, s[0].length) == (C["DP_COUNTER_DROP_BANNED"], len(frame))), None)
        return taken

    netns.wait_for("a sample", sampled, 10, interval=0.1)
    sample, octets = taken
    assert octets == frame[: C["DP_SAMPLE_MAX"]]
    assert (sample.length, sample.captured, sample.protocol) == (len(frame), min(len(frame), C["DP_SAMPLE_MAX"]), 17)
    assert host_port(sample.source) == (source, 4711) and host_port(sample.dest) == (OURS[version], 5060)
    assert bed.api.interfaces()[sample.interface].name == b"outside"


def test_samples_are_few_however_many_are_dropped(bed, outside):
    bed.api.ban(NOBODY[4])
    start = time.monotonic()
    outside.dropped(NOBODY[4], "drop-banned", 3000)
    samples = [s for s in bed.api.take_events("DP_EVENT_DROP_SAMPLE") if s[0].counter == C["DP_COUNTER_DROP_BANNED"]]
    assert len(samples) <= 20 * (int(time.monotonic() - start) + 2)


def test_who_did_not_ask_gets_no_samples(bed, outside):
    other = bed.connect(owner=2)
    bed.closing.append(other)
    bed.api.ban(NOBODY[4])
    sampled = lambda: outside.send(NOBODY[4]) and bed.api.take_events("DP_EVENT_DROP_SAMPLE")
    netns.wait_for("a sample for who asked", sampled, 10, interval=0.1)
    assert other.take_events("DP_EVENT_DROP_SAMPLE") == []


def test_every_drop_has_a_name_and_every_name_a_counter(bed, outside):
    """Whatever is dropped is in one drop-... counter: received = relayed + passed on + dropped."""
    assert [name for name in COUNTERS if name.startswith("drop-")]
    bed.api.ban(NOBODY[4])
    bed.mark()
    for source in (NOBODY[4], BAD[4], OFFICE[4], new_source()):
        outside.send(source, 100)

    def balanced():
        grown = bed.counted()
        out = sum(n for name, n in grown.items() if name.startswith("drop-")) + grown.get("mirror-in", 0) + grown.get("media-relayed", 0)
        return grown.get("rx-packets", 0) >= 400 and grown["rx-packets"] == out

    netns.wait_for("everything accounted for", balanced, 10)
    assert bed.counted("drop-banned", "drop-access-denied") == {"drop-banned": 100, "drop-access-denied": 100}
    assert is_silent(outside.servers[6])
