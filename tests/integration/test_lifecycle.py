# SPDX-License-Identifier: BSD-3-Clause
"""Daemons that start in any order, die at any time, and come back."""

import itertools
import json
import os
import pathlib
import re
import signal
import time

import pytest

import netns
import sbc as sbc_module
from conftest import LAB, SBC_OUT4, Call
from media import check_exactly_once, exchange, open_path
from sip import sdp

TO_SBC = (SBC_OUT4, 5060)


def leftovers(stack):
    """What a dataplane could leave in the SBC's namespace: mirrors, nftables tables."""
    sbc = stack.lab.namespace("sbc")
    links = json.loads(netns.run(sbc, ["ip", "-j", "link", "show"]).stdout)
    tables = netns.run(sbc, ["nft", "list", "tables"]).stdout.split("\n")
    return [l["ifname"] for l in links if l["ifname"] not in ("lo", "eth1", "eth2")] + [t for t in tables if t]


def one_call(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    call.hang_up()
    stack.end_test()


def wait_heard(stack):
    """Until the SBC hears the phone again: a request may fall into the moment when the control plane finds the new mirrors."""
    phone = stack.phone()

    def answered():
        try:
            return phone.ask(TO_SBC, timeout=0.2)
        except AssertionError:
            return None

    netns.wait_for("an answer to OPTIONS", answered, 5)
    stack.end_test()


@pytest.mark.parametrize("order", list(itertools.permutations(sbc_module.DAEMONS)), ids="-".join)
def test_any_order_of_start_ends_in_service(stack, order):
    stack.sbc.stop()
    stack.start(daemons=order)
    stack.sbc.wait_ready()
    one_call(stack)


def test_sigterm_ends_every_daemon_with_status_0_and_leaves_nothing_but_its_last_words(stack):
    Call(stack, stack.phone(), stack.pbx())  # still up
    assert stack.sbc.stop() == {"mgmt": 0, "controlplane": 0, "dataplane": 0}
    assert leftovers(stack) == []
    # What `show log` tells of them when they are gone.
    assert sorted(p.name for p in stack.sbc.run_directory.iterdir()) == ["controlplane.log", "dataplane.log", "mgmt.log"]


def test_a_killed_dataplane_leaves_nothing_and_the_next_one_works(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx)
    open_path(call.near, call.far)
    stack.sbc.end("dataplane", signal.SIGKILL)
    netns.wait_for("mirrors and nftables tables gone", lambda: leftovers(stack) == [], 5)
    netns.wait_for("show status telling", lambda: stack.sbc.show("status")["state"] == "degraded", 10)
    stack.sbc.start("dataplane")
    stack.sbc.wait_ready()
    # The media of the call is lost: both sides are told.
    call.a.take_bye(timeout=10)
    call.b.take_bye(timeout=10)
    netns.wait_for("the call forgotten", lambda: not stack.sbc.show("calls")["calls"], 5)
    stack.end_test()
    one_call(stack)


def test_a_dataplane_killed_again_and_again_starts_whatever_is_still_being_cleaned_up(stack):
    for _ in range(5):
        stack.sbc.end("dataplane", signal.SIGKILL)
        stack.sbc.start("dataplane")
    stack.sbc.wait_ready()
    stack.end_test()
    one_call(stack)


def test_media_goes_on_while_the_control_plane_is_dead(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    stack.sbc.end("controlplane", signal.SIGKILL)
    exchange([(call.near, call.far)], 25)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    stack.end_test()
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    one_call(stack)


def test_calls_go_on_while_management_is_dead(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    stack.sbc.end("mgmt", signal.SIGKILL)
    refused = stack.sbc.command("show", "status")
    assert refused.returncode == 1 and len(refused.stderr.strip().splitlines()) == 1 and "mgmt" in refused.stderr
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    call.hang_up()
    stack.sbc.start("mgmt")
    stack.sbc.wait_ready()


def test_without_a_dataplane_503_and_recovery_by_itself(stack):
    """The mirror's place is taken by a bridge, so that SIP reaches the control plane without a dataplane."""
    sbc = stack.lab.namespace("sbc")
    stack.sbc.stop()
    ip = lambda *words: netns.run(sbc, ["ip", *words], check=True)
    for mirror, port, addresses in (("sp-outside", "eth1", ("203.0.113.10/24", "2001:db8:1::10/64")), ("sp-inside", "eth2", ("10.0.0.1/24", "fd00:10::1/64"))):
        ip("link", "add", mirror, "type", "bridge")
        ip("link", "set", port, "master", mirror)
        for address in addresses:
            ip("address", "add", address, "dev", mirror, *(["nodad"] if ":" in address else []))
        ip("link", "set", mirror, "up")
    try:
        stack.start(daemons=("controlplane", "mgmt"))
        netns.wait_for("all listeners", lambda: stack.sbc.show("status")["listeners-down"] == 0, 10)
        phone = stack.phone()
        a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000))
        refusal = a.expect(503)
        a.ack(refusal)
        assert stack.sbc.show("status")["controlplane-has-dataplane"] is False
    finally:
        stack.end_test()
        ip("link", "delete", "sp-outside")
        ip("link", "delete", "sp-inside")
    stack.sbc.start("dataplane")
    stack.sbc.wait_ready()
    wait_heard(stack)
    one_call(stack)


def test_a_second_instance_is_refused_and_does_not_disturb_the_first(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    for daemon in sbc_module.DAEMONS:
        second = netns.run(stack.lab.namespace("sbc"), [str(sbc_module.BUILD / f"sallyport-{daemon}"), "-c", str(stack.sbc.config_path)], timeout=20)
        assert second.returncode == 2, daemon
        assert "runs" in second.stderr and str(stack.sbc.config_path) in second.stderr and len(second.stderr.splitlines()) == 1, second.stderr
    exchange([(call.near, call.far)], 10)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
    call.hang_up()
    stack.sbc.wait_ready()


def test_two_sbcs_do_not_disturb_each_other(stack):
    """Two labs on one machine: namespaces, run directories and DPDK's own files are apart."""
    from conftest import Stack
    other = Stack(name=f"{LAB}2")
    try:
        other.start("packet")
        one_call(other)
        one_call(stack)
    finally:
        other.down()
    one_call(stack)


def threads(pid):
    """/proc/PID/task/*/status, as dictionaries."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


@pytest.mark.parametrize("daemon", sbc_module.DAEMONS)
def test_no_thread_has_a_right_it_does_not_use_once_started(stack, daemon):
    """User, groups, every set of capabilities, no way to more, and a filter of system calls."""
    seen = 0
    for status in threads(stack.sbc.pid(daemon)):
        seen += 1
        assert set(status["Uid"].split()) == {"65534"} and set(status["Gid"].split()) == {"65534"}, status
        assert set(status["Groups"].split()) <= {"65534"}, status
        assert {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0), status
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status
    assert seen >= {"dataplane": 3, "controlplane": 2, "mgmt": 1}[daemon]


# What a daemon holds open once it serves: nothing that leads out of what it does.
DESCRIPTORS = {
    "dataplane": r"socket:|pipe:|anon_inode:\[(eventpoll|eventfd|timerfd)\]|/dev/(null|net/tun)|.*/dataplane\.(log|pid)|/dev/zero|.*/cmdline|memfd:.*|/memfd:.*",
    "controlplane": r"socket:|pipe:|anon_inode:\[(eventpoll|eventfd|timerfd)\]|/dev/null|.*/(controlplane\.(log|pid|db|db-wal)|records\.(db|db-wal))",
    "mgmt": r"socket:|pipe:|anon_inode:\[(eventpoll|eventfd|timerfd)\]|/dev/null|.*/mgmt\.(log|pid|db|db-wal)",
}


@pytest.mark.parametrize("daemon", sbc_module.DAEMONS)
def test_nothing_unexpected_is_open_once_started(stack, daemon):
    links = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{stack.sbc.pid(daemon)}/fd").iterdir()}
    assert not {link for link in links if not re.match(DESCRIPTORS[daemon], link)}


def test_packet_workers_go_before_other_processes_of_their_core(stack):
    nice = {}
    for task in pathlib.Path(f"/proc/{stack.sbc.pid('dataplane')}/task").iterdir():
        name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        nice.setdefault(name, set()).add(int(rest.split()[16]))
    workers = {name: values for name, values in nice.items() if "worker" in name}
    assert workers and all(values == {-20} for values in workers.values()), nice
    assert nice["sallyport-datap"] == {0}
    session = pathlib.Path(f"/proc/{stack.sbc.pid('dataplane')}/autogroup")
    assert not session.exists() or session.read_text().split()[-1] == "-20"


def test_an_idle_sbc_is_idle(stack):
    """poll = adaptive: CPU time while nothing comes is a small part of the time that passes."""
    pids = [stack.sbc.pid(d) for d in sbc_module.DAEMONS]

    def used():
        total = 0
        for pid in pids:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / 100

    start, cpu = time.monotonic(), used()
    netns.wait_for("two seconds of idling", lambda: time.monotonic() - start > 2, 5, interval=0.5)
    assert (used() - cpu) / (time.monotonic() - start) < 0.3
