# SPDX-License-Identifier: BSD-3-Clause
"""Streams with keys on the wire, against an SRTP of our own that shares nothing with the dataplane's (srtp.py)."""

import errno
import itertools
import struct

import pytest

import netns
from bed import CARRIER, CARRIER6, NODES, PBX, PBX6, is_silent, receive
from dataplane_api import DataplaneError
from media import check_exactly_once, exchange, open_path
from srtp import SUITES, Key, SecureMedia, Sender
from test_relay_rtcp import receiver_report

CM, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
BOTH = (0, 1)


def peer(bed, host, suite=None, mki=b""):
    media = SecureMedia(bed.lab.namespace(NODES[host]), host)
    bed.closing.append(media)
    if suite:
        media.use(Key(suite, mki), Key(suite, mki))
    return media


def opened(bed, near, far, near_side=None, far_side=None):
    stream = bed.stream(near, far, near_side={**(near_side or {}), **near.sides()}, far_side={**(far_side or {}), **far.sides()})
    open_path(near, far)
    open_path(far, near)
    bed.mark()
    return stream


def renew(stream, near_side=None, far_side=None):
    """Tells the SBC the keys of now."""
    local = stream.update({**(near_side or {}), **stream.near.sides()}, {**(far_side or {}), **stream.far.sides()})
    stream.near.destination, stream.far.destination = local
    return local


def talk(*streams, count=10):
    """`count` packets each way of each stream; all arrive, once, as they were."""
    exchange([(s.near, s.far) for s in streams], count)
    for s in streams:
        check_exactly_once(s.near, s.far)
        check_exactly_once(s.far, s.near)
        assert not s.near.refused and not s.far.refused
        s.near.forget()
        s.far.forget()


def nothing_dropped(bed):
    assert not {name: n for name, n in bed.drops().items() if name != "drop-no-next-hop"}


def test_every_suite_protects_one_side_or_both_over_either_family(bed):
    hosts = itertools.cycle([(CARRIER, PBX), (CARRIER6, PBX6), (CARRIER, PBX6), (CARRIER6, PBX)])
    names = [None, *SUITES]
    pairs = [pair for pair in itertools.product(names, names) if pair != (None, None)]
    streams = [opened(bed, peer(bed, a, near), peer(bed, b, far)) for (near, far), (a, b) in zip(pairs, hosts)]
    talk(*streams)
    nothing_dropped(bed)
    for (near, far), stream in zip(pairs, streams):
        info = stream.info()
        for k, suite in enumerate((near, far)):
            number = list(names).index(suite)
            assert (info.suite_from[k], info.suite_to[k]) == (number, number)
        assert [(stream.count(k).srtp_auth_failed, stream.count(k).srtp_replayed, stream.count(k).lost) for k in BOTH] == [(0, 0, 0)] * 2


def test_an_mki_is_sent_and_expected(bed):
    streams = [opened(bed, peer(bed, CARRIER, suite, b"\0\0\0\1"), peer(bed, PBX, other, b"key-of-the-pbx")) for suite, other in ((CM, GCM), (GCM, CM))]
    talk(*streams)
    nothing_dropped(bed)
    for stream in streams:
        key = stream.near.keys[0]
        stream.near.raw(Sender(Key(key.suite, b"\0\0\0\2", key.master)).protect(stream.near.packet()))
    netns.wait_for("both dropped", lambda: bed.counted("drop-srtp-key")["drop-srtp-key"] == 2, 5)
    assert all(is_silent(stream.far.rtp) for stream in streams)


def test_what_was_changed_cut_or_sent_again_is_refused_and_told(bed):
    streams = [opened(bed, peer(bed, CARRIER, suite), peer(bed, PBX)) for suite in SUITES]
    for stream in streams:
        near, before = stream.near, stream.count(0).packets
        packet = near.packet()
        good = near.seal(packet)
        for at in (1, 3, 5, 9, 12, len(good) // 2, len(good) - 1):
            near.raw(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        near.raw(good[:20])
        near.raw(good[:-1])
        stream.wait(0, srtp_auth_failed=9)
        near.raw(good)
        near.raw(good)
        stream.wait(0, srtp_replayed=1)
        stream.far.wait(1)
        assert [p for p, _ in stream.far.arrived] == [packet] and stream.count(0).packets == before + 1
    assert bed.drops() == {"drop-srtp-auth": 9 * len(SUITES), "drop-srtp-replay": len(SUITES)}
    alarms = set()

    def all_told():
        alarms.update((e.session, e.side) for e in bed.api.take_events("DP_EVENT_SRTP_ALARM"))
        return len(alarms) == len(streams)

    netns.wait_for("alarms", all_told, 5)
    assert alarms == {(s.session, 0) for s in streams}


def test_plain_rtp_and_what_is_no_rtp_are_refused_where_keys_were_agreed(bed):
    stream = opened(bed, peer(bed, CARRIER, CM), peer(bed, PBX, GCM))
    for media in (stream.near, stream.far):
        media.raw(media.packet())
        media.rtcp.sendto(receiver_report(media.ssrc), (media.destination[0], media.destination[1] + 1))
    bed.wait_counted("drop-srtp-auth", 4)
    stream.near.raw(bytes.fromhex("16fefd0000000000000000000c0100000000"))  # DTLS
    stream.near.raw(bytes.fromhex("000100002112a442") + bytes(12))  # STUN
    netns.wait_for("both dropped", lambda: bed.counted("drop-not-rtp")["drop-not-rtp"] == 2, 5)
    for media in (stream.near, stream.far):
        assert is_silent(media.rtp) and is_silent(media.rtcp)


def test_a_stranger_does_not_lock_the_latch_of_a_side_with_keys(bed):
    near, far, stranger = peer(bed, CARRIER, CM), peer(bed, PBX), peer(bed, CARRIER)
    stream = bed.stream(near, far, near_side=near.sides())
    stranger.destination = near.destination
    stranger.raw(stranger.packet())
    stranger.use(Key(CM), Key(CM))
    stranger.send()
    stream.wait(0, srtp_auth_failed=2)
    assert stream.count(0).latched == 0
    open_path(near, far)
    open_path(far, near)
    talk(stream, count=3)
    assert (stream.count(0).latched, stream.count(0).source.port) == (1, near.port)


@pytest.mark.parametrize("mux", [False, True], ids=["own-port", "mux"])
def test_rtcp_is_protected_on_either_port(bed, mux):
    flags = {"flags": ["RTCP_MUX"] if mux else []}
    streams = [opened(bed, peer(bed, CARRIER, near), peer(bed, PBX, far), flags, flags)
               for near, far in ((CM, None), (None, GCM), (GCM, "AES_256_CM_HMAC_SHA1_32"), ("AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"))]
    for stream in streams:
        for a, b in ((stream.near, stream.far), (stream.far, stream.near)):
            for _ in range(3):
                report = receiver_report(a.ssrc)
                octets = a.sender.protect_rtcp(report) if a.sender else report
                (a.rtp if mux else a.rtcp).sendto(octets, (a.destination[0], a.destination[1] + (not mux)))
                data, _ = receive(b.rtp if mux else b.rtcp)
                assert (b.receiver.unprotect_rtcp(data) if b.receiver else data) == report
        assert [stream.count(k).rtcp_packets for k in BOTH] == [3, 3]
    talk(*streams, count=3)
    nothing_dropped(bed)


def opened_at(bed, sequence, near_suite, far_suite):
    near, far = peer(bed, CARRIER, near_suite), peer(bed, PBX, far_suite)
    near.sequence = far.sequence = sequence
    return opened(bed, near, far)


def test_the_rollover_counter_follows_wraps_and_losses_across_them(bed):
    streams = [opened_at(bed, 0xFFF0, *suites) for suites in ((CM, None), (GCM, CM), (None, GCM))]
    talk(*streams, count=20)  # over the wrap
    for lost in (30000, 30000, 30000):  # one of them hides a wrap
        for stream in streams:
            stream.near.lose(lost)
            stream.far.lose(lost)
        talk(*streams, count=2)
    for stream in streams:  # as if the wrap itself were lost
        for media in (stream.near, stream.far):
            media.lose(0xFFFF - media.sequence + 5 if media.sequence > 0x9000 else 5)
    talk(*streams, count=2)
    nothing_dropped(bed)


def test_key_counters_outlive_hold_moves_and_new_ports(bed):
    """What is lost elsewhere since 2015: the rollover counter at hold, re-INVITE, another address."""
    streams = [opened_at(bed, 0xFFF8, *suites) for suites in ((CM, None), (GCM, CM))]
    talk(*streams, count=16)
    for stream in streams:
        near = stream.near
        again = near.seal(near.packet())
        near.raw(again)
        stream.far.wait(1)
        stream.far.forget()
        renew(stream, {"flags": ["QUIET"]}, {"flags": ["MUTED", "QUIET"]})  # hold
        near.lose(10)
        renew(stream)
        near.raw(again)
        stream.wait(0, srtp_replayed=1)
    talk(*streams, count=3)
    for stream in streams:
        moved = peer(bed, CARRIER)  # the caller has another socket now
        moved.keys, moved.sender, moved.receiver = stream.near.keys, stream.near.sender, stream.near.receiver
        moved.ssrc, moved.sequence, moved.timestamp = stream.near.ssrc, stream.near.sequence, stream.near.timestamp
        stream.near = moved
        renew(stream)
    talk(*streams, count=3)
    for stream in streams:  # the callee is in the other network now: our port there is another one
        moved = peer(bed, CARRIER)
        moved.keys, moved.sender, moved.receiver = stream.far.keys, stream.far.sender, stream.far.receiver
        moved.ssrc, moved.sequence, moved.timestamp = stream.far.ssrc, stream.far.sequence, stream.far.timestamp
        before, stream.far = stream.far.destination, moved
        assert renew(stream)[1] != before
    talk(*streams, count=3)
    assert [s.count(k).srtp_auth_failed for s in streams for k in BOTH] == [0] * 4


def test_another_ssrc_begins_anew_and_the_first_goes_on(bed):
    streams = [opened_at(bed, 0xFFF8, *suites) for suites in ((CM, None), (None, CM), (GCM, "AES_256_CM_HMAC_SHA1_80"))]
    talk(*streams, count=16)
    for stream in streams:
        stream.first = [(m.ssrc, m.sequence) for m in (stream.near, stream.far)]
        for m in (stream.near, stream.far):
            m.ssrc, m.sequence = m.ssrc ^ 1, 77
    talk(*streams, count=5)
    for stream in streams:
        for m, (ssrc, sequence) in zip((stream.near, stream.far), stream.first):
            m.ssrc, m.sequence = ssrc, sequence
    talk(*streams, count=5)
    nothing_dropped(bed)


def test_a_new_key_under_live_media_loses_no_packet(bed):
    """The update reaches the SBC between packets; what is under way with the old key is still heard."""
    streams = [opened(bed, peer(bed, CARRIER, near), peer(bed, PBX, far)) for near, far in ((CM, None), (GCM, CM), ("AES_256_CM_HMAC_SHA1_32", GCM))]
    for turn in range(6):
        for stream in streams:
            near, far = stream.near, stream.far
            for _ in range(3):
                far.send()
            near.wait(3)  # of the key before
            late = [near.packet() for _ in range(4)]
            sealed = [near.seal(packet) for packet in late]
            near.raw(sealed[0])
            near.use(Key(near.keys[0].suite), Key(near.keys[1].suite))
            renew(stream)
            for octets in sealed[1:]:
                near.raw(octets)  # overtaken by the update
            near.sent += late
            for _ in range(3):
                near.send()
                far.send()
            near.wait(6)
            far.wait(7)
            check_exactly_once(near, far)
            check_exactly_once(far, near)
            assert not near.refused and not far.refused, (turn, near.refused, far.refused)
            near.forget()
            far.forget()
    nothing_dropped(bed)
    for stream in streams:  # and what was recorded of an older key is of no use any more
        near, old = stream.near, stream.near.sender
        near.use(Key(CM), Key(CM))
        renew(stream)
        near.send()
        stream.far.wait(1)
        near.raw(old.protect(near.packet()))
        stream.wait(0, srtp_auth_failed=1)


def test_a_call_goes_over_to_srtp_and_back_to_rtp(bed):
    stream = opened(bed, peer(bed, CARRIER), peer(bed, PBX))
    talk(stream, count=3)
    stream.near.use(Key(GCM), Key(CM))
    renew(stream)
    talk(stream, count=3)
    clear = stream.near.packet()
    stream.near.raw(clear)
    stream.wait(0, srtp_auth_failed=1)
    stream.near.plain()
    renew(stream)
    talk(stream, count=3)
    assert list(stream.info().suite_from) == [0, 0]


def test_the_end_of_a_keys_lifetime_is_announced_and_then_nothing_passes(bed):
    near, far = peer(bed, CARRIER), peer(bed, PBX)
    near.use(Key(CM, lifetime=40), Key(CM, lifetime=1000))
    stream = bed.stream(near, far, near_side=near.sides())
    near.destination = stream.local[0]
    for _ in range(60):
        near.send()
    netns.wait_for("dropped", lambda: bed.counted("drop-srtp-key")["drop-srtp-key"] == 20, 5)
    events = []

    def told():
        events.extend(bed.api.take_events("DP_EVENT_REKEY_NEEDED"))
        return events

    netns.wait_for("re-key needed", told, 5)
    assert [(e.session, e.side) for e in events] == [(stream.session, 0)]


def test_what_would_outgrow_the_link_is_dropped_whole(bed):
    stream = opened(bed, peer(bed, CARRIER), peer(bed, PBX, CM))
    header = struct.pack("!BBHII", 0x80, 0, (stream.near.sequence + 1) & 0xFFFF, 0, stream.near.ssrc)
    fits = header + bytes(1500 - 28 - 10 - len(header))
    stream.near.raw(fits + b"x")
    bed.wait_counted("drop-too-big", 1)
    stream.near.send(fits)
    stream.far.wait(1)
    check_exactly_once(stream.near, stream.far)


def test_keys_are_refused_where_they_make_no_sense(bed):
    near, far = peer(bed, CARRIER, CM), peer(bed, PBX)
    for sides, kind in (({"crypto_from": near.keys[0].request()}, "RTP"), (near.sides(), "OTHER")):
        with pytest.raises(DataplaneError) as refusal:
            bed.stream(near, far, kind=kind, near_side=sides)
        assert refusal.value.errno == errno.EINVAL
