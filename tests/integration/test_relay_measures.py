# SPDX-License-Identifier: BSD-3-Clause
"""What is counted of a stream: loss, order, digits, and each packet that does not cross, by the reason why."""

import os
import socket
import struct

import pytest

import netns
from bed import ACCESS4, ACCESS6, CARRIER, CARRIER6, CORE4, PBX, PBX6, PHONE, is_silent, receive
from media import PAYLOAD, check_exactly_once, exchange, open_path, rtp

BED = {"more": """
realm thin { network-interface = outside  trust = untrusted  media-rate = 64 }
steering-pool thin { realm = thin  address = "203.0.113.10"  ports = "13000-13099" }
"""}
EVENT = 101  # payload type of telephone events


def opened(bed, near_host=CARRIER, far_host=PBX, **near_side):
    stream = bed.stream(bed.peer(near_host), bed.peer(far_host), near_side=near_side)
    open_path(stream.near, stream.far)
    bed.mark()
    return stream


def send_numbers(stream, numbers, **kwargs):
    """One packet for each (number relative to what was sent already); the timestamp follows the number."""
    near = stream.near
    for n in numbers:
        near.send(rtp(near.sequence + n, near.timestamp + n * PAYLOAD, near.ssrc, os.urandom(PAYLOAD), **kwargs))
    stream.far.wait(len(near.sent))


def test_what_is_missing_is_lost(bed):
    stream = opened(bed)
    send_numbers(stream, [1, 2, 5, 6, 10])
    stream.wait(0, lost=5, duplicate=0, reordered=0)


def test_a_late_packet_is_reordered_and_not_lost(bed):
    stream = opened(bed)
    send_numbers(stream, [1, 2, 5, 3, 4, 6])
    stream.wait(0, lost=0, duplicate=0, reordered=2)
    assert [p for p, _ in stream.far.arrived] == stream.near.sent  # relayed as they came: the receiver orders


def test_a_packet_that_comes_twice_is_a_duplicate_and_takes_no_loss_back(bed):
    stream = opened(bed)
    send_numbers(stream, [1, 2, 4, 4, 2, 5])
    stream.wait(0, lost=1, duplicate=2, packets=stream.count(0).packets)


def test_numbers_that_wrap_are_no_loss(bed):
    stream = opened(bed)
    stream.near.sequence = 0  # a stream of its own from here on
    stream.near.ssrc ^= 1
    send_numbers(stream, range(65530, 65546))
    stream.wait(0, lost=0, reordered=0, duplicate=0, ssrc_changes=1)


def test_loss_over_the_wrap_is_counted(bed):
    stream = opened(bed)
    stream.near.sequence = 0
    stream.near.ssrc ^= 1
    send_numbers(stream, [65530, 65531, 65540, 65539])
    stream.wait(0, lost=7, reordered=1, ssrc_changes=1)


def test_another_source_of_the_same_peer_is_a_change_and_no_loss(bed):
    """An SSRC changes when a call is transferred or an announcement begins; its numbers begin anywhere."""
    stream = opened(bed)
    send_numbers(stream, range(1, 5))
    ssrc = stream.near.ssrc
    for change in range(3):
        stream.near.ssrc = ssrc + change + 1 & 0xFFFFFFFF
        stream.near.sequence = stream.near.sequence + 20000 & 0xFFFF
        send_numbers(stream, range(1, 5))
    stream.wait(0, ssrc_changes=3, lost=0, duplicate=0, reordered=0, ssrc=stream.near.ssrc)
    check_exactly_once(stream.near, stream.far)


# --- RFC 4733 ---


def event(stream, digit, start, at, end=False, duration=160, marker=False):
    payload = struct.pack("!BBH", digit, (0x80 if end else 0) | 10, duration)
    return rtp(stream.near.sequence + at, stream.near.timestamp + start * PAYLOAD, stream.near.ssrc, payload, EVENT, marker)


def press(stream, digit, at):
    """Three packets while the key is down and three times its end, one timestamp (RFC 4733 section 2.5.1)."""
    for i in range(3):
        stream.near.send(event(stream, digit, at, at + i, duration=(i + 1) * PAYLOAD, marker=i == 0))
    for i in range(3, 6):
        stream.near.send(event(stream, digit, at, at + i, end=True, duration=4 * PAYLOAD))
    stream.far.wait(len(stream.near.sent))


def test_each_digit_counts_once_however_often_its_end_is_repeated(bed):
    stream = opened(bed, telephone_event=EVENT)
    for i, digit in enumerate((1, 2, 2, 11)):
        press(stream, digit, 1 + i * 6)
    stream.wait(0, events=4, lost=0)
    assert stream.count(1).events == 0
    check_exactly_once(stream.near, stream.far)


def test_a_digit_whose_beginning_was_lost_counts(bed):
    stream = opened(bed, telephone_event=EVENT)
    for i in range(3):
        stream.near.send(event(stream, 5, 1, 4 + i, end=True))
    stream.far.wait(3)
    stream.wait(0, events=1)


def test_a_late_end_of_the_digit_before_is_no_digit(bed):
    stream = opened(bed, telephone_event=EVENT)
    press(stream, 1, 1)
    stream.near.send(event(stream, 2, 8, 8, marker=True))
    stream.near.send(event(stream, 1, 1, 7, end=True))  # a seventh of the first one, late
    stream.near.send(event(stream, 2, 8, 9, end=True))
    stream.far.wait(len(stream.near.sent))
    stream.wait(0, events=2, reordered=1)


@pytest.mark.parametrize("signalled", [0, 96])
def test_without_its_payload_type_nothing_is_a_digit(bed, signalled):
    stream = opened(bed, telephone_event=signalled)
    press(stream, 1, 1)
    assert stream.count(0).events == 0


def test_an_event_too_short_to_be_one_is_relayed_and_not_counted(bed):
    stream = opened(bed, telephone_event=EVENT)
    for n, payload in enumerate((b"", b"\x01", b"\x01\x0a\x00")):
        stream.near.send(rtp(stream.near.sequence + n, stream.near.timestamp, stream.near.ssrc, payload, EVENT))
    stream.far.wait(3)
    assert stream.count(0).events == 0


# --- policing ---


def test_media_over_its_bandwidth_is_dropped_and_counted_and_nothing_else_is(bed):
    stream = opened(bed, rate_limit=64)
    before = stream.count(0)
    for _ in range(400):  # 200 octets each with IP's header: ten seconds of 64 kbit/s at once
        stream.near.send()
    netns.wait_for("400 packets counted", lambda: stream.count(0).relayed + stream.count(0).policed - before.relayed >= 400, 10)
    counters = stream.count(0)
    assert counters.relayed - before.relayed + counters.policed == 400
    assert counters.policed >= 200
    assert bed.drops() == {"drop-policed": counters.policed}
    stream.far.wait(400 - counters.policed)
    assert stream.count(1).policed == 0
    netns.wait_for("the realm's count", lambda: bed.api.realms()["access"].policed >= counters.policed, 10)


@pytest.mark.parametrize("asked, policed", [(0, True), (100000, False)], ids=["nothing said", "more said"])
def test_the_realms_rate_holds_where_the_description_names_no_bandwidth(bed, asked, policed):
    stream = opened(bed, realm="thin", rate_limit=asked)
    before = stream.count(0)
    for _ in range(200):
        stream.near.send()
    netns.wait_for("200 packets counted", lambda: stream.count(0).packets - before.packets == 200, 10)
    assert (stream.count(0).policed > 0) == policed


def test_media_under_its_bandwidth_is_never_touched(bed):
    """G.711 with 20 ms: 80 kbit/s and RTCP."""
    stream = opened(bed, rate_limit=96)
    exchange([(stream.near, stream.far)], 100)
    check_exactly_once(stream.near, stream.far)
    assert stream.count(0).policed == 0 and bed.drops() == {}


def test_rtcp_counts_as_bandwidth(bed):
    stream = opened(bed, rate_limit=16)
    report = struct.pack("!BBHI", 0x80, 204, 100, stream.near.ssrc) + bytes(396)  # APP of 404 octets
    before = stream.count(0)
    for _ in range(200):
        stream.near.rtcp.sendto(report, (stream.local[0][0], stream.local[0][1] + 1))
    # What is policed has arrived, and is counted as such.
    netns.wait_for("200 packets counted", lambda: stream.count(0).rtcp_packets - before.rtcp_packets >= 200, 10)
    policed = stream.count(0).policed
    assert policed >= 100 and bed.drops() == {"drop-policed": policed}
    assert stream.count(0).packets == before.packets


def test_each_side_has_its_own_bandwidth(bed):
    near, far = bed.peer(CARRIER), bed.peer(PBX)
    stream = bed.stream(near, far, near_side={"rate_limit": 8})
    open_path(near, far)
    bed.mark()
    for _ in range(200):
        near.send()
        far.send()
        near.drain()
    near.wait(200)
    assert stream.count(0).policed > 0 and stream.count(1).policed == 0


def test_udptl_is_policed_too(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX), kind="OTHER", near_side={"rate_limit": 16})
    open_path(stream.near, stream.far)
    bed.mark()
    before = stream.count(0).packets
    for _ in range(200):
        stream.near.rtp.sendto(os.urandom(300), stream.local[0])
    netns.wait_for("all of them counted", lambda: stream.count(0).packets == before + 200, 10)
    assert stream.count(0).policed >= 100
    assert bed.drops() == {"drop-policed": stream.count(0).policed}


# --- size and fragments ---


def test_what_is_too_long_for_the_way_out_is_dropped_and_counted(bed):
    """IPv6's header is 20 octets longer."""
    stream = opened(bed, CARRIER, PBX6)
    before = stream.count(0)
    for size in (1440, 1452, 1453, 1460, 1472):  # 1,452 and UDP and IPv6 are 1,500
        stream.near.rtp.sendto((stream.near.packet() + bytes(1500))[:size], stream.local[0])
    bed.wait_counted("drop-too-big", 3)
    after = stream.count(0)
    assert (after.packets - before.packets, after.relayed - before.relayed) == (5, 2)
    assert sorted(len(receive(stream.far.rtp)[0]) for _ in range(2)) == [1440, 1452]
    assert is_silent(stream.far.rtp)


def test_the_same_packet_fits_where_ipv6_comes_in(bed):
    stream = opened(bed, CARRIER6, PBX)
    packet = (stream.near.packet() + bytes(1500))[:1452]
    stream.near.send(packet)
    stream.far.wait(1)
    assert bed.drops() == {}


@pytest.mark.parametrize("near_host", [CARRIER, CARRIER6])
def test_media_in_fragments_is_dropped_and_counted(bed, near_host):
    stream = opened(bed, near_host)
    before = stream.count(0)
    for _ in range(4):
        stream.near.rtp.sendto((stream.near.packet() + bytes(3000))[:3000], stream.local[0])
    netns.wait_for("fragments counted", lambda: bed.counted("drop-fragment")["drop-fragment"] >= 4, 10)
    assert stream.count(0).packets == before.packets
    assert is_silent(stream.far.rtp)
    exchange([(stream.near, stream.far)], 5)
    check_exactly_once(stream.near, stream.far)


@pytest.mark.parametrize("host, ours", [(CARRIER, ACCESS4), (CARRIER6, ACCESS6), (PBX, CORE4)], ids=["untrusted", "untrusted6", "trusted"])
def test_signalling_in_fragments_arrives(bed, host, ours):
    """A SIP message of 3,000 octets over UDP, to the kernel's socket on the mirror and back."""
    server = netns.udp_socket(bed.lab.namespace("sbc"), ours, 5060)
    bed.closing.append(server)
    peer = bed.peer(host)
    message = (b"INVITE sip:1000@sbc SIP/2.0\r\n" + os.urandom(1500).hex().encode())[:3000]
    peer.rtp.sendto(message, (ours, 5060))
    data, source = receive(server)
    assert data == message and source == (host, peer.port)
    server.sendto(message[::-1], source)
    assert receive(peer.rtp) == (message[::-1], (ours, 5060))
    assert bed.drops() == {}


# --- ports and states ---


def test_media_to_a_side_that_receives_nothing_is_counted_as_muted(bed):
    near, far = bed.peer(CARRIER), bed.peer(PBX)
    stream = bed.stream(near, far, far_side={"flags": ["MUTED"]})
    bed.ping(CARRIER, ACCESS4)
    bed.mark()
    for _ in range(5):
        near.rtp.sendto(near.packet(), near.destination)
    bed.wait_counted("drop-muted", 5)
    assert (stream.count(0).packets, stream.count(0).relayed) == (5, 0)
    open_path(far, near)  # the other way goes on
    assert is_silent(far.rtp)


def test_a_hop_limit_that_ends_here_ends_here(bed):
    stream = opened(bed)
    stream.near.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    stream.near.rtp.sendto(stream.near.packet(), stream.local[0])
    bed.wait_counted("drop-ttl", 1)


def test_a_peer_behind_nobody_is_asked_for_and_counted_meanwhile(bed):
    """No host has the far address: the way there is asked for, packets are dropped by name."""
    near = bed.peer(CARRIER)
    bed.ping(CARRIER, ACCESS4)

    class Nobody:
        namespace, host, port, destination = bed.lab.namespace("pbx"), "10.0.0.77", 4000, None

    stream = bed.stream(near, Nobody())
    bed.mark()
    for _ in range(3):
        near.rtp.sendto(near.packet(), near.destination)
    bed.wait_counted("drop-no-next-hop", 3)
    assert stream.count(0).no_next_hop == 3 and stream.count(0).packets == 3


def test_the_flows_are_listed_with_where_they_come_from_and_go_to(bed):
    stream = opened(bed, PHONE, signalling="203.0.113.2")
    flows = {f.side: f for f in bed.api.flows() if f.session == stream.session}
    assert {f.realm.decode() for f in flows.values()} == {"access", "core"}
    counters = stream.count(0)
    assert flows[0].packets == counters.packets and flows[0].latched == 1
    assert bytes(flows[0].source) == bytes(counters.source) and bytes(flows[1].dest) == bytes(counters.source)
    assert [f.session for f in bed.api.flows(realm="core")] == [stream.session]
    assert [f.side for f in bed.api.flows(within="203.0.113.2")] == [0]
    assert bed.api.flows(within="198.51.100.0/24") == []
