# SPDX-License-Identifier: BSD-3-Clause
"""tcpdump in a namespace, and the frames it caught."""

import pathlib
import signal
import struct
import subprocess

import netns


class Capture:
    def __init__(self, namespace, interface, path):
        self.path = pathlib.Path(path)
        self.errors = self.path.with_suffix(".log")
        with open(self.errors, "wb") as log:
            self.process = netns.popen(
                namespace, ["tcpdump", "-Z", "root", "-i", interface, "-U", "--immediate-mode", "-B", "16384", "-s", "0", "-w", str(path)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )
        netns.wait_for("tcpdump listening", lambda: "listening on" in self.errors.read_text(), 10)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(10)

    def frames(self):
        """Ends the capture; every frame as bytes. Fails when tcpdump lost any."""
        return [frame for _, frame in self.timed_frames()]

    def timed_frames(self):
        """As frames(), each with when the kernel saw it, in seconds."""
        self.close()
        assert "0 packets dropped by kernel" in self.errors.read_text()
        data = self.path.read_bytes()
        order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
        frames = []
        at = 24
        while at < len(data):
            seconds, microseconds, length, _ = struct.unpack(order + "4I", data[at : at + 16])
            frames.append((seconds + microseconds / 1e6, data[at + 16 : at + 16 + length]))
            at += 16 + length
        return frames


def udp_payload(frame):
    """(source port, destination port, payload) of a UDP frame over IPv4 or IPv6, else None."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] == 17:
        at = 14 + (frame[14] & 15) * 4
    elif kind == b"\x86\xdd" and frame[20] == 17:
        at = 54
    else:
        return None
    source, destination, length = struct.unpack("!3H", frame[at : at + 6])
    return source, destination, frame[at + 8 : at + length]
