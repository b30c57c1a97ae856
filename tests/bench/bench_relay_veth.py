# SPDX-License-Identifier: BSD-3-Clause
"""relay-veth: RTP packets per second that the real sallyport-dataplane relays between two veth pairs, in both directions, with one
worker on one core, over AF_XDP and AF_PACKET ports, against dpdk-testpmd's 5tswap on the same ports. The other core offers more
than either relays (offered_ours, offered_peer); what comes out is counted.

BENCH_VETH_KINDS (xdp packet), BENCH_VETH_CALLS, BENCH_VETH_SECONDS (of one measurement), BENCH_VETH_ROUNDS (the median is
taken)."""

import os
import statistics

import stage
import traffic
from testpmd import Testpmd
from traffic import FAR, INSIDE, NEAR, OUTSIDE

DEVICES = {
    # As the dataplane opens them (dataplane/port.c).
    "xdp": "net_af_xdp{n},iface={interface},start_queue=0,queue_count=1",
    "packet": "net_af_packet{n},iface={interface},blocksz=65536,framesz=2048,framecnt=4096,qdisc_bypass=1,qpairs=1",
}
CONFIGURATION = """
system {{ name = "bench"  user = "nobody"  log-level = warning  run-directory = "{directory}/run"  data-directory = "{directory}/data" }}
media-manager {{ workers = {{{cpu}}}  poll = busy  max-sessions = 20000 }}
network-interface outside {{ port = "{kind}:eth1"  addresses = {{"{outside}/24"}} }}
network-interface inside  {{ port = "{kind}:eth2"  addresses = {{"{inside}/24"}} }}
realm access {{ network-interface = outside }}
realm core   {{ network-interface = inside }}
steering-pool access {{ realm = access  address = "{outside}"  ports = "1024-65535" }}
steering-pool core   {{ realm = core    address = "{inside}"   ports = "1024-65535" }}
"""


def launch(s, kind):
    """Runs the dataplane, every neighbour known; returns the process and its socket."""
    config = s.directory / "sallyport.conf"
    config.write_text(CONFIGURATION.format(directory=s.directory, cpu=stage.CPU, kind=kind, outside=OUTSIDE, inside=INSIDE))
    # It pins its worker itself; everything else of it stays where the kernel puts it.
    process = s.start("sbc", stage.binary("sallyport-dataplane"), "-c", config, log="dataplane.log")
    path = s.directory / "run" / "dataplane.sock"

    def serves():
        if process.poll() is not None:
            raise stage.Refused(f"sallyport-dataplane: {s.log('dataplane.log')}")
        return path.exists()

    stage.wait_for("sallyport-dataplane", serves)
    traffic.polled(s, kind)
    # The mirrors answer ARP and learn both ends.
    s.run("near", "ping", "-c", "1", "-W", "2", OUTSIDE)
    s.run("far", "ping", "-c", "1", "-W", "2", INSIDE)
    return process, path


def sessions(s, path, count, *more):
    """Runs sessions.c; returns what it printed."""
    made = s.run(None, stage.binary("bench/sessions"), "-s", path, "-A", "access", "-B", "core", "-a", NEAR, "-b", FAR, "-n", count,
                 *more, cpu=stage.LOAD_CPU)
    if made.returncode != 0:
        raise stage.Refused(f"sessions: {made.stderr.strip()}")
    return made.stdout


def start_dataplane(s, kind, calls, *more, sides=(0, 1)):
    """Runs the dataplane with so many calls, `more` for sessions.c; returns the file of their flows."""
    _, path = launch(s, kind)
    ports = [line.split() for line in sessions(s, path, calls, *more).splitlines()]
    return traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "sp-outside"), traffic.mac(s, "sbc", "sp-inside")), sides)


def start_testpmd(s, kind, calls):
    devices = [DEVICES[kind].format(n=n, interface=f"eth{n + 1}") for n in range(2)]
    if kind == "packet":
        # Without it the kernel answers every packet a second time, as it would beside the dataplane.
        for n in (1, 2):
            s.run("sbc", "nft", f"table netdev bench{n} {{ chain in {{ type filter hook ingress device eth{n} priority 0; policy drop; }}; }}")
    pmd = Testpmd(s, "sbc", devices, "--forward-mode=5tswap", "--port-topology=paired")
    pmd.forward()
    ports = [(traffic.PORT_FIRST + 2 * i,) * 2 for i in range(calls)]
    return traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "eth1"), traffic.mac(s, "sbc", "eth2")))


def carried(start, kind, calls, seconds):
    """Packets per second that arrive, and that were offered, when as many are offered as can be."""
    with stage.Stage("relay") as s:
        traffic.build(s)
        flows = start(s, kind, calls)
        traffic.run(s, 1, flows, rate=20000)  # everybody learns who is where
        report = traffic.run(s, seconds, flows)
        return report["arrived"], report["offered"]


def measure():
    seconds, rounds = stage.setting("BENCH_VETH_SECONDS", 3), stage.setting("BENCH_VETH_ROUNDS", 3)
    kinds = os.environ.get("BENCH_VETH_KINDS", "xdp packet").split()
    for kind in kinds:
        if kind not in DEVICES:
            raise stage.Refused(f"BENCH_VETH_KINDS: {kind}: xdp or packet")
    for kind in kinds:
        for calls in stage.settings("BENCH_VETH_CALLS", (50, 2500)):
            # Taken in turn: whatever else this machine does meets both.
            runs = [(*carried(start_dataplane, kind, calls, seconds), *carried(start_testpmd, kind, calls, seconds)) for _ in range(rounds)]
            mine, mine_offered, theirs, theirs_offered = (round(statistics.median(rates)) for rates in zip(*runs))
            stage.result("relay-veth", f"{kind}-{2 * calls}-flows", mine, theirs, "packets/s", offered_ours=mine_offered,
                         offered_peer=theirs_offered)
