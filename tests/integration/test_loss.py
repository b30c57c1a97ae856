# SPDX-License-Identifier: BSD-3-Clause
"""A link that loses packets in both directions: SIP's repetitions get every call through."""

import pathlib
import re
import subprocess
import threading
import time

import pytest

import netns
from sip import Dialog, sdp, token

HERE = pathlib.Path(__file__).resolve().parent
CALLS = 30
# All of them and their repetitions come from one stranger's address.
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"


class Callee:
    """Rings, answers, repeats its 200 until the ACK, and takes the BYE, for any number of calls (sipp as a callee gives a call up
    when an INVITE is repeated after its answer)."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.calls = {}  # Call-ID: Dialog
        self.acknowledged, self.ended = set(), set()
        self.running = True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.running = False
        self.thread.join()

    def serve(self):
        seen = 0
        while self.running:
            try:
                # Repetitions have to be answered too: all that was received is looked at, not only what is new.
                netns.wait_for("a message", lambda: len(self.endpoint.received) > seen or not self.running, 0.1, interval=0.005)
            except TimeoutError:
                pass
            for message in self.endpoint.received[seen:]:
                seen += 1
                self.take(message)
            now = time.monotonic()
            for call_id, dialog in self.calls.items():
                if call_id not in self.acknowledged and now >= dialog.next_time:
                    dialog.interval = min(2 * dialog.interval, 4)
                    dialog.next_time = now + dialog.interval
                    self.endpoint.send(dialog.answer.raw, dialog.peer)

    def take(self, message):
        dialog = self.calls.get(message.call_id)
        if message.method == "INVITE" and not dialog:
            dialog = self.calls[message.call_id] = Dialog(self.endpoint, message.source)
            dialog.local = f"{message['to']};tag={token()}"
            dialog.reply(message, 180, "Ringing")
            dialog.answer = dialog.reply(message, 200, "OK", sdp(self.endpoint.host, 30000))
            dialog.interval, dialog.next_time = 0.5, time.monotonic() + 0.5
        elif message.method == "ACK" and dialog:
            self.acknowledged.add(message.call_id)
        elif message.method == "BYE" and dialog:
            self.acknowledged.add(message.call_id)  # its ACK may be lost for ever, the call goes on to its end
            self.ended.add(message.call_id)
            dialog.reply(message, 200, "OK")


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
    callee = Callee(stack.pbx())
    stack.closing.append(callee)
    caller = sipp(stack, "phone", "caller.xml", "-i", "192.168.77.2", "-p", "5060", "-s", "1000", "-m", str(CALLS), "-r", "20",
                  "203.0.113.10:5060")
    try:
        output = caller.communicate(timeout=150)[0]
        assert caller.returncode == 0, output[-3000:]
        assert re.search(rf"Successful call\s*\|\s*\d+\s*\|\s*{CALLS}\b", output), output[-3000:]
        netns.wait_for("every call forgotten", lambda: stack.sbc.show("status")["calls"] == 0, 40, interval=0.2)
        assert stack.sbc.show("status")["sessions"] == 0
        assert stack.sbc.counters()["controlplane"]["tx-repeated"] > repeated
        assert len(callee.ended) == CALLS  # no call was made twice
    finally:
        if caller.poll() is None:
            caller.kill()
        caller.communicate()
