# SPDX-License-Identifier: BSD-3-Clause
"""relay: RTP packets per second of one packet worker on memory-backed ports, everything a packet meets included (parse, flow,
source check, measuring, rewrite, checksums), against dpdk-testpmd's 5tswap, which looks at no flow and checks nothing, on
ports of the same kind. As many packets are under way in both, of the same size, in bursts of 32. The rate does not count
whoever writes the packets.

BENCH_RELAY_FLOWS, BENCH_RELAY_SECONDS (of one measurement), BENCH_RELAY_ROUNDS (the median is taken)."""

import json
import os
import statistics

import stage
from testpmd import Testpmd


def ours(flows, seconds):
    command = [stage.binary("bench/relay_worker"), str(flows), str(seconds)]
    with stage.Stage("worker") as s:
        done = s.run(None, *command, env={**os.environ, "BENCH_CPU": str(stage.CPU)})
    if done.returncode != 0:
        raise stage.Refused(f"relay_worker {flows}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout)["packets_per_second"]


def peer(seconds):
    with stage.Stage("relay") as s:
        pmd = Testpmd(s, None, ["net_ring0", "net_ring1"], "--forward-mode=5tswap", "--txonly-multi-flow", "--txpkts=214")
        # 16 bursts of 32 on each of both ports go round for ever.
        pmd.command("start tx_first 16")
        pmd.rate(0.5)
        rate = pmd.rate(seconds)
        pmd.end()
        return rate


def measure():
    seconds, rounds = stage.setting("BENCH_RELAY_SECONDS", 2.0), stage.setting("BENCH_RELAY_ROUNDS", 3)
    cases = stage.settings("BENCH_RELAY_FLOWS", (100, 1000, 10000, 100000))
    rates = {flows: [] for flows in cases}
    peers = []
    # Taken in turn: whatever else this machine does meets both.
    for _ in range(rounds):
        peers.append(peer(seconds))
        for flows in cases:
            rates[flows].append(ours(flows, seconds))
    for flows in cases:
        stage.result("relay", f"rtp-{flows}-flows", round(statistics.median(rates[flows])), round(statistics.median(peers)), "packets/s")
