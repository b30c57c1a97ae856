# SPDX-License-Identifier: BSD-3-Clause
"""sessions: how many media sessions one client makes and ends through the dataplane's API a second, 32 under way at a time, without
others and beside 20,000 others; and how much memory a session is of: how much the dataplane grew by 20,000 of them.

BENCH_SESSIONS_PAIRS, BENCH_SESSIONS_BLOB (octets kept with each), BENCH_SESSIONS_ROUNDS (the median is taken)."""

import json
import pathlib
import re
import statistics

import stage
import traffic
from bench_relay_veth import launch, sessions

BESIDE = 19900  # with those of the measurement under the configuration's max-sessions


def resident(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def rate(s, path, pairs, blob):
    """Pairs a second; one session more stays."""
    report = json.loads(sessions(s, path, 1, "-x", blob, "-c", pairs))
    return report["pairs"] / report["seconds"]


def measure():
    pairs, blob = stage.setting("BENCH_SESSIONS_PAIRS", 100000), stage.setting("BENCH_SESSIONS_BLOB", 1000)
    rounds = stage.setting("BENCH_SESSIONS_ROUNDS", 3)
    with stage.Stage("sessions") as s:
        traffic.build(s)
        process, path = launch(s, "packet")
        empty = statistics.median(rate(s, path, pairs, blob) for _ in range(rounds))
        before = resident(process)
        sessions(s, path, BESIDE, "-x", blob)
        memory = (resident(process) - before) / BESIDE
        full = statistics.median(rate(s, path, pairs, blob) for _ in range(rounds))
    stage.result("sessions", "create-delete", round(empty), None, "pairs/s", blob=blob)
    stage.result("sessions", f"create-delete-beside-{BESIDE}", round(full), None, "pairs/s", blob=blob)
    stage.result("sessions", "memory", round(memory), None, "octets a session", blob=blob)
