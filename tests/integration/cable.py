# SPDX-License-Identifier: BSD-3-Clause
"""The cables of the SBC's ports: pulled, laid anew, and whether media finds its way again."""

import netns
from media import check_exactly_once, exchange

PEER = {"eth1": ("outside", "sbc"), "eth2": ("inside", "sbc")}


def ip(bed, node, *words):
    netns.run(bed.lab.namespace(node), ["ip", *words], check=True)


def link_up(bed, name="outside"):
    return {i.name.decode(): i.link_up for i in bed.api.interfaces()}[name]


def plug(bed, port="eth1", mac=None):
    """A new veth pair where platforms/lab/up has laid the old one."""
    node, far = PEER[port]
    # Else a bridge takes the lowest address of its ports, and its own hosts would get another one with the new port.
    ip(bed, node, "link", "set", "br0", "address", bed.mac(node, "br0"))
    ip(bed, "sbc", "link", "add", port, *(["address", mac] if mac else []), "type", "veth", "peer", "name", far, "netns", bed.lab.namespace(node))
    netns.run(bed.lab.namespace(node), ["ethtool", "-K", far, "tx", "off"], check=True)
    ip(bed, node, "link", "set", far, "master", "br0")
    ip(bed, node, "link", "set", far, "up")


def flows(stream):
    """Both ways, exactly once, by the addresses it has had from the beginning."""
    stream.near.forget()
    stream.far.forget()
    exchange([(stream.near, stream.far)], 10, interval=0.005)
    check_exactly_once(stream.near, stream.far)
    check_exactly_once(stream.far, stream.near)


def resumes(stream, deadline=15):
    """Until a packet gets through each way."""
    def both():
        for media in (stream.near, stream.far):
            media.send()
        return stream.near.drain() and stream.far.drain()

    netns.wait_for("media both ways", both, deadline, interval=0.05)
    # What is under way now must not be counted as part of what follows.
    for a, b in ((stream.near, stream.far), (stream.far, stream.near)):
        last = a.send()
        netns.wait_for("the last one", lambda: b.drain() + 1 and last in [p for p, _ in b.arrived], 5)
    flows(stream)
