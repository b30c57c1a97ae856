# SPDX-License-Identifier: BSD-3-Clause
"""flood: 1,000,000 packets a second from random sources to the signalling port, half of them SIP, half garbage, while 1,000 calls
run (2,000 streams of RTP, 50 packets a second each) and a configured agent asks OPTIONS through the same port: how many RTP packets
are lost with the flood off and on, and how many of the agent's requests are answered at once. The packet worker has one core; the
other one makes all traffic, and has the control plane.

BENCH_FLOOD_RATE, BENCH_FLOOD_CALLS, BENCH_FLOOD_SECONDS (of one measurement), BENCH_FLOOD_ROUNDS, BENCH_FLOOD_KIND (xdp, packet)."""

import csv
import os
import pathlib
import socket

import stage
import traffic
from bench_relay_veth import sessions
from traffic import FAR, INSIDE, NEAR, OUTSIDE

HERE = stage.HERE / "flood"
AGENT = "203.0.113.3"
OPTIONS_RATE = 50
PACKETS_PER_SECOND = 50  # of one stream


def start_sallyport(s, kind, more=""):
    """All daemons; `more` configuration behind that of the flood."""
    config = s.directory / "sallyport.conf"
    text = (HERE / "sallyport.conf.in").read_text()
    values = {"DIRECTORY": s.directory, "CPU": stage.CPU, "KIND": kind, "OUTSIDE": OUTSIDE, "INSIDE": INSIDE, "NEAR": NEAR, "FAR": FAR, "AGENT": AGENT}
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    config.write_text(text + more)
    for daemon in ("dataplane", "controlplane", "mgmt"):
        process = s.start("sbc", stage.binary(f"sallyport-{daemon}"), "-c", config, log=f"{daemon}.log")

        def serves():
            if process.poll() is not None:
                raise stage.Refused(f"sallyport-{daemon}: {s.log(f'{daemon}.log')}")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
                return probe.connect_ex(str(s.directory / "run" / f"{daemon}.sock")) == 0

        stage.wait_for(f"sallyport-{daemon}", serves)
        keep_away(process)
    traffic.polled(s, kind)
    stage.wait_for("the SBC being in service", lambda: '"state": "in-service"' in show(s, "status"))


def keep_away(process):
    """The worker has pinned itself to its core; all other threads go to the other one."""
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        if os.sched_getaffinity(int(task.name)) != {stage.CPU}:
            os.sched_setaffinity(int(task.name), {stage.LOAD_CPU})


def show(s, *what):
    return s.run("sbc", stage.binary("sallyport"), "-c", s.directory / "sallyport.conf", "show", *what, "--json").stdout


def start_agent(s, seconds):
    """OPTIONS all the while; returns the process and the file of its statistics."""
    statistics = s.directory / "statistics.csv"
    statistics.unlink(missing_ok=True)
    process = s.start("near", stage.program("sipp"), "-sf", HERE / "options.xml", "-i", AGENT, "-p", "5060", "-nostdin", "-nd",
                      "-r", OPTIONS_RATE, "-m", round(OPTIONS_RATE * seconds), "-trace_stat", "-stf", statistics, "-fd", "1",
                      f"{OUTSIDE}:5060", cpu=stage.LOAD_CPU, log="agent.log")
    return process, statistics


def answered(s, process, statistics):
    """(answered, asked) of the agent."""
    process.wait(30)
    rows = list(csv.DictReader(statistics.open(), delimiter=";")) if statistics.exists() else []
    if not rows:
        raise stage.Refused(f"sipp: {s.log('agent.log')}")
    return int(rows[-1]["SuccessfulCall(C)"]), int(rows[-1]["SuccessfulCall(C)"]) + int(rows[-1]["FailedCall(C)"])


def absent(s):
    """(milliseconds for which the hypervisor had the worker's CPU, nanoseconds for which our worker waited for others on it)."""
    stolen = next(line.split()[8] for line in open("/proc/stat") if line.startswith(f"cpu{stage.CPU} "))
    waited = 0
    for process in s.processes:
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir() if process.poll() is None else ():
            if "worker" in (task / "comm").read_text() and os.sched_getaffinity(int(task.name)) == {stage.CPU}:
                waited += int((task / "schedstat").read_text().split()[1])
    return int(stolen) * 1000 // os.sysconf("SC_CLK_TCK"), waited


def run(s, flows, calls, seconds, flood):
    """(RTP sent, RTP lost, OPTIONS answered, OPTIONS asked, flood a second, milliseconds stolen, milliseconds waited)."""
    agent, statistics = start_agent(s, seconds - 1)
    before = absent(s)
    report = traffic.run(s, seconds, flows, rate=2 * calls * PACKETS_PER_SECOND, flood=flood, flood_mac=traffic.mac(s, "sbc", "sp-outside"))
    stolen, waited = (now - then for now, then in zip(absent(s), before))
    good, asked = answered(s, agent, statistics)
    lost = report["rtp_sent"] - report["rtp_received"]
    stage.note(f"{report['flooded']:,.0f}/s of flood: {lost} of {report['rtp_sent']} RTP lost, {good} of {asked} OPTIONS answered; "
               f"worker's CPU stolen for {stolen} ms, its worker kept waiting for {waited / 1e6:.1f} ms")
    return report["rtp_sent"], lost, good, asked, report["flooded"], stolen, waited / 1e6


def measure():
    rate, calls = stage.setting("BENCH_FLOOD_RATE", 1000000), stage.setting("BENCH_FLOOD_CALLS", 1000)
    seconds, rounds = stage.setting("BENCH_FLOOD_SECONDS", 20), stage.setting("BENCH_FLOOD_ROUNDS", 3)
    kind = os.environ.get("BENCH_FLOOD_KIND", "xdp")
    with stage.Stage("flood") as s:
        traffic.build(s)
        s.address("near", "eth0", f"{AGENT}/24")
        start_sallyport(s, kind)
        for node, source, target in (("near", NEAR, OUTSIDE), ("near", AGENT, OUTSIDE), ("far", FAR, INSIDE)):
            s.run(node, "ping", "-c", "1", "-W", "2", "-I", source, target)
        ports = [line.split() for line in sessions(s, s.directory / "run" / "dataplane.sock", calls).splitlines()]
        flows = traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "sp-outside"), traffic.mac(s, "sbc", "sp-inside")))
        run(s, flows, calls, 3, 0)  # everybody learns who is where
        off, on = [], []
        for _ in range(rounds):
            off.append(run(s, flows, calls, seconds, 0))
            on.append(run(s, flows, calls, seconds, rate))
        stage.note(show(s, "drops"))
    for name, runs in (("off", off), ("on", on)):
        sent, lost, good, asked, _, stolen, waited = (sum(column) for column in zip(*runs))
        stage.result("flood", f"{kind}-flood-{name}-rtp-lost", lost, None, "packets", of=sent, flood_per_second=round(min(r[4] for r in runs)),
                     stolen_ms=stolen, waited_ms=round(waited, 1))
        stage.result("flood", f"{kind}-flood-{name}-options-answered", round(100 * good / asked, 3), None, "percent", of=asked)
