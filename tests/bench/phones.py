# SPDX-License-Identifier: BSD-3-Clause
"""Phones that register and their registrar (phones.c) from a benchmark, beside calls (sipp) of callers that have registered. The server has
one core for all its daemons, everything else the other one."""

import csv
import json
import os
import signal
import subprocess
import time

import bench_calls
import stage
import traffic
from bench_calls import CALLEE, CALLER, INSIDE, OUTSIDE

HERE = stage.HERE / "phones"
REGISTRAR = "10.0.0.6"
CALLERS_FIRST = 20  # 203.0.113.20 and on; a single one is CALLER
HOSTS = "198.18.0.0/15"  # of phones
DAEMONS = {"dataplane": "sallyport-datap", "controlplane": "sallyport-contr"}


def start(s, upstream_rate, registered_rate=200):
    """Namespaces and the SBC."""
    bench_calls.build(s)
    s.address("callee", "eth0", f"{REGISTRAR}/24")
    s.run("caller", "ip", "route", "add", "local", HOSTS, "dev", "lo")
    for interface in ("eth1", "eth2"):
        s.run("sbc", "ethtool", "-K", interface, "gro", "on")  # for floods: see traffic.build
    kind = os.environ.get("BENCH_CALLS_KIND", "xdp")
    text = (HERE / "sallyport.conf.in").read_text()
    values = {"DIRECTORY": s.directory, "CPU": stage.CPU, "KIND": kind, "OUTSIDE": OUTSIDE, "INSIDE": INSIDE, "CALLER": CALLER, "CALLEE": CALLEE,
              "REGISTRAR": REGISTRAR, "UPSTREAM_RATE": upstream_rate, "REGISTERED_RATE": registered_rate}
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    config = s.directory / "sallyport.conf"
    config.write_text(text)
    bench_calls.start_sallyport(s, config)
    traffic.polled(s, kind)


def show(s, *what):
    return s.run("sbc", stage.binary("sallyport"), "-c", s.directory / "sallyport.conf", "show", *what).stdout


class Phones:
    """phones.c: commands and its answers."""

    def __init__(self, s, count, per_host):
        self.process = s.start(None, stage.binary("bench/phones"), "-P", f"{s.prefix}-caller", "-R", f"{s.prefix}-callee", "-n", count, "-h", per_host,
                               "-s", OUTSIDE, "-r", REGISTRAR, cpu=stage.LOAD_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def tell(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            raise stage.Refused(f"phones: {line.strip()}")
        report = json.loads(line)
        if report:
            stage.note(" ".join(f"{key}={value}" for key, value in report.items()))
        return report

    def ask(self, command):
        self.tell(command)
        return self.answer()


class Calls:
    """Calls at a rate, shared by callers that have registered, each from the address and port where it did."""

    def __init__(self, s, callers=1):
        self.stage = s
        self.addresses = [CALLER] if callers == 1 else [f"203.0.113.{CALLERS_FIRST + i}" for i in range(callers)]
        self.running = []
        for address in self.addresses:
            if address != CALLER:
                s.address("caller", "eth0", f"{address}/24")
        self._sipp("callee", "callee", bench_calls.HERE / "callee.xml", CALLEE)
        stage.wait_for("the callee", lambda: f"{CALLEE}:5060" in s.run("callee", "ss", "-Hlun").stdout)

    def _sipp(self, node, log, scenario, address, *more):
        return self.stage.start(node, stage.program("sipp"), "-sf", scenario, "-i", address, "-p", "5060", "-nostdin", "-nd", "-buff_size", "4194304",
                                *more, cpu=stage.LOAD_CPU, log=f"{log}.log")

    def register(self):
        """To be called when the registrar is there."""
        for n, address in enumerate(self.addresses):
            process = self._sipp("caller", "register", HERE / "register.xml", address, "-s", f"p{900000 + n}", "-au", f"p{900000 + n}", "-ap", "secret",
                                 "-m", "1", f"{OUTSIDE}:5060")
            try:
                failed = process.wait(20) != 0
            except subprocess.TimeoutExpired:
                failed = True
            if failed:
                raise stage.Refused(f"a caller cannot register: {self.stage.log('register.log')}")

    def begin(self, rate):
        for n, address in enumerate(self.addresses):
            statistics = self.stage.directory / f"statistics{n}.csv"
            statistics.unlink(missing_ok=True)
            each = max(1, rate // len(self.addresses))
            process = self._sipp("caller", f"caller{n}", bench_calls.HERE / "caller.xml", address, "-s", "200", "-r", each, "-l", each * 40,
                                 "-trace_stat", "-stf", statistics, "-fd", "1", "-recv_timeout", "32000", f"{OUTSIDE}:5060")
            self.running.append((process, statistics))

    def finish(self):
        """(complete, failed, repeated messages) since begin(); calls under way come to their end."""
        total = [0, 0, 0]
        for process, _ in self.running:
            process.send_signal(signal.SIGUSR1)
        for process, statistics in self.running:
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                self.stage.end(process, 2)
            rows = list(csv.DictReader(statistics.open(), delimiter=";")) if statistics.exists() else []
            if not rows:
                raise stage.Refused(f"sipp: {self.stage.log('caller0.log')}")
            # Whoever has not come to an end by now has failed.
            created, complete = int(rows[-1]["TotalCallCreated"]), int(rows[-1]["SuccessfulCall(C)"])
            total = [total[0] + complete, total[1] + created - complete, total[2] + int(rows[-1]["Retransmissions(C)"])]
        self.running = []
        return tuple(total)


class CoreTime:
    """Percent of a core that each daemon takes, between two looks."""

    def __init__(self, s):
        self.stage, self.last, self.when = s, {}, 0.0
        self.look()

    def look(self):
        now, taken = time.monotonic(), {}
        for process in self.stage.processes:
            try:
                text = open(f"/proc/{process.pid}/stat").read()
            except OSError:
                continue
            name, fields = text[text.index("(") + 1:text.rindex(")")], text.rsplit(")", 1)[1].split()
            for daemon, comm in DAEMONS.items():
                if name == comm:
                    taken[daemon] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        share = {daemon: round(100 * (taken[daemon] - self.last.get(daemon, 0)) / (now - self.when)) for daemon in taken}
        self.last, self.when = taken, now
        return share
