# SPDX-License-Identifier: BSD-3-Clause
"""relay-srtp: packets that one worker relays where one side has keys, RTP to SRTP (out) and SRTP to RTP (in), on memory-backed ports, beside
as many flows of plain RTP; the crypto in it against the bursts of libipsec-mb alone, in the same program; and many flows against one. What
writes the packets is not counted. Cycles are the TSC's, of one packet.

BENCH_RELAY_SRTP_FLOWS, BENCH_RELAY_SRTP_SECONDS (of one measurement), BENCH_RELAY_SRTP_ROUNDS (the median is taken)."""

import json
import os
import statistics

import bench_relay
import stage

SUITES = {"aes-cm-80": 1, "gcm-128": 5}  # enum dp_srtp_suite


def ours(suite, way, flows, seconds):
    with stage.Stage("worker") as s:
        done = s.run(None, stage.binary("bench/relay_srtp_worker"), suite, way, flows, seconds, env={**os.environ, "BENCH_CPU": str(stage.CPU)})
        if done.returncode != 0:
            raise stage.Refused(f"relay_srtp_worker {suite} {way} {flows}: {done.stderr.strip() or done.returncode}")
        return json.loads(done.stdout)


def measure():
    seconds, rounds = stage.setting("BENCH_RELAY_SRTP_SECONDS", 1.0), stage.setting("BENCH_RELAY_SRTP_ROUNDS", 3)
    counts = stage.settings("BENCH_RELAY_SRTP_FLOWS", (1, 1000, 20000))
    cases = [(name, way, flows) for name in SUITES for way in ("out", "in") for flows in counts]
    reports, plain = {case: [] for case in cases}, {flows: [] for flows in counts}
    for _ in range(rounds):  # in turn: whatever else this machine does meets all
        for name, way, flows in cases:
            reports[name, way, flows].append(ours(SUITES[name], way, flows, seconds))
        for flows in counts:
            plain[flows].append(bench_relay.ours(max(2, flows), seconds, "-dense"))
    rate = lambda runs, field: statistics.median(run["tsc_hz"] / max(1, run[field]) for run in runs)
    cycles = lambda runs, field: statistics.median(run[field] for run in runs)
    for (name, way, flows), runs in reports.items():
        case = f"{name}-{way}-{flows}-flows"
        stage.result("relay-srtp", f"{case}-relayed", round(rate(runs, "cycles_per_packet")), round(rate(plain[flows], "cycles_per_packet")), "packets/s",
                     cycles=cycles(runs, "cycles_per_packet"), cycles_plain=cycles(plain[flows], "cycles_per_packet"))
        stage.result("relay-srtp", f"{case}-crypto", round(rate(runs, "crypto_cycles")), round(rate(runs, "bare_cycles")), "packets/s",
                     cycles=cycles(runs, "crypto_cycles"), cycles_bare=cycles(runs, "bare_cycles"))
        if flows != counts[0]:
            first = reports[name, way, counts[0]]
            stage.result("relay-srtp", f"{case}-against-{counts[0]}", round(rate(runs, "cycles_per_packet")), round(rate(first, "cycles_per_packet")), "packets/s")
