# SPDX-License-Identifier: BSD-3-Clause
"""calls: complete calls per second (INVITE 180 200 ACK BYE 200, with SDP and media ports leased) that one core carries
without losing one, against Kamailio 5.6 with dialog, topoh and rtpengine on the same core, callers and network.

sipp makes and answers the calls on one other core; where that comes to its end first, the result says limited_by "load".

BENCH_CALLS_SECONDS (of one rate), BENCH_CALLS_FIRST (rate), BENCH_CALLS_MOST (rate), BENCH_CALLS_KIND (xdp, packet),
BENCH_KAMAILIO_CHILDREN, BENCH_KAMAILIO_MEMORY (tlsf, fm, qm)."""

import csv
import os
import socket
import subprocess
import time

import stage

CALLER, OUTSIDE, INSIDE, CALLEE = "203.0.113.2", "203.0.113.10", "10.0.0.1", "10.0.0.5"
HERE = stage.HERE / "calls"
DAEMONS = ("dataplane", "controlplane", "mgmt")


def fill(template, target, **values):
    text = (HERE / template).read_text()
    for key, value in {"OUTSIDE": OUTSIDE, "INSIDE": INSIDE, "CALLEE": CALLEE, **values}.items():
        text = text.replace(f"@{key}@", str(value))
    target.write_text(text)
    return target


def build(s):
    for node in ("caller", "sbc", "callee"):
        s.namespace(node)
    s.cable("caller", "eth0", "sbc", "eth1")
    s.cable("callee", "eth0", "sbc", "eth2")
    s.address("caller", "eth0", f"{CALLER}/24")
    s.address("callee", "eth0", f"{CALLEE}/24")


def listens(s, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        return probe.connect_ex(str(path)) == 0


def start_sallyport(s, config=None, control_cpu=stage.CPU, other_cpu=stage.CPU):
    """All daemons on the core under test, or the control plane on one and the others on another, with the configuration given or that of calls."""
    kind = os.environ.get("BENCH_CALLS_KIND", "xdp")
    config = config or fill("sallyport.conf.in", s.directory / "sallyport.conf", DIRECTORY=s.directory, CPU=other_cpu, KIND=kind)
    for daemon in DAEMONS:
        cpu = control_cpu if daemon == "controlplane" else other_cpu
        process = s.start("sbc", stage.binary(f"sallyport-{daemon}"), "-c", config, cpu=cpu, log=f"{daemon}.log")

        def serves():
            if process.poll() is not None:
                raise stage.Refused(f"sallyport-{daemon}: {s.log(f'{daemon}.log')}")
            return listens(s, s.directory / "run" / f"{daemon}.sock")

        stage.wait_for(f"sallyport-{daemon}", serves)

    def in_service():
        shown = s.run("sbc", stage.binary("sallyport"), "-c", config, "show", "status", "--json").stdout
        return '"state": "in-service"' in shown

    stage.wait_for("the SBC being in service", in_service)


def start_kamailio(s):
    s.address("sbc", "eth1", f"{OUTSIDE}/24")
    s.address("sbc", "eth2", f"{INSIDE}/24")
    rtpengine = s.start(
        "sbc", stage.program("rtpengine"), "--config-file=none", f"--interface=outside/{OUTSIDE}", f"--interface=inside/{INSIDE}",
        "--listen-ng=127.0.0.1:2223", "--table=-1", "--foreground", "--log-stderr", "--log-level=2", "--num-threads=1", "--delete-delay=0",
        "--port-min=20000", "--port-max=59999", cpu=stage.CPU, log="rtpengine.log")

    def answers():
        if rtpengine.poll() is not None:
            raise stage.Refused(f"rtpengine: {s.log('rtpengine.log')}")
        return "127.0.0.1:2223" in s.run("sbc", "ss", "-Hlun").stdout

    stage.wait_for("rtpengine", answers)
    config = fill("kamailio.cfg.in", s.directory / "kamailio.cfg", CHILDREN=stage.setting("BENCH_KAMAILIO_CHILDREN", 4))
    kamailio = s.start(
        "sbc", stage.program("kamailio"), "-f", config, "-DD", "-E", "-m", "1024", "-M", "32",
        "-x", os.environ.get("BENCH_KAMAILIO_MEMORY", "fm"), "-Y", s.directory,
        cpu=stage.CPU, log="kamailio.log")

    def serves():
        if kamailio.poll() is not None:
            raise stage.Refused(f"kamailio: {s.log('kamailio.log')}")
        return f"{INSIDE}:5060" in s.run("sbc", "ss", "-Hlun").stdout

    stage.wait_for("kamailio", serves)


def offer(s, rate, calls, in_time):
    """(complete, failed, repeated, seconds) of so many calls, given up soon after the time they may take."""
    statistics = s.directory / "statistics.csv"
    statistics.unlink(missing_ok=True)

    def sipp(scenario, address, *more):
        return s.start(scenario, stage.program("sipp"), "-sf", HERE / f"{scenario}.xml", "-i", address, "-p", "5060", "-nostdin", "-nd",
                       "-buff_size", "4194304", *more, cpu=stage.LOAD_CPU, log=f"{scenario}.log")

    sipp("callee", CALLEE)
    stage.wait_for("the callee", lambda: f"{CALLEE}:5060" in s.run("callee", "ss", "-Hlun").stdout)
    began = time.monotonic()
    caller = sipp("caller", CALLER, "-s", "200", "-r", rate, "-m", calls, "-l", rate * 10, "-trace_stat", "-stf", statistics,
                  "-fd", "1", "-recv_timeout", "8000", f"{OUTSIDE}:5060")
    try:
        caller.wait(in_time + 1)
    except subprocess.TimeoutExpired:
        pass
    seconds = time.monotonic() - began
    s.end(caller, 2)
    rows = list(csv.DictReader(statistics.open(), delimiter=";")) if statistics.exists() else []
    if not rows:
        raise stage.Refused(f"sipp: {s.log('caller.log')}")
    return (*(int(rows[-1][key]) for key in ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)")), seconds)


class Server:
    """The server under test. After a rate it could not carry it is started anew: what it still repeats is no later rate's fault."""

    def __init__(self, name, start):
        self.name, self.start, self.stage = name, start, None
        self.limit = None  # what the last rate not carried failed of

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.stage:
            self.stage.__exit__()
            self.stage = None

    def tried(self, rate, seconds):
        """Is every call of `seconds` at this rate complete, and in time? What came near it is tried again."""
        calls = max(50, int(rate * seconds))
        in_time = calls / rate * 1.1 + 0.5
        for _ in range(2):
            if self.stage is None:
                self.stage = stage.Stage(self.name).__enter__()
                build(self.stage)
                self.start(self.stage)
            settled = len(self.stage.processes)
            complete, failed, repeated, took = offer(self.stage, rate, calls, in_time)
            for process in self.stage.processes[settled:]:
                self.stage.end(process, 2)
            good = complete == calls and took < in_time
            stage.note(f"{self.name} {rate}/s: {complete} of {calls} complete, {failed} failed, {repeated} repeated, "
                       f"in {took:.1f} s: {'yes' if good else 'no'}")
            if good:
                return True
            self.limit = "load" if failed == 0 and repeated == 0 and complete else "server"
            self.__exit__()
            if complete < calls * 0.9:
                break
        return False

    def highest(self, seconds, first, most):
        """The highest rate carried, to about 5 %: doubled until it fails, then halved in."""
        low, high = 0, first
        while high <= most and self.tried(high, seconds):
            low, high = high, high * 2
        while low and high - low > max(10, low // 20) and low < most:
            middle = (low + high) // 2
            low, high = (middle, high) if self.tried(middle, seconds) else (low, middle)
        stage.note(f"{self.name}: {low}/s")
        return low


def measure():
    seconds, first = stage.setting("BENCH_CALLS_SECONDS", 6.0), stage.setting("BENCH_CALLS_FIRST", 400)
    most = stage.setting("BENCH_CALLS_MOST", 25600)
    for daemon in DAEMONS:
        stage.binary(f"sallyport-{daemon}")
    with Server("kamailio", start_kamailio) as peer, Server("sallyport", start_sallyport) as ours:
        theirs = peer.highest(seconds, first, most)
        mine = ours.highest(seconds, first, most)
    # limited_by: "load" where the callers lost and repeated nothing, but did not come to their rate.
    stage.result("calls", "udp-invite-bye", mine, theirs, "calls/s", peer_name="kamailio dialog topoh rtpengine", limited_by=ours.limit)
