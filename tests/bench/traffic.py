# SPDX-License-Identifier: BSD-3-Clause
"""The traffic generator (traffic.c, bpf/traffic.c) from a benchmark: RTP between the nodes "near" and "far" of a stage, both ways,
and a flood into "near"'s side."""

import json
import subprocess

import stage

NEAR, OUTSIDE, INSIDE, FAR = "203.0.113.2", "203.0.113.10", "10.0.0.1", "10.0.0.5"
PORT_FIRST = 1024  # of both peers, as in sessions.c


def mac(s, node, interface):
    return s.run(node, "cat", f"/sys/class/net/{interface}/address").stdout.strip()


def build(s):
    """near - sbc - far."""
    for node in ("near", "sbc", "far"):
        s.namespace(node)
    for node, interface in (("near", "eth1"), ("far", "eth2")):
        s.cable(node, "eth0", "sbc", interface)
        # What the generator sends are no sk_buffs yet: veth takes them where the other end polls. It costs the sender, not the server.
        s.run("sbc", "ethtool", "-K", interface, "gro", "on")
    s.address("near", "eth0", f"{NEAR}/24")
    s.address("far", "eth0", f"{FAR}/24")


def write_flows(s, ports, macs, sides=(0, 1)):
    """ports: of each call, (the server's toward near, toward far); macs: the same two. Both directions of each call, or those that come from
    these sides."""
    lines = []
    for i, (near, far) in enumerate(ports):
        lines.append(f"0 {NEAR} {PORT_FIRST + 2 * i} {OUTSIDE} {near} {macs[0]}")
        lines.append(f"1 {FAR} {PORT_FIRST + 2 * i} {INSIDE} {far} {macs[1]}")
    path = s.directory / "flows"
    path.write_text("".join(f"{line}\n" for line in lines if int(line[0]) in sides))
    return path


def run(s, seconds, flows=None, rate=0, flood=0, flood_mac=None, sources=0, latencies=False, deliver=False, sequence=0, near="near", far="far"):
    """One run: traffic.c's report, with rates a second beside. rate 0: as much as the kernel takes. sources: the flood is
    REGISTERs of so many. deliver: RTP goes on to real UDP sockets where it is counted. sequence: number of each flow's first packet."""
    command = [stage.binary("bench/traffic"), "-o", stage.binary("bench/traffic.bpf.o"), "-t", max(1, round(seconds)),
               "-A", f"{s.prefix}-{near},eth0", "-B", f"{s.prefix}-{far},eth0"]
    if flows:
        command += ["-l", flows, *(["-r", round(rate)] if rate else [])]
    if flood:
        command += ["-f", round(flood), "-d", OUTSIDE, "-m", flood_mac, *(["-S", sources] if sources else [])]
    if sequence:
        command += ["-q", sequence]
    if latencies:
        command += ["-L", "-b", 8]  # short batches: a packet waits for the end of its own
    if deliver:
        command.append("-R")
    process = s.start(None, *command, cpu=stage.LOAD_CPU, stdout=subprocess.PIPE, text=True)
    output = process.communicate()[0]
    s.end(process)
    if process.returncode != 0:
        raise stage.Refused(output.strip())
    report = json.loads(output)
    report["offered"] = report["rtp_sent"] / report["seconds"]
    report["arrived"] = report["rtp_received"] / report["seconds"]
    report["carried"] = report["rtp_in_time"] / report["seconds"]
    report["flooded"] = report["flood_sent"] / report["seconds"]
    stage.note(" ".join(f"{key}={value:,.10g}" for key, value in report.items()))
    return report


def polled(s, kind):
    """veth takes the generator's XDP frames only where it polls, which without an XDP program it does for GRO's sake alone; the dataplane
    has switched that off on packet: ports, because it could make frames longer than a buffer. It does nothing to these."""
    if kind == "packet":
        for interface in ("eth1", "eth2"):
            s.run("sbc", "ethtool", "-K", interface, "gro", "on")
