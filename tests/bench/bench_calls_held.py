# SPDX-License-Identifier: BSD-3-Clause
"""calls-held: memory of an established call in control plane and dataplane together, against the bar of 16 KiB; and what memory
remains, by call, after many complete calls at speed.

BENCH_HELD_CALLS (held at one time), BENCH_HELD_RATE (calls per second), BENCH_HELD_SETTLE (seconds at most until no transaction is left of the
calls' beginning: 64*T1 and more), BENCH_GROWTH_CALLS (complete calls; 0: not measured), BENCH_GROWTH_RATE."""

import json
import re

import bench_calls
import stage
from bench_calls import CALLEE, CALLER, HERE, OUTSIDE

BAR_KIB = 16
PAIRS = 19000  # of ports that one address of a side has, and some to spare
MEASURED = ("controlplane", "dataplane")


def held_scenario(s, seconds):
    """The caller's scenario with a pause between ACK and BYE."""
    before, after = (HERE / "caller.xml").read_text().rsplit('<send retrans="500">', 1)
    path = s.directory / "caller_held.xml"
    path.write_text(f'{before}<pause milliseconds="{int(seconds * 1000)}"/>\n<send retrans="500">{after}')
    return path


def start(s, calls, **cores):
    """The SBC with room for so many calls, which may be silent: nobody sends media here. `cores`: as start_sallyport has them."""
    fill = bench_calls.fill

    def roomy(template, target, **values):
        path = fill(template, target, **values)
        text = path.read_text().replace("max-sessions = 20000", f"max-sessions = {calls + 1000}  initial-timeout = 86400  idle-timeout = 86400")
        for more in range(1, -(-calls // PAIRS)):
            for node, realm, address in (("outside", "access", f"203.0.113.{100 + more}"), ("inside", "core", f"10.0.0.{100 + more}")):
                text = re.sub(rf'(network-interface {node} .*addresses = {{".*")', rf'\1, "{address}/24"', text)
                text += f'steering-pool {realm}{more} {{ realm = {realm}  address = "{address}"  ports = "20000-59999" }}\n'
        path.write_text(text)
        return path

    bench_calls.fill = roomy
    try:
        bench_calls.build(s)
        bench_calls.start_sallyport(s, **cores)
    finally:
        bench_calls.fill = fill


def resident_kib(s):
    """Of control plane and dataplane together."""
    total = 0
    for process in s.processes:
        name = open(f"/proc/{process.pid}/comm").read().strip()
        if name.startswith(tuple(f"sallyport-{m}"[:15] for m in MEASURED)):
            rows = dict(line.split(":", 1) for line in open(f"/proc/{process.pid}/status") if ":" in line)
            total += int(rows["VmRSS"].split()[0])
    return total


def shown(s, key):
    text = s.run("sbc", stage.binary("sallyport"), "-c", s.directory / "sallyport.conf", "show", "status", "--json").stdout
    return json.loads(text)[key]


def sipp(s, node, scenario, address, *more):
    return s.start(node, stage.program("sipp"), "-sf", scenario, "-i", address, "-p", "5060", "-nostdin", "-nd", "-buff_size", "4194304",
                   *more, cpu=stage.LOAD_CPU, log=f"{node}.log")


def callers(s, scenario, rate, calls, most):
    sipp(s, "callee", HERE / "callee.xml", CALLEE)
    stage.wait_for("the callee", lambda: f"{CALLEE}:5060" in s.run("callee", "ss", "-Hlun").stdout)
    return sipp(s, "caller", scenario, CALLER, "-s", "200", "-r", rate, "-m", calls, "-l", most, "-recv_timeout", "60000", f"{OUTSIDE}:5060")


def measure_held(calls, rate, settle):
    with stage.Stage("held") as s:
        start(s, calls)
        empty = resident_kib(s)
        callers(s, held_scenario(s, 86400), rate, calls, calls + 1)
        stage.wait_for(f"{calls} calls", lambda: shown(s, "calls") >= calls, calls / rate * 3 + 30, 1.0)
        stage.wait_for("the end of what belongs to the calls' beginning", lambda: shown(s, "transactions") == 0, settle, 1.0)
        if shown(s, "calls") != calls:
            raise stage.Refused(f"{shown(s, 'calls')} of {calls} calls are held")
        per_call = (resident_kib(s) - empty) / calls
        stage.note(f"{calls} calls: {per_call:.2f} KiB each above {empty} KiB")
        stage.result("calls-held", f"memory-{calls}-calls", round(per_call, 2), BAR_KIB, "KiB/call", less_is_better=True, peer_name="the bar")


def measure_growth(calls, rate):
    """What ends a call is remembered for 64*T1: after that time at speed everything has its size, and nothing may be added."""
    warm = int(-(-45 * rate // (calls // 10)))  # parts of a tenth
    if warm > 8:
        raise stage.Refused(f"BENCH_GROWTH_CALLS={calls}: at {rate}/s these are over before the first ones are forgotten; {rate * 100} and more")
    with stage.Stage("growth") as s:
        start(s, 20000)
        levels = []  # KiB
        for part in range(10):
            settled = len(s.processes)
            caller = callers(s, HERE / "caller.xml", rate, calls // 10, rate * 10)
            caller.wait(calls / 10 / rate * 2 + 60)
            if caller.returncode != 0:
                raise stage.Refused(f"calls failed: {s.log('caller.log')}")
            for process in s.processes[settled:]:
                s.end(process, 2)
            levels.append(resident_kib(s))
            stage.note(f"{(part + 1) * calls // 10} calls: {levels[-1]} KiB")
        grown = max(0, levels[-1] - levels[warm - 1]) * 1024 / (calls * (10 - warm) / 10)
        stage.result("calls-held", f"growth-{calls}-calls", round(grown, 3), 10, "octets/call", less_is_better=True, peer_name="10 MB of a million calls")


def measure():
    calls, rate = stage.setting("BENCH_HELD_CALLS", 10000), stage.setting("BENCH_HELD_RATE", 1000)
    for daemon in bench_calls.DAEMONS:
        stage.binary(f"sallyport-{daemon}")
    measure_held(calls, rate, stage.setting("BENCH_HELD_SETTLE", 120))
    growth = stage.setting("BENCH_GROWTH_CALLS", 120000)
    if growth:
        measure_growth(growth, stage.setting("BENCH_GROWTH_RATE", 1000))
