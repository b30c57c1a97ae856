# SPDX-License-Identifier: BSD-3-Clause
"""What operators look at and hand on: the log, who is logged in, what was cleared, and the support bundle, which has everything but secrets. All of it
over SSH by each role; and every command there is, by each role."""

import base64
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile

import pytest

import netns
import sbc as sbc_module
from conftest import SBC_OUT4, Stack
from pki import Pki
from sip import sdp
from srtp import Key
from ssh import USERS, Ssh, Terminal

AGENT, FROM_FILE, SUBSCRIBER = "agent-passw0rd-XYZ", "file-passw0rd-XYZ", "subscriber-passw0rd-XYZ"
HASH = "$6$planted$" + "q" * 86
EVIL = "\x1b]0;owned\x07<script>"


@pytest.fixture(scope="module")
def ssh():
    stack = Stack()
    served = Ssh(stack)
    files = pathlib.Path("/tmp") / f"sallyport-support-{os.getpid()}"
    files.mkdir(mode=0o755)
    try:
        issued = Pki.of_this_run().issue("support", ip=[SBC_OUT4])
        for name, source in (("cert.pem", issued.certificate), ("key.pem", issued.key)):
            shutil.copy(source, files / name)
            shutil.chown(files / name, "nobody")
        (files / "secret").write_text(FROM_FILE)
        shutil.chown(files / "secret", "nobody")
        served.files = files
        stack.change = lambda text: text.replace("ip-profile phone  {", "ip-profile phone  { media-security = prefer  srtp-without-tls = yes ")
        stack.more = served.sections() + f"""
tls-profile planted {{ certificate = "{files}/cert.pem"  key = "{files}/key.pem" }}
session-agent sworn {{ realm = core  address = "udp:10.0.0.77:5060"  username = "u"  password = "{AGENT}" }}
session-agent filed {{ realm = core  address = "udp:10.0.0.78:5060"  username = "u"  password = "file:{files}/secret" }}
user planted {{ role = monitor  password-hash = "{HASH}" }}
"""
        stack.start()
        served.start()
        yield served
    finally:
        served.stop()
        shutil.rmtree(files, ignore_errors=True)
        stack.down()


@pytest.fixture(autouse=True)
def peers_end_with_their_test(ssh):
    yield
    ssh.stack.end_test()


def shown(ssh, user, *words):
    result = ssh.run(user, *words, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


# --- the log ---


def test_the_log_tells_of_all_daemons_in_the_order_of_time(ssh):
    lines = shown(ssh, "olga", "show", "log", "last", "1000")["log"]
    assert {line["process"] for line in lines} == {"dataplane", "controlplane", "mgmt"}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert any(line["process"] == "dataplane" and "ready" in line["text"] for line in lines)
    some = shown(ssh, "olga", "show", "log", "mgmt", "last", "2")["log"]
    assert len(some) == 2 and {line["process"] for line in some} == {"mgmt"}
    grave = shown(ssh, "olga", "show", "log", "level", "warning", "last", "1000")["log"]
    assert {line["level"] for line in grave} <= {"error", "warning"}
    text = ssh.run("olga", "show", "log", "last", "2")
    assert len(text.stdout.splitlines()) == 2
    for wrong in (("last", "0"), ("last",), ("level", "loud"), ("sshd",), ("mgmt", "mgmt")):
        refused = ssh.run("olga", "show", "log", *wrong)
        assert refused.returncode == 2 and "dataplane, controlplane, mgmt" in refused.stderr, wrong


def test_who_gave_which_command_is_in_the_log_for_an_admin_alone(ssh):
    assert ssh.run("moritz", "show", "version").returncode == 0
    told = lambda user: [line for line in shown(ssh, user, "show", "log", "mgmt", "last", "2000")["log"] if line["text"].startswith("audit:")]
    assert told("ada") and not told("olga")


def test_hostile_strings_of_the_log_do_nothing_to_a_terminal(ssh):
    assert ssh.stack.sbc.command("ban", EVIL).returncode == 2
    said = ssh.run("ada", "show", "log", "last", "6144").stdout
    assert "ban ?]0;owned?<script>" in said and not set("\x1b\x07") & set(said)


# --- users ---


def test_users_are_shown_with_their_sessions_and_last_logins(ssh):
    t = Terminal(ssh, "ada")
    try:
        t.expect("lab> ")
        t.type("set system location 'here'\n")
        t.expect("lab# ")
        users = shown(ssh, "olga", "show", "users")
    finally:
        t.close()
    by_name = {user["user"]: user for user in users["users"]}
    assert {name: by_name[name]["role"] for name in USERS} == USERS
    assert by_name["ada"]["sessions"] == 1 and by_name["ada"]["last-login"] and by_name["ada"]["last-login-from"] == "127.0.0.1"
    assert by_name["olga"]["password"] and not by_name["ada"]["password"] and by_name["ada"]["keys"] == 1
    assert by_name["planted"]["last-login"] is None
    session = next(s for s in users["sessions"] if s["user"] == "ada")
    assert (session["role"], session["from"], session["edits"]) == ("admin", "127.0.0.1", True) and session["idle-seconds"] >= 0
    netns.wait_for("the session's end", lambda: not any(s["user"] == "ada" for s in shown(ssh, "olga", "show", "users")["sessions"]), 10)
    assert "$6$" not in ssh.run("ada", "show", "users", "--json").stdout


# --- clear ---


def test_cleared_counters_count_anew_for_people_and_go_on_for_machines(ssh):
    phone = ssh.stack.phone()
    phone.ask((SBC_OUT4, 5060))

    def counter():
        return next(row for row in shown(ssh, "olga", "show", "counters")["controlplane"] if row["name"] == "rx-messages")

    before = counter()
    assert before["value"] > 0
    assert ssh.run("olga", "clear", "counters").returncode == 0
    after = counter()
    assert after["since-clear"] == 0 and after["value"] == before["value"]
    phone.ask((SBC_OUT4, 5060))
    netns.wait_for("a message counted", lambda: counter()["since-clear"] > 0, 5)
    assert shown(ssh, "olga", "show", "counters")["cleared"]


def test_what_the_guard_holds_against_a_source_is_forgotten_by_order(ssh):
    phone = ssh.stack.carrier()
    scanner = (f"OPTIONS sip:1@{SBC_OUT4} SIP/2.0\r\nVia: SIP/2.0/UDP {phone.host}:5060;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
               f"From: <sip:a@b>;tag=1\r\nTo: <sip:1@b>\r\nCall-ID: scan\r\nCSeq: 1 OPTIONS\r\nUser-Agent: friendly-scanner\r\n\r\n").encode()
    other = ssh.stack.endpoint("phone", "192.168.77.2", 5077)
    points = lambda: [row for row in shown(ssh, "olga", "show", "guard")["sources"] if row["points"] > 0]

    def noticed():
        other.send(scanner, (SBC_OUT4, 5060))
        return points()

    row = netns.wait_for("points", noticed, 10)[0]
    host = row["source"].rsplit(":", 1)[0]
    assert ssh.run("olga", "clear", "guard", host).returncode == 0
    assert not [left for left in points() if left["source"].startswith(host)]
    # Who was banned by order stays banned.
    assert ssh.run("olga", "ban", "192.0.2.50").returncode == 0
    assert ssh.run("olga", "clear", "guard", "192.0.2.50").returncode == 0
    assert any(ban["source"] == "192.0.2.50" for ban in shown(ssh, "olga", "show", "bans")["bans"])
    assert ssh.run("olga", "unban", "192.0.2.50").returncode == 0
    assert ssh.run("olga", "clear", "guard", "nonsense").returncode == 2


# --- the bundle ---


def unpack(octets):
    with tarfile.open(fileobj=io.BytesIO(octets), mode="r:gz") as archive:
        files = {m.name.removeprefix("sallyport-support/"): archive.extractfile(m).read() for m in archive.getmembers()}
        assert all(m.isfile() and m.name.startswith("sallyport-support/") and m.mode == 0o600 for m in archive.getmembers())
    return files


def archive_of(ssh, command):
    """What a command writes, unpacked."""
    result = subprocess.run(["ip", "netns", "exec", ssh.stack.sbc.namespace, *command], capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return unpack(result.stdout)


def bundle(ssh, user, *words):
    return archive_of(ssh, [*ssh.arguments(user), "support", "bundle", *words])


def forms(secret):
    """A secret as it is, and as others might write it down."""
    octets = secret if isinstance(secret, bytes) else secret.encode()
    encoded = [base64.b64encode(octets[skip:])[2:-4] for skip in range(3)]
    return [octets, octets.hex().encode(), octets.hex().upper().encode(), *encoded]


def planted(ssh, keys):
    """Every kind of secret there is in this SBC, by name."""
    data = ssh.stack.lab.directory / "data"
    blocks = lambda path: "".join(line for line in path.read_text().splitlines() if "-----" not in line)
    secrets = {"agent password": AGENT, "password from a file": FROM_FILE, "subscriber password": SUBSCRIBER, "password hash": HASH[-60:],
               "TLS key": blocks(ssh.files / "key.pem")[:60], "hash of olga": (data / "ssh" / "passwd").read_text().split("olga:")[1].split(":")[0][-40:]}
    for kind in ("ed25519", "ecdsa"):
        secrets[f"host key {kind}"] = blocks(data / "ssh" / f"host-{kind}")[-60:]
    secrets |= {f"SRTP key {n}": base64.b64encode(key)[:-4] for n, key in enumerate(keys)}
    return secrets


@pytest.fixture
def secure_call(ssh):
    phone, pbx = ssh.stack.phone(), ssh.stack.pbx()
    ours = Key("AES_CM_128_HMAC_SHA1_80")
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(ours.master).decode()}"
    a = phone.call((SBC_OUT4, 5060), "1234", sdp(phone.host, 30000, extra=[line]).replace(b"RTP/AVP", b"RTP/SAVP"))
    b = pbx.answerer()
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    ok = a.expect(200)
    a.ack(ok)
    b.expect("ACK")
    theirs = base64.b64decode(re.search(rb"inline:(\S+)", ok.body).group(1))
    yield ours.master, theirs
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")


def test_a_bundle_has_everything_and_no_secret(ssh, secure_call):
    assert ssh.run("ada", "subscriber", "add", "bob", "planted.example", stdin=SUBSCRIBER + "\n").returncode == 0
    assert ssh.run("ada", stdin=f"set user planted password-hash '{HASH}x'\ncommit comment 'for the bundle'\n").returncode == 0
    files = bundle(ssh, "ada", "records", "10")
    assert files["notes.txt"].decode().strip() == "all parts are there"
    for name in ("version", "status", "calls", "registrations", "realms", "interfaces", "flows", "guard", "bans", "drops", "alarms", "certificates",
                 "configuration", "revisions", "log", "users", "counters", "commands", "audit", "records"):
        assert json.loads(files[f"show/{name}.json"]) is not None, name
    assert json.loads(files["show/calls.json"])["calls"] and json.loads(files["show/records.json"])["records"]
    assert any(r["comment"] == "for the bundle" for r in json.loads(files["show/revisions.json"])["revisions"])
    assert {line["process"] for line in json.loads(files["show/log.json"])["log"]} == {"dataplane", "controlplane", "mgmt"}
    assert b"session-agent sworn" in files["configuration.conf"] and b"********" in files["configuration.conf"]
    for name in ("version", "meminfo", "cpuinfo", "addresses.json", "routes.json", "neighbours.json", "mgmt.status"):
        assert files[f"host/{name}"], name
    assert any(a["ifname"] == "sp-outside" for a in json.loads(files["host/addresses.json"]))
    secrets = planted(ssh, secure_call)
    assert len(secrets) == 10
    for what, secret in secrets.items():
        for form in forms(secret):
            for name, contents in files.items():
                assert form not in contents, f"{what} is in {name}"
    assert b"PRIVATE KEY" not in b"".join(files.values())


def test_a_bundle_has_records_only_if_they_are_asked_for(ssh):
    files = bundle(ssh, "olga")
    assert "show/records.json" not in files
    assert "commands.json" in files["notes.txt"].decode() and "for the role admin" in files["notes.txt"].decode()
    refused = ssh.run("olga", "support", "bundle", "records", "many")
    assert refused.returncode == 2 and "allowed" in refused.stderr


def test_a_bundle_is_not_thrown_at_a_terminal_nor_given_to_a_monitor(ssh):
    refused = ssh.run("moritz", "support", "bundle")
    assert refused.returncode == 1 and refused.stdout == "" and "for the role operator" in refused.stderr
    t = Terminal(ssh, "ada")
    try:
        t.expect("lab> ")
        t.type("support bundle\n")
        t.expect("into a file")
        t.expect("lab> ")
    finally:
        t.close()


def test_a_reader_that_goes_away_ends_the_bundle(ssh):
    process = netns.popen(ssh.stack.sbc.namespace, [str(sbc_module.BUILD / "sallyport"), "-c", str(ssh.stack.sbc.config_path), "support", "bundle"],
                          stdout=(pipe := os.pipe())[1])
    os.close(pipe[1])
    os.read(pipe[0], 10)
    os.close(pipe[0])
    assert process.wait(30) in (0, 1)


def test_a_bundle_tells_of_a_daemon_that_is_away_and_what_it_logged_last(ssh):
    sbc = ssh.stack.sbc
    sbc.end("controlplane", signal.SIGKILL)
    try:
        files = bundle(ssh, "ada")
        notes = files["notes.txt"].decode()
        assert "show/calls.json" in notes and "control" in notes
        assert not json.loads(files["show/version.json"])["processes"][1]["up"]
        assert any(line["process"] == "controlplane" and "ready" in line["text"] for line in json.loads(files["show/log.json"])["log"])
        # At the machine itself also without the daemon that answers commands.
        sbc.end("mgmt", signal.SIGKILL)
        files = archive_of(ssh, [str(sbc_module.BUILD / "sallyport"), "-c", str(sbc.config_path), "support", "bundle"])
        assert "sallyport-mgmt does not answer" in files["notes.txt"].decode()
        assert b"session-agent sworn" in files["configuration.conf"] and b"ready" in files["log/mgmt.txt"]
        for what, secret in planted(ssh, ()).items():
            for form in forms(secret):
                assert not any(form in contents for contents in files.values()), what
    finally:
        for daemon in ("controlplane", "mgmt"):
            if daemon not in sbc.processes:
                sbc.start(daemon)
        sbc.wait_ready()


# --- every command by each role ---

# Whoever adds a command says here what it is: what a monitor may give changes nothing.
OF_MONITORS = {"subscriber list", "authorized-keys"}
OF_OPERATORS = {"ban", "unban", "hangup", "records export", "show log", "show users", "clear counters", "clear guard", "clear registration",
                "support bundle", "sftp", "test agent", "test registration", "test route"}
OF_ADMINS_SHOWS = {"show commands", "show candidate"}


def commands():
    """[(words, number of arguments)] of the whole table."""
    table = (sbc_module.REPOSITORY / "mgmt" / "commands.c").read_text()
    rows = re.findall(r'\.words = "([^"]+)".*?\.arguments = "([^"]*)"', table)
    assert len(rows) == table.count(".words = \"") > 50
    return [(words, len(arguments.split())) for words, arguments in rows]


@contextlib.contextmanager
def connection(ssh, user):
    """Commands over one connection, one session each."""
    path = ssh.safe / f"control-{user}"
    options = ("-o", f"ControlPath={path}", "-o", "ControlMaster=auto", "-o", "ControlPersist=60")
    try:
        yield lambda *words: ssh.run(user, *words, options=options, stdin="x\n")
    finally:
        ssh.run(user, options=("-O", "exit", "-o", f"ControlPath={path}"))


@pytest.mark.parametrize("user", USERS)
def test_every_command_is_refused_below_its_role_over_ssh(ssh, user):
    table = commands()
    state = lambda: [shown(ssh, "ada", *words) for words in (("show", "bans"), ("show", "configuration"), ("show", "revisions"), ("subscriber", "list"))]
    before = state()
    with connection(ssh, user) as give:
        for name, arguments in table:
            if name.startswith("config "):
                continue
            may = name.startswith("show ") and name not in OF_ADMINS_SHOWS | OF_OPERATORS or name in OF_MONITORS
            may = may or USERS[user] != "monitor" and name in OF_OPERATORS or USERS[user] == "admin"
            # The archive itself has its own test.
            said = give(*name.split(), *["1"] * (arguments or name == "support bundle"))
            assert ("is for the role" in said.stderr) != may, f"{name} by {user}: {said.stderr}"
            assert may or (said.returncode == 1 and said.stdout == ""), name
    if user == "moritz":
        assert state() == before
