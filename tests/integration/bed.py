# SPDX-License-Identifier: BSD-3-Clause
"""The lab with the real dataplane alone in it, driven through its API: what the relay and the border do on the wire."""

import ipaddress
import os
import select
import socket
import struct

import netns
from conftest import Stack
from dataplane_api import COUNTERS, Api, host_port, session, side

ACCESS4, ACCESS6, CORE4, CORE6 = "203.0.113.10", "2001:db8:1::10", "10.0.0.1", "fd00:10::1"
PHONE, CARRIER, STRANGER, PBX, OTHER_PBX = "192.168.77.2", "203.0.113.100", "203.0.113.101", "10.0.0.5", "10.0.0.100"
CARRIER6, PBX6 = "2001:db8:1::100", "fd00:10::5"
NODES = {PHONE: "phone", "fd00:77::2": "phone", CARRIER: "outside", STRANGER: "outside", CARRIER6: "outside", PBX: "pbx", PBX6: "pbx",
         OTHER_PBX: "inside", "10.0.0.101": "inside", "fd00:10::100": "inside"}
REALMS = {"phone": "access", "outside": "access", "pbx": "core", "inside": "core"}

CONFIGURATION = """
system {{ name = "bed"  user = "nobody"  log-level = info  run-directory = "{directory}/run"  data-directory = "{directory}/data" }}
media-manager {{ workers = {{{worker}}}  {media_manager} }}
network-interface outside {{ port = "{kind}:eth1"  addresses = {{"203.0.113.10/24", "2001:db8:1::10/64"{outside}}}
                            gateway = "203.0.113.100"  gateway6 = "2001:db8:1::100" }}
network-interface inside  {{ port = "{kind}:eth2"  addresses = {{"10.0.0.1/24", "fd00:10::1/64"{inside}}} }}
realm access {{ network-interface = outside  trust = untrusted  dscp-media = 46 {access} }}
realm core   {{ network-interface = inside   trust = trusted  dscp-media = 34 {core} }}
steering-pool access4 {{ realm = access  address = "203.0.113.10"    ports = "10000-11999" }}
steering-pool access6 {{ realm = access  address = "2001:db8:1::10"  ports = "10000-11999" }}
steering-pool core4   {{ realm = core    address = "10.0.0.1"        ports = "20000-21999" }}
steering-pool core6   {{ realm = core    address = "fd00:10::1"      ports = "20000-21999" }}
ip-profile plain {{ }}
sip-interface access {{ realm = access  ip-profile = plain  allow-anonymous = all  listen = {{"udp:203.0.113.10:5060", "udp:[2001:db8:1::10]:5060"}} }}
sip-interface core   {{ realm = core    ip-profile = plain  allow-anonymous = all  listen = {{"udp:10.0.0.1:5060", "udp:[fd00:10::1]:5060"}} }}
{more}
"""


class Bed(Stack):
    """The lab, a running dataplane and a connection to it."""

    daemons = ("dataplane",)  # which are started; none: all

    def __init__(self):
        super().__init__()
        self.api = None

    def start(self, kind="packet", **settings):
        """(Re)starts the dataplane. settings: text for a place of CONFIGURATION."""
        self.disconnect()
        places = dict.fromkeys(("outside", "inside", "access", "core", "more"), "")
        places.update(media_manager="max-sessions = 2000", worker=max(os.sched_getaffinity(0)))
        text = CONFIGURATION.format(directory=self.lab.directory, kind=kind, **{**places, **settings}).replace("@KIND@", kind)
        super().start(kind, lambda _: text, self.daemons)
        self.settings = settings
        self.api = self.connect(samples=True)
        self.first = self.api.counters()

    def connect(self, **kwargs):
        return Api(self.sbc.run_directory / "dataplane.sock", **kwargs)

    def disconnect(self):
        if self.api:
            self.api.close()
        self.api = None

    def is_fresh(self, kind, settings):
        return self.sbc and self.kind == kind and self.settings == settings and self.sbc.alive("dataplane") and self.api.stats().sessions == 0

    def end_test(self):
        super().end_test()
        if self.api and self.sbc.processes and self.sbc.alive("dataplane"):
            self.api.take_events("DP_EVENT_LATCHED")
            self.api.events.clear()

    def down(self):
        self.end_test()
        self.disconnect()
        super().down()

    def peer(self, host):
        """An RTP endpoint at one of the lab's addresses."""
        return self.media(NODES[host], host)

    def stream(self, near, far, **kwargs):
        stream = Stream(self, near, far, **kwargs)
        self.closing.append(stream)
        return stream

    def counted(self, *names):
        """Growth of the counters since mark(); {name: n}, only what has grown if no name is given."""
        now = self.api.counters()
        grown = {name: now[name] - self.first[name] for name in COUNTERS}
        return {name: grown[name] for name in names} if names else {name: n for name, n in grown.items() if n}

    def mark(self):
        self.first = self.api.counters()

    def drops(self):
        return {name: n for name, n in self.counted().items() if name.startswith("drop-")}

    def wait_counted(self, name, count):
        netns.wait_for(f"{name} = {count}; counted {self.counted()}", lambda: self.counted(name)[name] >= count, 10)
        assert self.counted(name) == {name: count}

    def ping(self, host, target):
        """The mirrors' ARP or neighbour discovery both ways, without media."""
        reply = netns.run(self.lab.namespace(NODES[host]), ["ping", "-c", "1", "-W", "5", "-I", host, target])
        assert reply.returncode == 0, f"{target} does not answer {host}: {reply.stdout}{reply.stderr}"

    def raw(self, node, interface):
        """A packet socket in a node."""
        sock = netns.inside(self.lab.namespace(node), socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind((interface, 0))
        self.closing.append(sock)
        return sock

    def mac(self, node, interface):
        return netns.run(self.lab.namespace(node), ["cat", f"/sys/class/net/{interface}/address"], check=True).stdout.strip()


class Stream:
    """A session of one stream between two Media; a peer's realm follows from where it is."""

    def __init__(self, bed, near, far, kind="RTP", near_side=None, far_side=None):
        self.bed, self.near, self.far, self.kind = bed, near, far, kind
        self.sides = [near_side or {}, far_side or {}]
        reply = bed.api.create(self.request())
        self.session = reply.session
        self.local = [host_port(reply.local[0][i]) for i in (0, 1)]
        near.destination, far.destination = self.local

    def request(self):
        def one(peer, options):
            node = peer.namespace.rsplit("-", 1)[1]
            return side(**{"realm": REALMS[node], "rtp": (peer.host, peer.port), "family": 6 if ":" in peer.host else 4, **options})

        return session((one(self.near, self.sides[0]), one(self.far, self.sides[1]), self.kind))

    def update(self, near_side=None, far_side=None):
        """A whole new state; sides not given stay."""
        self.sides = [near_side if near_side is not None else self.sides[0], far_side if far_side is not None else self.sides[1]]
        reply = self.bed.api.update(self.session, self.request())
        return [host_port(reply.local[0][i]) for i in (0, 1)]

    def info(self):
        return self.bed.api.get(self.session).stream[0]

    def count(self, which):
        """struct dp_counters of what arrived from side 0 (near) or 1 (far)."""
        return getattr(self.info(), "from")[which]

    def wait(self, which, **fields):
        """Until a side's counters are these."""
        current = lambda: {name: getattr(self.count(which), name) for name in fields}
        try:
            netns.wait_for("", lambda: all(current()[name] >= value for name, value in fields.items()), 10)
        except TimeoutError:
            pass
        assert current() == fields

    def close(self):
        """Also when the test has deleted it or the dataplane was started again."""
        if self.session and self.bed.sbc.alive("dataplane"):
            try:
                self.bed.api.delete(self.session)
            except OSError:
                pass
        self.session = 0


def checksum(data):
    """RFC 1071, in network order."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_frame(to_mac, source, target, protocol, upper, sum_at, from_mac="02:00:00:00:00:99"):
    """An Ethernet frame with an IP packet; the checksum of `upper` is put at `sum_at`."""
    s, t = ipaddress.ip_address(source).packed, ipaddress.ip_address(target).packed
    pseudo = s + t + struct.pack("!II", len(upper), protocol)
    upper = upper[:sum_at] + struct.pack("!H", checksum(pseudo + upper) or 0xFFFF) + upper[sum_at + 2 :]
    if len(s) == 4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(upper), 0, 0, 64, protocol, 0, s, t)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    else:
        head = struct.pack("!IHBB16s16s", 6 << 28, len(upper), protocol, 64, s, t)
    mac = lambda text: bytes.fromhex(text.replace(":", ""))
    return mac(to_mac) + mac(from_mac) + (b"\x08\x00" if len(s) == 4 else b"\x86\xdd") + head + upper


def udp_frame(to_mac, source, source_port, target, target_port, payload):
    return ip_frame(to_mac, source, target, 17, struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload, 6)


def syn_frame(to_mac, source, source_port, target, target_port):
    upper = struct.pack("!HHIIBBHHH", source_port, target_port, 1, 0, 5 << 4, 2, 65535, 0, 0)
    return ip_frame(to_mac, source, target, 6, upper, 16)


def receive(sock, timeout=5.0):
    """(payload, source) of the next datagram; the socket does not block afterwards."""
    sock.setblocking(False)
    assert select.select([sock], [], [], timeout)[0], f"nothing arrives at {sock.getsockname()}"
    data, source = sock.recvfrom(65536)
    return data, source[:2]


def is_silent(sock):
    """Nothing has arrived on a socket."""
    sock.setblocking(False)
    try:
        return not sock.recvfrom(65536)
    except BlockingIOError:
        return True
