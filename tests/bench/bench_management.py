# SPDX-License-Identifier: BSD-3-Clause
"""management: what a look each second costs the calls: at a steady rate, slices without and slices in which each second somebody asks for
`show calls`, walks all of SALLYPORT-MIB and fetches /metrics. Goodput is calls completed; beside it the time that the control plane's core worked.

The control plane has the core under test alone; dataplane, mgmt, snmpd, callers and those who ask have the other.
BENCH_MANAGEMENT_RATE (calls/s), BENCH_MANAGEMENT_SLICE (seconds), BENCH_MANAGEMENT_PAIRS (of slices)."""

import csv
import os
import statistics
import sys
import threading
import time

import bench_calls
import stage
from bench_calls import CALLEE, CALLER, HERE, OUTSIDE

BAR = 0.99
TREE = "1.3.6.1.4.1.8072.9999.9999.5060"
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
METRICS, SNMP = "127.0.0.1:9464", "127.0.0.1:1161"
TICK = os.sysconf("SC_CLK_TCK")


def start_snmpd(s):
    path = s.directory / "snmpd.conf"
    path.write_text(f"agentAddress udp:{SNMP}\nmaster agentx\nagentXSocket {s.directory}/agentx\nagentXPerms 0777 0777\nrocommunity public 127.0.0.1\n")
    s.start("sbc", stage.program("snmpd"), "-f", "-Lo", "-C", "-c", path, cpu=stage.LOAD_CPU, log="snmpd.log",
            env={**os.environ, "SNMP_PERSISTENT_DIR": str(s.directory)})


def configure(s):
    path = bench_calls.fill("sallyport.conf.in", s.directory / "sallyport.conf", DIRECTORY=s.directory, CPU=stage.LOAD_CPU,
                            KIND=os.environ.get("BENCH_CALLS_KIND", "xdp"))
    path.write_text(path.read_text() + f'metrics {{ listen = "{METRICS}" }}\nsnmp {{ enabled = yes  agentx = "{s.directory}/agentx" }}\n')
    return path


class Looks:
    """One look of all three kinds each second, while it is told to; each is a program or a connection of its own."""

    def __init__(self, s):
        self.stage, self.on, self.over = s, threading.Event(), threading.Event()
        self.done, self.seconds, self.rows = 0, [], 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        s = self.stage
        while not self.over.is_set():
            if not self.on.wait(0.1):
                continue
            began = time.monotonic()
            s.run("sbc", stage.binary("sallyport"), "-c", s.directory / "sallyport.conf", "show", "calls", cpu=stage.LOAD_CPU)
            self.rows = self.walk()
            page = s.run("sbc", sys.executable, "-c", FETCH, f"http://{METRICS}/metrics", cpu=stage.LOAD_CPU).stdout
            if "sallyport" not in page:
                raise stage.Refused("nothing at /metrics")
            self.done += 1
            self.seconds.append(time.monotonic() - began)
            self.over.wait(max(0, 1 - (time.monotonic() - began)))

    def walk(self):
        """How many values SALLYPORT-MIB has."""
        return self.stage.run("sbc", stage.program("snmpbulkwalk"), "-v2c", "-c", "public", "-On", "-t", "10", SNMP, TREE,
                              cpu=stage.LOAD_CPU).stdout.count("\n.")


def worked(process):
    """Seconds of CPU."""
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def completed(path):
    """Complete calls, failed or repeated ones, and when that was, as sipp wrote it last: once a second."""
    last = ([row for row in csv.DictReader(path.open(), delimiter=";") if row["Retransmissions(C)"]] or [None])[-1]
    if last is None:
        return 0, 0, 0.0
    return (int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]) + int(last["Retransmissions(C)"]), float(last["CurrentTime"].split("\t")[-1]))


def start_calls(s, rate, statistics_file):
    def sipp(scenario, address, *more):
        return s.start(scenario, stage.program("sipp"), "-sf", HERE / f"{scenario}.xml", "-i", address, "-p", "5060", "-nostdin", "-nd",
                       "-buff_size", "4194304", *more, cpu=stage.LOAD_CPU, log=f"{scenario}.log")

    sipp("callee", CALLEE)
    stage.wait_for("the callee", lambda: f"{CALLEE}:5060" in s.run("callee", "ss", "-Hlun").stdout)
    sipp("caller", CALLER, "-s", "200", "-r", rate, "-l", rate * 10, "-trace_stat", "-stf", statistics_file, "-fd", "1",
         "-recv_timeout", "8000", f"{OUTSIDE}:5060")


def measure():
    rate, pairs = stage.setting("BENCH_MANAGEMENT_RATE", 1000), stage.setting("BENCH_MANAGEMENT_PAIRS", 4)
    length = stage.setting("BENCH_MANAGEMENT_SLICE", 10)
    with stage.Stage("management") as s:
        bench_calls.build(s)
        config = configure(s)
        start_snmpd(s)
        bench_calls.start_sallyport(s, config, control_cpu=stage.CPU, other_cpu=stage.LOAD_CPU)
        control = next(p for p in s.processes if "controlplane" in " ".join(map(str, p.args)))
        looks = Looks(s)
        stage.wait_for("SALLYPORT-MIB", lambda: looks.walk() > 0, 30, 0.5)
        numbers = s.directory / "statistics.csv"
        start_calls(s, rate, numbers)
        stage.wait_for("calls", lambda: numbers.exists() and completed(numbers)[0] > 3 * rate, 30, 0.5)
        looks.thread.start()
        goodput, load, repeated = {False: [], True: []}, {False: [], True: []}, {False: 0, True: 0}
        try:
            for _ in range(pairs):
                for watched in (False, True):
                    (looks.on.set if watched else looks.on.clear)()
                    time.sleep(1.5)  # what the other slice began is over
                    before, cpu, began = completed(numbers), worked(control), time.monotonic()
                    time.sleep(length)
                    after, took = completed(numbers), time.monotonic() - began
                    goodput[watched].append((after[0] - before[0]) / (after[2] - before[2]))
                    load[watched].append((worked(control) - cpu) / took)
                    repeated[watched] += after[1] - before[1]
        finally:
            looks.over.set()
            looks.thread.join()
        for watched in (False, True):
            stage.note(f"{'with' if watched else 'without'} looks: {' '.join(f'{g:.0f}' for g in goodput[watched])} calls/s, the control plane's core busy "
                       f"{' '.join(f'{100 * c:.1f}' for c in load[watched])} %, {repeated[watched]} failed or repeated")
        stage.note(f"{looks.done} looks, each {statistics.median(looks.seconds):.2f} s, {looks.rows} values in a walk")
        stage.result("management", f"goodput-at-{rate}", round(statistics.mean(goodput[True]), 1), round(statistics.mean(goodput[False]), 1), "calls/s",
                     peer_name="the same without looks", bar=BAR, looks=looks.done)
        stage.result("management", "core-of-the-control-plane", round(100 * statistics.mean(load[True]), 2), round(100 * statistics.mean(load[False]), 2),
                     "%", less_is_better=True, peer_name="the same without looks")
