# SPDX-License-Identifier: BSD-3-Clause
"""srtp: what protecting and unprotecting a packet costs, in one program: bursts of libipsec-mb alone, libsrtp2 as Debian ships it, path A and
path B (decision 0070), by the number of sessions. The peer is named in the case.

BENCH_SRTP_SECONDS (of one measurement), BENCH_SRTP_ROUNDS (the median is taken)."""

import json
import os
import statistics

import stage


def run(seconds):
    with stage.Stage("srtp") as s:
        done = s.run(None, stage.binary("bench/srtp"), seconds, env={**os.environ, "BENCH_CPU": str(stage.CPU)})
        if done.returncode != 0:
            raise stage.Refused(f"bench/srtp: {done.stderr.strip() or done.returncode}")
        return [json.loads(line) for line in done.stdout.splitlines()]


def measure():
    seconds, rounds = stage.setting("BENCH_SRTP_SECONDS", 0.5), stage.setting("BENCH_SRTP_ROUNDS", 3)
    found = {}
    for _ in range(rounds):
        for case in run(seconds):
            found.setdefault((case["suite"], case["direction"], case["sessions"], case["path"]), []).append(case["ns"])
    ns = {case: statistics.median(values) for case, values in found.items()}
    for (suite, direction, sessions, path), ours in ns.items():
        if path in ("bare", "stock"):
            continue
        name = f"{suite}-{direction}-{sessions}-sessions-{path}"
        for peer in ("bare", "stock"):
            if (suite, direction, sessions, peer) in ns:
                stage.result("srtp", f"{name}-against-{peer}", ours, ns[suite, direction, sessions, peer], "ns/packet", less_is_better=True)
        if sessions != 1:
            stage.result("srtp", f"{name}-against-1-session", ours, ns[suite, direction, 1, path], "ns/packet", less_is_better=True)
