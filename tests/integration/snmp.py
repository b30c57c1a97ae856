# SPDX-License-Identifier: BSD-3-Clause
"""snmpd and snmptrapd as docs/howto-snmp.md has them, on ports of the test's own, and the commands of a monitoring system."""

import os
import pathlib
import re
import shlex
import signal
import subprocess

import netns

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
MIB = REPOSITORY / "docs" / "mib" / "SALLYPORT-MIB.txt"
PAGE = REPOSITORY / "docs" / "howto-snmp.md"
# The IETF's modules are not in Debian's main: what of them is needed is in tests/mib.
MIBS = f"{MIB.parent}:{REPOSITORY / 'tests' / 'mib'}:/usr/share/snmp/mibs"
AGENT, RECEIVER = "127.0.0.1:1161", "127.0.0.1:1162"


def block(title):
    """The block of the page that begins with "# title"."""
    return re.search(rf"```\n# {re.escape(title)}\n(.*?)```", PAGE.read_text(), re.S).group(1)


def replaced(text, *pairs):
    for ours, tests in pairs:
        assert ours in text, ours
        text = text.replace(ours, tests)
    return text


class Snmpd:
    """snmpd in the SBC's namespace, its socket in `directory`."""

    def __init__(self, namespace, directory):
        self.namespace, self.directory = namespace, pathlib.Path(directory)
        self.directory.mkdir(mode=0o755, exist_ok=True)
        self.socket = self.directory / "agentx" / "master.sock"
        self.processes = {}
        self.configuration = self.directory / "snmpd.conf"
        self.configuration.write_text(replaced(
            block("/etc/snmp/snmpd.conf"),
            ("agentAddress udp:161", f"agentAddress udp:{AGENT}"),
            ("/var/agentx/master", str(self.socket)),
            # The daemons of a lab run as nobody.
            ("Debian-snmp sallyport", "nobody nogroup"),
            ("udp:192.0.2.20:162", f"udp:{RECEIVER}")))
        receiver = self.directory / "snmptrapd.conf"
        receiver.write_text(block("/etc/snmp/snmptrapd.conf"))

    def _run(self, name, *words):
        environment = {**os.environ, "SNMP_PERSISTENT_DIR": str(self.directory / name), "SNMPCONFPATH": str(self.directory), "MIBDIRS": MIBS, "MIBS": ""}
        with open(self.directory / f"{name}.log", "ab") as log:
            self.processes[name] = netns.popen(self.namespace, list(words), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def start(self):
        self._run("snmpd", "snmpd", "-f", "-Lo", "-C", "-c", str(self.configuration), "-I", "-smux,mteTrigger,mteTriggerConf")
        netns.wait_for("snmpd's socket", self.socket.exists, 20)

    def receive(self):
        command = replaced(block("receive"), ("udp:162", f"udp:{RECEIVER}"))
        self._run("snmptrapd", *shlex.split(command), "-C", "-c", str(self.directory / "snmptrapd.conf"), "-OQ", "-n")
        netns.wait_for("snmptrapd listening", lambda: "NET-SNMP version" in self.log("snmptrapd"), 20)

    def kill(self, name="snmpd", with_signal=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(with_signal)
        process.wait(10)
        if name == "snmpd":
            self.socket.unlink(missing_ok=True)

    def signal(self, which, name="snmpd"):
        self.processes[name].send_signal(which)

    def log(self, name):
        path = self.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self):
        for name in list(self.processes):
            self.processes[name].send_signal(signal.SIGCONT)
            self.kill(name)

    # --- a monitoring system ---

    def words(self, title):
        """A command of the page."""
        words = shlex.split(replaced(block(title), ("192.0.2.10", AGENT)))
        return [words[0], "-M", MIBS, *words[1:]]

    def command(self, title, *more, program=None, options=()):
        """A command of the page, finished; `program` and what it asks for may be others."""
        words = self.words(title)
        if program:
            words[0] = program
        if more:
            words[-1:] = more
        # Behind the page's own: of two of a kind the last one counts.
        words[words.index(AGENT):words.index(AGENT)] = options
        return netns.run(self.namespace, words, timeout=60)

    def walk(self, of="SALLYPORT-MIB::sallyport", options=("-OQU",)):
        """{name with index: text}"""
        result = self.command("walk", of, options=("-t", "3", *options))
        assert result.returncode == 0, result.stdout[-500:] + result.stderr
        # Texts have no line ends in them.
        rows = (line.split(" = ", 1) for line in result.stdout.splitlines() if " = " in line)
        return {name.removeprefix("SALLYPORT-MIB::"): value for name, value in rows}

    def get(self, *objects, options=("-OQU",)):
        result = self.command("walk", *(f"SALLYPORT-MIB::{o}" for o in objects), program="snmpget", options=("-t", "5", *options))
        if result.returncode:
            return None
        values = [line.split(" = ", 1)[1] for line in result.stdout.splitlines() if " = " in line]
        return values[0] if len(objects) == 1 else values

    def column(self, name, options=("-OQU",)):
        """{index: text}"""
        return {key.split(".", 1)[1]: value for key, value in self.walk(f"SALLYPORT-MIB::{name}", options).items() if "No Such" not in value}

    def calls(self, name):
        """The same of the list of calls: their numbers are no text."""
        return self.column(name, ("-OQUb",))

    def notifications(self):
        """What snmptrapd has received: [{"trap": .., column: text}], in order."""
        found = []
        for line in self.log("snmptrapd").splitlines():
            if "snmpTrapOID" not in line:
                continue
            fields = dict(part.split(" = ", 1) for part in line.split("\t") if " = " in part)
            row = {key.split("::")[-1].split(".")[0]: value.strip('"') for key, value in fields.items()}
            row["trap"] = row.pop("snmpTrapOID").split("::")[-1]
            # snmpd has some of its own: that it began.
            if row["trap"].startswith("spAlarm"):
                found.append(row)
        return found
