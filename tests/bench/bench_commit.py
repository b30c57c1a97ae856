# SPDX-License-Identifier: BSD-3-Clause
"""commit: how long a commit takes with 2,000 objects in the configuration, real daemons, against the bar of one second: one setting that
concerns mgmt alone changed in it; and all objects added to a small configuration, where the daemons take that without a restart.

BENCH_COMMIT_OBJECTS, BENCH_COMMIT_TURNS (commits of one setting; the median counts)."""

import json
import re
import shutil
import statistics
import subprocess
import time

import bench_calls
import stage
from bench_calls import INSIDE

BAR_S = 1.0
# Of ten objects: realm, its steering pool, profile, two agents, a group of them, two policies, a translation, an access list.
TEN = """realm r{n} {{ network-interface = inside  trust = trusted }}
steering-pool p{n} {{ realm = r{n}  address = "{inside}"  ports = "{low}-{high}" }}
ip-profile f{n} {{ nat = never  latching = fixed  session-timer = {timer} }}
session-agent a{n} {{ realm = r{n}  address = "udp:10.0.0.5:{port}"  ip-profile = f{n} }}
session-agent b{n} {{ realm = r{n}  address = "udp:10.0.0.6:{port}"  ip-profile = f{n} }}
session-group g{n} {{ agents = {{a{n}, b{n}}}  strategy = hunt }}
local-policy to{n} {{ from-realm = access  to = "^{n:05}"  next-hop = "group:g{n}"  priority = 5  translation = t{n} }}
local-policy from{n} {{ from-realm = r{n}  to = ".*"  next-hop = "agent:pbx" }}
translation t{n} {{ match = "^{n:05}(.*)"  replace = "\\\\1"  apply = {{to}} }}
access-control c{n} {{ realm = r{n}  source = "198.18.{third}.{fourth}"  action = permit  trust = trusted }}
"""


def objects(count):
    return "".join(TEN.format(n=n, inside=INSIDE, low=20000 + 100 * n, high=20000 + 100 * n + 98, timer=1800 + n, port=5060 + n,
                              third=n // 250, fourth=n % 250 + 1) for n in range(1, count // 10 + 1))


def base(s):
    path = bench_calls.fill("sallyport.conf.in", s.directory / "sallyport.conf", DIRECTORY=s.directory, CPU=stage.CPU, KIND="packet")
    # Its pools are for calls; here every realm has ports of its own.
    text = re.sub('ports = "20000-59999"', 'ports = "19000-19998"', path.read_text())
    path.write_text(text.replace("max-sessions = 20000", "max-sessions = 40"))
    # mgmt writes there, as the user it becomes.
    shutil.chown(s.directory, "nobody")
    shutil.chown(path, "nobody")
    return path


def shell(s, *lines):
    """The commands in one session: what they print, and the seconds that the last one took."""
    process = s.start("sbc", stage.binary("sallyport"), "-c", s.directory / "sallyport.conf", "shell", stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True, bufsize=1)
    said = []

    def ask(line):
        """Until the answer of the command behind it has come: one word of digits alone."""
        process.stdin.write(f"{line}\nshow version | count\n")
        process.stdin.flush()
        for text in process.stdout:
            if text.strip().isdigit():
                return
            said.append(text)
        raise stage.Refused("the session ended: " + "".join(said))

    for line in lines[:-1]:
        ask(line)
    began = time.monotonic()
    ask(lines[-1])
    took = time.monotonic() - began
    process.stdin.close()
    s.processes.remove(process)
    if process.wait(10) != 0:
        raise stage.Refused("".join(said[-6:]).strip())
    return took


def measure_one(count, turns):
    with stage.Stage("commit") as s:
        bench_calls.build(s)
        path = base(s)
        path.write_text(path.read_text() + objects(count))
        bench_calls.start_sallyport(s, path)
        took = [shell(s, f'set system contact "turn {n}"', "commit") for n in range(turns)]
        stage.note(f"{count} objects, one setting: {' '.join(f'{t:.3f}' for t in took)} s")
        stage.result("commit", f"one-setting-of-{count}-objects", round(statistics.median(took), 3), BAR_S, "s", less_is_better=True,
                     peer_name="the bar")


def measure_all(count):
    with stage.Stage("commit") as s:
        bench_calls.build(s)
        path = base(s)
        more = s.directory / "more.conf"
        more.write_text(path.read_text() + objects(count))
        bench_calls.start_sallyport(s, path)
        try:
            took = shell(s, f"load text\n{more.read_text()}.", "commit")
        except stage.Refused as refusal:
            why = str(refusal).strip().splitlines()[-1]
            stage.result("commit", f"{count}-objects-added", None, BAR_S, "s", less_is_better=True, peer_name="the bar", refused=why)
            return
        there = len(json.loads(s.run("sbc", stage.binary("sallyport"), "-c", path, "show", "configuration", "--json").stdout)["session-agent"])
        if there != 1 + 2 * (count // 10):
            raise stage.Refused(f"{there} session-agents after the commit")
        stage.result("commit", f"{count}-objects-added", round(took, 3), BAR_S, "s", less_is_better=True, peer_name="the bar")


def measure():
    count = stage.setting("BENCH_COMMIT_OBJECTS", 2000)
    for daemon in bench_calls.DAEMONS:
        stage.binary(f"sallyport-{daemon}")
    measure_one(count, stage.setting("BENCH_COMMIT_TURNS", 7))
    measure_all(count)
