# SPDX-License-Identifier: BSD-3-Clause
"""More ports than one address has, and calls that change while their media flows."""

import errno
import itertools

import pytest

from bed import CARRIER, PBX, PBX6, PHONE
from dataplane_api import C, S, DataplaneError, host_port, session, side
from media import check_exactly_once, exchange, open_path

OUTSIDE, INSIDE = ("203.0.113.11", "203.0.113.12"), ("10.0.0.2", "10.0.0.3")
PAIRS = 2 * (65536 - 1024) // 2  # of two addresses
BED = {
    "media_manager": "max-sessions = 9000",
    "outside": "".join(f', "{a}/24"' for a in OUTSIDE),
    "inside": "".join(f', "{a}/24"' for a in INSIDE),
    "more": """
realm wide { network-interface = outside  trust = untrusted }
realm far  { network-interface = inside   trust = trusted }
""" + "".join(f'steering-pool {realm}-{i} {{ realm = {realm}  address = "{address}"  ports = "1024-65535" }}\n'
              for realm, addresses in (("wide", OUTSIDE), ("far", INSIDE)) for i, address in enumerate(addresses)),
}


def test_every_port_of_every_address_of_a_realm_is_given_out_once_and_carries_media(bed):
    """Two addresses, more than 65,000 ports together: 8 streams in each of 8,064 sessions take them all, and then there are none."""
    streams = [(side("wide", rtp=(CARRIER, 4000)), side("far", rtp=(PBX, 4000)))] * C["DP_STREAMS_MAX"]
    request = session(*streams)
    given, sessions = {}, []
    assert bed.api.stats().ports_total >= 2 * PAIRS
    asked = []
    for _ in range(PAIRS // C["DP_STREAMS_MAX"]):
        asked.append(bed.api.ask("DP_SESSION_CREATE", request))
        if len(asked) == 32:
            take(bed, asked, given, sessions)
    take(bed, asked, given, sessions)
    for which, addresses in ((0, set(OUTSIDE)), (1, set(INSIDE))):
        ports = given[which]
        assert len(ports) == len(set(ports)) == PAIRS
        assert {host for host, _ in ports} == addresses
        assert all(port % 2 == 0 for _, port in ports)
    with pytest.raises(DataplaneError) as full:
        bed.api.create(session(streams[0]))
    assert full.value.errno == errno.ENOSPC
    # Media through the first, the last and some of each address: one call's ports are free again for it.
    for which in (0, len(sessions) // 3, len(sessions) // 2, -1):
        bed.api.delete(sessions.pop(which))
        stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX), near_side={"realm": "wide"}, far_side={"realm": "far"})
        open_path(stream.near, stream.far)
        open_path(stream.far, stream.near)
        exchange([(stream.near, stream.far)], 3)
        check_exactly_once(stream.near, stream.far)
        check_exactly_once(stream.far, stream.near)
    for batch in (sessions[i : i + 32] for i in range(0, len(sessions), 32)):
        for sequence in [bed.api.ask("DP_SESSION_DELETE", s.to_bytes(8, "little")) for s in batch]:
            bed.api.answer(sequence)
    bed.end_test()
    stats = bed.api.stats()
    assert (stats.sessions, stats.ports_used) == (0, 0)


def take(bed, asked, given, sessions):
    for sequence in asked:
        reply = S["dp_session_reply"].from_buffer_copy(bed.api.answer(sequence))
        sessions.append(reply.session)
        for i, which in itertools.product(range(C["DP_STREAMS_MAX"]), (0, 1)):
            given.setdefault(which, []).append(host_port(reply.local[i][which]))
    asked.clear()


def test_an_update_while_media_flows_loses_nothing_and_keeps_the_ports(bed):
    """Each update makes another rule and swaps the pointer; the packets of the moment take the one or the other."""
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    bed.mark()
    for i in range(300):
        stream.near.send()
        stream.far.send()
        update = stream.request()
        update.session = stream.session
        sequence = bed.api.ask("DP_SESSION_UPDATE", update)
        stream.near.send()
        stream.far.send()
        bed.api.answer(sequence)
        stream.near.drain()
        stream.far.drain()
    for near, far in ((stream.near, stream.far), (stream.far, stream.near)):
        far.wait(600)
        check_exactly_once(near, far)
    assert bed.drops() == {} and bed.counted("media-relayed") == {"media-relayed": 1200}
    assert stream.update() == stream.local
    counters = stream.count(0)
    assert counters.relayed == counters.packets and counters.lost == 0


def test_a_second_stream_comes_and_goes_without_the_first_one_noticing(bed):
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    one = stream.request().stream[0]
    video = (side("access", rtp=(CARRIER, 5000)), side("core", rtp=(PBX, 5000)))
    bed.mark()
    for i in range(60):
        wanted = session((one.side[0], one.side[1]), video) if i % 2 == 0 else session((one.side[0], one.side[1]))
        reply = bed.api.update(stream.session, wanted)
        assert [host_port(reply.local[0][k]) for k in (0, 1)] == stream.local
        assert bed.api.stats().ports_used == (4 if i % 2 == 0 else 2)
        stream.near.send()
        stream.far.send()
    for near, far in ((stream.near, stream.far), (stream.far, stream.near)):
        far.wait(60)
        check_exactly_once(near, far)
    assert bed.drops() == {}


def test_media_that_moves_to_another_peer_goes_there_from_the_update_on(bed):
    """A transfer: the far side is another host afterwards; the near side's packets go to one of both, each once."""
    stream = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    open_path(stream.near, stream.far)
    first, second = stream.far, bed.peer("10.0.0.100")
    bed.ping("10.0.0.100", "10.0.0.1")
    stream.near.forget()
    for _ in range(10):
        stream.near.send()
    first.wait(10)
    stream.far = second
    assert stream.update() == stream.local
    second.destination = stream.local[1]
    open_path(stream.near, second)  # waits for the neighbour's answer
    for _ in range(10):
        stream.near.send()
    second.wait(10)
    first.drain()
    assert len(first.arrived) == 10 and not {p for p, _ in first.arrived} & {p for p, _ in second.arrived}


def test_a_phone_behind_a_nat_goes_on_to_be_heard_and_to_hear_when_the_other_side_moves(bed):
    """The far side goes over to IPv6: new ports there, and what was learnt of the phone holds. Then to a peer in the phone's own realm."""
    stream = bed.stream(bed.peer(PHONE), bed.peer(PBX), near_side={"signalling": "203.0.113.2"})
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    for host in (PBX6, CARRIER):
        stream.far = bed.peer(host)
        moved = stream.update()
        assert moved[0] == stream.local[0] and moved[1] != stream.local[1]
        stream.local = moved
        stream.far.destination = moved[1]
        open_path(stream.near, stream.far)
        open_path(stream.far, stream.near)
        exchange([(stream.near, stream.far)], 5)
        check_exactly_once(stream.near, stream.far)
        check_exactly_once(stream.far, stream.near)
