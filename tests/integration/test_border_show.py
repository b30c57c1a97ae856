# SPDX-License-Identifier: BSD-3-Clause
"""The border's commands on real daemons: ban and unban, and that what is shown is what was sent."""

import json

import pytest

import netns
from conftest import SBC_OUT4, Call
from media import exchange, open_path
from sip import compose, token

TO_SBC = (SBC_OUT4, 5060)
STRANGER = "203.0.113.101"
FLOODS = True

CALLS = "now most per-second attempts effective answered ended refused asr-percent ner-percent acd-seconds post-dial-delay-seconds".split()
KEYS = {
    ("realms",): ("realms", " ".join(["name interface trusted draining pools ports-used ports-total streams packets octets relayed lost wrong-source malformed",
                                      "policed events registrations", *(f"{way}-{name}" for way in ("in", "out") for name in CALLS)])),
    ("flows",): ("flows", "session stream from realm kind suite source-address our-address destination-address latching latched muted quiet packets octets"
                 " lost dropped jitter-us idle-ms payload-type ssrc worker"),
    ("bans",): ("bans", "source reason packets age-seconds expires-seconds"),
    ("trusted",): ("trusted", "source configured rate burst packets expires-seconds"),
    ("drops",): ("drops", "reason total per-second help"),
    ("top", "sources"): ("sources", "source interface trusted packets dropped first-seconds last-seconds"),
    ("block", STRANGER): ("packets", "time reason interface source destination protocol length sip"),
}


@pytest.fixture
def stranger(stack):
    yield stack.endpoint("outside", STRANGER)
    stack.sbc.command("unban", STRANGER)


def request(method="OPTIONS", uri="sip:100@203.0.113.10"):
    return compose(
        f"{method} {uri} SIP/2.0",
        [("Via", f"SIP/2.0/UDP {STRANGER};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"), ("From", f"<sip:x@{STRANGER}>;tag={token()}"),
         ("To", f"<{uri}>"), ("Call-ID", token()), ("CSeq", f"1 {method}")],
    )


def order(stack, *words):
    result = stack.sbc.command(*words, "--json")
    assert result.returncode == 0 and not result.stderr, result
    return json.loads(result.stdout)


def drops(stack):
    return {d["reason"]: d["total"] for d in stack.sbc.show("drops")["drops"]}


def samples(stack, source, match, what):
    """The samples of a source that match, once there are any."""
    return netns.wait_for(what, lambda: [p for p in stack.sbc.show("block", source)["packets"] if match(p)], 10)


def test_a_ban_by_command_is_counted_explained_and_lifted(stack, stranger):
    stranger.ask(TO_SBC)
    assert stack.sbc.show("bans") == {"bans": []}
    before = drops(stack)["drop-banned"]
    assert order(stack, "ban", STRANGER, "reason", "dials the world") == {"source": STRANGER, "banned": True}
    for _ in range(3):
        stranger.send(request("INVITE", "sip:00972599@203.0.113.10"), TO_SBC)
    (row,) = netns.wait_for("three packets dropped", lambda: [b for b in stack.sbc.show("bans")["bans"] if b["packets"] == 3], 5)
    assert (row["source"], row["reason"], row["expires-seconds"]) == (STRANGER, "dials the world", None)
    assert stack.sbc.show("bans", "203.0.113.0/24")["bans"] and not stack.sbc.show("bans", "203.0.113.0/27")["bans"]
    netns.wait_for("the drops counted", lambda: drops(stack)["drop-banned"] == before + 3, 5)
    assert stack.sbc.counters()["dataplane"]["drop-banned"] == before + 3
    assert stack.sbc.show("status")["bans"] == 1

    found = samples(stack, STRANGER, lambda p: p["reason"] == "drop-banned", "a sample of what was banned")
    assert found[0]["sip"] == "INVITE sip:00972599@203.0.113.10 SIP/2.0"
    assert (found[0]["interface"], found[0]["protocol"]) == ("outside", "udp")
    assert (found[0]["source"], found[0]["destination"]) == (f"{STRANGER}:5060", "203.0.113.10:5060")
    shown = stack.sbc.show("block", f"{STRANGER}:5060")
    assert [b["reason"] for b in shown["bans"]] == ["dials the world"] and shown["packets"]
    assert stack.sbc.show("block", f"{STRANGER}:5061")["packets"] == []
    assert not [m for m in stranger.received if m.method == "INVITE"]

    assert order(stack, "unban", STRANGER) == {"source": STRANGER, "banned": False}
    assert stack.sbc.show("bans") == {"bans": []}
    stranger.ask(TO_SBC)


def test_what_a_stranger_sent_never_steers_the_terminal(stack, stranger):
    order(stack, "ban", STRANGER)
    stranger.send(b"OPTIONS sip:\x1b]0;owned\x07\x1b[2J@x SIP/2.0\r\n\r\n", TO_SBC)
    (sample, *_) = samples(stack, STRANGER, lambda p: p["sip"] and "owned" in p["sip"], "the sample")
    assert sample["sip"] == "OPTIONS sip:?]0;owned??[2J@x SIP/2.0"
    text = stack.sbc.command("show", "block", STRANGER).stdout
    assert "owned" in text and all(c == "\n" or " " <= c <= "~" for c in text)


def test_a_ban_of_a_network_for_a_time_ends_by_itself(stack, stranger):
    order(stack, "ban", "203.0.113.101/32", "for", "2")
    order(stack, "ban", "2001:db8:66::/48", "for", "3600", "force")
    bans = {b["source"]: b for b in stack.sbc.show("bans")["bans"]}
    assert set(bans) == {STRANGER, "2001:db8:66::/48"} or set(bans) == {"2001:db8:66::/48"}
    assert 0 < bans["2001:db8:66::/48"]["expires-seconds"] <= 3600 and bans["2001:db8:66::/48"]["reason"] == "by command"
    netns.wait_for("the shorter one over", lambda: [b["source"] for b in stack.sbc.show("bans")["bans"]] == ["2001:db8:66::/48"], 10)
    stranger.ask(TO_SBC)
    order(stack, "unban", "2001:db8:66::/48")


def test_an_agent_is_banned_only_by_force(stack):
    for source in ("10.0.0.5", "10.0.0.0/24", "0.0.0.0/0"):
        refused = stack.sbc.command("ban", source)
        assert refused.returncode == 1 and "force" in refused.stderr and "trusted" in refused.stderr, refused
    assert stack.sbc.show("bans") == {"bans": []}
    order(stack, "ban", "10.0.0.5", "force")
    assert [b["source"] for b in stack.sbc.show("bans")["bans"]] == ["10.0.0.5"]
    order(stack, "unban", "10.0.0.5")
    Call(stack, stack.phone(), stack.pbx()).hang_up()


def test_what_cannot_be_done_is_said_in_a_line(stack):
    for words, code, expected in (
        (["unban", "192.0.2.1"], 1, "no ban of exactly that"), (["show", "flows", "realm", "nowhere"], 1, "show realms"),
        (["ban", "pbx.example"], 2, "192.0.2.0/24"), (["ban", "203.0.113.5/24"], 2, "no bits set"), (["ban", STRANGER, "for", "ever"], 2, "1..31536000"),
        (["ban"], 2, "missing SOURCE"), (["show", "block"], 2, "missing SOURCE"), (["show", "bans", "x"], 2, "no source"), (["show", "top"], 2, "sources"),
    ):
        result = stack.sbc.command(*words)
        assert result.returncode == code and expected in result.stderr and not result.stdout, (words, result)


def test_who_floods_is_named_first(stack, stranger):
    for _ in range(1000):
        stranger.send(request(), TO_SBC)

    def flooder():
        top = stack.sbc.show("top", "sources")["sources"]
        return top[0] if top and top[0]["source"] == STRANGER and top[0]["packets"] >= 1000 else None

    row = netns.wait_for("the flooder on top", flooder, 5)
    assert row["interface"] == "outside" and not row["trusted"] and 500 < row["dropped"] < row["packets"]
    assert drops(stack)["drop-source-rate"] > 500
    text = stack.sbc.command("show", "drops").stdout
    assert "drop-source-rate" in text and "drop-ttl" not in text
    assert samples(stack, STRANGER, lambda p: p["reason"] == "drop-source-rate", "a sample of the flood")[0]["sip"].startswith("OPTIONS ")
    # A flood leaves what is known of others.
    assert len(stack.sbc.show("block", STRANGER)["packets"]) <= 16


def test_agents_are_trusted_and_a_call_is_seen_in_realms_and_flows(stack):
    trusted = {t["source"]: t for t in stack.sbc.show("trusted")["trusted"]}
    assert {"10.0.0.5", "fd00:10::5", "203.0.113.100"} <= set(trusted) and all(t["configured"] for t in trusted.values())
    assert {t["source"] for t in stack.sbc.show("trusted", "10.0.0.0/8")["trusted"]} == {"10.0.0.5"}
    assert stack.sbc.show("status")["trusted"] == len(trusted)
    assert stack.sbc.show("flows") == {"flows": []}
    before = {r["name"]: r for r in stack.sbc.show("realms")["realms"]}
    assert set(before) == {"access", "core"} and before["core"]["trusted"] and not before["access"]["trusted"]
    assert (before["access"]["interface"], before["access"]["pools"], before["access"]["streams"]) == ("outside", 2, 0)

    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 20)
    near, far = stack.sbc.directions()
    flows = {f["from"]: f for f in stack.sbc.show("flows")["flows"]}
    assert set(flows) == {"caller", "callee"}
    for flow, direction in ((flows["caller"], near), (flows["callee"], far)):
        assert all(flow[k] == direction[k] for k in ("packets", "octets", "source-address", "our-address", "ssrc", "payload-type"))
    assert flows["caller"]["destination-address"] == f"10.0.0.5:{call.far.port}" and flows["caller"]["latched"]
    assert [f["from"] for f in stack.sbc.show("flows", "realm", "core")["flows"]] == ["callee"]
    assert [f["from"] for f in stack.sbc.show("flows", "203.0.113.0/24")["flows"]] == ["caller"]
    assert stack.sbc.show("flows", "198.18.0.0/15") == {"flows": []}
    during = {r["name"]: r for r in stack.sbc.show("realms")["realms"]}
    for name, measured in (("access", near), ("core", far)):
        assert (during[name]["streams"], during[name]["ports-used"]) == (1, before[name]["ports-used"] + 1)
        assert during[name]["packets"] - before[name]["packets"] == measured["packets"]
        assert during[name]["relayed"] - before[name]["relayed"] == measured["relayed"]
    call.hang_up()
    netns.wait_for("no flow left", lambda: stack.sbc.show("flows") == {"flows": []}, 5)
    after = {r["name"]: r for r in stack.sbc.show("realms")["realms"]}
    assert after["access"]["streams"] == 0 and after["access"]["packets"] >= during["access"]["packets"]


def test_json_has_these_names_and_text_is_for_people(stack, stranger):
    order(stack, "ban", STRANGER)
    stranger.send(request(), TO_SBC)
    samples(stack, STRANGER, lambda p: p["reason"] == "drop-banned", "a sample")
    call = Call(stack, stack.phone(), stack.pbx())
    for words, (member, keys) in KEYS.items():
        document = stack.sbc.show(*words)
        assert set(document) == ({member, "bans", "reasons"} if words[0] == "block" else {member}), words
        assert document[member], words
        for row in document[member]:
            assert list(row) == keys.split(), words
        text = stack.sbc.command("show", *words)
        assert text.returncode == 0 and not text.stderr and text.stdout.split()[0].isupper(), (words, text)
    assert {"bans", "bans-max", "trusted", "trusted-max", "sources", "sources-max"} <= set(stack.sbc.show("status"))
    counters = stack.sbc.show("counters")
    assert all(set(r) == {"name", "value", "since-clear", "per-second", "help"} for plane in ("dataplane", "controlplane") for r in counters[plane])
    direction = stack.sbc.directions()[0]
    assert {"events", "round-trip-us", "round-trip-max-us", "far-lost", "far-lost-percent", "far-jitter-us", "policed"} <= set(direction)
    call.hang_up()


def test_a_control_plane_that_restarts_gets_samples_again(stack, stranger):
    order(stack, "ban", STRANGER)
    stack.sbc.end("controlplane")
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()

    def again():
        stranger.send(request(), TO_SBC)
        return stack.sbc.show("block", STRANGER)["packets"]

    assert netns.wait_for("a sample", again, 10)[0]["reason"] == "drop-banned"


def test_what_was_dropped_is_told_without_the_dataplane(stack, stranger):
    order(stack, "ban", STRANGER)
    stranger.send(request(), TO_SBC)
    samples(stack, STRANGER, lambda p: p["reason"] == "drop-banned", "a sample")
    stack.sbc.end("dataplane")
    netns.wait_for("mgmt without dataplane", lambda: stack.sbc.show("status")["state"] == "degraded", 5)
    told = stack.sbc.command("show", "block", STRANGER, "--json")
    assert told.returncode == 0 and "nothing is known about bans" in told.stderr
    shown = json.loads(told.stdout)
    assert shown["bans"] is None and shown["packets"][0]["reason"] == "drop-banned"
