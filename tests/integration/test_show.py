# SPDX-License-Identifier: BSD-3-Clause
"""`sallyport show`: what it says is what the peers counted."""

import json
import time

import pytest

import netns
from conftest import SBC_OUT4, Call
from media import exchange, open_path
from sip import sdp


def test_version(stack):
    shown = json.dumps(stack.sbc.show("version"))
    text = stack.sbc.command("show", "version")
    for process in ("dataplane", "controlplane", "mgmt"):
        assert process in shown and process in text.stdout


def test_status_counts_calls_sessions_and_ports(stack):
    idle = stack.sbc.show("status")
    assert (idle["state"], idle["calls"], idle["sessions"], idle["ports-used"]) == ("in-service", 0, 0, 0)
    assert {p["process"]: p["up"] for p in idle["processes"]} == {"dataplane": True, "controlplane": True, "mgmt": True}
    call = Call(stack, stack.phone(), stack.pbx())
    busy = stack.sbc.show("status")
    assert (busy["calls"], busy["sessions"]) == (1, 1) and busy["ports-used"] in (2, 4)
    call.hang_up()
    netns.wait_for("all as before", lambda: [stack.sbc.show("status")[k] for k in ("calls", "sessions", "ports-used")] == [0, 0, 0], 5)


def test_a_call_from_ringing_to_its_end(stack):
    phone, pbx = stack.phone(), stack.pbx()
    assert stack.sbc.show("calls") == {"calls": []}
    a = phone.call((SBC_OUT4, 5060), "1000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    (row,) = stack.sbc.show("calls")["calls"]
    assert (row["state"], row["from"], row["to"], row["from-realm"], row["to-realm"]) == ("ringing", "alice", "1000", "access", "core")
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
    a.ack(a.expect(200))
    b.expect("ACK")
    shown = stack.sbc.show("call", row["id"])
    assert shown["state"] == "answered" and shown["local-policy"] == "from-phones"
    caller, callee = shown["legs"]
    assert caller["call-id"] == a.call_id and callee["call-id"] == b.call_id
    assert caller["remote-address"].startswith("203.0.113.2:") and caller["our-address"] == "203.0.113.10:5060"
    assert (callee["remote-address"], callee["our-address"], callee["session-agent"]) == ("10.0.0.5:5060", "10.0.0.1:5060", "pbx")
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    netns.wait_for("the call gone", lambda: stack.sbc.show("calls") == {"calls": []}, 5)
    # From then on it is its record that is shown.
    netns.wait_for("its record", lambda: '"ended"' in stack.sbc.command("show", "call", row["id"], "--json").stdout, 10)
    gone = stack.sbc.command("show", "call", "0-99999999", "--json")
    assert gone.returncode == 1 and gone.stdout == "" and len(gone.stderr.strip().splitlines()) == 1


def test_media_is_measured_as_it_was_sent(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    started = stack.sbc.directions()
    exchange([(call.near, call.far)], 50)
    # Now a loss of 3, a duplicate, and two in the wrong order.
    packets = [call.near.packet() for _ in range(10)]
    for i in (0, 1, 5, 5, 7, 6, 8, 9):
        call.near.send(packets[i])
    call.far.wait(58)
    near, far = stack.sbc.directions()
    assert near["packets"] - started[0]["packets"] == 58 and far["packets"] - started[1]["packets"] == 50
    assert near["octets"] - started[0]["octets"] == 58 * 172 and far["octets"] - started[1]["octets"] == 50 * 172
    assert near["relayed"] - started[0]["relayed"] == 58
    assert (near["lost"], near["duplicate"], near["reordered"]) == (3, 1, 1)
    assert (far["lost"], far["duplicate"], far["reordered"]) == (0, 0, 0)
    assert near["ssrc"].removeprefix("0x") == f"{call.near.ssrc:08x}" and near["payload-type"] == 0
    assert near["source-latched"] and near["source-address"].startswith("203.0.113.2:")
    assert far["source-address"] == f"10.0.0.5:{call.far.port}"
    assert near["our-address"] == "%s:%d" % call.near.destination and far["our-address"] == "%s:%d" % call.far.destination
    call.hang_up()


def test_jitter_and_the_longest_gap_are_those_of_the_sender(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 50)
    smooth = stack.sbc.directions()[0]["jitter-us"]
    assert smooth == pytest.approx(call.near.jitter_us(), rel=0.3, abs=3000)
    for i in range(60):  # 40 ms and 0 ms by turns instead of 20 ms
        call.near.send()
        if i % 2:
            end = time.monotonic() + 0.04
            netns.wait_for("the next pair", lambda: time.monotonic() >= end, 1, interval=0.001)
    end = time.monotonic() + 0.3
    netns.wait_for("a gap of 300 ms", lambda: time.monotonic() >= end, 1, interval=0.001)
    call.near.send()
    call.far.wait(50 + 61)
    shown = stack.sbc.directions()[0]
    assert shown["jitter-us"] == pytest.approx(call.near.jitter_us(), rel=0.3, abs=3000)
    assert shown["jitter-us"] > 12000
    assert 290 <= shown["longest-gap-ms"] <= 1000
    call.hang_up()


def test_counters_count(stack):
    before = stack.sbc.counters()
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 20)
    call.hang_up()
    a = call.a.endpoint.call((SBC_OUT4, 5060), "nobody", sdp("192.168.77.2", 30000))
    a.ack(a.expect(404))
    after = netns.wait_for("the failed call counted", lambda: (lambda c: c if c["controlplane"]["calls-no-route"] > before["controlplane"]["calls-no-route"] else None)(stack.sbc.counters()), 5)
    grown = lambda plane, name: after[plane][name] - before[plane][name]
    assert grown("controlplane", "calls-answered") == 1
    assert grown("controlplane", "calls-no-route") == 1
    assert grown("controlplane", "rx-messages") >= 7
    assert grown("dataplane", "media-relayed") >= 42
    assert grown("dataplane", "mirror-in") >= 8 and grown("dataplane", "mirror-out") >= 8
    assert grown("dataplane", "drop-wrong-source") == 0


def test_interfaces(stack):
    shown = {i["name"]: i for i in stack.sbc.show("interfaces")["interfaces"]}
    assert set(shown) == {"outside", "inside"}
    for name, port in (("outside", "eth1"), ("inside", "eth2")):
        assert shown[name]["port"] == f"{stack.kind}:{port}" and shown[name]["link-up"] and shown[name]["mirror"] == f"sp-{name}"
        link = json.loads(netns.run(stack.lab.namespace("sbc"), ["ip", "-j", "link", "show", port]).stdout)[0]
        mirror = json.loads(netns.run(stack.lab.namespace("sbc"), ["ip", "-j", "address", "show", f"sp-{name}"]).stdout)[0]
        assert shown[name]["mac-address"] == link["address"] == mirror["address"]
    addresses = {a["local"] for a in mirror["addr_info"]}
    assert {"10.0.0.1", "fd00:10::1"} <= addresses


def test_text_for_people(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    (row,) = stack.sbc.show("calls")["calls"]
    for words, expected in (
        (["status"], "in-service"), (["calls"], "alice"), (["call", row["id"]], call.a.call_id), (["counters"], "media-relayed"),
        (["interfaces"], "sp-outside"),
    ):
        result = stack.sbc.command("show", *words)
        assert result.returncode == 0 and expected in result.stdout and not result.stderr, (words, result)
    call.hang_up()


def test_a_wrong_command_is_refused_in_a_line(stack):
    for words in (["show"], ["show", "nonsense"], ["show", "call"], ["show", "call", "x"], ["frobnicate"]):
        result = stack.sbc.command(*words)
        assert result.returncode == 2 and result.stderr.strip() and not result.stdout, (words, result)
