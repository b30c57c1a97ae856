# SPDX-License-Identifier: BSD-3-Clause
"""Scanners as Debian ships them (sipvicious), guessers and an office with a scanner in it, against a registrar behind the SBC."""

import json
import signal

import pytest

import netns
from conftest import SBC_OUT4, Stack
from nat import Router, phone_at
from registrar import Kamailio, Registered
from sbc import BUILD
from sip import compose, sdp, token
from stream_peer import StreamEndpoint

TO_SBC = (SBC_OUT4, 5060)
SCANNER = "203.0.113.101"
NAT = "203.0.113.2"  # what the tools are seen as: they cannot choose their address, and that of `outside` is a configured agent's
FLOODS = True
PASSED_MAX = 20  # packets of a scanner that may pass the border

MORE = """
guard { mode = enforce  untrusted-rate = 1000  untrusted-burst = 1000 %s }
registration { per-source-rate = 1000  per-aor-rate = 1000 }
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = ".*"        next-hop = "agent:pbx"  priority = 30 }
"""


def change(text):
    return text.replace("ip-profile = phone  allow-anonymous = all", "ip-profile = phone  registration = cache  allow-anonymous = registered").replace(
        'listen = {"udp:203.0.113.10:5060",', 'listen = {"udp:203.0.113.10:5060", "tcp:203.0.113.10:5060",')


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more, stack.change = MORE % "", change
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def kamailio(stack):
    yield Kamailio(stack)


@pytest.fixture
def clean(stack):
    """No ban is left for the next test, nor points."""
    yield stack
    stack.start("packet")


def run_tool(stack, *command, timeout=60):
    result = netns.run(stack.lab.namespace("phone"), ["timeout", str(timeout), *command])
    return result.stdout + result.stderr


def passed(stack, before):
    """SIP packets of strangers that came through the border since."""
    return stack.sbc.counters()["controlplane"]["rx-messages"] - before


def received(stack):
    return stack.sbc.counters()["controlplane"]["rx-messages"]


def banned(stack, source):
    return [b for b in stack.sbc.show("bans")["bans"] if b["source"].split(":")[0] == source]


# --- sipvicious -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE"])
def test_svmap_finds_no_host(clean, kamailio, method):
    before = received(clean)
    said = run_tool(clean, "svmap", "-m", method, "-P", "5070", "-p", "5060", SBC_OUT4)
    assert SBC_OUT4 not in said and "found nothing" in said.lower(), said
    assert passed(clean, before) <= PASSED_MAX


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_svwar_finds_no_extension_and_is_denied_in_the_dataplane(clean, kamailio, method):
    before, dropped = received(clean), clean.sbc.counters()["dataplane"]["drop-banned"]
    said = run_tool(clean, "svwar", "--force", "-m", method, "-P", "5071", "--maximumtime=5", "-e", "100-400", SBC_OUT4)
    assert "weird" not in said and "reqauth" not in said and "noauth" not in said, said
    assert banned(clean, NAT), said
    assert passed(clean, before) <= PASSED_MAX, said
    # Without an answer it gives up. Whoever goes on from there does not reach SIP any more.
    before = received(clean)
    run_tool(clean, "svwar", "--force", "-m", method, "-P", "5071", "--maximumtime=5", "-e", "100-400", SBC_OUT4)
    netns.wait_for("its packets dropped at the border", lambda: clean.sbc.counters()["dataplane"]["drop-banned"] > dropped, 5)
    assert passed(clean, before) == 0
    reasons = clean.sbc.show("block", NAT)["reasons"]
    assert any(r["sign"] == "scanner-agent" and r["sip"].startswith(method) for r in reasons), reasons


def test_svcrack_finds_no_password_and_is_denied_in_the_dataplane(clean, kamailio):
    before = received(clean)
    said = run_tool(clean, "svcrack", "-P", "5072", "--maximumtime=5", "-u", "100", "-r", "100-999", SBC_OUT4)
    assert "| 100" not in said and "The password" not in said, said
    assert banned(clean, NAT), said
    assert passed(clean, before) <= PASSED_MAX


# --- one who looks like a phone ------------------------------------------------------------------------------------------


def options(user="100", tag=None):
    return compose(f"OPTIONS sip:{user}@{SBC_OUT4} SIP/2.0", [
        ("Via", f"SIP/2.0/UDP {SCANNER}:5073;branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
        ("From", f"<sip:x@{SCANNER}>;tag={tag or token()}"), ("To", f"<sip:{user}@{SBC_OUT4}>"), ("Call-ID", token()), ("CSeq", "1 OPTIONS")])


def test_a_stranger_gets_no_byte_and_is_denied_within_twenty_messages(clean):
    scanner = clean.endpoint("outside", SCANNER, 5073)
    before = received(clean)
    for n in range(60):
        scanner.send(options(str(100 + n)), TO_SBC)
        netns.wait_for("the message taken or dropped", lambda n=n: passed(clean, before) > n or banned(clean, SCANNER), 5)
        if banned(clean, SCANNER):
            break
    assert banned(clean, SCANNER) and passed(clean, before) <= PASSED_MAX
    assert not scanner.received
    assert banned(clean, SCANNER)[0]["source"] == f"{SCANNER}:5073"
    assert [s for s in clean.sbc.show("guard")["sources"] if s["source"] == f"{SCANNER}:5073" and s["step"] == "denial"]


def sip(method, old=b"", new=b"", to_tag=""):
    """A request outside of dialogs as a phone writes it, but for what is replaced."""
    raw = compose(f"{method} sip:100@{SBC_OUT4} SIP/2.0", [
        ("Via", f"SIP/2.0/UDP {SCANNER}:5060;branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
        ("From", f"<sip:x@{SCANNER}>;tag={token()}"), ("To", f"<sip:100@{SBC_OUT4}>{to_tag}"), ("Call-ID", token()), ("CSeq", f"1 {method}"),
        ("Contact", f"<sip:x@{SCANNER}>"), ("User-Agent", "Phone")])
    assert old in raw
    return raw.replace(old, new, 1)


SIGNS = {
    "its name": (sip("OPTIONS", b": Phone", b": friendly-scanner 1"), "scanner-agent"),
    "its tag": (sip("OPTIONS", b";tag=", b";tag=616263013132333435363738;was="), "scanner-mark"),
    "its address": (sip("INVITE", b"Contact: <sip:x@203.0.113.101>", b"Contact: <sip:x@1.1.1.1>"), "scanner-mark"),
    "its From": (sip("OPTIONS", b"From: <sip:x@", b'From: "sipvicious"<sip:x@'), "scanner-mark"),
    "no Max-Forwards": (sip("OPTIONS", b"Max-Forwards: 70\r\n"), "malformed"),
    "no Contact": (sip("INVITE", b"Contact: <sip:x@203.0.113.101>\r\n"), "malformed"),
    "no SIP": (b"GET / HTTP/1.0\r\n\r\n", "malformed"),
    "a CSeq that is none": (sip("OPTIONS", b"CSeq: 1", b"CSeq: x"), "malformed"),
    "a To that is none": (sip("OPTIONS", b"To: <sip:100@203.0.113.10>", b"To: <sip:100@203.0.113.10"), "malformed"),
    "OPTIONS": (sip("OPTIONS"), "stranger"),
    "INVITE": (sip("INVITE"), "stranger"),
    "MESSAGE": (sip("MESSAGE"), "stranger"),
    "BYE": (sip("BYE", to_tag=";tag=none"), "no-dialog"),
    "CANCEL": (sip("CANCEL"), "no-dialog"),
}


def test_what_a_stranger_sends_is_a_sign_which_is_told_and_never_answered(clean):
    """Each from a port of its own: nothing of one says anything of another."""
    senders = {}
    for name, (raw, _) in SIGNS.items():
        senders[name] = clean.endpoint("outside", SCANNER, 0)
        senders[name].send(raw, TO_SBC)
    for name, (raw, sign) in SIGNS.items():
        source = f"{SCANNER}:{senders[name].port}"
        netns.wait_for(f"{sign} of {name}", lambda source=source, sign=sign: sign in {r["sign"] for r in clean.sbc.show("block", source)["reasons"]}, 10)
        (seen,) = [s for s in clean.sbc.show("guard")["sources"] if s["source"] == source]
        assert seen["points"] > 0, (name, seen)
    assert not [message for sender in senders.values() for message in sender.received]


def test_who_connects_by_tcp_has_proved_his_address_and_is_denied_as_a_whole(clean):
    scanner = StreamEndpoint(clean.lab.namespace("phone"), "192.168.77.2", 0)
    clean.closing.append(scanner)
    for n in range(30):
        try:
            scanner.send(options(str(100 + n)).replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP"), TO_SBC)
        except (OSError, AssertionError):
            break
    (ban,) = netns.wait_for("the ban", lambda: banned(clean, NAT), 10)
    assert ban["source"] == NAT and ban["expires-seconds"] > 500


def test_a_guesser_of_passwords_is_denied_and_the_phone_goes_on(clean, kamailio):
    phone = Registered(phone_at(clean), "alice")
    assert phone.register().status == 200
    guesser = Registered(clean.endpoint("outside", SCANNER, 5074), "alice", password="wrong")
    for _ in range(4):
        assert guesser.register().status == 401
    for _ in range(60):
        guesser.send()
        if banned(clean, SCANNER):
            break
    (ban,) = netns.wait_for("the ban", lambda: banned(clean, SCANNER), 10)
    assert ban["expires-seconds"] > 500, "it answered our challenges: its address is its own"
    assert ban["source"] == SCANNER
    assert phone.register().status == 200


def test_an_unknown_user_and_a_wrong_password_look_the_same(clean, kamailio):
    """What svwar compares: nobody learns from an answer whether there is such an extension."""
    seen = []
    for user, password in (("alice", "wrong"), ("nobody", "wrong")):
        answers = []
        guesser = Registered(clean.endpoint("outside", SCANNER, 0), user, password=password)
        guesser.send()
        answers.append(guesser.answer())
        seen.append([(a.status, [n for n, _ in a.headers]) for a in answers])
    assert seen[0] == seen[1] and seen[0][0][0] == 401


# --- an office ------------------------------------------------------------------------------------------------------------


def test_a_scanner_behind_the_phones_own_address_is_denied_alone(clean, kamailio):
    Router(clean, "port restricted")
    phones = [Registered(phone_at(clean, port=port), user) for port, user in ((5060, "alice"), (5062, "bob"), (5064, "carol"))]
    for phone in phones:
        assert phone.register().status == 200
    said = netns.run(clean.lab.namespace("phone"), ["timeout", "20", "svwar", "--force", "-P", "5090", "-e", "100-300", SBC_OUT4])
    (ban,) = netns.wait_for("the scanner's ban", lambda: banned(clean, "203.0.113.2"), 5)
    assert ban["source"].startswith("203.0.113.2:"), said
    for phone in phones:
        assert phone.register().status == 200
    caller = clean.pbx(port=5090)
    call = caller.call(("10.0.0.5", 5060), "bob", sdp("10.0.0.5", 7000), caller="x")
    leg = phones[1].phone.answerer()
    leg.reply(leg.invite, 200, "OK", sdp(phones[1].phone.host, 6000))
    call.ack(call.expect(200))


# --- what outlives ----------------------------------------------------------------------------------------------------------


def test_bans_outlive_a_new_dataplane_and_a_killed_control_plane(clean):
    order = clean.sbc.command("ban", "198.51.100.0/24", "for", "600", "reason", "test", "--json")
    assert json.loads(order.stdout)["banned"] is True
    assert clean.sbc.command("ban", "198.51.101.7").returncode == 0
    sources = {"198.51.100.0/24", "198.51.101.7"}
    clean.sbc.end("dataplane")
    clean.sbc.start("dataplane")
    clean.sbc.wait_ready()
    netns.wait_for("the bans in a new dataplane", lambda: {b["source"] for b in clean.sbc.show("bans")["bans"]} == sources, 10)
    netns.wait_for("the bans on disk", lambda: b"198.51.101.7" in (clean.lab.directory / "data/controlplane.db-wal").read_bytes()
                   + (clean.lab.directory / "data/controlplane.db").read_bytes(), 10)
    clean.sbc.end("controlplane", signal.SIGKILL)
    clean.sbc.end("dataplane")
    clean.sbc.start("dataplane")
    clean.sbc.start("controlplane")
    clean.sbc.wait_ready()
    netns.wait_for("the bans after all died", lambda: {b["source"] for b in clean.sbc.show("bans")["bans"]} == sources, 10)
    left = {b["source"]: b["expires-seconds"] for b in clean.sbc.show("bans")["bans"]}
    assert left["198.51.101.7"] is None and 500 < left["198.51.100.0/24"] <= 600
    assert clean.sbc.command("unban", "198.51.101.7").returncode == 0
    assert clean.sbc.command("unban", "198.51.101.7").returncode == 1
    log = (clean.sbc.logs / "controlplane.log").read_text()
    assert "audit" in log and "unban" in log and "who=root" in log


def audit(stack, *words):
    return json.loads(stack.sbc.command("show", "audit", *words, "--json").stdout)["audit"]


def test_the_audit_tells_who_ordered_what_newest_first(clean):
    for n in range(40):
        assert clean.sbc.command("ban", f"198.51.100.{n}", "for", "600", "reason", "audited").returncode == 0
    assert clean.sbc.command("unban", "198.51.100.0").returncode == 0
    netns.wait_for("the orders on disk", lambda: audit(clean, "1")[0]["what"] == "unban", 10)
    # More than one page, and no more than asked for.
    rows = audit(clean, "35")
    assert [(row["what"], row["object"], row["reason"]) for row in rows] == [
        ("unban", "198.51.100.0", None), *(("ban", f"198.51.100.{n}", "audited") for n in range(39, 5, -1))]
    assert all(row["who"] == "root" for row in rows)
    ats = [row["at"] for row in rows]
    assert ats == sorted(ats, reverse=True) and ats[0].endswith("Z")
    assert 41 <= len(audit(clean)) <= 50
    text = clean.sbc.command("show", "audit", "2").stdout
    assert "unban" in text and "198.51.100.39" in text and "198.51.100.38" not in text
    for wrong in ("0", "x", "99999999999"):
        assert clean.sbc.command("show", "audit", wrong).returncode == 2


def test_subscribers_are_set_by_a_password_on_standard_input_alone(clean):
    run = lambda *words, text="": netns.run(clean.sbc.namespace, [str(BUILD / "sallyport"), "-c", str(clean.sbc.config_path), *words], input=text)
    assert run("subscriber", "add", "100", "example.com", text="open sesame 4711\n").returncode == 0
    assert run("subscriber", "add", "101", "example.com").returncode == 2
    assert run("subscriber", "add", "101", "example.com", "secret", text="x\n").returncode == 2
    assert json.loads(run("--json", "subscriber", "list").stdout)["subscribers"] == [{"user": "100", "realm": "example.com"}]
    for log in clean.sbc.logs.glob("*.log"):
        assert "sesame" not in log.read_text()
    assert run("subscriber", "delete", "100", "example.com").returncode == 0
    assert run("subscriber", "delete", "100", "example.com").returncode == 1
