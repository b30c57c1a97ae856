# SPDX-License-Identifier: BSD-3-Clause
"""The shell over SSH, with OpenSSH's own client: who comes in, as whom, what he may do there, and what the server never does."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import netns
import sbc as sbc_module
from conftest import Stack
from ssh import PASSWORD, PORT, Ssh, Terminal


@pytest.fixture(scope="module")
def ssh():
    stack = Stack()
    served = Ssh(stack)
    try:
        stack.more = served.sections()
        stack.start()
        served.start()
        yield served
    finally:
        served.stop()
        (sbc_module.BUILD / "test-logs").mkdir(exist_ok=True)
        shutil.copy(stack.lab.directory / "sshd.log", sbc_module.BUILD / "test-logs")
        stack.down()


@pytest.fixture
def terminal(ssh):
    opened = []

    def make(*args, **kwargs):
        opened.append(Terminal(ssh, *args, **kwargs))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_key_of_the_configuration_lets_in_and_another_does_not(ssh):
    shown = ssh.run("moritz", "show", "calls", "--json")
    assert shown.returncode == 0 and json.loads(shown.stdout) == {"calls": []}, shown.stderr
    assert ssh.run("moritz", "show", "version", key=ssh.key("stranger")).returncode == 255
    assert ssh.run("moritz", "show", "version", key=ssh.key("ada")).returncode == 255
    for nobody in ("root", "nobody", "eve"):
        assert ssh.run(nobody, "show", "version", key=ssh.key("ada")).returncode == 255


def test_a_key_taken_from_the_configuration_lets_nobody_in_any_more(ssh):
    guest = ssh.key("guest").with_suffix(".pub").read_text().strip()
    assert ssh.run("guest", "show", "version").returncode == 255
    done = ssh.run("ada", stdin=f"set user guest role monitor\nset user guest keys '{guest}'\ncommit\n")
    assert done.returncode == 0, done.stderr
    assert ssh.run("guest", "show", "version").returncode == 0
    assert ssh.run("ada", stdin="delete user guest\ncommit\n").returncode == 0
    assert ssh.run("guest", "show", "version").returncode == 255


def test_roles_are_those_of_the_users(ssh):
    refused = ssh.run("moritz", "ban", "192.0.2.99")
    assert refused.returncode == 1 and "for the role operator" in refused.stderr
    assert ssh.run("olga", "ban", "192.0.2.99").returncode == 0
    assert ssh.run("olga", "unban", "192.0.2.99").returncode == 0
    refused = ssh.run("olga", "set", "system", "location", "x")
    assert refused.returncode == 1 and "for the role admin" in refused.stderr
    refused = ssh.run("ada", "config", "check", "/etc/passwd")
    assert refused.returncode == 1 and "not served over SSH" in refused.stderr


def test_commands_are_written_down_with_who_gave_them_from_where_and_without_secrets(ssh):
    assert ssh.run("ada", stdin="set user ada password-hash $6$very$secret\ndiscard\n").returncode == 0
    assert ssh.run("moritz", "ban", "192.0.2.98").returncode == 1
    commands = ssh.stack.sbc.show("commands")["commands"]
    refused = next(c for c in commands if c["command"] == "ban 192.0.2.98")
    assert (refused["who"], refused["role"], refused["from"], refused["outcome"]) == ("moritz", "monitor", "127.0.0.1", "failed")
    assert any(c["command"] == "set user ada password-hash ********" and c["who"] == "ada" for c in commands)
    assert "very$secret" not in json.dumps(commands) + ssh.stack.sbc.log_path("mgmt").read_text()


def test_a_script_edits_and_commits_in_one_session_and_stops_where_it_fails(ssh):
    done = ssh.run("ada", stdin="set system location 'row 7'\ncompare\ncommit comment 'over ssh'\n")
    assert done.returncode == 0 and "is in force" in done.stdout
    assert ssh.stack.sbc.show("revisions")["revisions"][0]["who"] == "ada"
    stopped = ssh.run("ada", stdin="set system location x\nset no such thing\ncommit\n")
    assert stopped.returncode == 2 and "is in force" not in stopped.stdout


def test_a_password_lets_in_whom_the_configuration_gives_one(ssh):
    answer = ssh.safe / "answer"
    answer.write_text('#!/bin/sh\nprintf "%s\\n" "$ANSWER"\n')
    answer.chmod(0o755)

    def login(user, password):
        arguments = [a for a in ssh.arguments(user, "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1") if a != "BatchMode=yes"]
        arguments = [a for i, a in enumerate(arguments) if not (a == "-o" and arguments[i + 1 : i + 2] == ["-o"])]
        return netns.run(ssh.stack.sbc.namespace, [*arguments, "show", "version"], timeout=30, stdin=subprocess.DEVNULL,
                         env={**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "ANSWER": password})

    assert login("olga", PASSWORD).returncode == 0
    assert login("olga", "wrong").returncode == 255
    assert login("moritz", PASSWORD).returncode == 255
    assert login("moritz", "*").returncode == 255


def test_too_many_tries_end_the_connection(ssh):
    keys = [option for n in range(5) for option in ("-i", str(ssh.key(f"try{n}")))]
    result = ssh.run("moritz", "show", "version", options=keys, key=ssh.key("try0"))
    assert result.returncode == 255 and "Too many authentication failures" in result.stderr


@pytest.mark.parametrize("option", [("-N", "-L", "2323:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes"),
                                    ("-N", "-R", "2324:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes"),
                                    ("-W", "127.0.0.1:2022")])
def test_nothing_is_forwarded(ssh, option):
    if "-L" in option:  # the client listens whatever the server thinks: use it
        process = netns.popen(ssh.stack.sbc.namespace, ssh.arguments("ada", *option), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            def refused():
                with contextlib.suppress(OSError):
                    with netns.tcp_connect(ssh.stack.sbc.namespace, "127.0.0.1", 2323) as through:
                        through.settimeout(5)
                        return through.recv(1) == b""
                return False

            netns.wait_for("the forwarded connection being refused", refused, 15)
        finally:
            process.kill()
            process.wait()
        return
    assert ssh.run("ada", options=option).returncode == 255


def test_there_is_no_agent(ssh):
    assert "SSH_AUTH_SOCK" not in ssh.run("ada", "env", options=("-A",)).stdout


@pytest.mark.parametrize("weak", ["KexAlgorithms=diffie-hellman-group14-sha1", "Ciphers=aes128-cbc", "MACs=hmac-sha1", "HostKeyAlgorithms=ssh-rsa"])
def test_weak_algorithms_are_refused(ssh, weak):
    options = ["-o", weak]
    if weak.startswith("MACs"):
        options += ["-o", "Ciphers=aes128-ctr"]
    result = ssh.run("ada", "show", "version", options=options)
    assert result.returncode == 255 and "no matching" in result.stderr


def test_the_server_has_no_privilege(ssh):
    uid = shutil._get_uid("nobody")
    servers = [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline")
               if str(ssh.stack.lab.directory).encode() in p.read_bytes() and p.read_bytes().startswith((b"sshd", b"/usr/sbin/sshd"))]
    assert servers
    for cmdline in servers:
        status = (cmdline.parent / "status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status and "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def test_a_terminal_has_a_prompt_help_completion_and_a_history(ssh, terminal):
    t = terminal("ada")
    t.expect(r"for those it concerns")
    t.expect(r"lab> ")
    t.type("show ?")
    t.expect(r"registrations.*show $")  # behind the help the line is drawn again
    t.type("conf\t")
    t.expect("iguration ")  # what is completed is drawn behind what was typed
    t.type("\n")
    t.expect("--more--")
    t.type("q")
    t.expect("lab> ")
    t.type("set sys\t")
    t.expect("tem ")
    t.type("loc\t'rack 9'\n")
    t.expect("lab# ")
    t.type("edit realm ac\t\n")
    t.expect(r"\[edit realm access\]\s+lab# ")
    t.type("set dscp-media ?")
    t.expect(r"0\.\.63")
    t.type("\x15top\n")
    t.expect("lab# ")
    t.type("compare | match location | count\n")
    t.expect(r"\n1\r?\n")
    t.type("\x1b[A")
    t.expect("count")
    t.type("\x15discard\nexit\n")
    assert t.process.wait(15) == 0


def test_a_terminal_shows_what_a_monitor_may_do_and_no_more(ssh, terminal):
    t = terminal("moritz")
    t.expect("lab> ")
    t.type("?")
    offered = t.expect(r"watch.*lab> ")
    assert "show" in offered and "commit" not in offered and "ban" not in offered.split()


def test_watch_repeats_until_a_key_and_an_interruption_ends_a_command_alone(ssh, terminal):
    t = terminal("ada")
    t.expect("lab> ")
    t.type("watch 1 show version | match dataplane\n")
    t.expect("dataplane.*dataplane")
    t.type("q")
    t.expect("lab> ")
    t.type("\x03")
    t.expect("lab> ")
    t.type("show version | count\n")
    t.expect(r"\n\d+\r?\n")


def test_an_idle_session_is_closed(ssh, terminal):
    t = terminal("moritz")
    t.expect("lab> ")
    t.expect("closed", 40)


def test_hostile_words_do_not_reach_the_terminal_as_they_are(ssh):
    for word in ("\x1b]0;owned\x07", "a\nb", "\x9b31m"):
        said = ssh.run("moritz", f"show '{word}'")
        assert said.returncode != 0 and not set("\x1b\x07\x9b") & set(said.stdout + said.stderr)
