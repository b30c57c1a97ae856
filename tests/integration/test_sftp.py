# SPDX-License-Identifier: BSD-3-Clause
"""Files over SSH with OpenSSH's own sftp: records of calls and captures can be read, and nothing else is there, whatever is tried."""

import csv
import io
import json
import os
import shutil
import time

import pytest

import netns
from conftest import Call, Stack
from ssh import PORT, Ssh


@pytest.fixture(scope="module")
def ssh():
    stack = Stack()
    served = Ssh(stack)
    try:
        stack.more = served.sections()
        stack.start()
        served.start()
        plant(stack.lab.directory / "data" / "captures")
        yield served
    finally:
        served.stop()
        stack.down()


def plant(captures):
    """Captures, and what would lead out of their directory if somebody followed it."""
    data = captures.parent
    (captures / "deep").mkdir()
    (captures / "deep" / "call.pcapng").write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(range(256)) * 1000)
    (captures / "notes.txt").write_text("hello")
    (captures / "key").symlink_to(data / "ssh" / "host-ed25519")
    (captures / "up").symlink_to("..")
    (captures / "deep" / "root").symlink_to("/")
    os.link(data / "ssh" / "host-ecdsa", captures / "hard")
    os.mkfifo(captures / "pipe")
    (captures / "evil\x1b]0;x\x07").write_text("x")
    for path in (captures / "deep", captures / "deep" / "call.pcapng", captures / "notes.txt"):
        shutil.chown(path, "nobody")


@pytest.fixture
def sftp(ssh, tmp_path):
    """A batch of commands in a directory of their own: status, what was said."""

    def run(*lines, user="olga", options=()):
        arguments = ssh.arguments(user, *options)
        command = ["sftp", "-b", "-", "-P", PORT, *arguments[arguments.index("-i"):-1], f"{user}@127.0.0.1"]
        result = netns.run(ssh.stack.sbc.namespace, command, input="\n".join(lines) + "\n", cwd=tmp_path, timeout=60)
        return result.returncode, result.stdout, result.stderr

    run.directory = tmp_path
    return run


def test_captures_are_fetched_as_they_are(ssh, sftp):
    status, out, err = sftp("ls /", "cd captures", "ls -l", "get deep/call.pcapng", "get notes.txt", "get -r deep")
    assert status == 0, err
    original = ssh.stack.lab.directory / "data" / "captures" / "deep" / "call.pcapng"
    assert (sftp.directory / "call.pcapng").read_bytes() == original.read_bytes()
    assert (sftp.directory / "deep" / "call.pcapng").read_bytes() == original.read_bytes()
    assert (sftp.directory / "notes.txt").read_text() == "hello"
    assert "notes.txt" in out and not {"key", "up", "hard", "pipe"} & set(out.split()) and "\x1b" not in out


def test_records_are_fetched_by_day_in_both_forms(ssh, sftp):
    for number in ("1001", "1002"):
        Call(ssh.stack, ssh.stack.phone(), ssh.stack.pbx(), number).hang_up()
        ssh.stack.end_test()
    netns.wait_for("both records", lambda: len([r for r in ssh.stack.sbc.show("records")["records"] if r["state"] == "ended"]) == 2, 10)
    today, tomorrow = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + s)) for s in (0, 86400))
    status, out, err = sftp("ls records", f"get records/{today}.csv", f"get /records/{today}.json")
    assert status == 0, err
    assert f"{today}.csv" in out and f"{today}.json" in out and tomorrow not in out
    rows = list(csv.DictReader(io.StringIO((sftp.directory / f"{today}.csv").read_text())))
    assert sorted(row["caller-to"] for row in rows) == ["1001", "1002"]
    assert (sftp.directory / f"{today}.csv").read_text() == ssh.stack.sbc.command("records", "export", "csv").stdout
    assert len(json.loads((sftp.directory / f"{today}.json").read_text())["records"]) == 2
    status, _, err = sftp("get records/1999-01-01.csv")
    assert status == 0 and (sftp.directory / "1999-01-01.csv").read_text().count("\n") == 1, err


OUTSIDE = ["/etc/passwd", "../../../../etc/passwd", "/captures/../../etc/passwd", "captures/key", "captures/up/ssh/host-ed25519",
           "captures/deep/root/etc/passwd", "captures/hard", "captures/pipe", "captures/../ssh/passwd", "/mgmt.db", "/proc/self/environ",
           "records/../../mgmt.db", "records/x.csv", "records/2026-13-01.csv", "records/2026-1-1.csv", "records/2026-01-01.csv/x"]
ELSEWHERE = ["/etc", "captures/up", "captures/deep/root", "captures/deep/root/etc", "/data", "records/2026-01-01.csv"]


def test_nothing_else_can_be_read(sftp):
    _, _, err = sftp(*(f"-get {path} stolen{n}" for n, path in enumerate(OUTSIDE)), "get captures/notes.txt")
    stolen = [path for n, path in enumerate(OUTSIDE) if (sftp.directory / f"stolen{n}").exists() and (sftp.directory / f"stolen{n}").read_bytes()]
    assert not stolen and (sftp.directory / "notes.txt").read_text() == "hello"
    complaints = [line for line in err.splitlines() if "not found" in line or "denied" in line or "not permitted" in line or "Failure" in line or "regular" in line]
    assert len(complaints) >= len(OUTSIDE), err


def test_nothing_else_can_be_entered(sftp):
    _, out, err = sftp(*(line for path in ELSEWHERE for line in ("cd /", f"-cd {path}", "pwd", f"-ls {path}/")), "cd /", "cd ../../../..", "pwd", "ls")
    assert out.count("Remote working directory: /\n") == len(ELSEWHERE) + 1, out
    assert not {"passwd", "mgmt.db", "host-ed25519"} & set(out.replace("/", " ").split()), out


def test_nothing_is_changed(ssh, sftp):
    captures = ssh.stack.lab.directory / "data" / "captures"
    (sftp.directory / "own").write_text("own")
    changes = ["put own captures/own", "put own captures/notes.txt", "put own records/2026-01-01.csv", "rm captures/notes.txt",
               "rename captures/notes.txt captures/other", "chmod 777 captures/notes.txt", "chown 0 captures/notes.txt", "mkdir captures/made",
               "rmdir captures/deep", "symlink /etc/passwd captures/linked", "ln captures/notes.txt captures/two", "put -p own /own"]
    state = lambda: sorted((str(p), p.lstat().st_mode, p.lstat().st_uid, p.lstat().st_size, p.lstat().st_mtime_ns) for p in captures.rglob("*"))
    before = state()
    status, _, err = sftp(*(f"-{change}" for change in changes), "get captures/notes.txt")
    assert status == 0 and state() == before
    assert len([line for line in err.splitlines() if "ermi" in line or "support" in line or "Can't" in line]) >= len(changes), err


def test_it_is_for_operators_and_written_down(ssh, sftp):
    status, _, _ = sftp("ls", user="moritz")
    assert status != 0
    assert sftp("ls", user="ada")[0] == 0
    given = [(c["who"], c["command"], c["outcome"]) for c in ssh.stack.sbc.show("commands")["commands"]]
    assert ("moritz", "sftp", "failed") in given and ("ada", "sftp", "done") in given
    assert ("olga", f"records export csv since 1999-01-01 until 1999-01-02", "done") in given


def test_no_other_subsystem_and_no_old_copy_protocol(ssh, sftp):
    assert ssh.run("ada", "netconf", options=("-s",)).returncode != 0
    arguments = ssh.arguments("ada")
    copied = netns.run(ssh.stack.sbc.namespace, ["scp", "-O", "-P", PORT, *arguments[arguments.index("-i"):-1], "ada@127.0.0.1:/etc/passwd", str(sftp.directory / "copied")], timeout=30)
    assert copied.returncode != 0 and not (sftp.directory / "copied").exists()
    copied = netns.run(ssh.stack.sbc.namespace, ["scp", "-P", PORT, *arguments[arguments.index("-i"):-1], "ada@127.0.0.1:/captures/notes.txt", str(sftp.directory / "copied")], timeout=30)
    assert copied.returncode == 0 and (sftp.directory / "copied").read_text() == "hello"
