# SPDX-License-Identifier: BSD-3-Clause
"""relay: RTP packets per second, and cycles per packet, of one packet worker on memory-backed ports, everything a packet meets
included (parse, flow, source check, measuring, rewrite, checksums), against dpdk-testpmd's io (looks at nothing), macswap and 5tswap
(look at no flow, check nothing) on ports of the same kind. As many packets are under way in both, of the same size, in bursts of
32. The rate does not count whoever writes the packets. Cycles are the TSC's.

Without huge pages DPDK gives each packet buffer a page of 4 KiB of its own, so that the heads of all buffers meet in the same few
sets of the caches; the cases "dense" have them one behind the other on both sides, as huge pages do.

Where valgrind is installed, the cache lines that a packet fetches are counted too, on a simulated first-level cache of 48 KiB
(packets' own lines come from the second level) and second level of 2 MiB (what comes from behind it is the flows' state).

BENCH_RELAY_FLOWS, BENCH_RELAY_SECONDS (of one measurement), BENCH_RELAY_ROUNDS (the median is taken)."""

import json
import os
import re
import shutil
import statistics

import stage
from testpmd import Testpmd

MODES = ("io", "macswap", "5tswap")
LAYOUTS = {"": ((), ()), "-dense": (("4", "4", "dense"), ("--mp-alloc=anon", "--no-iova-contig"))}
CACHES = ("--D1=49152,12,64", "--LL=2097152,16,64")


def worker(s, flows, seconds, layout, *before):
    done = s.run(None, *before, stage.binary("bench/relay_worker"), flows, seconds, *LAYOUTS[layout][0], env={**os.environ, "BENCH_CPU": str(stage.CPU)})
    if done.returncode != 0:
        raise stage.Refused(f"relay_worker {flows}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout)


def ours(flows, seconds, layout):
    with stage.Stage("worker") as s:
        return worker(s, flows, seconds, layout)


def lines(flows):
    """(Instructions, lines not in the first-level cache, lines not in the second either) a packet."""
    with stage.Stage("lines") as s:
        output = s.directory / "callgrind"
        packets = worker(s, flows, 0, "-dense", stage.program("valgrind"), "-q", "--tool=callgrind", "--cache-sim=yes", *CACHES,
                         "--toggle-collect=poll_measured", f"--callgrind-out-file={output}")["packets"]
        text = output.read_text()
    names = re.search(r"^events: (.*)", text, re.M)[1].split()
    counts = dict(zip(names, map(int, re.search(r"^totals: (.*)", text, re.M)[1].split())))
    return (round(counts["Ir"] / packets), round((counts["D1mr"] + counts["D1mw"]) / packets, 1),
            round((counts["DLmr"] + counts["DLmw"]) / packets, 1))


def peer(mode, seconds, layout):
    with stage.Stage("relay") as s:
        pmd = Testpmd(s, None, ["net_ring0", "net_ring1"], f"--forward-mode={mode}", "--txonly-multi-flow", "--txpkts=214", *LAYOUTS[layout][1])
        # 16 bursts of 32 on each of both ports go round for ever.
        pmd.command("start tx_first 16")
        pmd.rate(0.5)
        rate = pmd.rate(seconds)
        pmd.end()
        return rate


def measure_layout(layout, seconds, rounds, cases):
    rates = {key: [] for key in (*MODES, *cases)}
    # Taken in turn: whatever else this machine does meets all.
    for _ in range(rounds):
        for mode in MODES:
            rates[mode].append(peer(mode, seconds, layout))
        for flows in cases:
            report = ours(flows, seconds, layout)
            rates[flows].append(report["packets_per_second"])
    rate = {key: statistics.median(values) for key, values in rates.items()}
    cycles = {key: round(report["tsc_hz"] / value, 1) for key, value in rate.items()}
    peers = {f"cycles_{mode}": cycles[mode] for mode in MODES}
    for flows in cases:
        stage.result("relay", f"rtp-{flows}-flows{layout}", round(rate[flows]), round(rate["5tswap"]), "packets/s", cycles=cycles[flows], **peers)


def measure():
    seconds, rounds = stage.setting("BENCH_RELAY_SECONDS", 2.0), stage.setting("BENCH_RELAY_ROUNDS", 3)
    cases = stage.settings("BENCH_RELAY_FLOWS", (100, 1000, 10000, 100000))
    for layout in LAYOUTS:
        measure_layout(layout, seconds, rounds, cases)
    if shutil.which("valgrind") is None:
        stage.note("no valgrind: cache lines are not counted")
        return
    for flows in cases:
        instructions, first, second = lines(flows)
        stage.result("relay", f"lines-{flows}-flows", first, None, "lines/packet", behind_second_level=second, instructions=instructions)
