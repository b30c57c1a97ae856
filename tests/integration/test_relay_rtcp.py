# SPDX-License-Identifier: BSD-3-Clause
"""RTCP: by which port it comes and goes, and what its reports say about the far ends."""

import select
import struct
import time

import pytest

import netns
from bed import CARRIER, CARRIER6, PBX, PBX6, is_silent, receive
from media import check_exactly_once, exchange, open_path

VERSIONS = pytest.mark.parametrize("near_host, far_host", [(CARRIER, PBX), (CARRIER6, PBX6), (CARRIER, PBX6), (CARRIER6, PBX)],
                                   ids=["4-4", "6-6", "4-6", "6-4"])
NTP_EPOCH = 2208988800


def sender_report(ssrc, ntp, packets=1, octets=160, *blocks):
    body = struct.pack("!IQIII", ssrc, ntp, 0, packets, octets) + b"".join(blocks)
    return struct.pack("!BBH", 0x80 | len(blocks), 200, len(body) // 4) + body


def receiver_report(ssrc, *blocks):
    body = struct.pack("!I", ssrc) + b"".join(blocks)
    return struct.pack("!BBH", 0x80 | len(blocks), 201, len(body) // 4) + body


def block(about, fraction=0, lost=0, highest=0, jitter=0, lsr=0, dlsr=0):
    """RFC 3550 section 6.4.1; lsr: the middle 32 bits of an NTP time stamp, dlsr: seconds."""
    return struct.pack("!IB3sIIII", about, fraction, (lost & 0xFFFFFF).to_bytes(3, "big"), highest, jitter, lsr, int(dlsr * 65536))


def ntp_now():
    now = time.time() + NTP_EPOCH
    return int(now) << 32 | int((now - int(now)) * (1 << 32))


def middle(ntp):
    return ntp >> 16 & 0xFFFFFFFF


def opened(bed, near_host=CARRIER, far_host=PBX, near_flags=(), far_flags=(), **kwargs):
    stream = bed.stream(bed.peer(near_host), bed.peer(far_host), near_side={"flags": near_flags, **kwargs}, far_side={"flags": far_flags})
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    return stream


@VERSIONS
@pytest.mark.parametrize("near_mux", [False, True], ids=["near-own-port", "near-mux"])
@pytest.mark.parametrize("far_mux", [False, True], ids=["far-own-port", "far-mux"])
def test_rtcp_leaves_by_the_port_that_its_receiver_asked_for(bed, near_host, far_host, near_mux, far_mux):
    stream = opened(bed, near_host, far_host, ["RTCP_MUX"] if near_mux else [], ["RTCP_MUX"] if far_mux else [])
    ends = ((stream.near, near_mux, stream.local[0]), (stream.far, far_mux, stream.local[1]))
    for (a, a_mux, a_local), (b, b_mux, b_local) in (ends, ends[::-1]):
        report = receiver_report(a.ssrc)
        (a.rtp if a_mux else a.rtcp).sendto(report, (a_local[0], a_local[1] + (not a_mux)))
        data, source = receive(b.rtp if b_mux else b.rtcp)
        assert data == report and source == (b_local[0], b_local[1] + (not b_mux))
        assert is_silent(b.rtcp if b_mux else b.rtp)
    assert [stream.count(i).rtcp_packets for i in (0, 1)] == [1, 1]
    assert [stream.count(i).malformed for i in (0, 1)] == [0, 0]
    exchange([(stream.near, stream.far)], 5)
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)


def test_rtcp_goes_where_it_was_signalled_to_when_that_is_not_the_next_port(bed):
    """RFC 3605: a=rtcp names port and address."""
    near, far, elsewhere = bed.peer(CARRIER), bed.peer(PBX), bed.peer("10.0.0.100")
    stream = bed.stream(near, far, far_side={"rtcp": (elsewhere.host, elsewhere.port)})
    open_path(near, far)
    report = receiver_report(near.ssrc)

    def arrives():  # the first one may still wait for its neighbour
        near.rtcp.sendto(report, (stream.local[0][0], stream.local[0][1] + 1))
        return select.select([elsewhere.rtp], [], [], 0.1)[0]

    netns.wait_for("RTCP at the place that was signalled", arrives, 5)
    assert receive(elsewhere.rtp) == (report, (stream.local[1][0], stream.local[1][1] + 1))
    assert is_silent(far.rtcp)


def test_rtcp_from_a_wrong_source_is_not_relayed_and_not_believed(bed):
    stream = opened(bed)
    stranger = bed.peer("203.0.113.101")
    stream.near.rtcp.sendto(receiver_report(stream.near.ssrc), (stream.local[0][0], stream.local[0][1] + 1))
    receive(stream.far.rtcp)
    bed.mark()
    lie = receiver_report(stream.near.ssrc, block(stream.far.ssrc, fraction=200, lost=1000))
    stranger.rtcp.sendto(lie, (stream.local[0][0], stream.local[0][1] + 1))
    bed.wait_counted("drop-wrong-source", 1)
    assert is_silent(stream.far.rtcp)
    assert (stream.count(0).far_reported, stream.count(0).far_lost, stream.count(0).rtcp_packets) == (0, 0, 1)


@VERSIONS
def test_a_report_block_says_what_the_far_end_lost(bed, near_host, far_host):
    """Said by the near side about what it gets from us, that is about the far side's stream."""
    stream = opened(bed, near_host, far_host)
    report = receiver_report(stream.near.ssrc, block(stream.far.ssrc, fraction=64, lost=77, highest=stream.far.sequence, jitter=80))
    stream.near.rtcp.sendto(report, (stream.local[0][0], stream.local[0][1] + 1))
    assert receive(stream.far.rtcp)[0] == report
    near, far = stream.count(0), stream.count(1)
    assert (near.far_reported, near.far_lost_fraction, near.far_lost) == (1, 64, 77)
    assert near.far_jitter_us == 10000  # 80 units of PCMU's 8,000 a second
    assert (far.far_reported, far.far_lost_fraction, far.far_lost) == (0, 0, 0)


def test_more_received_than_sent_is_no_loss(bed):
    """The cumulative number lost is signed: duplicates make it negative (RFC 3550 section 6.4.1)."""
    stream = opened(bed)
    stream.near.rtcp.sendto(receiver_report(stream.near.ssrc, block(stream.far.ssrc, lost=-5)), (stream.local[0][0], stream.local[0][1] + 1))
    receive(stream.far.rtcp)
    assert (stream.count(0).far_reported, stream.count(0).far_lost) == (1, 0)


def test_a_block_about_another_stream_says_nothing_about_ours(bed):
    stream = opened(bed)
    other = (stream.far.ssrc + 1) & 0xFFFFFFFF
    stream.near.rtcp.sendto(receiver_report(stream.near.ssrc, block(other, fraction=99, lost=99)), (stream.local[0][0], stream.local[0][1] + 1))
    receive(stream.far.rtcp)
    assert (stream.count(0).far_lost_fraction, stream.count(0).far_lost) == (0, 0)


@pytest.mark.parametrize("mux", [False, True], ids=["own-port", "mux"])
@pytest.mark.parametrize("form", [receiver_report, lambda ssrc, b: sender_report(ssrc, ntp_now(), 1, 160, b)], ids=["RR", "SR"])
def test_the_round_trip_is_the_time_since_the_sender_report_without_the_far_ends_delay(bed, mux, form):
    stream = opened(bed, near_flags=["RTCP_MUX"] if mux else ())
    near = stream.near
    ntp = ntp_now()
    start = time.monotonic()
    stream.far.rtcp.sendto(sender_report(stream.far.ssrc, ntp), (stream.local[1][0], stream.local[1][1] + 1))
    receive(near.rtp if mux else near.rtcp)
    received = time.monotonic()
    exchange([(near, stream.far)], 20, interval=0.02)  # time passes
    waited = time.monotonic() - received
    delay = waited / 2  # says to have held it so long; the rest was the network
    report = form(near.ssrc, block(stream.far.ssrc, lsr=middle(ntp), dlsr=delay))
    (near.rtp if mux else near.rtcp).sendto(report, (stream.local[0][0], stream.local[0][1] + (not mux)))
    receive(stream.far.rtcp)
    end = time.monotonic()
    counters = stream.count(0)
    # A worker that is put to sleep between its clock and its packets errs by that; half of the delay tells right from wrong.
    assert waited - 1.5 * delay <= counters.round_trip_us / 1e6 <= end - start - 0.5 * delay
    assert counters.round_trip_max_us == counters.round_trip_us
    assert stream.count(1).round_trip_us == 0


def test_each_side_has_its_own_round_trip(bed):
    stream = opened(bed)
    ends = ((stream.near, stream.local[0]), (stream.far, stream.local[1]))
    for (a, a_local), (b, b_local) in (ends, ends[::-1]):
        ntp = ntp_now()
        a.rtcp.sendto(sender_report(a.ssrc, ntp), (a_local[0], a_local[1] + 1))
        receive(b.rtcp)
        b.rtcp.sendto(receiver_report(b.ssrc, block(a.ssrc, lsr=middle(ntp))), (b_local[0], b_local[1] + 1))
        receive(a.rtcp)
    assert all(stream.count(i).round_trip_us > 0 for i in (0, 1))


@pytest.mark.parametrize("lsr, dlsr", [(0, 0), (0x12345678, 0), ("ours", 3600)], ids=["no-report-yet", "never-sent", "longer-than-it-can-be"])
def test_a_report_that_cannot_be_true_measures_no_round_trip(bed, lsr, dlsr):
    stream = opened(bed)
    ntp = ntp_now()
    stream.far.rtcp.sendto(sender_report(stream.far.ssrc, ntp), (stream.local[1][0], stream.local[1][1] + 1))
    receive(stream.near.rtcp)
    lie = receiver_report(stream.near.ssrc, block(stream.far.ssrc, lsr=middle(ntp) if lsr == "ours" else lsr, dlsr=dlsr))
    stream.near.rtcp.sendto(lie, (stream.local[0][0], stream.local[0][1] + 1))
    receive(stream.far.rtcp)
    assert (stream.count(0).round_trip_us, stream.count(0).round_trip_max_us) == (0, 0)
