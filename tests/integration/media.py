# SPDX-License-Identifier: BSD-3-Clause
"""RTP endpoints whose every packet is different and accounted for."""

import os
import select
import struct
import time

import netns

PAYLOAD = 160


def rtp(sequence, timestamp, ssrc, payload=b"", payload_type=0, marker=False):
    """An RTP packet (RFC 3550 section 5.1)."""
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


class Media:
    """The RTP and RTCP sockets of one side of one stream."""

    def __init__(self, namespace, host):
        self.namespace, self.host = namespace, host
        while True:
            self.rtp = netns.udp_socket(namespace, host, receive_buffer=1 << 20)
            self.port = self.rtp.getsockname()[1]
            try:
                if self.port % 2:
                    raise OSError
                self.rtcp = netns.udp_socket(namespace, host, self.port + 1)
                break
            except OSError:
                self.rtp.close()
        self.rtp.setblocking(False)
        self.rtcp.setblocking(False)
        self.ssrc = int.from_bytes(os.urandom(4), "big")
        self.sequence = int.from_bytes(os.urandom(2), "big")
        self.timestamp = 0
        self.destination = None
        self.sent = []  # packets to be found at the other side
        self.times = []  # when, in seconds
        self.arrived = []  # (packet, source)

    def packet(self):
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + PAYLOAD) & 0xFFFFFFFF
        return rtp(self.sequence, self.timestamp, self.ssrc, os.urandom(PAYLOAD))

    def send(self, packet=None):
        packet = packet or self.packet()
        self.rtp.sendto(packet, self.destination)
        self.times.append(time.monotonic())
        self.sent.append(packet)
        return packet

    def drain(self):
        """Takes what has arrived; returns how many packets."""
        count = 0
        while True:
            try:
                packet, source = self.rtp.recvfrom(2048)
            except BlockingIOError:
                return count
            self.arrived.append((packet, source[:2]))
            count += 1

    def wait(self, count, timeout=5.0):
        """Until `count` packets have arrived altogether."""
        end = time.monotonic() + timeout
        while self.drain() or len(self.arrived) < count:
            left = end - time.monotonic()
            if len(self.arrived) >= count:
                return
            assert left > 0, f"{self.host}: {len(self.arrived)} of {count} RTP packets arrived"
            select.select([self.rtp], [], [], left)

    def forget(self):
        self.drain()
        self.sent.clear()
        self.times.clear()
        self.arrived.clear()

    def jitter_us(self):
        """RFC 3550 section 6.4.1 of what was sent: the network adds next to nothing here."""
        jitter = 0.0
        for i in range(1, len(self.times)):
            jitter += (abs(self.times[i] - self.times[i - 1] - PAYLOAD / 8000) - jitter) / 16
        return jitter * 1e6

    def close(self):
        self.rtp.close()
        self.rtcp.close()


def open_path(near, far, timeout=5.0):
    """Sends from `near` until `far` hears it: a NAT's binding is made and the SBC has latched."""
    end = time.monotonic() + timeout
    while True:
        near.send()
        if select.select([far.rtp], [], [], 0.1)[0]:
            break
        assert time.monotonic() < end, f"{far.host}: no RTP arrives from {near.host}"
    # What is still under way belongs to the opening: one more packet, and nothing after it.
    last = near.send()
    while last not in [p for p, _ in far.arrived]:
        assert time.monotonic() < end, f"{far.host}: RTP from {near.host} is lost"
        far.drain()
    near.forget()
    far.forget()


def exchange(pairs, count, interval=0.02, settle=3.0):
    """`count` packets each way on every pair (Media, Media), all pairs at once; reads until everything is there, or
    `settle` seconds after the last was sent."""
    ends = [m for pair in pairs for m in pair]
    poll = select.epoll()
    by_fd = {m.rtp.fileno(): m for m in ends}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    expected = {}
    for a, b in pairs:
        expected[a], expected[b] = len(a.arrived) + count, len(b.arrived) + count
    start = time.monotonic()
    for round_number in range(count):
        for i, m in enumerate(ends):
            m.send()
            if i % 32 == 0:
                for fd, _ in poll.poll(0):
                    by_fd[fd].drain()
        while True:
            left = start + (round_number + 1) * interval - time.monotonic()
            for fd, _ in poll.poll(max(left, 0)):
                by_fd[fd].drain()
            if left <= 0:
                break
    end = time.monotonic() + settle
    while time.monotonic() < end and any(len(m.arrived) < expected[m] for m in ends):
        for fd, _ in poll.poll(0.1):
            by_fd[fd].drain()
    poll.close()


def check_exactly_once(near, far):
    """Every packet `near` sent came to `far` once, unchanged, from the address `far` sends to, and nothing else came."""
    got = [p for p, _ in far.arrived]
    sources = {s for _, s in far.arrived}
    missing = [i for i, p in enumerate(near.sent) if p not in set(got)] if set(near.sent) - set(got) else []
    strange = len(set(got) - set(near.sent))
    assert not missing and not strange and len(got) == len(near.sent), (
        f"{near.host} -> {far.host}: {len(near.sent)} sent, {len(got)} arrived, {len(missing)} missing (number {missing[:20]}), {strange} never sent, "
        f"{len(got) - len(set(got))} duplicates"
    )
    assert sources == {far.destination}, f"{far.host}: media from {sources}, signalled was {far.destination}"
