# SPDX-License-Identifier: BSD-3-Clause
"""Commits on a running SBC: an order of changes, what the daemons run afterwards by their own word, and what must not have happened."""

import contextlib
import os
import re
import socket

import sbc as sbc_module
from dataplane_api import REPOSITORY, C, S, read_header
from test_configuration import Session

LAYOUTS = {}
read_header((REPOSITORY / "config/transaction.h").read_text(), C, LAYOUTS)
VERSIONS = {"dataplane": C["DP_API_VERSION"],
            "controlplane": int(re.search(r"CP_API_VERSION = (\d+)", (REPOSITORY / "controlplane/api.h").read_text())[1])}


def running(sbc, daemon):
    """The digest of the configuration that a daemon runs, as it says itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(20)
        sock.connect(str(sbc.run_directory / f"{daemon}.sock"))

        def send(kind, body=b""):
            frame = S["ipc_frame"](length=len(body), type=kind, sequence=1)
            sock.send(bytes(frame) + body + bytes(-len(body) % 8))

        send(0, bytes(S["ipc_hello"](magic=C["IPC_MAGIC"], api_version=VERSIONS[daemon], generation=os.getpid(), pid=os.getpid(),
                                     process=b"test", version=b"0")))
        send(C["CONFIG_STATE"])
        while True:
            packet = sock.recv(C["IPC_PACKET_MAX"])
            assert packet, f"{daemon} closed the connection"
            at = 0
            while at < len(packet):
                frame = S["ipc_frame"].from_buffer_copy(packet, at)
                at += len(bytes(frame))
                body = packet[at:at + frame.length]
                at += (frame.length + 7) // 8 * 8
                if frame.type == C["CONFIG_STATE"] | C["DP_REPLY"]:
                    assert frame.status == 0, f"{daemon}: {os.strerror(-frame.status)}"
                    # struct config_state: digests of what it was started with, of what runs, of what is prepared
                    return body[16:32]


class Live:
    """One session that commits; changes are lines of the shell."""

    def __init__(self, sbc):
        self.sbc = sbc
        self.session = Session(sbc)
        self.pids = {daemon: sbc.pid(daemon) for daemon in sbc_module.DAEMONS}

    def close(self):
        with contextlib.suppress(OSError, ValueError):
            self.session.end()

    def order(self, *lines):
        """The lines and a commit; what was said. A session ends with what was refused, and its candidate with it."""
        try:
            return self.session.ask(*lines, "commit")
        except AssertionError as error:
            self.session = Session(self.sbc)
            return str(error)

    def commit(self, *lines):
        said = self.order(*lines)
        assert "is in force" in said, f"{lines}: {said}"
        return said

    def refuse(self, *lines):
        said = self.order(*lines)
        assert "nothing has changed" in said, f"{lines}: {said}"
        return said

    def check_running(self):
        """Both planes run the same, each process is the one of before, and nobody has logged an error."""
        digests = {daemon: running(self.sbc, daemon) for daemon in VERSIONS}
        assert len(set(digests.values())) == 1, digests
        for daemon, pid in self.pids.items():
            assert self.sbc.alive(daemon) and self.sbc.pid(daemon) == pid
            log = self.sbc.log_path(daemon).read_text(errors="replace")
            # An alarm is what a test may have brought about.
            errors = [line for line in log.splitlines() if re.search(r" ERROR |runtime error|Sanitizer", line) and " alarm: " not in line]
            assert not errors, errors
        return digests["controlplane"]
