# SPDX-License-Identifier: BSD-3-Clause
"""Media: strict sources, RTCP, ports that belong to no call, calls that fall silent."""

import pytest

import netns
from conftest import SBC_OUT4, Call
from media import check_exactly_once, exchange, open_path


def attack(stack, target, packets):
    """RTP from another host outside to `target`, each packet unique; returns the attacker's Media."""
    attacker = stack.media("outside", "203.0.113.101")
    attacker.destination = target
    for _ in range(packets):
        attacker.send()
    return attacker


def test_media_of_a_wrong_source_is_counted_and_not_relayed(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    attacker = attack(stack, call.near.destination, 20)
    netns.wait_for("20 packets of a wrong source counted", lambda: stack.sbc.directions()[0]["wrong-source"] == 20, 5)
    exchange([(call.near, call.far)], 20)
    check_exactly_once(call.near, call.far)  # nothing of the attacker's among it
    check_exactly_once(call.far, call.near)
    attacker.drain()
    assert attacker.arrived == []  # and the PBX's media did not turn to it
    assert stack.sbc.directions()[0]["wrong-source"] == 20
    call.hang_up()


def test_a_stranger_who_is_first_does_not_get_the_media(stack):
    """Latching takes only the signalled or the signalling address, however early another one is."""
    call = Call(stack, stack.phone(), stack.pbx())
    attacker = attack(stack, call.near.destination, 5)
    netns.wait_for("5 packets of a wrong source counted", lambda: stack.sbc.directions()[0]["wrong-source"] == 5, 5)
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    attacker.drain()
    assert attacker.arrived == []
    call.hang_up()


def test_once_latched_another_port_of_the_same_host_is_a_wrong_source(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    neighbour = stack.media("phone", call.near.host)
    neighbour.destination = call.near.destination
    for _ in range(7):
        neighbour.send()
    netns.wait_for("7 packets of a wrong source counted", lambda: stack.sbc.directions()[0]["wrong-source"] == 7, 5)
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    call.hang_up()


def test_a_fixed_side_takes_media_from_the_signalled_port_alone(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    other = stack.media("pbx", call.far.host)
    other.destination = call.far.destination
    for _ in range(6):
        other.send()
    netns.wait_for("6 packets of a wrong source counted", lambda: stack.sbc.directions()[1]["wrong-source"] == 6, 5)
    call.near.drain()
    assert call.near.arrived == []
    call.hang_up()


def test_media_to_a_port_of_no_call_goes_nowhere(stack):
    before = stack.sbc.counters()["dataplane"]["drop-no-flow"]
    attack(stack, (SBC_OUT4, 11998), 10)
    netns.wait_for("10 packets dropped", lambda: stack.sbc.counters()["dataplane"]["drop-no-flow"] >= before + 10, 5)


def test_media_stops_with_the_call(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    call.hang_up()
    netns.wait_for("the session deleted", lambda: stack.sbc.show("status")["sessions"] == 0, 5)
    before = stack.sbc.counters()["dataplane"]["drop-no-flow"]
    for _ in range(10):
        call.near.send()
    netns.wait_for("10 packets dropped", lambda: stack.sbc.counters()["dataplane"]["drop-no-flow"] >= before + 10, 5)
    call.far.drain()
    assert call.far.arrived == []


def test_what_is_no_rtp_is_not_relayed(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    before = stack.sbc.directions()[0]["malformed"] + stack.sbc.counters()["dataplane"]["drop-not-rtp"]
    bad = [b"", b"x", b"\x80", b"\x80\x00\x00\x01\x00\x00", b"\x00" * 172, b"\xc0" + bytes(171), b"\x40" + bytes(171),
           b"\x8f\x00" + bytes(20), b"\x90\x00" + bytes(10) + b"\x00\x00\xff\xff", b"\xa0\x00" + bytes(10) + b"\xff"]
    for packet in bad:
        call.near.rtp.sendto(packet, call.near.destination)
    netns.wait_for("the bad packets counted", lambda: stack.sbc.directions()[0]["malformed"]
                   + stack.sbc.counters()["dataplane"]["drop-not-rtp"] >= before + len(bad), 5)
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    call.hang_up()


@pytest.mark.parametrize("phone_ip, pbx_ip", [(4, 4), (6, 6), (4, 6), (6, 4)], ids=["4-4", "6-6", "4-6", "6-4"])
def test_rtcp_is_relayed(stack, phone_ip, pbx_ip):
    call = Call(stack, stack.phone(phone_ip), stack.pbx(pbx_ip), "1000" if pbx_ip == 4 else "6000")
    open_path(call.near, call.far)
    report = bytes.fromhex("80c90001") + call.near.ssrc.to_bytes(4, "big")  # an empty receiver report
    call.near.rtcp.sendto(report, (call.near.destination[0], call.near.destination[1] + 1))
    receive(call.far, report, (call.far.destination[0], call.far.destination[1] + 1))
    back = bytes.fromhex("80c90001") + call.far.ssrc.to_bytes(4, "big")
    call.far.rtcp.sendto(back, (call.far.destination[0], call.far.destination[1] + 1))
    receive(call.near, back, (call.near.destination[0], call.near.destination[1] + 1))
    shown = stack.sbc.directions()
    assert [d["rtcp-packets"] for d in shown] == [1, 1]
    call.hang_up()


def receive(media, packet, source):
    media.rtcp.settimeout(5)
    data, address = media.rtcp.recvfrom(2048)
    assert data == packet and address[:2] == source


@pytest.mark.parametrize("phone_ip, pbx_ip", [(4, 4), (6, 6), (4, 6), (6, 4)], ids=["4-4", "6-6", "4-6", "6-4"])
def test_packets_of_every_size_arrive_unchanged(stack, phone_ip, pbx_ip):
    """A wrong checksum or length would make the far kernel drop them."""
    call = Call(stack, stack.phone(phone_ip), stack.pbx(pbx_ip), "1000" if pbx_ip == 4 else "6000")
    open_path(call.near, call.far)
    for near, far in ((call.near, call.far), (call.far, call.near)):
        for size in (12, 13, 14, 15, 20, 33, 172, 500, 1001, 1400, 1448):
            packet = near.packet()
            near.send((packet * 10)[:12] + bytes(i * 7 & 0xFF for i in range(size - 12)))
        far.wait(len(near.sent))
        check_exactly_once(near, far)
    call.hang_up()


def test_a_call_that_falls_silent_is_ended(stack):
    stack.start("packet", change=lambda text: text.replace("max-sessions = 2000", "max-sessions = 2000  idle-timeout = 2  initial-timeout = 3"))
    try:
        call = Call(stack, stack.phone(), stack.pbx())
        open_path(call.near, call.far)
        for side in (call.a, call.b):
            assert side.take_bye(timeout=10)["reason"] == "SIP;cause=503, Q.850;cause=41"
        netns.wait_for("the call forgotten", lambda: stack.sbc.the_call() is None, 5)
    finally:
        stack.end_test()
        stack.start("packet")
