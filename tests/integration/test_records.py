# SPDX-License-Identifier: BSD-3-Clause
"""Records of calls: one for each, whatever becomes of it, and of the control plane; harmless to whatever reads them."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess

import pytest

import netns
import sbc
from attempts import TO_SBC, refuse, refused
from conftest import Call, Stack
from media import exchange, open_path
from sip import sdp

UUID = {"caller": "0123456789abcdef0123456789abcdef", "callee": "fedcba9876543210fedcba9876543210"}
EVIL = "=1+%1B%22,x"  # as a user part may be; what it stands for has to stay what it is


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.change = lambda text: text.replace("max-sessions = 2000", "max-sessions = 2000  idle-timeout = 2  initial-timeout = 3")
    stack.more = f"""
sip-config {{ t1 = 100ms  timer-c = 2s }}
accounting {{ file = "{stack.lab.directory}/data/calls.csv"  interim = 1 }}
local-policy evil {{ from-realm = access  to = "x"  next-hop = "agent:pbx"  priority = 1 }}
"""
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


def records(stack, *words):
    return stack.sbc.show("records", *words)["records"]


def record_of(stack, number, state="ended"):
    """The newest record of that number, once it is in that state."""
    def found():
        rows = records(stack, "number", number, "limit", "1")
        return rows[0] if rows and rows[0]["state"] == state else None
    return netns.wait_for(f"the record of {number}", found, 10)


def lines_of(stack):
    return list(csv.DictReader(io.StringIO(stack.sbc.command("records", "export", "csv").stdout)))


def ring(stack, number, headers=()):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, number, sdp(phone.host, 30000), headers=headers)
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    return a, b


def test_an_answered_call_has_both_legs_in_its_record(stack):
    phone, pbx = stack.phone(), stack.pbx()
    call = Call(stack, phone, pbx, "1001")
    shown = stack.sbc.show("calls")["calls"][0]["id"]
    assert record_of(stack, "1001", "open")["answered"]
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 50)
    call.a.request("BYE", headers=[("Reason", 'Q.850;cause=16;text="bye"')])
    call.b.take_bye()
    row = record_of(stack, "1001")
    assert (row["caller-from"], row["caller-to"], row["callee-from"], row["callee-to"]) == ("alice", "1001", "alice", "1001")
    assert (row["caller-realm"], row["callee-realm"], row["callee-agent"]) == ("access", "core", "pbx")
    assert row["caller-remote-address"].startswith("203.0.113.2:") and row["callee-remote-address"] == "10.0.0.5:5060"
    assert (row["status"], row["callee-status"], row["ended-by"]) == (200, 200, "caller")
    assert row["cause"] == "caller hung up" and row["caller-reason"].startswith("Q.850;cause=16") and row["callee-reason"] is None
    assert (row["caller-call-id"], row["callee-call-id"]) == (call.ok.call_id, call.b.invite.call_id)
    assert 0 <= row["post-dial-delay-ms"] <= row["setup-ms"] and row["duration-ms"] > 0
    assert row["started"] <= row["answered"] <= row["ended"]
    for side in ("caller", "callee"):
        assert row[f"{side}-codec"] == "PCMU" and row[f"{side}-packets"] >= 50 and row[f"{side}-lost"] == 0
        assert row[f"{side}-mos"] > 4.3 and row[f"{side}-transport"] == "UDP" and row[f"{side}-srtp"] is None
    # The caller had no Session-ID: the callee has seen one of ours, by which the call is found there.
    assert call.b.invite["session-id"] == f"{row['caller-session-id']};remote={'0' * 32}" and row["callee-session-id"] is None
    assert row["callee-media-address"] == f"10.0.0.5:{call.far.port}"
    # The call is over: it is shown all the same.
    assert stack.sbc.show("call", shown)["number"] == row["number"]
    text = stack.sbc.command("show", "call", shown).stdout
    assert "caller hung up" in text and "PCMU" in text
    table = stack.sbc.command("show", "records", "number", "1001").stdout
    assert "1 record" in table and "alice" in table


def test_loss_shows_in_the_mos_of_its_direction(stack):
    call = Call(stack, stack.phone(), stack.pbx(), "1002")
    open_path(call.near, call.far)
    for n in range(100):
        packet = call.near.packet()
        if n % 5:  # each fifth is lost on the way
            call.near.send(packet)
        call.far.send()
    call.far.wait(80)
    call.hang_up()
    row = record_of(stack, "1002")
    assert row["caller-lost"] == 20 and row["callee-lost"] == 0
    assert row["caller-mos"] < row["callee-mos"] - 0.5


def test_who_is_busy_and_who_gives_up_has_a_record(stack):
    a, b = ring(stack, "1003")
    refuse(b, 486, headers=[("Reason", "Q.850;cause=17"), ("Session-ID", f"{UUID['callee']};remote={UUID['caller']}")])
    refused(a, 486)
    row = record_of(stack, "1003")
    assert (row["status"], row["callee-status"], row["ended-by"]) == (486, 486, "callee")
    assert row["callee-reason"] == "Q.850;cause=17" and row["callee-session-id"] == UUID["callee"]
    assert row["answered"] is None and row["caller-mos"] is None and row["duration-ms"] == 0
    stack.end_test()
    a, b = ring(stack, "1004", headers=[("Session-ID", f"{UUID['caller']};remote={'0' * 32}")])
    a.cancel()
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200)
    refuse(b, 487)
    refused(a, 487)
    row = record_of(stack, "1004")
    assert (row["status"], row["ended-by"], row["caller-session-id"]) == (487, "caller", UUID["caller"])


def test_no_answer_is_our_own_end(stack):
    a, b = ring(stack, "1005")
    b.reply(b.expect("CANCEL"), 200)
    refuse(b, 487)
    refused(a, 408)
    row = record_of(stack, "1005")
    assert (row["status"], row["ended-by"], row["our-reason"]) == (408, "sbc", "Q.850;cause=102")
    assert row["cause"] == "no answer" and row["callee-status"] == 487


def test_a_call_without_media_is_our_own_end(stack):
    call = Call(stack, stack.phone(), stack.pbx(), "1006")
    open_path(call.near, call.far)
    for side in (call.a, call.b):
        side.take_bye(timeout=10)
    row = record_of(stack, "1006")
    assert row["ended-by"] == "sbc" and row["cause"].startswith("no media") and row["our-reason"] == "Q.850;cause=41"


def test_what_an_administrator_hangs_up_says_so(stack):
    call = Call(stack, stack.phone(), stack.pbx(), "1007")
    stack.sbc.command("hangup", "all")
    for side in (call.a, call.b):
        side.take_bye()
    row = record_of(stack, "1007")
    assert (row["ended-by"], row["cause"]) == ("sbc", "hung up by the administrator")


def test_hostile_numbers_hurt_no_reader(stack):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "x" + EVIL, sdp(phone.host, 30000), caller="=cmd")
    b = pbx.answerer()
    refuse(b, 603)
    refused(a, 603)
    netns.wait_for("the record", lambda: [r for r in records(stack, "limit", "1") if r["caller-from"] == "=cmd"], 10)
    row = records(stack, "limit", "1")[0]
    assert row["caller-to"] == "x" + EVIL
    line = lines_of(stack)[0]
    assert line["caller-from"] == "'=cmd" and line["caller-to"] == "x" + EVIL
    assert all(len(field) == 0 or field[0] not in "=@+-" for field in line.values())
    exported = json.loads(stack.sbc.command("records", "export", "json").stdout)["records"]
    assert [r["number"] for r in exported] == [int(l["number"]) for l in lines_of(stack)]


def test_records_are_found_by_time_and_bounded(stack):
    everything = records(stack)
    assert [r["number"] for r in everything] == sorted((r["number"] for r in everything), reverse=True)
    assert len(records(stack, "limit", "2")) == 2
    assert len(records(stack, "since", "1h")) == len(everything) and records(stack, "until", "1h") == []
    assert records(stack, "since", everything[0]["started"][:4] + "-01-01") and records(stack, "number", "999") == []
    for words in (["since", "yesterday"], ["limit", "0"], ["number"], ["since", "2026-13-45"]):
        assert stack.sbc.command("show", "records", *words).returncode != 0


def test_kill_9_leaves_the_figures_until_the_last_interim_record(stack):
    call = Call(stack, stack.phone(), stack.pbx(), "1009")
    open_path(call.near, call.far)

    def figures():
        exchange([(call.near, call.far)], 20)
        row = records(stack, "number", "1009", "limit", "1")[0]
        return row if (row["callee-packets"] or 0) >= 40 else None

    known = netns.wait_for("figures in the record of a call that goes on", figures, 20)
    assert known["state"] == "open" and known["ended"] is None
    assert stack.sbc.end("controlplane", signal.SIGKILL) == -signal.SIGKILL
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    row = record_of(stack, "1009", "lost")
    for side in ("caller", "callee"):
        assert row[f"{side}-packets"] >= known[f"{side}-packets"] >= 40 and row[f"{side}-lost"] == 0 and row[f"{side}-mos"] > 4.3
    assert row["duration-ms"] >= known["duration-ms"] > 0 and row["ended"] is None
    assert "lost" in stack.sbc.command("show", "call", row["call"]).stdout
    assert {l["number"]: l["state"] for l in lines_of(stack)}[str(row["number"])] == "lost"


def test_kill_9_loses_no_answered_call(stack):
    """Killed as soon as the callers have heard the answers: within the time of a group."""
    phone, pbx = stack.phone(), stack.pbx()
    calls = [Call(stack, phone, pbx, str(2000 + n)) for n in range(8)]
    calls[0].hang_up()
    late = phone.call(TO_SBC, "2100", sdp(phone.host, 30000))
    b = pbx.answerer(match=lambda m: "2100" in m.uri)
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    late.expect(200)
    assert stack.sbc.end("controlplane", signal.SIGKILL) == -signal.SIGKILL
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    rows = {r["caller-to"]: r for r in records(stack)}
    assert rows["2000"]["state"] == "ended"
    for number in [*range(2001, 2008), 2100]:
        assert rows[str(number)]["state"] == "lost" and rows[str(number)]["answered"], rows[str(number)]
    # The text file has them, too, each in a line.
    path = stack.lab.directory / "data" / "calls.csv"
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    assert {l["caller-to"]: l["state"] for l in lines}["2100"] == "lost"
    assert len({l["number"] for l in lines}) == len(lines) == len(rows) and len({len(l) for l in lines}) == 1
    path.rename(path.with_suffix(".1"))
    stack.end_test()
    a, b = ring(stack, "1008")
    refuse(b, 486)
    refused(a, 486)
    record_of(stack, "1008")
    netns.wait_for("a fresh file", path.exists, 5)
    assert [l["caller-to"] for l in csv.DictReader(io.StringIO(path.read_text()))] == ["1008"]


def export(stack, directory, form):
    """records export FORM into a file: its lines, and the client's greatest memory in KiB."""
    path = directory / f"export.{form}"
    with open(path, "w") as out:
        client = subprocess.Popen(["ip", "netns", "exec", stack.sbc.namespace, str(sbc.BUILD / "sallyport"), "-c", str(stack.sbc.config_path),
                                   "records", "export", form], stdout=out)
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    assert client.returncode == 0
    return path, usage.ru_maxrss


def peak_kib(pid):
    rows = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    return int(rows["VmHWM"].split()[0])


def test_an_export_of_many_records_needs_no_more_memory_than_one_of_a_few(stack, tmp_path):
    few = {form: export(stack, tmp_path, form)[1] for form in ("csv", "json")}
    stack.sbc.end("controlplane")
    path = stack.lab.directory / "data" / "records.db"
    db = sqlite3.connect(path)
    row = db.execute("SELECT * FROM record ORDER BY number DESC LIMIT 1").fetchone()
    db.executemany(f"INSERT INTO record VALUES ({','.join('?' * len(row))})", ((row[0] + 1 + n, *row[1:]) for n in range(20000)))
    db.commit()
    count = db.execute("SELECT count(*) FROM record").fetchone()[0]
    db.close()
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    mgmt = stack.sbc.processes["mgmt"].pid
    before = peak_kib(mgmt)
    for form, more in (("csv", 1), ("json", 2)):
        exported, memory = export(stack, tmp_path, form)
        assert memory < few[form] + 8192, form  # all of them are 15 MB as CSV, 50 as JSON
        with open(exported) as lines:
            assert sum(1 for _ in lines) == count + more  # the header; the brackets around
        exported.unlink()
    assert peak_kib(mgmt) < before + 8192
