# SPDX-License-Identifier: BSD-3-Clause
"""Soak: calls come, change and go under RTP, and every packet is accounted for: sent = relayed + dropped by name, relayed = arrived. In
the end nothing is left over: no session, port, rule or buffer.

SOAK_SECONDS: how long with each kind of port (10). SOAK_SEED: of what happens in which order (1)."""

import errno
import json
import os
import random
import select
import socket
import struct
import time

import netns
from bed import CARRIER, CARRIER6, OTHER_PBX, PBX, PBX6, STRANGER
from dataplane_api import DataplaneError
from media import rtp

SECONDS = float(os.environ.get("SOAK_SECONDS", 10))
SEED = int(os.environ.get("SOAK_SEED", 1))
CALLS = 40
TICK = 0.02
# Few slots, so that one rule, port or session that does not come back for each call would soon be missed.
BED = {"media_manager": "max-sessions = 64", "more": "guard { untrusted-rate = 1000000  untrusted-burst = 1000000  untrusted-class-rate = 0 }\n"}
# What may become of a packet sent to a media port.
MEDIA_DROPS = ("drop-no-flow", "drop-wrong-source", "drop-not-rtp", "drop-fragment", "drop-muted", "drop-no-next-hop", "drop-ttl",
               "drop-too-big", "drop-policed", "drop-handover-full", "drop-port-down", "drop-tx-full", "drop-malformed")


class Telephone:
    """Both ends of one line, used by one call after another; each packet bears a number of its own."""

    serial = 0

    def __init__(self, bed, near_host, far_host):
        self.bed = bed
        self.ends = [bed.peer(near_host), bed.peer(far_host)]
        self.stranger = bed.peer(STRANGER)
        self.stream = None

    def packet(self, end):
        Telephone.serial += 1
        end.sequence += 1
        return rtp(end.sequence, end.sequence * 160, end.ssrc, struct.pack("!Q", Telephone.serial) + bytes(152))


class Soak:
    def __init__(self, bed):
        self.bed = bed
        self.random = random.Random(SEED)
        hosts = ((CARRIER, PBX), (CARRIER6, PBX6), (CARRIER, PBX6), (CARRIER6, PBX), (CARRIER, OTHER_PBX))
        self.lines = [Telephone(bed, *hosts[i % len(hosts)]) for i in range(CALLS)]
        self.poll = select.epoll()
        self.by_fd = {}
        for line in self.lines:
            for end in line.ends:
                for sock in (end.rtp, end.rtcp):
                    self.by_fd[sock.fileno()] = sock
                    self.poll.register(sock, select.EPOLLIN)
        self.sent = self.arrived = self.rtcp = self.calls = self.updates = 0
        self.seen = set()
        self.happened = dict.fromkeys(("wrong source", "no rtp", "after the end", "hold", "resume", "refused"), 0)

    def send(self, sock, packet, target):
        sock.sendto(packet, target)
        self.sent += 1

    def receive(self, timeout):
        for fd, _ in self.poll.poll(max(timeout, 0)):
            sock = self.by_fd[fd]
            while True:
                try:
                    packet = sock.recv(2048)
                except BlockingIOError:
                    break
                self.arrived += 1
                if 200 <= packet[1] <= 204:
                    self.rtcp += 1
                    continue
                number = packet[12:20]
                assert number not in self.seen, f"packet {number.hex()} arrived twice"
                self.seen.add(number)

    def begin(self, line):
        latching = self.random.choice(("LATCH", "FIXED", "RELATCH"))
        thin = self.random.random() < 0.1  # less than its far side sends
        line.stream = self.bed.stream(*line.ends, near_side={"latching": latching},
                                      far_side={"latching": "FIXED", "rate_limit": 40 if thin else 0})
        line.until = time.monotonic() + self.random.uniform(0.3, 3)
        self.calls += 1

    def end(self, line):
        """What is sent after it has no flow any more."""
        info = self.bed.api.delete(line.stream.session).stream[0]
        line.stream.session = 0
        self.bed.closing.remove(line.stream)
        for which in (0, 1):
            counters = getattr(info, "from")[which]
            assert counters.relayed <= counters.packets and counters.duplicate == 0 and counters.ssrc_changes == 0
        for end, local in zip(line.ends, line.stream.local):
            self.send(end.rtp, line.packet(end), local)
            self.happened["after the end"] += 1
        line.stream = None

    def change(self, line):
        held = "QUIET" in line.stream.sides[0].get("flags", ())
        flags = [] if held else ["QUIET", "MUTED"]
        near, far = ({**side, "flags": flags} for side in line.stream.sides)
        assert line.stream.update(near, far) == line.stream.local
        self.updates += 1
        self.happened["resume" if held else "hold"] += 1

    def media(self, line):
        local = line.stream.local
        for end, target in zip(line.ends, local):
            self.send(end.rtp, line.packet(end), target)
        chance = self.random.random()
        if chance < 0.02:
            self.send(line.stranger.rtp, line.packet(line.stranger), line.stream.local[0] if ":" not in local[0][0] else self.lines[0].stream.local[0])
            self.happened["wrong source"] += 1
        elif chance < 0.04:
            self.send(line.ends[1].rtp, b"\x00" * 40, local[1])
            self.happened["no rtp"] += 1
        elif chance < 0.08:
            which = self.random.randrange(2)
            report = struct.pack("!BBHI", 0x80, 201, 1, line.ends[which].ssrc)
            self.send(line.ends[which].rtcp, report, (local[which][0], local[which][1] + 1))
        elif chance < (0.2 if "QUIET" in line.stream.sides[0].get("flags", ()) else 0.09):
            self.change(line)

    def run(self, seconds):
        for line in self.lines:
            self.begin(line)
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for i, line in enumerate(self.lines):
                if now > line.until:
                    self.end(line)
                    self.begin(line)
                self.media(line)
                if i % 8 == 0:
                    self.receive(0)
            if self.random.random() < 0.05:
                self.refused()
            while (left := now + TICK - time.monotonic()) > 0:
                self.receive(left)
        for line in self.lines:
            self.end(line)

    def refused(self):
        """What cannot be made leaves nothing behind either."""
        line = self.random.choice(self.lines)
        request = line.stream.request()
        request.stream[0].side[1].realm = b"nowhere"
        try:
            self.bed.api.create(request)
            raise AssertionError("a session in no realm")
        except DataplaneError as error:
            assert error.errno == errno.ENOENT
        self.happened["refused"] += 1


def settled(bed, soak):
    """Until nothing is under way: everything that was sent is relayed or dropped, and what was relayed is here."""
    def accounts():
        soak.receive(0.01)
        counted = bed.counted()
        dropped = sum(counted.get(name, 0) for name in MEDIA_DROPS)
        missed = sum(i.rx_missed + i.rx_errors for i in bed.api.interfaces()) - soak.missed
        return counted.get("media-relayed", 0), dropped, missed, counted

    end = time.monotonic() + 10
    while time.monotonic() < end:
        relayed, dropped, missed, _ = accounts()
        if soak.sent == relayed + dropped + missed and soak.arrived == relayed:
            break
    return accounts()


def overflows(bed):
    """Datagrams that the kernel dropped at the peers' sockets."""
    total = 0
    for node in ("outside", "pbx", "inside"):
        for name in ("/proc/net/snmp", "/proc/net/snmp6"):
            text = netns.run(bed.lab.namespace(node), ["cat", name], check=True).stdout
            rows = [line.split() for line in text.splitlines()]
            if name.endswith("6"):
                total += sum(int(r[1]) for r in rows if r[0] == "Udp6RcvbufErrors")
            else:
                names, values = [r for r in rows if r[0] == "Udp:"]
                total += int(values[names.index("RcvbufErrors")])
    return total


def memory(bed):
    """What is in use of the dataplane's packet buffers, rules and next hops, by DPDK's telemetry."""
    path = next(bed.sbc.run_directory.rglob("dpdk_telemetry.v2*"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.recv(16384)
        sock.send(b"/sallyport/memory")
        return json.loads(sock.recv(65536))["/sallyport/memory"]


def test_calls_come_and_go_under_rtp_and_every_packet_is_accounted_for(bed):
    bed.ping(CARRIER, "203.0.113.10")
    bed.ping(STRANGER, "203.0.113.10")
    bed.ping(CARRIER6, "2001:db8:1::10")
    for host, ours in ((PBX, "10.0.0.1"), (OTHER_PBX, "10.0.0.1"), (PBX6, "fd00:10::1")):
        bed.ping(host, ours)
    soak = Soak(bed)
    before, held = bed.api.stats(), memory(bed)
    soak.missed = sum(i.rx_missed + i.rx_errors for i in bed.api.interfaces())
    lost_by_kernel = overflows(bed)
    bed.mark()
    soak.run(SECONDS)
    relayed, dropped, missed, counted = settled(bed, soak)
    overflowed = overflows(bed) - lost_by_kernel
    story = (f"{soak.calls} calls, {soak.updates} updates, {soak.sent} packets sent, {relayed} relayed, {dropped} dropped by name, {missed} missed by "
             f"the ports, {soak.arrived} arrived, {overflowed} overflowed at the peers; seed {SEED}; {soak.happened}; {counted}")
    print(story)
    assert soak.sent == relayed + dropped + missed, story
    assert relayed == soak.arrived + overflowed, story
    assert counted.get("drop-no-flow", 0) + counted.get("drop-wrong-source", 0) >= soak.happened["wrong source"], story
    assert relayed > 0.7 * soak.sent, story
    after = bed.api.stats()
    assert (after.sessions, after.ports_used, after.flows) == (before.sessions, before.ports_used, before.flows) == (0, 0, before.flows)
    assert after.sessions_total - before.sessions_total == soak.calls
    assert bed.api.request("DP_SESSION_LIST", struct.pack("=QII", 0, 0xFFFFFFFF, 10))[:8] == bytes(8)
    now = memory(bed)
    assert (now["rules_used"], now["next_hops_used"]) == (held["rules_used"], held["next_hops_used"]), story
    # Rings keep some packets until others come; one buffer lost for each call or drop would be more.
    assert now["buffers_used"] - held["buffers_used"] < soak.calls / 2 + 100, story
