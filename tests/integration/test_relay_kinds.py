# SPDX-License-Identifier: BSD-3-Clause
"""What crosses the relay: every kind of media, between the IP versions, within one realm and from behind one NAT, marked as the realm says."""

import ipaddress
import os

import pytest

import netns
from bed import ACCESS4, ACCESS6, CARRIER, CARRIER6, CORE4, CORE6, OTHER_PBX, PBX, PBX6, PHONE, STRANGER, is_silent, receive
from media import check_exactly_once, exchange, open_path, rtp

VERSIONS = pytest.mark.parametrize("near_host, far_host", [(CARRIER, PBX), (CARRIER6, PBX6), (CARRIER, PBX6), (CARRIER6, PBX)],
                                   ids=["4-4", "6-6", "4-6", "6-4"])
PHONE2 = "192.168.77.3"


def both_ways(stream, count=25):
    exchange([(stream.near, stream.far)], count, interval=0.005)
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)


@VERSIONS
def test_rtp_crosses_unchanged_both_ways(bed, near_host, far_host):
    stream = bed.stream(bed.peer(near_host), bed.peer(far_host))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    bed.mark()
    both_ways(stream)
    assert bed.drops() == {} and bed.counted("media-relayed") == {"media-relayed": 50}


@VERSIONS
def test_udptl_crosses_untouched_whatever_its_octets(bed, near_host, far_host):
    """T.38 (UDPTL) has a sequence number, a primary field and redundancy; nothing in it may be taken for RTP or RTCP."""
    stream = bed.stream(bed.peer(near_host), bed.peer(far_host), kind="OTHER")
    open_path(stream.near, stream.far)
    packets = [b"\x00\x01\x06\xc0\x01\x80\x00\x00\xff", b"\x80\xc8\x00\x01", b"\x80\xca\x00\x02abcdefgh", b"x", b"", b"\xff" * 7]
    packets += [os.urandom(n) for n in (2, 60, 320, 1001, 1400)]
    for near, far in ((stream.near, stream.far), (stream.far, stream.near)):
        for packet in packets:
            near.rtp.sendto(packet, near.destination)
            near.sent.append(packet)
        far.wait(len(near.sent))
        check_exactly_once(near, far)
    counters = stream.count(0)
    assert counters.packets == counters.relayed and counters.malformed == 0


def test_udptl_has_one_port(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX), kind="OTHER")
    open_path(stream.near, stream.far)
    bed.mark()
    stream.near.rtcp.sendto(b"\x80\xc9\x00\x01abcd", (stream.local[0][0], stream.local[0][1] + 1))
    bed.wait_counted("drop-no-flow", 1)
    assert is_silent(stream.far.rtcp) and is_silent(stream.far.rtp)


def test_a_video_frame_of_many_packets_crosses_whole(bed):
    """Packets of one frame have one timestamp and leave at once, the last with the marker; they count neither as loss nor as jitter."""
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    near, far = stream.near, stream.far
    open_path(near, far)
    before = stream.count(0)
    sequence = near.sequence
    for frame in range(20):
        for part in range(12):
            sequence += 1
            near.send(rtp(sequence, near.timestamp + frame * 3000, near.ssrc, os.urandom(1300), payload_type=0, marker=part == 11))
        far.wait(len(near.sent))
    check_exactly_once(near, far)
    after = stream.count(0)
    assert after.packets - before.packets == 240 and after.relayed - before.relayed == 240
    assert (after.lost, after.duplicate, after.reordered, after.ssrc_changes) == (0, 0, 0, 0)


@VERSIONS
def test_media_leaves_with_the_dscp_of_the_realm_it_goes_to(bed, near_host, far_host):
    stream = bed.stream(bed.peer(near_host), bed.peer(far_host))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    wires = [(bed.raw("outside", "sbc"), 46), (bed.raw("inside", "sbc"), 34)]
    both_ways(stream, 5)
    for wire, dscp in wires:
        assert {traffic_class(frame) for frame in frames_from_us(wire, 5)} == {dscp << 2}


def frames_from_us(wire, count):
    frames = []
    while len(frames) < count:
        frame = receive(wire)[0]
        if from_us(frame):
            frames.append(frame)
    return frames


def from_us(frame):
    """An IP packet of UDP from one of the SBC's addresses and a media port."""
    if frame[12:14] == b"\x08\x00":
        source, protocol, udp = frame[26:30], frame[23], 34
    elif frame[12:14] == b"\x86\xdd":
        source, protocol, udp = frame[22:38], frame[20], 54
    else:
        return False
    ours = str(ipaddress.ip_address(source)) in (ACCESS4, ACCESS6, CORE4, CORE6)
    return ours and protocol == 17 and int.from_bytes(frame[udp : udp + 2], "big") >= 10000


def traffic_class(frame):
    return frame[15] if frame[12:14] == b"\x08\x00" else (frame[14] << 4 | frame[15] >> 4) & 0xFF


@pytest.mark.parametrize("a, b", [(CARRIER, STRANGER), (PBX, OTHER_PBX), (PBX6, "fd00:10::100")], ids=["access", "core", "core6"])
def test_media_turns_round_between_two_peers_of_one_realm(bed, a, b):
    stream = bed.stream(bed.peer(a), bed.peer(b))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    both_ways(stream)


def test_media_turns_round_between_a_phone_and_a_peer_outside(bed):
    stream = bed.stream(bed.peer(PHONE), bed.peer(CARRIER), near_side={"signalling": "203.0.113.2"})
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    both_ways(stream)


def test_two_phones_behind_one_nat_hear_each_other(bed):
    """Both come from one public address, from ports of the NAT's choice; each signalled its private address."""
    netns.run(bed.lab.namespace("phone"), ["ip", "address", "replace", f"{PHONE2}/24", "dev", "eth0"], check=True)
    behind = {"signalling": "203.0.113.2"}
    stream = bed.stream(bed.peer(PHONE), bed.media("phone", PHONE2), near_side=behind, far_side=behind)
    # Nothing can reach a phone before its own first packet has made a way through the NAT.
    stream.far.send()
    bed.api.event("DP_EVENT_LATCHED", lambda e: e.session == stream.session and e.side == 1)
    stream.near.send()
    bed.api.event("DP_EVENT_LATCHED", lambda e: e.session == stream.session and e.side == 0)
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    both_ways(stream)
    sources = [stream.count(i).source for i in (0, 1)]
    assert bytes(sources[0].ip) == bytes(sources[1].ip) and sources[0].port != sources[1].port
