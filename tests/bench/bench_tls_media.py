# SPDX-License-Identifier: BSD-3-Clause
"""tls-media: is a packet of RTP delayed by more than a millisecond because there are BENCH_TLS_MEDIA_RATE TLS handshakes a second at the same port?
BENCH_TLS_MEDIA_CALLS calls are relayed all the while; slices of time with handshakes and without take turns in one run (delays.c, handshakes.c).

The handshakes are whole ones (TLS 1.3, X25519, ECDSA P-256, no tickets), counted by the SBC, too. The packet worker has one core; the other one has the
control plane, who asks for the handshakes, and who sends the RTP. So a packet's time does not begin when it was sent but when the SBC's kernel has it
from the wire, and what the hypervisor takes of the cores (and other programs and the
kernel's workers, of the worker's) is observed beside it and taken off: the machine does that with handshakes and without. The
slices without are the control: what is left there says how good that is.

BENCH_TLS_MEDIA_SLICES (an even number), BENCH_TLS_MEDIA_SECONDS (of a slice). On packet: ports, where
the kernel's time stamps are to be had at both ends."""

import json
import os
import pathlib
import subprocess
import time

import stage
import traffic
from bench_flood import AGENT, absent, show, start_sallyport
from bench_relay_veth import sessions
from traffic import FAR, INSIDE, NEAR, OUTSIDE

BAR_US = 1000
TLS_PORT = 5061
PACKETS = ("ksoftirqd/", "napi/", "rcu", "irq/", "migration/")  # threads of the kernel
LEAD = 2  # seconds until the first slice

MORE = """
guard {{ mode = watch  untrusted-rate = 1000000  untrusted-burst = 1000000  untrusted-class-rate = 0  stream-rate = 1000000  syn-rate = 1000000 }}
sip-config {{ tls-handshake-rate = 0  tls-max-handshakes = 1000  stream-max-connections = 10000  stream-max-per-source = 10000 }}
tls-profile bench {{ certificate = "{directory}/tls.pem"  key = "{directory}/tls.key"  session-tickets = no }}
sip-interface tls {{ realm = access  listen = {{"tls:{OUTSIDE}:{port}"}}  ip-profile = trunk  allow-anonymous = all  tls-profile = bench }}
"""


def certificate(s):
    done = s.run(None, stage.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=bench", "-keyout", s.directory / "tls.key", "-out", s.directory / "tls.pem")
    if done.returncode != 0:
        raise stage.Refused(f"openssl req: {done.stderr.strip()}")
    (s.directory / "tls.key").chmod(0o644)  # the daemon is nobody


def threads(s):
    """Those of the SBC that are on the worker's core, and those of the kernel's that handshakes may make work there. Others (its workers, which do work of
    anybody's, the watch on memory) are the machine's: if handshakes made them work, others_ms would be more with handshakes than without."""
    tasks = [task for process in s.processes if process.poll() is None for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()]
    ours = [task.name for task in tasks if os.sched_getaffinity(int(task.name)) == {stage.CPU}]
    kernel = s.run(None, stage.program("pgrep"), "--parent", "2", "--list-name").stdout.split("\n")
    return ours + [line.split()[0] for line in kernel if line and line.split()[1].startswith(PACKETS)]


def come_first(s):
    """All but the worker, which has a core of its own, take the other one from other programs, by turns among themselves."""
    for process in s.processes:
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            if os.sched_getaffinity(int(task.name)) != {stage.CPU}:
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))


def output(s, process, name):
    text = process.communicate()[0]
    if s.end(process) != 0:
        raise stage.Refused(f"{name}: {text.strip()}")
    stage.note(text.strip())
    return json.loads(text[text.index("{"):])


def counted(s):
    """Handshakes that the SBC has done."""
    return next(row["value"] for row in json.loads(show(s, "counters"))["controlplane"] if row["name"] == "tls-handshakes")


def run(s, flows, slices, seconds, rate):
    """(what delays.c says, handshakes of each slice)."""
    begin = round((time.time() + LEAD) * 1e9)
    shape = ["-b", begin, "-s", seconds * 1000, "-n", slices]
    nodes = [word for option, node, interfaces in (("-S", "sbc", "eth1,eth2"), ("-A", "near", "eth0"), ("-B", "far", "eth0"))
             for word in (option, f"{s.prefix}-{node},{interfaces}")]
    media = s.start(None, stage.binary("bench/delays"), "-l", flows, *nodes, *shape, "-c", f"{stage.CPU},{stage.LOAD_CPU}",
                    "-w", ",".join(threads(s)), cpu=stage.LOAD_CPU, stdout=subprocess.PIPE, text=True)
    clients = s.start("near", stage.program("chrt"), "--rr", "1", stage.binary("bench/handshakes"), OUTSIDE, TLS_PORT, rate, begin, seconds * 1000, slices,
                      cpu=stage.LOAD_CPU, stdout=subprocess.PIPE, text=True)
    first = counted(s)
    report, made = output(s, media, "delays"), output(s, clients, "handshakes")
    if counted(s) - first < sum(made["done"]):
        raise stage.Refused(f"{sum(made['done'])} handshakes were done, the SBC counts {counted(s) - first}")
    return report, made


def measure():
    calls, rate = stage.setting("BENCH_TLS_MEDIA_CALLS", 50), stage.setting("BENCH_TLS_MEDIA_RATE", 1000)
    slices, seconds = stage.setting("BENCH_TLS_MEDIA_SLICES", 12), stage.setting("BENCH_TLS_MEDIA_SECONDS", 5)
    with stage.Stage("tlsmedia") as s:
        traffic.build(s)
        s.address("near", "eth0", f"{AGENT}/24")
        certificate(s)
        s.run("near", "sysctl", "-qw", "net.ipv4.tcp_max_tw_buckets=0")  # ports are to be had again at once
        start_sallyport(s, "packet", MORE.format(directory=s.directory, OUTSIDE=OUTSIDE, port=TLS_PORT))
        come_first(s)
        for node, source, target in (("near", NEAR, OUTSIDE), ("far", FAR, INSIDE)):
            s.run(node, "ping", "-c", "1", "-W", "2", "-I", source, target)
        ports = [line.split() for line in sessions(s, s.directory / "run" / "dataplane.sock", calls).splitlines()]
        flows = traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "sp-outside"), traffic.mac(s, "sbc", "sp-inside")))
        run(s, flows, 2, 1, rate)  # everybody learns who is where
        before = absent(s)
        report, made = run(s, flows, slices, seconds, rate)
        stolen, waited = (now - then for now, then in zip(absent(s), before))
    stage.note(f"/proc/stat: {stolen} ms of the worker's CPU stolen; the worker kept waiting for {waited / 1e6:.1f} ms")
    done = made["done"][1::2]
    reached = min(done) / seconds
    for case, found in (("quiet", report["even"]), ("handshakes", report["odd"])):
        million = 1e6 / max(1, found["packets"])
        stage.result("tls-media", f"{case}-longest-unexplained", found["max_unexplained_us"], None, "us", bar=BAR_US,
                     handshakes_per_second=round(sum(done) / len(done) / seconds) if case == "handshakes" else 0,
                     slowest_slice=round(reached) if case == "handshakes" else 0, packets=found["packets"], lost=found["lost"],
                     over_1ms=found["late"], over_1ms_unexplained=found["late_unexplained"],
                     over_1ms_per_million=round(found["late"] * million, 1),
                     over_1ms_unexplained_per_million=round(found["late_unexplained"] * million, 1), longest=found["max_us"],
                     p50=found["p50_us"], p99=found["p99_us"], p999=found["p999_us"], taken_ms=found["taken_ms"],
                     others_ms=found["others_ms"], taken_other_core_ms=found["taken_other_cpu_ms"])
    if reached < rate * 0.99:
        raise stage.Refused(f"only {reached:.0f} handshakes/s could be made in the slowest slice: no result for {rate}")
