# SPDX-License-Identifier: BSD-3-Clause
"""What happens to a network under calls: links that go down, interfaces that vanish, neighbours that change their address. Traffic
resumes by itself, and what does not hang on it never stops."""

import json
import os
import pathlib
import signal

import pytest

import netns
from bed import ACCESS4, ACCESS6, CARRIER, CARRIER6, CORE4, OTHER_PBX, PBX, PBX6, STRANGER
from cable import PEER, flows, ip, link_up, plug, resumes
from media import open_path

MIRROR = {"eth1": "sp-outside", "eth2": "sp-inside"}


def carrier(bed, port):
    link = json.loads(netns.run(bed.lab.namespace("sbc"), ["ip", "-j", "link", "show", MIRROR[port]]).stdout)[0]
    return "LOWER_UP" in link["flags"]


def streams(bed):
    """A call over both ports, one by IPv6 in, and one that has nothing to do with the outside."""
    crossing = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    six = bed.stream(bed.peer(CARRIER6), bed.peer(PBX))
    apart = bed.stream(bed.peer(OTHER_PBX), bed.peer(PBX))
    for stream in (crossing, six, apart):
        open_path(stream.near, stream.far)
    return crossing, six, apart


def stopped(bed, crossing, apart):
    """Nothing crosses, all of it is accounted for, and the other port works."""
    bed.mark()
    crossing.far.forget()
    crossing.near.forget()
    for _ in range(5):
        crossing.far.send()
    # The mirror's kernel may have had something to say as well.
    netns.wait_for("what goes to the port being dropped", lambda: bed.counted("drop-port-down")["drop-port-down"] >= 5, 5)
    assert set(bed.drops()) == {"drop-port-down"}
    flows(apart)
    assert not crossing.near.drain()


@pytest.mark.parametrize("end", ["ours", "far"])
def test_a_link_that_was_down_works_again(bed, end):
    crossing, six, apart = streams(bed)
    node, interface = ("sbc", "eth1") if end == "ours" else PEER["eth1"]
    ip(bed, node, "link", "set", interface, "down")
    netns.wait_for("link down shown", lambda: not link_up(bed), 5)
    assert link_up(bed, "inside") and carrier(bed, "eth2")
    netns.wait_for("no carrier on the mirror", lambda: not carrier(bed, "eth1"), 5)
    stopped(bed, crossing, apart)
    ip(bed, node, "link", "set", interface, "up")
    netns.wait_for("link up shown", lambda: link_up(bed), 5)
    assert carrier(bed, "eth1")
    resumes(crossing)
    resumes(six)
    flows(apart)
    bed.ping(CARRIER, ACCESS4)
    bed.ping(CARRIER6, ACCESS6)


def test_a_link_that_is_down_at_the_start_works_when_it_comes(bed):
    node, far = PEER["eth1"]
    ip(bed, node, "link", "set", far, "down")
    bed.start(bed.kind)
    netns.wait_for("link down shown", lambda: not link_up(bed), 5)
    assert not carrier(bed, "eth1")
    ip(bed, node, "link", "set", far, "up")
    netns.wait_for("link up shown", lambda: link_up(bed), 5)
    # Addresses are asked for over the new link first: what comes meanwhile is dropped.
    for stream in streams(bed):
        resumes(stream)


def test_a_killed_keeper_costs_the_way_back_and_nothing_else(bed):
    """Who prepares interfaces is gone: what runs goes on, and the log says what is wrong."""
    crossing, _, apart = streams(bed)
    children = [p for p in pathlib.Path("/proc").glob("[0-9]*") if (p / "comm").exists() and (p / "comm").read_text().strip() == "sp-keeper"]
    keeper = [p for p in children if f"PPid:\t{bed.sbc.pid('dataplane')}\n" in (p / "status").read_text()]
    os.kill(int(keeper[0].name), signal.SIGKILL)
    flows(crossing)
    ip(bed, "sbc", "link", "del", "eth1")
    netns.wait_for("link down shown", lambda: not link_up(bed), 5)
    plug(bed)
    netns.wait_for("a warning", lambda: "cannot be prepared" in bed.sbc.log_path("dataplane").read_text(), 5)
    flows(apart)
    # Nor is there anybody who cleans up.
    bed.disconnect()
    bed.sbc.stop()
    netns.run(bed.lab.namespace("sbc"), ["nft", "flush", "ruleset"], check=True)
    bed.start(bed.kind)


def test_a_flapping_link_leaves_no_packet_stuck(bed):
    """What was sent into a link that was down is dropped, not kept for later."""
    crossing, _, apart = streams(bed)
    for _ in range(5):
        ip(bed, "sbc", "link", "set", "eth1", "down")
        for _ in range(20):
            crossing.far.send()
        netns.wait_for("link down shown", lambda: not link_up(bed), 5)
        ip(bed, "sbc", "link", "set", "eth1", "up")
        netns.wait_for("link up shown", lambda: link_up(bed), 5)
    resumes(crossing)
    flows(apart)


@pytest.mark.parametrize("mac", [None, "02:0a:0b:0c:0d:0e"], ids=["any address", "chosen address"])
def test_an_interface_that_vanished_is_taken_up_again_when_it_comes_back(bed, mac):
    crossing, six, apart = streams(bed)
    before = bed.mac("sbc", "sp-outside")
    ip(bed, "sbc", "link", "del", "eth1")
    netns.wait_for("link down shown", lambda: not link_up(bed), 5)
    stopped(bed, crossing, apart)
    plug(bed, mac=mac)
    netns.wait_for("link up shown", lambda: link_up(bed), 10)
    # The old address: whoever knows it goes on without asking.
    assert bed.mac("sbc", "eth1") == bed.mac("sbc", "sp-outside") == before
    resumes(crossing)
    resumes(six)
    flows(apart)
    bed.ping(CARRIER, ACCESS4)
    bed.ping(CARRIER6, ACCESS6)
    # The kernel has no life of its own there: it answers nothing a second time.
    answers = netns.run(bed.lab.namespace("outside"), ["ping", "-c", "3", "-i", "0.2", "-I", STRANGER, ACCESS4]).stdout
    assert "3 received" in answers and "DUP" not in answers
    links = json.loads(netns.run(bed.lab.namespace("sbc"), ["ip", "-j", "address", "show", "eth1"]).stdout)
    assert not links[0]["addr_info"]
    log = bed.sbc.log_path("dataplane").read_text()
    assert ("by AF_PACKET" in log) == (bed.kind == "xdp")


def test_both_interfaces_vanish_again_and_again(bed):
    crossing, _, _ = streams(bed)
    for _ in range(3):
        for port in PEER:
            ip(bed, "sbc", "link", "del", port)
        for port in PEER:
            plug(bed, port)
        netns.wait_for("links up shown", lambda: link_up(bed) and link_up(bed, "inside"), 10)
        resumes(crossing)


def test_what_was_changed_of_the_interface_that_came_back_is_undone_at_the_end(bed):
    ip(bed, "sbc", "link", "del", "eth1")
    plug(bed)
    netns.wait_for("link up shown", lambda: link_up(bed), 10)
    sbc = bed.lab.namespace("sbc")
    assert netns.run(sbc, ["nft", "list", "tables"]).stdout
    bed.disconnect()
    assert bed.sbc.stop() == {"dataplane": 0}
    netns.wait_for("no table", lambda: not netns.run(sbc, ["nft", "list", "tables"]).stdout, 5)
    assert netns.run(sbc, ["cat", "/proc/sys/net/ipv6/conf/eth1/disable_ipv6"]).stdout.strip() == "0"
    bed.start(bed.kind)


def features(bed):
    text = netns.run(bed.lab.namespace("sbc"), ["ethtool", "-k", "eth1"], check=True).stdout
    return {name: value.split()[0] for name, value in (line.strip().split(": ", 1) for line in text.splitlines()[1:])}


def test_frames_are_not_joined_on_the_way_to_us_and_offloads_are_as_before_in_the_end(bed):
    if bed.kind == "xdp":
        pytest.skip("XDP comes before GRO")
    sbc = bed.lab.namespace("sbc")
    bed.disconnect()
    bed.sbc.stop()
    netns.run(sbc, ["ethtool", "-K", "eth1", "gro", "on"], check=True)
    assert features(bed)["generic-receive-offload"] == "on"
    bed.start(bed.kind)
    assert features(bed)["generic-receive-offload"] == "off"
    bed.disconnect()
    bed.sbc.stop()
    netns.wait_for("GRO as before", lambda: features(bed)["generic-receive-offload"] == "on", 5)
    netns.run(sbc, ["ethtool", "-K", "eth1", "gro", "off"], check=True)
    bed.start(bed.kind)


def test_the_mirrors_link_local_address_is_usable(bed):
    """It is made of the raw interface's MAC, whose own link-local address was there before: no duplicate may be seen in it."""
    def address():
        shown = json.loads(netns.run(bed.lab.namespace("sbc"), ["ip", "-j", "-6", "address", "show", "dev", "sp-outside"]).stdout)
        return [a for a in shown[0]["addr_info"] if a["scope"] == "link"]

    found = netns.wait_for("a link-local address", address, 5)
    assert len(found) == 1 and "dadfailed" not in found[0] and "tentative" not in found[0]
    bed.ping(CARRIER6, f"{found[0]['local']}%br0")


def test_a_neighbour_that_announces_its_address_is_followed_at_once(bed):
    four = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    six = bed.stream(bed.peer(CARRIER6), bed.peer(PBX6))
    open_path(four.near, four.far)
    open_path(six.near, six.far)
    move(bed, "02:00:5e:00:00:01", announce=True)
    resumes(four, 2)
    resumes(six, 2)


def test_a_neighbour_that_has_silently_another_address_is_found_in_bounded_time(bed):
    """The kernel has no traffic of its own to it: it has to be made to ask."""
    four = bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    six = bed.stream(bed.peer(CARRIER6), bed.peer(PBX6))
    open_path(four.near, four.far)
    open_path(six.near, six.far)
    move(bed, "02:00:5e:00:00:02", announce=False)
    waiting = {four: four.near, six: six.near}

    def found():
        for stream, near in list(waiting.items()):
            stream.far.send()
            if near.drain():
                del waiting[stream]
        return not waiting

    netns.wait_for("media to the new address", found, 25, interval=0.1)


def move(bed, mac, announce):
    """The peer's host has another network card: its bridge gets another address. Nothing of it speaks first, but to announce."""
    outside = bed.lab.namespace("outside")
    quiet = ["nft", "-f", "-"]
    # A host that is asked answers; what it would ask or announce by itself does not go out.
    if not announce:
        netns.run(outside, quiet, check=True, input="""
table netdev quiet {
	chain out { type filter hook egress device "br0" priority 0; arp operation request drop; icmpv6 type { nd-neighbor-solicit, mld2-listener-report } drop; }
}""")
    try:
        ip(bed, "outside", "link", "set", "br0", "address", mac)
        if announce:
            from scapy.all import ARP, Ether, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6

            sock = bed.raw("outside", "br0")
            sock.send(bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=CARRIER, pdst=CARRIER)))
            sock.send(bytes(Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src=CARRIER6, dst="ff02::1", hlim=255)
                            / ICMPv6ND_NA(tgt=CARRIER6, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)))
    finally:
        if not announce:
            bed.closing.append(Rule(outside))


class Rule:
    """Table `quiet` of a namespace, until close()."""

    def __init__(self, namespace):
        self.namespace = namespace

    def close(self):
        netns.run(self.namespace, ["nft", "delete", "table", "netdev", "quiet"], check=True)
