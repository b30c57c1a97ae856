# SPDX-License-Identifier: BSD-3-Clause
"""A Kamailio in a namespace: a proxy between the SBC and telephones."""

import pathlib
import subprocess

import netns
from sip import Endpoint

HERE = pathlib.Path(__file__).resolve().parent


class Kamailio:
    """At `host`, for the telephones "address:port" first and second; numbers like `ours` are the first's. Calls out go to the SBC by
    `transport`."""

    def __init__(self, lab, node, host, first, second, sbc, ours, transport="udp"):
        directory = lab.directory / f"kamailio-{host}"
        directory.mkdir(exist_ok=True)
        text = (HERE / "kamailio.cfg.in").read_text()
        for key, value in {"HOST": host, "FIRST": first, "SECOND": second, "SBC": sbc, "OURS": ours, "TRANSPORT": transport}.items():
            text = text.replace(f"@{key}@", value)
        (directory / "kamailio.cfg").write_text(text)
        self.log = directory / "kamailio.log"
        with open(self.log, "wb") as log:
            self.process = netns.popen(
                lab.namespace(node), ["kamailio", "-f", str(directory / "kamailio.cfg"), "-DD", "-E", "-m", "64", "-M", "8",
                                      "-P", str(directory / "pid"), "-Y", str(directory)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        probe = Endpoint(lab.namespace(node), host, 0)
        try:
            netns.wait_for("Kamailio", lambda: self.answers(probe, host), 20)
        finally:
            probe.close()

    def answers(self, probe, host):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return probe.ask((host, 5060), timeout=0.3)
        except AssertionError:
            return None

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
