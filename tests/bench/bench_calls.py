# SPDX-License-Identifier: BSD-3-Clause
"""calls: complete calls per second (INVITE 180 200 ACK BYE 200, with SDP and media ports leased) that one core carries
without losing one, against Kamailio 5.6 with dialog, topoh and rtpengine on the same core, callers and network.

BENCH_CALLS_SECONDS (of one rate), BENCH_CALLS_FIRST (rate), BENCH_CALLS_MOST (rate), BENCH_CALLS_KIND (xdp, packet),
BENCH_KAMAILIO_CHILDREN, BENCH_KAMAILIO_MEMORY (tlsf, fm, qm)."""

import csv
import os
import socket
import time

import stage

CALLER, OUTSIDE, INSIDE, CALLEE = "203.0.113.2", "203.0.113.10", "10.0.0.1", "10.0.0.5"
HERE = stage.HERE / "calls"


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


def start_sallyport(s):
    kind = os.environ.get("BENCH_CALLS_KIND", "xdp")
    config = fill("sallyport.conf.in", s.directory / "sallyport.conf", DIRECTORY=s.directory, CPU=stage.CPU, KIND=kind)
    for daemon in ("dataplane", "controlplane", "mgmt"):
        process = s.start("sbc", stage.binary(f"sallyport-{daemon}"), "-c", config, cpu=stage.CPU, log=f"{daemon}.log")

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
        "--listen-ng=127.0.0.1:2223", "--table=-1", "--foreground", "--log-stderr", "--log-level=2", "--num-threads=1",
        "--port-min=20000", "--port-max=59999", cpu=stage.CPU, log="rtpengine.log")
    time.sleep(1)
    with_rtpengine = rtpengine.poll() is None
    if not with_rtpengine:
        stage.note(f"rtpengine does not start here, Kamailio goes without: {s.log('rtpengine.log', 2)}")
    config = fill("kamailio.cfg.in", s.directory / "kamailio.cfg", CHILDREN=stage.setting("BENCH_KAMAILIO_CHILDREN", 2))
    kamailio = s.start(
        "sbc", stage.program("kamailio"), "-f", config, "-DD", "-E", "-m", "1024", "-M", "32",
        "-x", os.environ.get("BENCH_KAMAILIO_MEMORY", "fm"), "-Y", s.directory, *(["-A", "WITH_RTPENGINE"] if with_rtpengine else []),
        cpu=stage.CPU, log="kamailio.log")

    def serves():
        if kamailio.poll() is not None:
            raise stage.Refused(f"kamailio: {s.log('kamailio.log')}")
        return f"{INSIDE}:5060" in s.run("sbc", "ss", "-Hlun").stdout

    stage.wait_for("kamailio", serves)
    time.sleep(1)
    return with_rtpengine


def sipp(s, node, name, address, scenario, *more):
    return [stage.program("sipp"), "-sf", HERE / f"{scenario}.xml", "-i", address, "-p", "5060", "-nostdin", "-nd",
            "-max_socket", "1024", "-buff_size", "4194304", *more]


def carries(s, rate, seconds):
    """Is every call of `seconds` at this rate complete, and in time?"""
    calls = max(50, int(rate * seconds))
    statistics = s.directory / "statistics.csv"
    statistics.unlink(missing_ok=True)
    callee = s.start("callee", *sipp(s, "callee", "callee", CALLEE, "callee"), cpu=stage.LOAD_CPU, log="callee.log")
    time.sleep(0.3)
    began = time.monotonic()
    caller = s.start(
        "caller", *sipp(s, "caller", "caller", CALLER, "caller", "-s", "200", "-r", rate, "-m", calls, "-l", rate * 10,
                        "-trace_stat", "-stf", statistics, "-fd", "1", "-recv_timeout", "8000", f"{OUTSIDE}:5060"),
        cpu=stage.LOAD_CPU, log="caller.log")
    try:
        caller.wait(seconds * 3 + 10)
    except Exception:
        pass
    took = time.monotonic() - began
    s.end(caller, 2)
    s.end(callee, 2)
    rows = list(csv.DictReader(statistics.open(), delimiter=";")) if statistics.exists() else []
    if not rows:
        raise stage.Refused(f"sipp: {s.log('caller.log')}")
    done, failed = int(rows[-1]["SuccessfulCall(C)"]), int(rows[-1]["FailedCall(C)"])
    again = int(rows[-1]["Retransmissions(C)"])
    good = failed == 0 and done == calls and took < calls / rate * 1.1 + 0.7
    stage.note(f"{rate}/s: {done} of {calls} complete, {failed} failed, {again} repeated, in {took:.1f} s: {'yes' if good else 'no'}")
    return good


def highest(s, seconds, first, most):
    """The highest rate carried, to about 5 %: doubled until it fails (twice), then halved in."""
    def tried(rate):
        return carries(s, rate, seconds) or carries(s, rate, seconds)

    low, high = 0, first
    while high <= most and tried(high):
        low, high = high, high * 2
    if low == 0:
        return 0
    while high - low > max(10, low // 20) and low < most:
        middle = (low + high) // 2
        low, high = (middle, high) if tried(middle) else (low, middle)
    return low


def measure():
    seconds, first = stage.setting("BENCH_CALLS_SECONDS", 4.0), stage.setting("BENCH_CALLS_FIRST", 100)
    most = stage.setting("BENCH_CALLS_MOST", 6400)
    with stage.Stage("peer") as s:
        build(s)
        with_rtpengine = start_kamailio(s)
        peer = highest(s, seconds, first, most)
    with stage.Stage("ours") as s:
        build(s)
        start_sallyport(s)
        ours = highest(s, seconds, first, most)
    stage.result("calls", "udp-invite-bye", ours, peer, "calls/s",
                 peer_is="kamailio dialog topoh" + (" rtpengine" if with_rtpengine else ""))
