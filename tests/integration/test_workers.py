# SPDX-License-Identifier: BSD-3-Clause
"""Two packet workers: the kernel spreads flows over their queues, sessions belong to one of them, and what arrives at the wrong one
is handed over. Every packet arrives."""

import itertools
import os

import pytest

import netns
from bed import CARRIER, CARRIER6, OTHER_PBX, PBX, PBX6, Bed
from cable import PEER, link_up, plug, resumes
from media import check_exactly_once, exchange, open_path
from test_relay_srtp import opened
from test_relay_srtp import peer as secure_peer

CPUS = sorted(os.sched_getaffinity(0))[:2]
BED = {"worker": ", ".join(map(str, CPUS))}
CALLS = 16

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="two CPUs are needed")


def cable_with_two_channels(bed):
    """veth pairs with two queues each way, where platforms/lab/up has laid some with one."""
    for port, (node, far) in PEER.items():
        sbc, there = bed.lab.namespace("sbc"), bed.lab.namespace(node)
        queues = ["numrxqueues", "2", "numtxqueues", "2"]
        netns.run(sbc, ["ip", "link", "del", port], check=True)
        netns.run(sbc, ["ip", "link", "add", port, *queues, "type", "veth", "peer", "name", far, *queues, "netns", there], check=True)
        for namespace, interface in ((sbc, port), (there, far)):
            netns.run(namespace, ["ethtool", "-K", interface, "tx", "off"], check=True)
            netns.run(namespace, ["ethtool", "-L", interface, "rx", "2", "tx", "2"])
            netns.run(namespace, ["ip", "link", "set", interface, "up"], check=True)
        netns.run(there, ["ip", "link", "set", far, "master", "br0"], check=True)


@pytest.fixture(scope="module", params=["packet", "xdp"])
def module_bed(request):
    bed = Bed()
    try:
        cable_with_two_channels(bed)
        bed.start(request.param, **BED)
        yield bed
    finally:
        bed.down()


def test_flows_of_both_workers_are_relayed_wherever_they_arrive(bed):
    assert bed.api.stats().workers == 2
    streams = [bed.stream(bed.peer(near), bed.peer(far)) for near, far in ((CARRIER, PBX), (CARRIER6, PBX6), (CARRIER, PBX6), (OTHER_PBX, PBX)) for _ in range(CALLS // 4)]
    for stream in streams:
        open_path(stream.near, stream.far)
    before = {(f.session, f.side): f.packets for f in bed.api.flows()}
    exchange([(s.near, s.far) for s in streams], 50)
    for stream in streams:
        check_exactly_once(stream.near, stream.far)
        check_exactly_once(stream.far, stream.near)
    # A flow's packets are counted by the worker that owns it; the kernel knows nothing of owners.
    relayed = {0: 0, 1: 0}
    for flow in bed.api.flows():
        relayed[flow.worker] += flow.packets - before[flow.session, flow.side]
    assert sum(relayed.values()) == 2 * CALLS * 50
    assert min(relayed.values()) >= 2 * CALLS * 50 // 4
    assert not {name: n for name, n in bed.drops().items() if name != "drop-no-next-hop"}


def test_streams_with_keys_are_opened_by_the_worker_that_has_the_keys(bed):
    suites = itertools.cycle([("AES_CM_128_HMAC_SHA1_80", None), (None, "AEAD_AES_128_GCM"), ("AEAD_AES_256_GCM", "AES_256_CM_HMAC_SHA1_32")])
    streams = []
    for (near_suite, far_suite), (near_host, far_host) in zip(suites, [(CARRIER, PBX), (CARRIER6, PBX6), (CARRIER, PBX6)] * (CALLS // 3)):
        near, far = secure_peer(bed, near_host, near_suite), secure_peer(bed, far_host, far_suite)
        near.sequence = far.sequence = 0xFFF0  # over the wrap
        streams.append(opened(bed, near, far))
    exchange([(s.near, s.far) for s in streams], 50)
    for stream in streams:
        check_exactly_once(stream.near, stream.far)
        check_exactly_once(stream.far, stream.near)
    assert {flow.worker for flow in bed.api.flows()} == {0, 1}
    assert not {name: n for name, n in bed.drops().items() if name != "drop-no-next-hop"}


def test_kernel_sockets_behind_the_mirrors_work_with_two_workers(bed):
    for host, target in ((CARRIER, "203.0.113.10"), (CARRIER6, "2001:db8:1::10"), (PBX, "10.0.0.1"), (PBX6, "fd00:10::1")):
        for _ in range(4):
            bed.ping(host, target)
    assert not bed.drops()


def test_an_interface_that_comes_back_serves_both_workers(bed):
    streams = [bed.stream(bed.peer(CARRIER), bed.peer(PBX)) for _ in range(8)]
    for stream in streams:
        open_path(stream.near, stream.far)
    netns.run(bed.lab.namespace("sbc"), ["ip", "link", "del", "eth1"], check=True)
    netns.wait_for("link down shown", lambda: not link_up(bed), 5)
    plug(bed)
    netns.wait_for("link up shown", lambda: link_up(bed), 10)
    for stream in streams:
        resumes(stream)
