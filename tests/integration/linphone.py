# SPDX-License-Identifier: BSD-3-Clause
"""A linphone in a namespace, controlled over its standard input. It has no sound card: what it sends is a file, what it hears it counts."""

import os
import pathlib
import re
import subprocess
import threading

import melody
import netns

CONFIG = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port=0
contact="{user}" <sip:{user}@{host}>
use_info={info}
use_rfc2833={rtp}
media_encryption={encryption}
register_only_when_network_is_up=0
[rtp]
audio_rtp_port=7078
[sound]
echocancellation=0
"""


class Linphone:
    """transport: "udp" or "tcp". info: digits go by INFO, else by RTP (RFC 4733). encryption: of media, "none" or "srtp"."""

    def __init__(self, namespace, directory, user, host, transport="udp", info=False, encryption="none"):
        self.directory = pathlib.Path(directory)
        (self.directory / ".local/share/linphone").mkdir(parents=True)  # without its database it refuses every call
        udp = transport == "udp"
        (self.directory / "linphonerc").write_text(CONFIG.format(
            user=user, host=host, udp=5060 if udp else 0, tcp=0 if udp else 5060, info=int(info), rtp=int(not info), encryption=encryption))
        self.tune = self.directory / "tune.wav"
        melody.write(self.tune, melody.compose("phone", 60))
        self.lines, self.changed = [], threading.Condition()
        self.log = self.directory / "linphone.log"
        self.process = netns.popen(
            namespace, ["linphone-daemon", "--config", str(self.directory / "linphonerc"), "--disable-stats-events", "--log", str(self.log)],
            env={**os.environ, "HOME": str(self.directory)}, cwd=self.directory, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        for command in ("ipv6 disable", f"port sip 5060 {transport}", "firewall-policy none"):
            self.command(command)

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.strip().removeprefix("daemon-linphone>"))
                self.changed.notify_all()

    def wait(self, what, timeout=20, begin=0):
        """The first line from `begin` on that matches the regular expression."""
        found = lambda: next((line for line in self.lines[begin:] if re.match(what, line)), None)
        with self.changed:
            assert self.changed.wait_for(found, timeout), f"linphone: no {what} within {timeout:g} s: {self.lines[-30:]}"
            return found()

    def command(self, text):
        begin = len(self.lines)
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        status = self.wait("Status:", begin=begin)
        assert status == "Status: Ok", f"{text}: {self.lines[begin:]}"

    def play(self):
        self.command(f"incall-player-start {self.tune}")

    def hears(self):
        """kbit/s of the audio that arrives, as it said last."""
        said = re.findall(r"\(audio\).*RTP : \[d=([0-9.]+)", self.log.read_text(errors="replace"))
        return float(said[-1]) if said else 0.0

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.thread.join(5)
        self.process.stdin.close()
        self.process.stdout.close()
