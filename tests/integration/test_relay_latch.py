# SPDX-License-Identifier: BSD-3-Clause
"""Who may send: fixed, latch and relatch; and which silence is told. With short times."""

import itertools
import time

import netns
from bed import CARRIER, PBX, PHONE, STRANGER, is_silent
from media import check_exactly_once, exchange, open_path

BED = {"media_manager": "max-sessions = 2000  idle-timeout = 2  initial-timeout = 3  relatch-silence = 1"}
NAT = "203.0.113.2"


def opened(bed, near_host=CARRIER, **near_side):
    stream = bed.stream(bed.peer(near_host), bed.peer(PBX), near_side=near_side)
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    for side in (0, 1):
        if stream.sides[side].get("latching") != "FIXED":
            bed.api.event("DP_EVENT_LATCHED", lambda e: (e.session, e.side) == (stream.session, side))
    bed.mark()
    return stream


def from_elsewhere(bed, stream, host, packets=5):
    """RTP to the near side's port from another place; all of it counted as of a wrong source, and none relayed."""
    other = bed.peer(host)
    before = stream.count(0).wrong_source
    for _ in range(packets):
        other.rtp.sendto(other.packet(), stream.local[0])
    stream.wait(0, wrong_source=before + packets)
    assert is_silent(stream.far.rtp)
    return other


def test_a_fixed_side_takes_the_signalled_port_alone(bed):
    stream = opened(bed, latching="FIXED")
    from_elsewhere(bed, stream, CARRIER)  # the right host, another port
    from_elsewhere(bed, stream, STRANGER)
    bed.wait_counted("drop-wrong-source", 10)
    exchange([(stream.near, stream.far)], 5)
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)
    assert stream.count(0).latched == 0


def test_a_fixed_side_hears_us_before_it_has_sent_anything(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX), near_side={"latching": "FIXED"}, far_side={"latching": "FIXED"})
    open_path(stream.far, stream.near)


def test_a_latched_side_keeps_its_first_port_and_the_alarm_is_raised(bed):
    stream = opened(bed, PHONE, signalling=NAT)
    info = stream.info()
    assert getattr(info, "from")[0].latched == 1
    other = from_elsewhere(bed, stream, PHONE)  # the same NAT, another port of it
    alarm = bed.api.event("DP_EVENT_SOURCE_ALARM", lambda e: e.session == stream.session)
    assert (alarm.stream, alarm.side) == (0, 0) and alarm.source.port not in (0, getattr(info, "from")[0].source.port)
    from_elsewhere(bed, stream, STRANGER)
    exchange([(stream.near, stream.far)], 5)
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)
    assert is_silent(other.rtp)
    assert not bed.api.take_events("DP_EVENT_LATCHED")


def test_alarms_of_one_flow_come_at_most_once_a_second(bed):
    stream = opened(bed)
    start = time.monotonic()
    other = bed.peer(STRANGER)
    for _ in range(500):
        other.rtp.sendto(other.packet(), stream.local[0])
    stream.wait(0, wrong_source=500)
    bed.api.event("DP_EVENT_SOURCE_ALARM", lambda e: e.session == stream.session)
    seconds = time.monotonic() - start
    assert len(bed.api.take_events("DP_EVENT_SOURCE_ALARM")) <= seconds


def test_latching_takes_no_stranger_however_early(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    from_elsewhere(bed, stream, STRANGER)
    open_path(stream.near, stream.far)
    assert stream.count(0).latched == 1


def test_a_malformed_packet_does_not_latch(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    other = bed.media("outside", CARRIER)  # the right host: a valid packet from here would lock
    other.rtp.sendto(b"\x00" * 172, stream.local[0])
    netns.wait_for("the packet counted", lambda: stream.count(0).wrong_source + stream.count(0).malformed == 1, 5)
    assert stream.count(0).latched == 0
    open_path(stream.near, stream.far)


def moved(bed, stream):
    """The near peer's media comes from another port of its host now."""
    other = bed.peer(stream.near.host)
    other.destination = stream.near.destination
    return other


def test_latch_never_follows_a_peer_that_moved_without_signalling(bed):
    """Not even after a silence longer than relatch-silence: that is for `relatch` alone."""
    stream = opened(bed)
    witness = opened(bed, latching="RELATCH")
    witness_moved, other = moved(bed, witness), moved(bed, stream)
    sent = itertools.count()
    netns.wait_for("the silence long enough for the witness",
                   lambda: send(other) and next(sent) >= 0 and relatched(witness_moved, witness), 10, interval=0.05)
    send(other)
    stream.wait(0, wrong_source=next(sent) + 1)
    assert stream.count(0).source.port == stream.near.port and is_silent(stream.far.rtp)


def send(media):
    media.rtp.sendto(media.packet(), media.destination)
    return True


def relatched(media, stream):
    send(media)
    return stream.count(0).source.port == media.port


def test_relatch_follows_after_a_silence_and_not_before(bed):
    stream = opened(bed, latching="RELATCH")
    other = moved(bed, stream)
    for _ in range(25):  # both send: the one that is there stays
        stream.near.send()
        send(other)
        assert stream.count(0).source.port == stream.near.port
    stream.far.wait(25)
    check_exactly_once(stream.near, stream.far)
    netns.wait_for("the silence being long enough", lambda: relatched(other, stream), 10, interval=0.05)
    event = bed.api.event("DP_EVENT_LATCHED", lambda e: e.session == stream.session)
    assert event.source.port == other.port
    stream.far.forget()
    open_path(other, stream.far)
    stream.far.send()
    other.wait(1)  # and the other direction goes there
    left = stream.count(0).wrong_source
    send(stream.near)
    stream.wait(0, wrong_source=left + 1)


def test_relatch_takes_no_stranger_after_a_silence(bed):
    stream = opened(bed, latching="RELATCH")
    witness = opened(bed, latching="RELATCH")
    stranger, other = bed.peer(STRANGER), moved(bed, witness)
    stranger.destination = stream.local[0]
    netns.wait_for("the witness", lambda: send(stranger) and relatched(other, witness), 10, interval=0.05)
    for _ in range(3):
        send(stranger)
    assert stream.count(0).source.port != stranger.port and is_silent(stream.far.rtp)


def test_signalling_lets_a_latched_side_be_learnt_anew_at_once(bed):
    stream = opened(bed)
    other = moved(bed, stream)
    far_port = stream.far.port
    stream.near = other
    assert stream.update() == stream.local  # ports stay
    open_path(other, stream.far)
    assert stream.count(0).source.port == other.port and stream.far.port == far_port


def test_relatch_follows_after_any_signalling(bed):
    """The addresses are the same; that something was signalled is enough. What we send goes on to the old place until then."""
    stream = opened(bed, latching="RELATCH")
    other = moved(bed, stream)
    stream.update()
    stream.far.send()
    stream.near.wait(1)
    open_path(other, stream.far)
    stream.far.send()
    other.wait(1)
    from_elsewhere(bed, stream, STRANGER)


def test_the_same_signalling_again_does_not_unlock(bed):
    """A session refresh repeats the addresses: whoever sends from elsewhere stays out."""
    stream = opened(bed)
    stream.update()
    from_elsewhere(bed, stream, CARRIER)
    exchange([(stream.near, stream.far)], 5)
    check_exactly_once(stream.near, stream.far)


# --- silence ---


def silent(bed, stream, side, timeout=15):
    return bed.api.event("DP_EVENT_MEDIA_SILENT", lambda e: e.session == stream.session and e.side == side, timeout)


def test_a_side_on_hold_is_not_silent_and_one_that_should_send_is(bed):
    held = opened(bed)
    held.update(near_side={"flags": ["QUIET"]}, far_side={"flags": ["QUIET", "MUTED"]})
    half = opened(bed)
    half.update(near_side={"flags": ["QUIET"]})
    normal = opened(bed)
    for side in (0, 1):
        silent(bed, normal, side)
    silent(bed, half, 1)
    sides = [(e.session, e.side) for e in bed.api.take_events("DP_EVENT_MEDIA_SILENT")]
    assert (held.session, 0) not in sides and (held.session, 1) not in sides and (half.session, 0) not in sides
    held.update(near_side={}, far_side={})  # resumed: time begins to count
    silent(bed, held, 0)
    silent(bed, held, 1)


def test_media_that_never_came_is_told_once(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    silent(bed, stream, 0)
    silent(bed, stream, 1)
    later = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    silent(bed, later, 0)
    assert not [e for e in bed.api.take_events("DP_EVENT_MEDIA_SILENT") if e.session == stream.session]


def test_rtcp_alone_is_not_media(bed):
    stream = opened(bed)
    report = bytes.fromhex("80c90001") + stream.near.ssrc.to_bytes(4, "big")

    def told():
        stream.near.rtcp.sendto(report, (stream.local[0][0], stream.local[0][1] + 1))
        return [e for e in bed.api.take_events("DP_EVENT_MEDIA_SILENT") if (e.session, e.side) == (stream.session, 0)]

    netns.wait_for("the silence told in spite of RTCP", told, 15, interval=0.1)
