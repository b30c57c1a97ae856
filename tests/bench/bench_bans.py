# SPDX-License-Identifier: BSD-3-Clause
"""bans: cycles that a stranger's SIP packet costs at the border (border_burst, sources at random, the configuration's default
rates) with 1,000,000 bans and with none, in the same run; and of the lookup alone, beside DPDK's rte_hash with the same addresses.
"hosts": single addresses; "mixed": networks of four sizes and single ports of addresses among them.

BENCH_BANS (how many), BENCH_BANS_SECONDS (of one measurement), BENCH_BANS_ROUNDS (the median is taken)."""

import json
import os
import statistics

import stage


def cycles(*arguments):
    with stage.Stage("bans") as s:
        done = s.run(None, stage.binary("bench/border_worker"), *arguments, env={**os.environ, "BENCH_CPU": str(stage.CPU)})
    if done.returncode != 0:
        raise stage.Refused(f"border_worker: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout)["cycles_per_packet"]


def measure():
    bans, seconds = stage.setting("BENCH_BANS", 1000000), stage.setting("BENCH_BANS_SECONDS", 2.0)
    rounds = stage.setting("BENCH_BANS_ROUNDS", 3)
    cases = [(kind, percent) for kind in ("hosts", "mixed") for percent in (0, 50)]
    wanted = {"none": ("hosts", 0, 0)}
    for kind, percent in cases:
        wanted[f"border-{kind}-{percent}"] = (kind, bans, percent)
        wanted[f"lookup-{kind}-{percent}"] = (kind, bans, percent, "lookup")
    for percent in (0, 50):
        wanted[f"hash-{percent}"] = ("hosts", bans, percent, "hash")
    taken = {name: [] for name in wanted}
    # Taken in turn: whatever else this machine does meets all.
    for _ in range(rounds):
        for name, (kind, count, percent, *what) in wanted.items():
            taken[name].append(cycles(kind, count, percent, seconds, *what))
            stage.note(f"{name}: {taken[name][-1]} cycles")
    median = {name: statistics.median(values) for name, values in taken.items()}
    for kind, percent in cases:
        mine = median[f"border-{kind}-{percent}"]
        # The peer is the same border without bans.
        stage.result("bans", f"border-{kind}-{percent}-percent-banned", mine, median["none"], "cycles/packet", less_is_better=True,
                     more_than_none=round(mine - median["none"], 1))
    for kind, percent in cases:
        stage.result("bans", f"lookup-{kind}-{percent}-percent-banned", median[f"lookup-{kind}-{percent}"], median[f"hash-{percent}"],
                     "cycles/packet", less_is_better=True, peer_name="rte_hash, hosts only")
