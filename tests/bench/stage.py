# SPDX-License-Identifier: BSD-3-Clause
"""What every benchmark stands on: a row of network namespaces, programs pinned to a core, results as JSON lines."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD") or REPOSITORY / "build").absolute()

_CPUS = sorted(os.sched_getaffinity(0))
# Benchmarks take precedence over whatever else runs on the machine; root alone may.
NICE = int(os.environ.get("BENCH_NICE", -15))
# The core under test, ours and the peer's alike, and the core of whatever makes the load.
CPU = int(os.environ.get("BENCH_CPU", _CPUS[-1]))
LOAD_CPU = int(os.environ.get("BENCH_LOAD_CPU", _CPUS[0]))

# A relay in userspace keeps four sockets a call, and keeps them for a while: no peer is to end at a limit of the shell's.
_FILES = int(pathlib.Path("/proc/sys/fs/nr_open").read_text())
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
except (PermissionError, ValueError):
    pass


class Refused(Exception):
    """The benchmark cannot be made here; the text says why and what to do."""


def setting(name, default):
    """A number from the environment, of the default's type."""
    try:
        return type(default)(os.environ.get(name, default))
    except ValueError:
        raise Refused(f"{name}={os.environ[name]}: a number like {default}") from None


def settings(name, default):
    """A list of whole numbers from the environment, separated by spaces or commas."""
    text = os.environ.get(name)
    try:
        return [int(word) for word in text.replace(",", " ").split()] if text else list(default)
    except ValueError:
        raise Refused(f"{name}={text}: whole numbers like {' '.join(map(str, default))}") from None


def result(bench, case, ours, peer, unit, less_is_better=False, **more):
    """One line. ratio > 1: better than the peer. No peer: null."""
    over, under = (peer, ours) if less_is_better else (ours, peer)
    ratio = round(over / under, 3) if over is not None and under else None
    print(json.dumps({"bench": bench, "case": case, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit, **more}), flush=True)


def note(text):
    """What is going on, for whoever watches."""
    print(f"# {text}", file=sys.stderr, flush=True)


def binary(name):
    path = BUILD / name
    if not path.exists():
        raise Refused(f"{path} is not there: run make, or set BUILD")
    return str(path)


def program(name):
    path = shutil.which(name)
    if path is None:
        raise Refused(f"{name} is not installed: see ci/packages")
    return path


class Stage:
    """Namespaces and processes that are gone when the `with` block ends, however it ends."""

    def __init__(self, name):
        self.prefix = f"bench{os.getpid()}-{name}"
        self.processes = []
        self.namespaces = []

    def __enter__(self):
        if os.geteuid() != 0:
            raise Refused("benchmarks make network namespaces: run as root")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench-"))
        # The daemons give up root and still have to reach their run directory.
        self.directory.chmod(0o755)
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.end(process)
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def namespace(self, node):
        name = f"{self.prefix}-{node}"
        self._run("ip", "netns", "add", name)
        self.namespaces.append(name)
        self._run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def cable(self, one, interface_one, other, interface_other):
        """A veth pair between two nodes, without the checksum shortcut that raw readers cannot use."""
        ends = ((f"{self.prefix}-{one}", interface_one), (f"{self.prefix}-{other}", interface_other))
        self._run("ip", "link", "add", interface_one, "netns", ends[0][0], "type", "veth", "peer", "name", interface_other, "netns", ends[1][0])
        for namespace, interface in ends:
            self._run("ip", "netns", "exec", namespace, "sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=1")
            self._run("ip", "netns", "exec", namespace, "ethtool", "-K", interface, "tx", "off")
            self._run("ip", "-n", namespace, "link", "set", interface, "up")

    def address(self, node, interface, *addresses):
        for address in addresses:
            self._run("ip", "-n", f"{self.prefix}-{node}", "address", "add", address, "dev", interface)

    def run(self, node, *command, cpu=None, **kwargs):
        return subprocess.run(self._at(node, command), text=True, capture_output=True, preexec_fn=self._pin(cpu), **kwargs)

    def start(self, node, *command, cpu=None, log=None, **kwargs):
        """Starts a program on a core; its output goes to `log` in the stage's directory."""
        output = open(self.directory / log, "ab") if log else subprocess.DEVNULL
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", output)
        process = subprocess.Popen(self._at(node, command), preexec_fn=self._pin(cpu), stderr=subprocess.STDOUT, **kwargs)
        self.processes.append(process)
        return process

    def end(self, process, deadline=10):
        """Ends a process started here; returns its exit status."""
        if process in self.processes:
            self.processes.remove(process)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def log(self, name, lines=12):
        try:
            return "\n".join((self.directory / name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _at(self, node, command):
        return ["ip", "netns", "exec", f"{self.prefix}-{node}", *map(str, command)] if node else list(map(str, command))

    @staticmethod
    def _pin(cpu):
        def enter():
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
            # The kernel shares the cores out between sessions first, and only then by niceness.
            os.setsid()
            try:
                with open("/proc/self/autogroup", "w") as group:
                    group.write(str(NICE))
            except OSError:
                pass
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        return enter

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, text=True, capture_output=True)
        if done.returncode != 0:
            raise Refused(f"{' '.join(command)}: {done.stderr.strip()}")


def wait_for(what, condition, deadline=15.0, interval=0.05):
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Refused(f"{what}: not within {deadline:g} s")
        time.sleep(interval)
