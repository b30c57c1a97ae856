# SPDX-License-Identifier: BSD-3-Clause
"""Two networks on one port, told apart by their 802.1Q tags: calls, the mirrors' ARP and ping, and tags that are nobody's.
The kernel here has no VLAN devices, so that the peers are made of raw frames."""

import os
import struct

import pytest
from scapy.all import ARP, ICMP, IP, UDP, Dot1Q, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6

import netns
from bed import CORE4, PBX
from dataplane_api import host_port, session, side

BED = {"more": """
network-interface blue { port = "@KIND@:eth1"  vlan = 100  addresses = {"198.51.100.1/24", "2001:db8:64::1/64"} }
network-interface red  { port = "@KIND@:eth1"  vlan = 4094 addresses = {"198.51.101.1/24"}  gateway = "198.51.101.254" }
realm blue { network-interface = blue  trust = trusted }
realm red  { network-interface = red   trust = trusted }
steering-pool blue { realm = blue  address = "198.51.100.1"  ports = "30000-30999" }
steering-pool blue6 { realm = blue  address = "2001:db8:64::1"  ports = "30000-30999" }
steering-pool red  { realm = red   address = "198.51.101.1"  ports = "30000-30999" }
"""}
BLUE, RED = 100, 4094
MAC = {BLUE: "02:00:5e:00:64:00", RED: "02:00:5e:0f:fe:00"}
HOST = {BLUE: "198.51.100.7", RED: "198.51.101.254"}
HOST6 = "2001:db8:64::7"
OURS = {BLUE: "198.51.100.1", RED: "198.51.101.1"}
OURS6 = "2001:db8:64::1"
FAR_RED = "192.0.2.50"  # behind the gateway of red


class Peers:
    """The hosts of both VLANs, on the SBC's cable: they answer ARP and neighbour discovery, with tags."""

    def __init__(self, bed):
        netns.run(bed.lab.namespace("outside"), ["ip", "link", "set", "sbc", "nomaster"], check=True)
        self.bed = bed
        self.sock = bed.raw("outside", "sbc")
        netns.inside(bed.lab.namespace("outside"), self.sock.setsockopt, 263, 8, 1)  # PACKET_AUXDATA: tags come beside the frame
        self.mac = bed.mac("sbc", "eth1")
        self.seen = []

    def close(self):
        netns.run(self.bed.lab.namespace("outside"), ["ip", "link", "set", "sbc", "master", "br0"], check=True)

    def send(self, vlan, packet, dst=None):
        tag = Dot1Q(vlan=vlan) if vlan is not None else b""
        frame = Ether(src=MAC.get(vlan, "02:00:00:00:00:99"), dst=dst or self.mac)
        self.sock.send(bytes(frame / tag / packet if vlan is not None else frame / packet))

    def receive(self, timeout=0.2):
        """(vlan, frame without its tag) of what the SBC sent next; None after `timeout`."""
        self.sock.settimeout(timeout)
        while True:
            try:
                data, control, flags, source = self.sock.recvmsg(4096, 256)
            except (TimeoutError, BlockingIOError):
                return None
            if source[2] == 4:  # our own
                continue
            vlan = 0
            for level, kind, aux in control:
                if (level, kind) == (263, 8):
                    status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", aux[:20])
                    vlan = tci & 0xFFF if status & 0x10 else 0
            frame = Ether(data)
            if Dot1Q in frame:
                vlan = frame[Dot1Q].vlan
                frame = Ether(src=frame.src, dst=frame.dst) / frame[Dot1Q].payload
            return vlan, frame

    def wait(self, match, what, timeout=5):
        """The first frame that matches; questions about our hosts are answered meanwhile."""
        def one():
            got = self.receive()
            if got is None:
                return None
            vlan, frame = got
            if ARP in frame and frame[ARP].op == 1 and HOST.get(vlan) == frame[ARP].pdst:
                self.send(vlan, ARP(op=2, hwsrc=MAC[vlan], psrc=HOST[vlan], hwdst=frame.src, pdst=frame[ARP].psrc))
            elif ICMPv6ND_NS in frame and vlan == BLUE and frame[ICMPv6ND_NS].tgt == HOST6:
                self.send(vlan, IPv6(src=HOST6, dst=frame[IPv6].src, hlim=255) / ICMPv6ND_NA(tgt=HOST6, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC[vlan]))
            return got if match(vlan, frame) else None

        return netns.wait_for(what, one, timeout, interval=0)


@pytest.fixture
def peers(bed):
    peers = Peers(bed)
    bed.closing.append(peers)
    return peers


@pytest.mark.parametrize("vlan", [BLUE, RED])
def test_the_mirror_of_each_vlan_answers_arp_and_ping_with_its_tag(bed, peers, vlan):
    peers.send(vlan, ARP(op=1, hwsrc=MAC[vlan], psrc=HOST[vlan], pdst=OURS[vlan]), dst="ff:ff:ff:ff:ff:ff")
    got, frame = peers.wait(lambda v, f: ARP in f and f[ARP].op == 2, "an ARP reply")
    assert (got, frame[ARP].psrc, frame[ARP].hwsrc) == (vlan, OURS[vlan], peers.mac)
    peers.send(vlan, IP(src=HOST[vlan], dst=OURS[vlan]) / ICMP(id=7, seq=vlan) / (b"x" * 1400))
    got, frame = peers.wait(lambda v, f: ICMP in f and f[ICMP].type == 0, "an echo reply")
    assert (got, frame[IP].src, frame[ICMP].seq, frame.dst) == (vlan, OURS[vlan], vlan, MAC[vlan])
    assert not bed.drops()


def test_ipv6_on_a_vlan(bed, peers):
    peers.send(BLUE, IPv6(src=HOST6, dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=OURS6) / ICMPv6NDOptSrcLLAddr(lladdr=MAC[BLUE]), dst="33:33:ff:00:00:01")
    got, frame = peers.wait(lambda v, f: ICMPv6ND_NA in f and f[ICMPv6ND_NA].tgt == OURS6, "a neighbour advertisement")
    assert got == BLUE
    peers.send(BLUE, IPv6(src=HOST6, dst=OURS6) / ICMPv6EchoRequest(id=3, seq=4))
    got, frame = peers.wait(lambda v, f: ICMPv6EchoReply in f, "an echo reply")
    assert got == BLUE and frame[IPv6].dst == HOST6


def rtp(sequence):
    return struct.pack("!BBHII", 0x80, 0, sequence, sequence * 160, 0x1234) + os.urandom(160)


@pytest.mark.parametrize("vlan, realm, host", [(BLUE, "blue", HOST[BLUE]), (RED, "red", FAR_RED)], ids=["blue", "red, by its gateway"])
def test_media_between_a_vlan_and_an_untagged_port(bed, peers, vlan, realm, host):
    far = bed.peer(PBX)
    reply = bed.api.create(session((side(realm=realm, rtp=(host, 4000)), side(realm="core", rtp=(PBX, far.port)), "RTP")))
    try:
        (near_local, far_local) = [host_port(reply.local[0][i]) for i in (0, 1)]
        assert near_local[0] == OURS[vlan] and far_local[0] == CORE4
        sent = [rtp(i) for i in range(1, 6)]

        def opened():
            peers.send(vlan, IP(src=host, dst=near_local[0]) / UDP(sport=4000, dport=near_local[1]) / rtp(0))
            return far.drain()

        netns.wait_for("media from the VLAN", opened, 5, interval=0.05)
        for packet in sent:
            peers.send(vlan, IP(src=host, dst=near_local[0]) / UDP(sport=4000, dport=near_local[1]) / packet)
        netns.wait_for("every packet", lambda: far.drain() + 1 and set(sent) <= {p for p, _ in far.arrived}, 5)
        far.destination = far_local

        far_packets = []

        # What is sent before the peer's link-layer address is known is lost, and counted.
        def arrived():
            far_packets.append(far.send())
            try:
                return peers.wait(lambda v, f: UDP in f and f[UDP].dport == 4000, "media", 0.3)
            except TimeoutError:
                return None

        got, frame = netns.wait_for("media to the VLAN", arrived, 5)
        assert (got, frame[IP].src, frame[IP].dst, frame[UDP].sport, frame.dst) == (vlan, near_local[0], host, near_local[1], MAC[vlan])
        assert bytes(frame[UDP].payload) in far_packets
    finally:
        bed.api.delete(reply.session)


def test_a_vlan_is_no_way_to_the_addresses_of_another(bed, peers):
    reply = bed.api.create(session((side(realm="blue", rtp=(HOST[BLUE], 4000)), side(realm="core", rtp=(PBX, 4000)), "RTP")))
    try:
        local = host_port(reply.local[0][0])
        before = bed.api.get(reply.session)
        peers.send(RED, IP(src=HOST[BLUE], dst=local[0]) / UDP(sport=4000, dport=local[1]) / rtp(1))
        peers.send(None, IP(src=HOST[BLUE], dst=local[0]) / UDP(sport=4000, dport=local[1]) / rtp(2))
        bed_ping(bed, peers)
        info = bed.api.get(reply.session)
        assert getattr(info.stream[0], "from")[0].packets == getattr(before.stream[0], "from")[0].packets == 0
    finally:
        bed.api.delete(reply.session)


@pytest.mark.parametrize("vlan", [99, 101, 1, 4095])
def test_a_tag_of_nobody_is_dropped_and_counted(bed, peers, vlan):
    for _ in range(3):
        peers.send(vlan, IP(src=HOST[BLUE], dst=OURS[BLUE]) / ICMP())
    bed.wait_counted("drop-vlan", 3)
    assert bed.drops() == {"drop-vlan": 3}


def bed_ping(bed, peers):
    """What was sent before has been dealt with when this is answered."""
    peers.send(BLUE, IP(src=HOST[BLUE], dst=OURS[BLUE]) / ICMP(id=9, seq=9))
    peers.wait(lambda v, f: ICMP in f and f[ICMP].type == 0 and f[ICMP].seq == 9, "an echo reply")


def test_a_priority_tag_is_no_vlan(bed, peers):
    """802.1Q: identifier 0 says only how urgent a frame is; it belongs to the untagged network."""
    tagged = Ether(src=MAC[BLUE], dst=peers.mac) / Dot1Q(vlan=0, prio=5) / ARP(op=1, hwsrc=MAC[BLUE], psrc="203.0.113.77", pdst="203.0.113.10")
    peers.sock.send(bytes(tagged))
    got, frame = peers.wait(lambda v, f: ARP in f and f[ARP].op == 2, "an ARP reply")
    assert (got, frame[ARP].psrc) == (0, "203.0.113.10")
