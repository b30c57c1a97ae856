# SPDX-License-Identifier: BSD-3-Clause
"""snmp: the list of calls, walked again and again while calls begin and until so many are held: every call has to begin, and what a walk of all rows takes.

BENCH_SNMP_CALLS (held at the end), BENCH_SNMP_RATE (calls per second)."""

import time

import bench_calls
import bench_management
import stage
from bench_calls_held import callers, held_scenario, shown

TABLE = f"{bench_management.TREE}.1.4.50"
STATE = f"{TABLE}.1.3"  # spActiveCallState: one value a row


def walk(s, tree):
    """Values of it, and the seconds that they took."""
    began = time.monotonic()
    lines = s.run("sbc", stage.program("snmpbulkwalk"), "-v2c", "-c", "public", "-On", "-t", "20", "-Cr50", bench_management.SNMP, tree, cpu=stage.LOAD_CPU).stdout
    return lines.count("\n."), time.monotonic() - began


def measure():
    calls, rate = stage.setting("BENCH_SNMP_CALLS", 10000), stage.setting("BENCH_SNMP_RATE", 250)
    with stage.Stage("snmp") as s:
        bench_calls.build(s)
        config = bench_management.configure(s)
        config.write_text(config.read_text().replace("max-sessions = 20000", f"max-sessions = {calls + 1000}  initial-timeout = 86400  idle-timeout = 86400"))
        bench_management.start_snmpd(s)
        bench_calls.start_sallyport(s, config, control_cpu=stage.CPU, other_cpu=stage.LOAD_CPU)
        stage.wait_for("SALLYPORT-MIB", lambda: walk(s, bench_management.TREE)[0] > 0, 30, 0.5)
        caller = callers(s, held_scenario(s, 86400), rate, calls, calls + 1)
        walks = 0
        end = time.monotonic() + calls / rate * 3 + 30
        while shown(s, "calls") < calls and time.monotonic() < end:
            walk(s, STATE)
            walks += 1
        held = shown(s, "calls")
        if caller.poll() is not None:
            raise stage.Refused(f"the caller ended: {s.log('caller.log')}")
        stage.note(f"{held} of {calls} calls, {walks} walks of the list meanwhile")
        stage.result("snmp", f"goodput-{calls}-calls-walked", held, calls, "calls", peer_name="offered")
        # The list may be ten seconds old.
        stage.wait_for("all rows", lambda: walk(s, STATE)[0] >= held - 1, 60, 1.0)
        for name, tree in (("list", TABLE), ("all", bench_management.TREE)):
            values, seconds = walk(s, tree)
            stage.result("snmp", f"walk-{name}-{held}-calls", round(seconds, 2), None, "s", values=values, per_second=round(values / seconds))
