# SPDX-License-Identifier: BSD-3-Clause
"""Commits while media flows: what is established loses no packet, what comes after finds what was committed."""

import contextlib
import errno
import itertools
import os
import re
import socket
import subprocess
import threading

import pytest

import netns
from bed import CARRIER, PBX, Bed
from conftest import Call, Hugepages
from dataplane_api import DataplaneError
from media import check_exactly_once, exchange, open_path

OWNER = 40  # no shard's: what is asked for here is nobody's business
SETTINGS = {
    "worker": ", ".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:2]),
    "outside": ', "203.0.113.11/24", "203.0.113.12/24"',
    "more": """
guard { untrusted-rate = 10000  untrusted-burst = 10000 }
session-agent pbx { realm = core  address = "udp:10.0.0.5:5060"  ip-profile = plain }
local-policy to-pbx { from-realm = access  to = ".*"  next-hop = "agent:pbx" }
""",
}
GROWTH_KIB = 2048  # what a hundred commits may leave behind in a daemon


class LiveBed(Bed):
    daemons = ()

    def start(self, kind="packet", **settings):
        super().start(kind, **settings)
        self.first_revision = self.sbc.show("revisions")["revisions"][0]["revision"]
        self.restarted = False

    def connect(self, **kwargs):
        return super().connect(owner=OWNER, **kwargs)

    def commit(self, *lines):
        result = self.sbc.shell(*lines, "commit")
        assert result.returncode == 0, f"{lines}: {result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    def refused(self, *lines):
        result = self.sbc.shell(*lines, "commit")
        assert result.returncode != 0, result.stdout
        return result.stderr

    def restore(self):
        """What it was started with is in force again, by a commit too."""
        revisions = [r["revision"] for r in self.sbc.show("revisions")["revisions"]]
        if revisions[0] != self.first_revision:
            self.commit(f"rollback {revisions.index(self.first_revision)}")

    def realm(self, name):
        return self.api.realms().get(name)

    def applied(self, daemon):
        return self.sbc.log_path(daemon).read_text().count("another configuration is applied")

    def limit_memory(self, octets):
        """The addresses that the dataplane may have; its own user may say so."""
        subprocess.run(["prlimit", "--pid", str(self.sbc.pid("dataplane")), f"--as={octets}:"], check=True, user="nobody", group="nogroup",
                       extra_groups=[])

    def rss_kib(self, daemon):
        status = open(f"/proc/{self.sbc.pid(daemon)}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


@pytest.fixture(scope="module")
def module_live():
    bed = LiveBed()
    try:
        bed.start(**SETTINGS)
        yield bed
    finally:
        bed.down()


@pytest.fixture
def live(module_live):
    """All three daemons, with the configuration of the beginning and two workers."""
    running = all(d in module_live.sbc.processes and module_live.sbc.alive(d) for d in ("dataplane", "controlplane", "mgmt"))
    if not running or module_live.restarted:
        module_live.start(**SETTINGS)
    else:
        module_live.restore()
    module_live.mark()
    yield module_live
    module_live.end_test()
    dead = [d for d in module_live.sbc.processes if not module_live.sbc.alive(d)]
    assert not dead, f"died: {dead}\n{module_live.sbc.log_tails()}"


def stream_in(live, near_realm="access", far_realm="core"):
    peers = live.peer(CARRIER), live.peer(PBX)
    return live.stream(*peers, near_side={"realm": near_realm}, far_side={"realm": far_realm})


def opened(live, **kwargs):
    stream = stream_in(live, **kwargs)
    open_path(stream.near, stream.far)
    open_path(stream.far, stream.near)
    return stream


class Pump(threading.Thread):
    """RTP both ways on every stream, until it is told to stop."""

    def __init__(self, streams):
        super().__init__(daemon=True)
        self.ends = [end for s in streams for end in (s.near, s.far)]
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            for end in self.ends:
                end.send()
                end.drain()

    def stop(self):
        self.over.set()
        self.join()


@contextlib.contextmanager
def media_through(streams):
    """What flows meanwhile arrives exactly once."""
    pump = Pump(streams)
    pump.start()
    try:
        yield
    finally:
        pump.stop()
    for stream in streams:
        stream.far.wait(len(stream.near.sent))
        stream.near.wait(len(stream.far.sent))
        check_exactly_once(stream.near, stream.far)
        check_exactly_once(stream.far, stream.near)
        assert stream.near.sent and stream.far.sent


def test_established_media_lose_no_packet_through_any_commit(live):
    streams = [opened(live) for _ in range(8)]
    assert {f.worker for f in live.api.flows()} == ({0, 1} if live.api.stats().workers == 2 else {0})
    before = live.applied("dataplane")
    with media_through(streams):
        live.commit("set steering-pool access4 ports 9000-13999")
        live.commit("set steering-pool access4 ports 9000-9099")  # without a port in use
        live.commit("set steering-pool core4 ports 30000-30099", "set realm core dscp-media 10", "set realm access media-rate 8")
        live.commit("set realm guests network-interface outside", "set steering-pool guests realm guests",
                    "set steering-pool guests address 203.0.113.11", "set steering-pool guests ports 10000-10999")
        live.commit("set access-control nobody realm access", "set access-control nobody source 203.0.113.100/32",
                    "set access-control nobody action deny")
        live.commit("set guard untrusted-rate 1", "set guard untrusted-class-rate 100", "set media-manager max-sessions 1",
                    "set media-manager idle-timeout 30", "set realm access trust trusted")
        live.commit("set steering-pool access4 address 203.0.113.12")
        # The realm of these calls goes; what names it goes with it.
        live.commit("delete sip-interface access", "delete local-policy to-pbx", "delete steering-pool access4",
                    "delete steering-pool access6", "delete access-control nobody", "delete realm access")
        draining = live.realm("access")
        assert draining.draining and draining.streams == 8
        # What is to be had by whom is what was committed.
        assert live.api.stats().sessions == 8
        with pytest.raises(DataplaneError) as full:
            stream_in(live, near_realm="guests")
        assert full.value.errno == errno.ENOSPC
        live.commit("set media-manager max-sessions 100")
        newcomer = stream_in(live, near_realm="guests")
        assert newcomer.local[0][0] == "203.0.113.11"
    assert live.applied("dataplane") == before + 9
    assert live.drops().get("drop-no-flow", 0) == live.drops().get("drop-policed", 0) == 0
    open_path(newcomer.near, newcomer.far)
    for stream in streams:
        stream.close()
    netns.wait_for("the realm being forgotten", lambda: live.realm("access") is None, 15)


def test_no_call_fails_that_is_set_up_in_the_moment_of_a_commit(live):
    """Its ports are where the commit puts them, or where they were."""
    steps = itertools.cycle((
        ("set steering-pool access4 address 203.0.113.11",),
        ("set steering-pool core4 ports 30000-30099", "set realm guests network-interface outside"),
        ("set steering-pool access4 address 203.0.113.12", "set steering-pool access4 ports 14000-14099", "delete realm guests"),
        ("set steering-pool core4 ports 20000-21999", "set realm core dscp-media 10"),
        ("set steering-pool access4 address 203.0.113.10", "set realm core dscp-media 34"),
    ))
    calls, commits, over = 0, [], threading.Event()
    carrier, pbx = live.carrier(), live.pbx()

    def commit_on():
        while not over.is_set():
            commits.append(live.sbc.shell(*next(steps), "commit"))

    thread = threading.Thread(target=commit_on)
    thread.start()
    try:
        while calls < 25 or len(commits) < 10:
            call = Call(live, carrier, pbx)
            open_path(call.near, call.far)
            call.hang_up("callee" if calls % 2 else "caller")
            call.near.close()
            call.far.close()
            calls += 1
    finally:
        over.set()
        thread.join()
    assert all(c.returncode == 0 for c in commits), [c.stderr for c in commits]


def test_ports_of_a_pool_that_drained_come_back_with_it(live):
    live.commit("set steering-pool access4 ports 10000-10007")
    streams = [opened(live) for _ in range(4)]
    with pytest.raises(DataplaneError) as full:
        stream_in(live)
    assert full.value.errno == errno.ENOSPC
    live.commit("set steering-pool access4 ports 12000-12003")
    later = [opened(live) for _ in range(2)]
    assert {s.local[0][1] for s in later} == {12000, 12002}
    streams.pop().close()
    with pytest.raises(DataplaneError):
        stream_in(live)  # its port is no pool's any more
    with media_through(streams + later):
        live.commit("set steering-pool access4 ports 10000-10007")
    back = opened(live)
    assert back.local[0][1] in range(10000, 10008)
    assert back.local[0][1] not in {s.local[0][1] for s in streams}
    for stream in later:
        stream.close()
    netns.wait_for("the other ports being forgotten", lambda: live.realm("access").ports_used == 4, 10)


def test_a_denial_holds_for_the_next_packet_and_counters_go_on(live):
    probe = netns.udp_socket(live.lab.namespace("outside"), CARRIER, 0)
    try:
        send = lambda: probe.sendto(b"\r\n\r\n", ("203.0.113.10", 5060))
        mirrored = live.api.counters()["mirror-in"]
        send()
        netns.wait_for("the first packet", lambda: live.api.counters()["mirror-in"] > mirrored, 5)
        live.commit("set access-control badnet realm access", f"set access-control badnet source {CARRIER}/32",
                    "set access-control badnet action deny")
        for n in range(1, 4):
            send()
            live.wait_counted("drop-access-denied", n)
        live.commit("set access-control office realm access", "set access-control office source 198.51.100.0/24",
                    "set access-control office action permit", "set access-control office trust trusted")
        send()
        live.wait_counted("drop-access-denied", 4)
        assert len([t for t in live.api.trusts() if t.configured]) >= 1
        live.commit("delete access-control badnet")
        mirrored = live.api.counters()["mirror-in"]
        send()
        netns.wait_for("packets passing again", lambda: live.api.counters()["mirror-in"] > mirrored, 5)
        assert live.counted("drop-access-denied") == {"drop-access-denied": 4}
    finally:
        probe.close()


def test_media_rate_holds_for_later_calls_and_dscp_for_all(live):
    before = opened(live)
    before.far.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)

    def marked(stream):
        stream.near.send()
        netns.wait_for("a packet", lambda: bool(peek(stream.far.rtp)), 5)
        _, ancillary, _, _ = stream.far.rtp.recvmsg(2048, 64)
        return ancillary[0][2][0] >> 2

    assert marked(before) == 34
    live.commit("set realm core dscp-media 10", "set realm access media-rate 20")
    netns.wait_for("the mark being another", lambda: marked(before) == 10, 10)
    before.near.forget()
    before.far.forget()
    after = opened(live)
    exchange([(before.near, before.far)], 30, interval=0.005)
    check_exactly_once(before.near, before.far)
    for _ in range(60):
        after.near.send()
    netns.wait_for("some being policed", lambda: after.count(0).policed > 0, 5)
    assert before.count(0).policed == 0


def peek(sock):
    try:
        return sock.recv(2048, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def test_what_the_dataplane_has_no_memory_for_is_refused_everywhere(live):
    stream = opened(live)
    before = live.sbc.config_path.read_bytes(), live.sbc.show("revisions"), live.applied("dataplane"), live.applied("controlplane")
    pools = live.api.stats().ports_total
    lines = ("set steering-pool more realm access", "set steering-pool more address 203.0.113.12", "set steering-pool more ports 1024-65535")
    size = int(re.search(r"VmSize:\s+(\d+)", open(f"/proc/{live.sbc.pid('dataplane')}/status").read())[1]) * 1024
    with media_through([stream]):
        live.limit_memory(size)
        said = live.refused(*lines)
        live.limit_memory("unlimited")
        assert "has not the memory" in said and "nothing has changed" in said, said
        after = live.sbc.config_path.read_bytes(), live.sbc.show("revisions"), live.applied("dataplane"), live.applied("controlplane")
        assert after == before and live.api.stats().ports_total == pools
        live.commit(*lines)
    assert live.api.stats().ports_total == pools + 32256


def test_a_hundred_commits_leave_no_memory_behind(live):
    stream = opened(live)
    daemons = ("dataplane", "mgmt")
    change = lambda n: live.commit(
        f"set steering-pool access4 ports {10000 + 2 * (n % 7)}-{11999 + 2 * (n % 5)}", f"set realm extra{n % 3} network-interface outside",
        f"set steering-pool extra realm extra{n % 3}", "set steering-pool extra address 203.0.113.11",
        f"set steering-pool extra ports 20000-{21999 + 2 * (n % 9)}", f"set access-control n realm extra{n % 3}",
        f"set access-control n source 198.51.{n % 100}.0/24", "set access-control n action deny",
        *(() if n == 0 else [f"delete realm extra{(n - 1) % 3}"]))
    with media_through([stream]):
        for n in range(10):
            change(n)
        before = {d: live.rss_kib(d) for d in daemons}
        for n in range(10, 110):
            change(n)
        after = {d: live.rss_kib(d) for d in daemons}
    grown = {d: after[d] - before[d] for d in daemons}
    assert all(kib < GROWTH_KIB for kib in grown.values()), grown
    netns.wait_for("realms that went being forgotten", lambda: len(live.api.realms()) == 3, 15)


def test_what_waits_for_a_restart_is_said_and_listed(live):
    said = live.commit("set media-manager poll busy", "set sip-config max-calls 1000", "set ssh idle-timeout 600", "set guard max-bans 2000")
    assert "media-manager.poll: waits for the dataplane to start again" in said, said
    assert "sip-config.max-calls: waits for the controlplane to start again" in said, said
    assert "ssh.idle-timeout: waits for the SSH server to start again" in said, said
    pending = live.sbc.show("configuration", "pending")
    rows = {(row["daemon"], row["path"]): (row["runs"], row["committed"]) for row in pending["pending"]}
    assert rows[("dataplane", "media-manager.poll")] == (None, "busy")
    assert rows[("dataplane", "guard.max-bans")][1] == "2000"
    assert ("controlplane", "sip-config.max-calls") in rows and len(rows) == 4
    assert pending["unknown"] == [] and pending["changed-by-hand"] is False
    said = live.commit("delete media-manager poll")
    assert "media-manager.poll" not in said and "guard.max-bans" in said
    live.disconnect()
    live.restarted = True
    live.sbc.end("dataplane")
    with Hugepages.stay():
        live.sbc.start("dataplane")
    live.sbc.wait_ready()
    netns.wait_for("the dataplane having nothing to wait for", lambda: "dataplane" not in {
        row["daemon"] for row in live.sbc.show("configuration", "pending")["pending"]}, 10)
    live.api = live.connect(samples=True)
    assert live.api.stats().bans_max == 2000


def test_a_file_changed_by_hand_is_told_and_only_taken_by_all(live):
    """Only the dataplane is started anew: it reads the file, and is given what is in force by who keeps it."""
    text = live.sbc.config_path.read_text()
    by_hand = text.replace("10000-11999", "10000-10003", 1)
    assert by_hand != text
    live.disconnect()
    live.restarted = True
    live.sbc.end("dataplane")
    live.sbc.config_path.write_text(by_hand)
    with Hugepages.stay():
        live.sbc.start("dataplane")
    live.sbc.wait_ready()
    live.api = live.connect(samples=True)
    netns.wait_for("what is in force being everywhere", lambda: live.realm("access").ports_total == 2000, 10)
    pending = live.sbc.show("configuration", "pending")
    assert pending["changed-by-hand"] is True and pending["unknown"] == ["dataplane"]
    assert live.sbc.log_path("mgmt").read_text().count("changed by hand") == 1
    live.sbc.end("mgmt")
    live.sbc.start("mgmt")
    live.sbc.wait_ready()
    netns.wait_for("the file being in force", lambda: live.realm("access").ports_total == 1002, 10)
    assert live.sbc.show("revisions")["revisions"][0]["who"] == "file"
    assert live.sbc.show("configuration", "pending")["changed-by-hand"] is False
