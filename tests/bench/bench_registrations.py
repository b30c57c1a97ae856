# SPDX-License-Identifier: BSD-3-Clause
"""registrations: what a binding takes in memory, how long look-ups take among 1,000 and among BENCH_REGISTRATIONS of them, how many REGISTER a
second one control core deals with (9 refreshes from cache to 1 through to the registrar; sockets not included), and how soon all are back after
a start; then (bench_registrations_wire.py) the same through real sockets beside calls. BENCH_REGISTRATIONS_PART (all, core, wire)."""

import json
import os
import subprocess
import tempfile

import bench_registrations_wire
import stage


def measure():
    part = os.environ.get("BENCH_REGISTRATIONS_PART", "all")
    if part in ("all", "core"):
        measure_core()
    if part in ("all", "wire"):
        bench_registrations_wire.measure()


def measure_core():
    bindings = stage.setting("BENCH_REGISTRATIONS", 100000)
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run([stage.BUILD / "bench" / "registrations", directory, str(bindings)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    stage.result("registrations", "memory", report["octets"], None, "octets a binding", bindings=bindings)
    # A ratio of 1 would be flat; what is above it are misses of the processor's caches.
    stage.result("registrations", "look-up", report["look_many_ns"], report["look_few_ns"], "ns", peer_name="among 1,000", less_is_better=True, bindings=bindings)
    stage.result("registrations", "register", report["per_second"], None, "REGISTER/s", hits_to_misses="9:1")
    stage.result("registrations", "restart", report["restart_s"], None, "s", bindings=bindings)
