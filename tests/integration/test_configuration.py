# SPDX-License-Identifier: BSD-3-Clause
"""The configuration as a transaction, with the real daemons: a change holds everywhere or nowhere."""

import signal
import subprocess

import pytest

import netns
import sbc as sbc_module

def ok(result):
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def refused(result, *texts):
    assert result.returncode != 0, result.stdout
    for text in texts:
        assert text in result.stderr, result.stderr
    return result.stderr


def location(sbc):
    return sbc.show("configuration")["system"].get("location")


def revisions(sbc):
    return sbc.show("revisions")["revisions"]


def everything(sbc):
    """What a refused commit must leave alone."""
    return sbc.config_path.read_bytes(), [r["revision"] for r in revisions(sbc)], location(sbc)


class Session:
    """A shell that stays: commands go in, and what comes out is read when a mark has come."""

    def __init__(self, sbc):
        self.process = netns.popen(
            sbc.namespace, [str(sbc_module.BUILD / "sallyport"), "-c", str(sbc.config_path), "shell"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def ask(self, *lines):
        """Runs lines and returns what they print; it must come to the last one."""
        for line in (*lines, "show version | count"):
            self.process.stdin.write(line + "\n")
        said = []
        for line in self.process.stdout:
            if line.strip().isdigit():
                return "".join(said)
            said.append(line)
        raise AssertionError("the session ended: " + "".join(said))

    def end(self, *lines):
        return self.process.communicate("\n".join(lines) + "\n", timeout=20)[0], self.process.returncode


def test_an_edit_is_compared_committed_and_shown_at_once(stack):
    sbc = stack.sbc
    said = ok(sbc.shell("set system location 'rack 4'", "compare", "validate", 'commit comment "moved to rack 4"', "compare"))
    assert "+ system.location = \"rack 4\"" in said or "system.location" in said, said
    assert "is in force" in said and said.rstrip().endswith("no difference"), said
    assert location(sbc) == "rack 4" and 'location = "rack 4"' in sbc.config_path.read_text()
    newest = revisions(sbc)[0]
    assert newest["comment"] == "moved to rack 4" and newest["who"] == "root" and newest["back"] == 0
    assert sbc.show("status")["location"] == "rack 4"
    assert ok(sbc.command("config", "check", str(sbc.config_path))) is not None


def test_what_is_edited_in_a_section_is_edited_there(stack):
    ok(stack.sbc.shell("edit system", "set contact noc@example.net", "top", "commit"))
    assert stack.sbc.show("configuration")["system"]["contact"] == "noc@example.net"
    ok(stack.sbc.shell("edit system", "delete contact", "up", "commit"))
    assert "contact" not in stack.sbc.show("configuration")["system"]


def test_a_rollback_brings_back_what_was(stack):
    sbc = stack.sbc
    ok(sbc.shell("set system location one", "commit"))
    ok(sbc.shell("set system location two", "commit"))
    said = ok(sbc.shell("rollback 1", "compare", "commit"))
    assert "system.location" in said and location(sbc) == "one"
    refused(sbc.shell("rollback 9999"), "there are not so many revisions")


def test_a_whole_text_is_loaded_and_one_that_was_saved(stack):
    sbc = stack.sbc
    ok(sbc.shell("set system location kept", "save before"))
    text = ok(sbc.command("show", "configuration"))
    ok(sbc.shell("load text", text.replace("system {", "system { contact = \"x@y\"", 1), ".", "commit"))
    assert sbc.show("configuration")["system"]["contact"] == "x@y"
    ok(sbc.shell("load saved before", "commit"))
    assert location(sbc) == "kept" and "contact" not in sbc.show("configuration")["system"]
    refused(sbc.shell("load text", "realm {", "."), "input:", "the candidate is as it was")
    refused(sbc.shell("load saved nothing"), "nothing is saved as nothing")


def test_what_is_not_valid_is_refused_and_changes_nothing(stack):
    sbc = stack.sbc
    before = everything(sbc)
    refused(sbc.shell("set realm access dscp-media 99"), "0..63")
    refused(sbc.shell("set relm access dscp-media 46"), "realm")
    refused(sbc.shell("set local-policy from-phones next-hop agent:nobody", "set system location never", "commit"),
            "nobody", "nothing has changed")
    assert everything(sbc) == before


def test_a_daemons_refusal_changes_nothing_anywhere(stack):
    sbc = stack.sbc
    before = everything(sbc)
    # Its port is opened when the dataplane starts, and not before.
    refused(sbc.shell("set system location never", "set network-interface lab port packet:eth9",
                      "set network-interface lab addresses 192.0.2.1/24", "set realm lab network-interface lab", "commit"),
            "network-interface", "nothing has changed")
    assert everything(sbc) == before
    ok(sbc.shell("set system location agreed", "commit"))
    assert location(sbc) == "agreed"


@pytest.mark.parametrize("daemon", ["dataplane", "controlplane"])
def test_an_absent_daemon_refuses_a_commit(stack, daemon):
    sbc = stack.sbc
    before = sbc.config_path.read_bytes()
    sbc.end(daemon)
    refused(sbc.shell("set system location never", "commit"), daemon, "nothing has changed")
    assert sbc.config_path.read_bytes() == before
    with sbc_module_start(stack):
        sbc.start(daemon)
    sbc.wait_ready()


def sbc_module_start(stack):
    from conftest import Hugepages

    return Hugepages.stay()


def test_two_sessions_have_two_candidates_and_a_stale_one_is_told(stack):
    sbc = stack.sbc
    first, second = Session(sbc), Session(sbc)
    first.ask("set system location first")
    second.ask("set system location second")
    assert "first" in first.ask("compare") and "second" not in first.ask("compare")
    first.ask("commit")
    said, status = second.end("commit")
    assert status != 0 and "another commit came between" in said and location(sbc) == "first"
    said, status = first.end("set system location third", "commit")
    assert status == 0 and location(sbc) == "third"
    ok(sbc.shell("set system location fourth", "commit force"))


def test_a_confirmed_commit_goes_back_by_itself_and_stays_when_confirmed(stack):
    sbc = stack.sbc
    ok(sbc.shell("set system location settled", "commit"))
    ok(sbc.shell("set system location try", "commit confirmed 1s"))
    netns.wait_for("the unconfirmed commit going back", lambda: location(sbc) == "settled", 15)
    assert "was not confirmed" in revisions(sbc)[0]["comment"]
    ok(sbc.shell("set system location kept", "commit confirmed 5"))
    assert sbc.show("revisions")["unconfirmed-until"]
    ok(sbc.command("confirm"))
    assert sbc.show("revisions")["unconfirmed-until"] is None and location(sbc) == "kept"
    refused(sbc.command("confirm"), "no commit waits")


def test_an_unconfirmed_commit_goes_back_though_mgmt_was_killed(stack):
    sbc = stack.sbc
    ok(sbc.shell("set system location settled", "commit"))
    ok(sbc.shell("set system location try", "commit confirmed 2s"))
    sbc.end("mgmt", signal.SIGKILL)
    sbc.start("mgmt")
    sbc.wait_ready()
    netns.wait_for("the unconfirmed commit going back", lambda: location(sbc) == "settled", 15)


def test_an_edit_by_hand_is_a_revision_of_its_own(stack):
    sbc = stack.sbc
    ok(sbc.shell("set system location before", "commit"))
    sbc.end("mgmt")
    sbc.config_path.write_text(sbc.config_path.read_text().replace('"before"', '"by hand"'))
    sbc.start("mgmt")
    sbc.wait_ready()
    assert revisions(sbc)[0]["who"] == "file" and location(sbc) == "by hand"


def old_or_new(sbc, before, after):
    """After everybody is back: the file, the newest revision and what is shown are one of the two, and all the same."""
    netns.wait_for("mgmt answering", lambda: sbc.command("show", "revisions").returncode == 0, 20)
    now = location(sbc)
    assert now in (before, after)
    assert f'location = "{now}"' in sbc.config_path.read_text()
    assert ok(sbc.shell("compare 0")).rstrip() == "no difference"
    return now


@pytest.mark.parametrize("held", ["dataplane", "controlplane"])
@pytest.mark.parametrize("victim", ["mgmt", "held"])
def test_a_death_while_a_daemon_prepares_leaves_the_old_configuration(stack, held, victim):
    """A daemon that stands still holds the commit before the point of no return."""
    sbc = stack.sbc
    ok(sbc.shell("set system location old", "commit"))
    sbc.processes[held].send_signal(signal.SIGSTOP)
    session = Session(sbc)
    session.ask("set system location new")
    session.process.stdin.write("commit\n")
    netns.wait_for("the commit being under way", lambda: "under way" in sbc.shell("set system contact x", "commit").stderr, 10)
    dead = sbc.processes[held] if victim == "held" else sbc.processes["mgmt"]
    dead.kill()
    dead.wait()
    if victim == "mgmt":
        sbc.processes[held].send_signal(signal.SIGCONT)
    said, status = session.end("exit")
    assert status != 0, said
    name = held if victim == "held" else "mgmt"
    sbc.processes.pop(name)
    with sbc_module_start(stack):
        sbc.start(name)
    sbc.wait_ready()
    assert old_or_new(sbc, "old", "new") == "old"
    ok(sbc.shell("set system location again", "commit"))


@pytest.mark.parametrize("victim", ["mgmt", "controlplane"])
def test_a_death_while_a_daemon_applies_leaves_the_new_configuration(stack, victim):
    """The dataplane holds the commit until the control plane has prepared; then the control plane stands still, and the dataplane goes on:
    the commit is behind the point of no return, and the control plane has not applied it."""
    sbc = stack.sbc
    applied = lambda: sbc.log_path("controlplane").read_text().count("another configuration is applied")
    ok(sbc.shell("set system location old", "commit"))
    before = applied()
    sbc.processes["dataplane"].send_signal(signal.SIGSTOP)
    session = Session(sbc)
    session.ask("set system location new")
    session.process.stdin.write("commit\n")
    netns.wait_for("the commit being under way", lambda: "under way" in sbc.shell("set system contact x", "commit").stderr, 10)
    # It answers in order, over the connection by which the text and the order to prepare came: one behind each.
    for _ in range(2):
        ok(sbc.command("show", "registrations"))
    sbc.processes["controlplane"].send_signal(signal.SIGSTOP)
    sbc.processes["dataplane"].send_signal(signal.SIGCONT)
    netns.wait_for("the file being written", lambda: location_of_file(sbc) == "new", 10)
    sbc.processes[victim].kill()
    sbc.processes.pop(victim).wait()
    if victim == "mgmt":
        sbc.processes["controlplane"].send_signal(signal.SIGCONT)
    session.end("exit")
    sbc.start(victim)
    sbc.wait_ready()
    assert old_or_new(sbc, "old", "new") == "new"
    if victim == "mgmt":
        netns.wait_for("the control plane having the new one", lambda: applied() > before, 20)


def test_mgmt_killed_at_any_moment_of_a_commit_leaves_the_old_or_the_new_one(stack):
    """Killed a little later each time, from before the first message until after the last."""
    sbc = stack.sbc
    ok(sbc.shell("set system location 0", "commit"))
    seen = set()
    for n in range(1, 9):
        session = Session(sbc)
        session.ask(f"set system location {n}")
        session.process.stdin.write("commit\n")
        session.process.stdin.flush()
        # What the kill meets is chance: no moment may be wrong.
        for _ in range(n * 40000):
            pass
        sbc.processes["mgmt"].kill()
        sbc.processes.pop("mgmt").wait()
        session.end("exit")
        sbc.start("mgmt")
        was = location_of_file(sbc)
        now = old_or_new(sbc, was, was)
        seen.add(now == str(n))
    sbc.wait_ready()
    assert seen


def location_of_file(sbc):
    return sbc.config_path.read_text().split('location = "', 1)[1].split('"', 1)[0]


def test_secrets_are_shown_to_administrators_alone(stack):
    sbc = stack.sbc
    ok(sbc.shell("set user joe role monitor", "set user joe password-hash $6$abc$def", "commit"))
    assert "$6$abc$def" in ok(sbc.command("show", "configuration"))
    monitor = sbc.command("--ssh", "show", "configuration")
    assert monitor.returncode == 2  # only the SSH server says who has logged in
    joe = netns.run(sbc.namespace, [str(sbc_module.BUILD / "sallyport"), "-c", str(sbc.config_path), "--ssh"],
                    env={"USER": "joe", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 2", "SSH_ORIGINAL_COMMAND": "show configuration"})
    assert "********" in ok(joe) and "$6$abc$def" not in joe.stdout
