# SPDX-License-Identifier: BSD-3-Clause
"""The lab and the three daemons in its SBC namespace: start, wait until each serves, ask, stop."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import netns

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD") or REPOSITORY / "build").absolute()
DAEMONS = ("dataplane", "controlplane", "mgmt")


class Lab:
    """platforms/lab/up and down for the lab called `name`."""

    def __init__(self, name):
        self.name = name
        self.directory = pathlib.Path("/run/sallyport-lab") / name

    def _script(self, script):
        result = subprocess.run([HERE / script], env={**os.environ, "LAB": self.name}, text=True, capture_output=True)
        if result.returncode != 0:
            raise RuntimeError(f"platforms/lab/{script}: {result.stderr.strip() or result.stdout.strip()}")

    def up(self):
        self._script("up")

    def down(self):
        self._script("down")

    def namespace(self, node):
        return f"{self.name}-{node}"


def configuration(lab, kind="packet", log_level="info"):
    """The lab's sallyport.conf; kind: packet or xdp."""
    text = (HERE / "sallyport.conf.in").read_text()
    worker = max(os.sched_getaffinity(0))
    for key, value in {"KIND": kind, "DIRECTORY": str(lab.directory), "WORKER": str(worker), "LOGLEVEL": log_level}.items():
        text = text.replace(f"@{key}@", value)
    return text


class Sbc:
    """The SBC of a lab. Logs go to `logs`/DAEMON.log."""

    def __init__(self, lab, text, logs=None):
        self.lab = lab
        self.namespace = lab.namespace("sbc")
        self.config_path = lab.directory / "sallyport.conf"
        self.config_path.write_text(text)
        # A commit puts a new file in the place of the old one: the daemons' user must be allowed to.
        shutil.chown(lab.directory, "nobody")
        shutil.chown(self.config_path, "nobody")
        self.run_directory = lab.directory / "run"
        self.logs = pathlib.Path(logs or lab.directory)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.processes = {}

    def start(self, *daemons):
        """Starts these daemons (all by default) and waits until each serves its socket and sees its neighbours."""
        daemons = daemons or DAEMONS
        for daemon in daemons:
            self.spawn(daemon)
            # One after the other, as a supervisor would: a daemon that fails is found before the next one waits for it.
            self.wait_serving(daemon)

    def spawn(self, daemon):
        with open(self.log_path(daemon), "ab") as log:
            self.processes[daemon] = netns.popen(
                self.namespace,
                [str(BUILD / f"sallyport-{daemon}"), "-c", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )
        return self.processes[daemon]

    def wait_serving(self, daemon, deadline=20.0):
        def serves():
            status = self.processes[daemon].poll()
            if status is not None:
                raise RuntimeError(f"sallyport-{daemon} ended with status {status}:\n{self.log_tail(daemon)}")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
                try:
                    probe.connect(str(self.run_directory / f"{daemon}.sock"))
                    return True
                except OSError:
                    return False

        try:
            netns.wait_for(f"sallyport-{daemon} serving", serves, deadline)
        except TimeoutError as error:
            raise RuntimeError(f"{error}:\n{self.log_tail(daemon)}") from None

    def wait_ready(self, deadline=20.0):
        """Until the control plane has its dataplane and all its sockets, as `show status` sees it."""

        def ready():
            result = self.command("show", "status", "--json")
            if result.returncode != 0:
                return False
            return json.loads(result.stdout)["state"] == "in-service"

        try:
            netns.wait_for("the SBC being ready", ready, deadline, interval=0.1)
        except TimeoutError as error:
            status = self.command("show", "status")
            raise RuntimeError(f"{error}:\n{status.stdout}{status.stderr}\n{self.log_tails()}") from None

    def pid(self, daemon):
        return self.processes[daemon].pid

    def alive(self, daemon):
        return self.processes[daemon].poll() is None

    def end(self, daemon, with_signal=signal.SIGTERM, deadline=10.0):
        """Ends one daemon and returns its exit status; the status of a death by signal is negative."""
        process = self.processes.pop(daemon)
        if process.poll() is None:
            process.send_signal(with_signal)
        try:
            return process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"sallyport-{daemon} did not end within {deadline:g} s") from None

    def stop(self):
        """Ends all daemons, the last one first. Returns {daemon: exit status}."""
        return {daemon: self.end(daemon) for daemon in reversed(DAEMONS) if daemon in self.processes}

    def command(self, *words):
        """sallyport WORDS..., finished."""
        return netns.run(self.namespace, [str(BUILD / "sallyport"), "-c", str(self.config_path), *words], timeout=20)

    def shell(self, *lines, login=()):
        """One session: its commands line by line, finished."""
        return netns.run(self.namespace, [str(BUILD / "sallyport"), "-c", str(self.config_path), *login, "shell"],
                         input="\n".join(lines) + "\n", timeout=20)

    def show(self, *words):
        """sallyport show WORDS... --json, as Python values."""
        result = self.command("show", *words, "--json")
        if result.returncode != 0:
            raise RuntimeError(f"sallyport show {' '.join(words)}: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def counters(self):
        """{"dataplane": {name: value}, "controlplane": {name: value}}"""
        shown = self.show("counters")
        return {plane: {row["name"]: row["value"] for row in shown[plane]} for plane in ("dataplane", "controlplane")}

    def the_call(self):
        """`show call` of the only call there is, or None if there is none."""
        calls = self.show("calls")["calls"]
        if len(calls) > 1:
            raise RuntimeError(f"show calls: one call was to be seen, there are {len(calls)}")
        return self.show("call", calls[0]["id"]) if calls else None

    def directions(self, call=None):
        """What was measured on the first stream of a call: from the caller, from the callee."""
        return (call or self.the_call())["media"][0]["directions"]

    def log_path(self, daemon):
        return self.logs / f"{daemon}.log"

    def log_tail(self, daemon, lines=15):
        try:
            return "\n".join(self.log_path(daemon).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def log_tails(self):
        return "\n".join(f"--- {daemon}.log\n{self.log_tail(daemon)}" for daemon in DAEMONS)
