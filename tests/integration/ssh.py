# SPDX-License-Identifier: BSD-3-Clause
"""An SBC whose shell is served over SSH, and OpenSSH's own client beside it."""

import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time

import netns
import sbc as sbc_module
from conftest import LAB

PORT = "2022"
USERS = {"ada": "admin", "olga": "operator", "moritz": "monitor"}
PASSWORD = "correct horse"
SERVER = pathlib.Path(sbc_module.REPOSITORY / "platforms" / "server" / "ssh")


class Ssh:
    """An SBC whose shell is served at its loopback address, and a client beside it."""

    def __init__(self, stack):
        self.stack = stack
        # The server runs nothing that lies where others may write.
        self.safe = pathlib.Path("/run/sallyport-lab") / f"{LAB}-ssh"
        shutil.rmtree(self.safe, ignore_errors=True)
        self.safe.mkdir(mode=0o755)
        shutil.copy(sbc_module.BUILD / "sallyport", self.safe / "sallyport")
        self.server = None

    def key(self, name, kind="ed25519", *options):
        path = self.safe / f"key-{name}"
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-f", path], check=True)
        return path

    def sections(self):
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
        text = f'ssh {{ listen = "127.0.0.1:{PORT}"  banner = "for those it concerns"  idle-timeout = 10 }}\n'
        for name, role in USERS.items():
            public = self.key(name).with_suffix(".pub").read_text().strip()
            secret = f'password-hash = "{hashed}"' if name == "olga" else ""
            text += f'user {name} {{ role = {role}  keys = {{"{public}"}}  {secret} }}\n'
        return text

    def start(self):
        self.log = open(self.stack.lab.directory / "sshd.log", "wb")
        self.server = netns.popen(self.stack.sbc.namespace, [str(SERVER), str(self.stack.sbc.config_path)],
                                  env={**os.environ, "SALLYPORT": str(self.safe / "sallyport")},
                                  stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        netns.wait_for("sshd serving", self.serves, 20)

    def serves(self):
        assert self.server.poll() is None, (self.stack.lab.directory / "sshd.log").read_text()
        with contextlib.suppress(OSError):
            netns.tcp_connect(self.stack.sbc.namespace, "127.0.0.1", int(PORT)).close()
            return True
        return False

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait(10)
            self.log.close()
        shutil.rmtree(self.safe, ignore_errors=True)

    def arguments(self, user, *options, key=None):
        return ["ssh", "-F", "none", "-p", PORT, "-i", str(key or self.key(user)), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.safe}/known", "-o", "LogLevel=INFO",
                *options, f"{user}@127.0.0.1"]

    def run(self, user, *words, options=(), key=None, stdin=""):
        return netns.run(self.stack.sbc.namespace, [*self.arguments(user, *options, key=key), *words], input=stdin, timeout=30)


class Terminal:
    """An interactive session at a terminal of 80 x 24."""

    def __init__(self, ssh, user, rows=24):
        self.master, slave = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        self.process = netns.popen(ssh.stack.sbc.namespace, ssh.arguments(user, "-tt"), stdin=slave, stdout=slave, stderr=slave,
                                   env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        self.seen = ""

    def expect(self, pattern, deadline=15.0):
        """Reads until it has come; what came up to there is used up."""
        end = time.monotonic() + deadline
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)
            found = re.search(pattern, plain, re.S)
            if found:
                self.seen = plain[found.end():]
                return plain[:found.end()]
            assert time.monotonic() < end, f"no {pattern!r} in {plain!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"the session ended before {pattern!r}: {plain!r}") from None

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
