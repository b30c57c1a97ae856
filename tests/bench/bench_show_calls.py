# SPDX-License-Identifier: BSD-3-Clause
"""show-calls: the time until the first line of `show calls` is there with many calls up, against the bar of 100 ms; and how long others wait for
the answer to their calls while one list follows the other (the 99th of 100), against the same without.

The control plane has the core under test, everything else the other.
BENCH_SHOW_CALLS (held), BENCH_SHOW_CALLS_RATE (of setting these up), BENCH_SHOW_CALLS_TURNS (lists that are timed), BENCH_SHOW_CALLS_PROBES (calls
a second that are timed), BENCH_SHOW_CALLS_SECONDS (of them)."""

import csv
import statistics
import subprocess
import threading
import time

import bench_calls
import bench_calls_held
import stage
from bench_calls import CALLER, HERE, OUTSIDE

BAR_MS = 100


def timed_scenario(s):
    """The caller's scenario: from INVITE to 200 its time is taken."""
    text = (HERE / "caller.xml").read_text()
    text = text.replace('<send retrans="500">', '<send retrans="500" start_rtd="1">', 1).replace('rrs="true"', 'rrs="true" rtd="1"', 1)
    path = s.directory / "caller_timed.xml"
    path.write_text(text)
    return path


def show(s):
    """One list: milliseconds until its first line, until its end, and how many lines it has."""
    began = time.monotonic()
    process = s.start("sbc", stage.binary("sallyport"), "-c", s.directory / "sallyport.conf", "show", "calls", cpu=stage.LOAD_CPU,
                      stdout=subprocess.PIPE)
    process.stdout.readline()
    first = time.monotonic()
    lines = sum(1 for _ in process.stdout) + 1
    process.wait()
    s.processes.remove(process)
    return (first - began) * 1000, (time.monotonic() - began) * 1000, lines


def probe(s, scenario, rate, seconds):
    """How long the answers to calls took, in milliseconds."""
    caller = s.start("caller", stage.program("sipp"), "-sf", scenario, "-i", CALLER, "-p", "5062", "-nostdin", "-nd", "-s", "200", "-r", rate,
                     "-m", int(rate * seconds), "-trace_rtt", "-rtt_freq", "1", "-recv_timeout", "8000", f"{OUTSIDE}:5060",
                     cpu=stage.LOAD_CPU, log="probe.log", cwd=s.directory)
    if caller.wait(seconds * 3 + 30) != 0:
        raise stage.Refused(f"calls failed: {s.log('probe.log')}")
    s.processes.remove(caller)
    times = []
    for path in s.directory.glob("*_rtt.csv"):
        times += [float(row["response_time_ms"].strip()) for row in csv.DictReader(path.open(), delimiter=";") if row["response_time_ms"]]
        path.unlink()
    return sorted(times)


def percentile(times, share):
    return times[min(len(times) - 1, int(len(times) * share))]


def measure():
    calls, rate = stage.setting("BENCH_SHOW_CALLS", 50000), stage.setting("BENCH_SHOW_CALLS_RATE", 1000)
    turns, probes = stage.setting("BENCH_SHOW_CALLS_TURNS", 5), stage.setting("BENCH_SHOW_CALLS_PROBES", 100)
    seconds = stage.setting("BENCH_SHOW_CALLS_SECONDS", 10)
    with stage.Stage("show-calls") as s:
        bench_calls_held.start(s, calls + probes * 10, control_cpu=stage.CPU, other_cpu=stage.LOAD_CPU)
        bench_calls_held.callers(s, bench_calls_held.held_scenario(s, 86400), rate, calls, calls + 1)
        stage.wait_for(f"{calls} calls", lambda: bench_calls_held.shown(s, "calls") >= calls, calls / rate * 3 + 30, 1.0)
        took = [show(s) for _ in range(turns)]
        stage.note(f"{calls} calls: first line, end (ms), lines: " + "; ".join(f"{f:.0f}, {e:.0f}, {n}" for f, e, n in took))
        stage.result("show-calls", f"first-line-of-{calls}", round(statistics.median(f for f, _, _ in took), 1), BAR_MS, "ms",
                     less_is_better=True, peer_name="the bar")
        scenario = timed_scenario(s)
        without = probe(s, scenario, probes, seconds)
        over = threading.Event()
        lists = []

        def again_and_again():
            while not over.is_set():
                lists.append(show(s))

        reader = threading.Thread(target=again_and_again)
        reader.start()
        try:
            beside = probe(s, scenario, probes, seconds)
        finally:
            over.set()
            reader.join()
        stage.note(f"call setup, ms: p50 {percentile(without, .5):g}, p99 {percentile(without, .99):g}, most {without[-1]:g}; beside {len(lists)} lists: "
                   f"p50 {percentile(beside, .5):g}, p99 {percentile(beside, .99):g}, most {beside[-1]:g}")
        stage.result("show-calls", "p99-setup-beside-lists", percentile(beside, .99), percentile(without, .99), "ms", less_is_better=True,
                     peer_name="the same without lists", lists=len(lists))
