# SPDX-License-Identifier: BSD-3-Clause
"""relay-veth: RTP packets per second that the real sallyport-dataplane relays from one veth pair to another with one worker on
one core, over AF_XDP and AF_PACKET ports, against dpdk-testpmd's 5tswap on the same ports. One other core offers all it
can; what arrives at the far end is counted there. Where that is nearly all that was offered (offered_ours, offered_peer), the
generator was the limit and not the relay: in the cases "half-core" something else takes half of the core under test.

BENCH_VETH_KINDS (xdp packet), BENCH_VETH_FLOWS, BENCH_VETH_SECONDS (of one measurement), BENCH_VETH_ROUNDS (the median is
taken)."""

import json
import os
import statistics
import subprocess
import time

import stage
from testpmd import Testpmd

NEAR, OUTSIDE, INSIDE, FAR = "203.0.113.2", "203.0.113.10", "10.0.0.1", "10.0.0.5"
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


def build(s):
    for node in ("near", "sbc", "far"):
        s.namespace(node)
    s.cable("near", "eth0", "sbc", "eth1")
    s.cable("far", "eth0", "sbc", "eth2")
    s.address("near", "eth0", f"{NEAR}/24")
    s.address("far", "eth0", f"{FAR}/24")
    # Whatever arrives has been counted; no need for the far end's kernel to say that nobody wants it.
    rules = "table netdev bench { chain in { type filter hook ingress device eth0 priority 0; meta l4proto udp drop; }; }"
    if s.run("far", "nft", rules).returncode != 0:
        raise stage.Refused("nft does not work here")


def mac(s, node, interface):
    return s.run(node, "cat", f"/sys/class/net/{interface}/address").stdout.strip()


def arrived(s):
    return int(s.run("far", "cat", "/sys/class/net/eth0/statistics/rx_packets").stdout)


def offer(s, flows, seconds, *where, rate=0):
    """Packets per second that arrive, and that were offered, in a run of the generator."""
    before = arrived(s)
    generator = s.start(
        "near", stage.binary("bench/generator"), "-i", "eth0", "-a", NEAR, "-n", flows, "-t", max(1, round(seconds)), "-d", OUTSIDE,
        *(["-r", rate] if rate else []), *where, cpu=stage.LOAD_CPU, stdout=subprocess.PIPE, text=True)
    lines = generator.communicate()[0].splitlines()
    s.end(generator)
    if generator.returncode != 0 or lines[:1] != ["ready"]:
        raise stage.Refused(f"generator: {' '.join(lines)}")
    sent = json.loads(lines[1])
    time.sleep(0.2)  # what is still in the rings
    arrive, offered = (arrived(s) - before) / sent["seconds"], sent["sent"] / sent["seconds"]
    stage.note(f"{arrive:,.0f}/s arrive of {offered:,.0f}/s offered")
    return arrive, offered


def start_dataplane(s, kind, flows):
    """Runs the dataplane with a session for each flow; returns the generator's options for them."""
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
    # The mirrors answer ARP and learn both ends.
    s.run("near", "ping", "-c", "1", "-W", "2", OUTSIDE)
    s.run("far", "ping", "-c", "1", "-W", "2", INSIDE)
    made = s.run("near", stage.binary("bench/generator"), "-a", NEAR, "-n", flows, "-s", path, "-A", "access", "-B", "core", "-f", FAR)
    if made.returncode != 0:
        raise stage.Refused(f"generator: {made.stderr.strip()}")
    ports = s.directory / "ports"
    ports.write_text(made.stdout)
    return "-m", mac(s, "sbc", "sp-outside"), "-P", ports


def share(s, half):
    """Whether a second program, of the same precedence, is to keep the core under test busy."""
    if half:
        s.start(None, "sh", "-c", "while :; do :; done", cpu=stage.CPU)


def ours(kind, flows, seconds, half=False):
    with stage.Stage("ours") as s:
        build(s)
        share(s, half)
        return offer(s, flows, seconds, *start_dataplane(s, kind, flows))


def peer(kind, flows, seconds, half=False):
    with stage.Stage("peer") as s:
        build(s)
        share(s, half)
        devices = [DEVICES[kind].format(n=n, interface=f"eth{n + 1}") for n in range(2)]
        if kind == "packet":
            # Without it the kernel answers every packet a second time, as it would beside the dataplane.
            for n in (1, 2):
                s.run("sbc", "nft", f"table netdev bench{n} {{ chain in {{ type filter hook ingress device eth{n} priority 0; policy drop; }}; }}")
        pmd = Testpmd(s, "sbc", devices, "--forward-mode=5tswap", "--port-topology=paired")
        pmd.command("start")
        time.sleep(0.5)
        rates = offer(s, flows, seconds, "-m", mac(s, "sbc", "eth1"))
        pmd.end()
        return rates


def measure():
    seconds, rounds = stage.setting("BENCH_VETH_SECONDS", 3), stage.setting("BENCH_VETH_ROUNDS", 3)
    kinds = os.environ.get("BENCH_VETH_KINDS", "xdp packet").split()
    for kind in kinds:
        if kind not in DEVICES:
            raise stage.Refused(f"BENCH_VETH_KINDS: {kind}: xdp or packet")
    flows = stage.settings("BENCH_VETH_FLOWS", (100, 5000))
    for kind in kinds:
        for number, half in [(n, False) for n in flows] + [(flows[-1], True)]:
            runs = [(*ours(kind, number, seconds, half), *peer(kind, number, seconds, half)) for _ in range(rounds)]
            mine, mine_offered, theirs, theirs_offered = (round(statistics.median(rates)) for rates in zip(*runs))
            stage.result("relay-veth", f"{kind}-{number}-flows{'-half-core' if half else ''}", mine, theirs, "packets/s",
                         offered_ours=mine_offered, offered_peer=theirs_offered)
