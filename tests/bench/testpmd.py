# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd as a peer: forwarding on the core under test, its own console on the load's core."""

import re
import subprocess
import time

import stage


class Testpmd:
    """In the namespace `node` (None: this one). `devices` are EAL's --vdev values."""

    def __init__(self, s, node, devices, *more, memory=256):
        self.log = s.directory / "testpmd.log"
        self.output = open(self.log, "wb")
        eal = ["-l", f"{stage.LOAD_CPU},{stage.CPU}", "--main-lcore", stage.LOAD_CPU, "--no-huge", "-m", memory, "--no-pci",
               "--iova-mode=va", "--no-telemetry", "--no-shconf", *[word for device in devices for word in ("--vdev", device)]]
        self.process = s.start(
            node, stage.program("stdbuf"), "-o0", stage.program("dpdk-testpmd"), *eal, "--", "-i", "--nb-cores=1", "--total-num-mbufs=16384", *more,
            stdin=subprocess.PIPE, stdout=self.output)
        self.stage = s
        stage.wait_for("testpmd", lambda: self._failed() or b"testpmd>" in self.log.read_bytes())

    def _failed(self):
        if self.process.poll() is not None:
            raise stage.Refused(f"testpmd: {self.stage.log('testpmd.log')}")
        return False

    def command(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def forward(self):
        """Returns when it says that it does."""
        before = len(self.log.read_bytes())
        self.command("start")
        stage.wait_for("testpmd's forwarding", lambda: self._failed() or self._prompted(before))

    def _prompted(self, since):
        return self.log.read_bytes()[since:].rstrip().endswith(b"testpmd>")

    def sent(self):
        """Packets sent on all ports so far, and when that was asked."""
        before = len(self.log.read_bytes())
        self.command("show port stats all")
        now = time.monotonic()
        text = stage.wait_for("testpmd's counters", lambda: self._counters(before))
        return sum(int(n) for n in re.findall(rb"TX-packets:\s+(\d+)", text)), now

    def _counters(self, since):
        text = self.log.read_bytes()[since:]
        return text if text.count(b"TX-packets:") >= 2 and text.rstrip().endswith(b"testpmd>") else None

    def rate(self, seconds):
        first, began = self.sent()
        time.sleep(seconds)
        last, ended = self.sent()
        return (last - first) / (ended - began)

    def end(self):
        self.command("quit")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        self.stage.end(self.process)
        self.output.close()
