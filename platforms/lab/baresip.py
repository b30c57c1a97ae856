# SPDX-License-Identifier: BSD-3-Clause
"""A baresip in a namespace, with an audio file to send and a recording of what it hears, controlled over ctrl_tcp."""

import glob
import json
import os
import pathlib
import re
import subprocess
import time

import netns

CONTROL_PORT = 4444
CONFIG = """\
poll_method epoll
sip_listen {listen}
audio_source {source}
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
ausrc_srate {rate}
auplay_srate 8000
ausrc_channels {channels}
auplay_channels 1
audio_buffer 20-160
rtp_stats yes
rtp_timeout 0
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module ausine.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {directory}
"""


class Baresip:
    """source: "aufile,/path.wav" or "ausine,440". registrar: host to register at, each 30 s; else it is a phone of its own. Two in one
    namespace need two `control` ports. more: lines of its configuration. The object may be dropped while the program runs on (`detach`)."""

    def __init__(self, namespace, directory, user, address, source, answer="manual", options="", registrar=None, control=CONTROL_PORT, more=""):
        self.namespace = namespace
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.user = user
        self.control_port = control
        self.log_path = self.directory / "baresip.log"
        host = f"[{address}]" if ":" in address else address
        (self.directory / "config").write_text(
            CONFIG.format(
                listen=f"{host}:5060", source=source, control=control, directory=self.directory,
                rate=48000 if source.startswith("ausine") else 8000,  # ausine has no other
                channels=2 if source.startswith("ausine") else 1,
            ) + more
        )
        account = f"<sip:{user}@{registrar}>;regint=30" if registrar else f"<sip:{user}@{host}>;regint=0"
        (self.directory / "accounts").write_text(f"{account};answermode={answer}{options}\n")
        (self.directory / "contacts").write_text("")
        with open(self.log_path, "wb") as log:
            self.process = netns.popen(
                namespace,
                ["baresip", "-6" if ":" in address else "-4", "-s", "-v", "-f", str(self.directory)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )
        self.events = []
        self._buffer = b""
        try:
            self.control = netns.wait_for(f"baresip of {user} listening", self._connect, 10)
        except TimeoutError:
            self.stop()
            raise

    def _connect(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"baresip of {self.user} ended at once, see {self.log_path}")
        try:
            return netns.tcp_connect(self.namespace, "127.0.0.1", self.control_port)
        except ConnectionRefusedError:
            return None

    def command(self, command, params=""):
        text = json.dumps({"command": command, "params": params, "token": command}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))

    def _pump(self, timeout):
        """Reads what has arrived on the control connection: netstrings of JSON."""
        self.control.settimeout(max(timeout, 0.001))
        try:
            data = self.control.recv(65536)
        except TimeoutError:
            return
        if not data:
            raise RuntimeError(f"baresip of {self.user} ended, see {self.log_path}")
        self._buffer += data
        # Once in many runs baresip's framing is not what it says: what is no beginning of a netstring is passed over.
        while (begin := re.search(rb"(\d+):(?=\{)", self._buffer)) is not None:
            rest, size = self._buffer[begin.end() :], int(begin[1])
            if len(rest) < size + 1:
                break
            try:
                self.events.append(json.loads(rest[:size]))
                self._buffer = rest[size + 1 :]
            except ValueError:
                self._buffer = rest

    def wait_event(self, *types, timeout=10.0):
        """The first event of these types (CALL_ESTABLISHED, CALL_CLOSED, ...) not waited for before."""
        end = time.monotonic() + timeout
        while True:
            for i, event in enumerate(self.events):
                if event.get("event") and event.get("type") in types:
                    del self.events[: i + 1]
                    return event
            if time.monotonic() > end:
                raise TimeoutError(f"baresip of {self.user}: no {' or '.join(types)} within {timeout:g} s")
            self._pump(end - time.monotonic())

    def recording(self):
        """Path of the newest recording of what was heard, or None."""
        files = sorted(glob.glob(str(self.directory / "dump-*-dec.wav")), key=os.path.getmtime)
        return pathlib.Path(files[-1]) if files else None

    def log(self):
        # The bit rate is redrawn many times a second: not of interest.
        text = re.sub(r"\[\d+:\d+:\d+\] audio=\S+ \(bit/s\)\s*", "", self.log_path.read_text(errors="replace"))
        return re.sub(r"[\r\n]+", "\n", text)

    def detach(self):
        self.control.close()

    def stop(self):
        if getattr(self, "control", None):
            self.control.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
