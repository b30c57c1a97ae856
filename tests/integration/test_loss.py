# SPDX-License-Identifier: BSD-3-Clause
"""A link that loses packets in both directions: SIP's repetitions get every call through."""

import pathlib
import re
import subprocess

import pytest

import netns

HERE = pathlib.Path(__file__).resolve().parent
CALLS = 30


@pytest.fixture
def lossy(stack):
    """lossy(node, percent): the bridge at that node drops so many percent of its UDP packets, each way."""
    nodes = []

    def make(node, percent):
        rules = f"""table bridge loss {{
            chain forward {{
                type filter hook forward priority 0
                meta l4proto udp numgen random mod 100 < {percent} drop
            }}
        }}"""
        subprocess.run(["ip", "netns", "exec", stack.lab.namespace(node), "nft", "-f", "-"], input=rules, text=True, check=True)
        nodes.append(node)

    yield make
    for node in nodes:
        netns.run(stack.lab.namespace(node), ["nft", "delete", "table", "bridge", "loss"], check=True)


def sipp(stack, node, scenario, *options):
    return netns.popen(
        stack.lab.namespace(node),
        ["sipp", "-sf", str(HERE / "sipp" / scenario), "-nostdin", "-timeout", "120", "-timeout_error", "-max_invite_retrans", "9",
         "-max_non_invite_retrans", "12", *options],
        cwd=stack.lab.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


@pytest.mark.parametrize("percent", [10, 20])
@pytest.mark.parametrize("node", ["outside", "inside"])
def test_every_call_gets_through_a_lossy_link(stack, lossy, node, percent):
    lossy(node, percent)
    repeated = stack.sbc.counters()["controlplane"]["tx-repeated"]
    callee = sipp(stack, "pbx", "callee.xml", "-i", "10.0.0.5", "-p", "5060", "-m", str(CALLS))
    caller = sipp(stack, "phone", "caller.xml", "-i", "192.168.77.2", "-p", "5060", "-s", "1000", "-m", str(CALLS), "-r", "20",
                  "203.0.113.10:5060")
    try:
        output = caller.communicate(timeout=150)[0]
        assert caller.returncode == 0, output[-3000:]
        assert re.search(rf"Successful call\s*\|\s*\d+\s*\|\s*{CALLS}\b", output), output[-3000:]
        netns.wait_for("every call forgotten", lambda: stack.sbc.show("status")["calls"] == 0, 40, interval=0.2)
        assert stack.sbc.show("status")["sessions"] == 0
        assert stack.sbc.counters()["controlplane"]["tx-repeated"] > repeated
        assert callee.wait(40) == 0
    finally:
        for process in (caller, callee):
            if process.poll() is None:
                process.kill()
            process.communicate()
