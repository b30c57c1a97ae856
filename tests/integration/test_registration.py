# SPDX-License-Identifier: BSD-3-Clause
"""Phones behind the lab's NAT, registered through this SBC at a real registrar with their passwords, and called by it."""

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import tempfile

import pytest

import netns
from conftest import SBC_OUT4
from nat import phone_at
from registrar import HOST, Kamailio, Registered
from sip import sdp

GUARD = """
guard { untrusted-rate = 1000  untrusted-burst = 1000 }
registration { per-source-rate = 100  per-aor-rate = 100 }
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"  priority = 30 }
"""

KAMAILIO = (HOST, 5060)


def change(text):
    return text.replace("ip-profile = phone  allow-anonymous = all", "ip-profile = phone  registration = cache  allow-anonymous = registered")


def with_path(text):
    return change(text).replace(
        'session-agent pbx  { realm = core  address = "udp:10.0.0.5:5060" }',
        'ip-profile registrar { nat = never  latching = fixed  registration-contact = path }\n'
        'session-agent pbx  { realm = core  address = "udp:10.0.0.5:5060"  ip-profile = registrar }')


@pytest.fixture(scope="module", params=["own", "path"])
def module_stack(request):
    from conftest import Stack

    stack = Stack()
    stack.more, stack.change = GUARD, change if request.param == "own" else with_path
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def kamailio(stack):
    registrar = Kamailio(stack)
    stack.sbc.command("show", "status")
    return registrar


@pytest.fixture
def caller(stack):
    """Another extension of the PBX."""
    return stack.pbx(port=5090)


def registered(stack, user, **kwargs):
    phone = Registered(phone_at(stack, **kwargs), user)
    answer = phone.register()
    assert answer.status == 200, answer.raw.decode()
    return phone


def reached(caller, phone, user):
    """The PBX calls the user; the phone hears it on its flow, answers, and the PBX hangs up."""
    call = caller.call(KAMAILIO, user, sdp(HOST, 7000), caller="bob")
    leg = phone.phone.answerer()
    assert leg.invite.source == (SBC_OUT4, 5060)
    leg.reply(leg.invite, 200, "OK", sdp(phone.phone.host, 6000))
    ok = call.expect(200)
    call.ack(ok)
    leg.expect("ACK")
    call.request("BYE")
    leg.take_bye()
    call.expect(lambda m: m.status == 200 and m.method == "BYE")
    return leg


def shown(stack):
    return stack.sbc.show("registrations")["registrations"]


def test_a_phone_registers_with_its_password_and_is_called(stack, kamailio, caller):
    phone = registered(stack, "alice")
    assert phone.challenges == 1
    leg = reached(caller, phone, "alice")
    # What the PBX calls it by is nothing the phone would see, and nothing of the PBX's side is.
    assert "10.0.0" not in leg.invite.raw.decode()
    assert leg.invite.uri.startswith("sip:alice@192.168.77.2")


def test_a_wrong_password_makes_no_binding(stack, kamailio, caller):
    phone = Registered(phone_at(stack), "mallory", password="guess")
    assert phone.register().status == 401
    call = caller.call(KAMAILIO, "mallory", sdp(HOST, 7000))
    assert call.expect(lambda m: m.status and m.status >= 400).status == 404
    assert all(row["aor"].split("@")[0] != "mallory" for row in shown(stack))


def test_the_password_of_one_is_not_good_for_another(stack, kamailio, caller):
    phone = Registered(phone_at(stack), "alice", password="secret-bob")
    assert phone.register().status == 401


def test_refreshes_are_answered_while_the_registrar_is_away(stack, kamailio, caller):
    phone = registered(stack, "carol")
    kamailio.stop()
    for _ in range(3):
        answer = phone.refresh()
        assert re.search(r"expires=60\b", answer["contact"])
    assert phone.challenges == 1
    kamailio.start()


def test_a_second_device_does_not_live_on_the_first_ones_password(stack, kamailio, caller):
    phone = registered(stack, "dave")
    other = Registered(phone_at(stack, port=5075), "dave", password="guess")
    other.call_id, other.cseq = phone.call_id, phone.cseq
    assert other.register().status == 401
    reached(caller, phone, "dave")


def test_a_phone_whose_nat_has_moved_it_is_called_on_its_new_flow(stack, kamailio, caller):
    phone = registered(stack, "erin", port=5078)
    sources = lambda: [row["source"] for row in shown(stack) if row["aor"].startswith("erin@")]
    before = sources()
    netns.wait_for("the flow being trusted", lambda: set(before) <= trusted(stack), 10)
    moved = Registered(phone_at(stack, port=5076), "erin")
    moved.call_id, moved.cseq = phone.call_id, phone.cseq
    # The same contact as before: only its flow has changed.
    moved.send = lambda expires=None: send_as(moved, phone.phone, expires)
    assert moved.register().status == 200
    assert moved.challenges == 1
    reached(caller, moved, "erin")
    # Whoever has its old address and port now is a stranger.
    netns.wait_for("the new flow alone being trusted", lambda: set(sources()) <= trusted(stack) and not set(before) & trusted(stack), 10)


def send_as(registration, old, expires):
    """Its REGISTER, with the Contact that it had at `old`."""
    phone = registration.phone
    host, port = phone.host, phone.port
    sent = []
    phone.send, real = (lambda raw, to: sent.append((raw, to))), phone.send
    Registered.send(registration, expires)
    phone.send = real
    raw, to = sent[0]
    contact = f"Contact: <sip:{registration.user}@{host}:{port}>".encode()
    assert contact in raw
    real(raw.replace(contact, f"Contact: <sip:{registration.user}@{old.host}:{old.port}>".encode()), to)


def test_who_unregisters_is_called_no_more(stack, kamailio, caller):
    phone = registered(stack, "frank")
    answer = phone.register(expires=0)
    assert answer.status == 200 and not answer["contact"]
    call = caller.call(KAMAILIO, "frank", sdp(HOST, 7000))
    assert call.expect(lambda m: m.status and m.status >= 400).status == 404
    assert all(row["aor"].split("@")[0] != "frank" for row in shown(stack))


def test_calls_reach_the_phone_after_the_control_plane_was_killed(stack, kamailio, caller):
    assert registered(stack, "judy", port=5080).register(expires=0).status == 200
    phone = registered(stack, "grace")
    netns.wait_for("the binding being on disk", lambda: bindings_on_disk(stack) >= 1, 10)
    stack.sbc.end("controlplane", signal.SIGKILL)
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    assert not [row for row in shown(stack) if row["aor"].startswith("judy@")]
    reached(caller, phone, "grace")
    # And its refresh needs no password.
    assert phone.refresh().status == 200


def bindings_on_disk(stack):
    """Of a copy, as a crash would leave it: the control plane lets nobody else in."""
    data = stack.lab.directory / "data"
    with tempfile.TemporaryDirectory() as place:
        for path in data.glob("controlplane.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, place)
        with contextlib.closing(sqlite3.connect(f"{place}/controlplane.db")) as database:
            return database.execute("SELECT count(*) FROM binding WHERE CAST(aor AS TEXT) LIKE 'grace@%'").fetchone()[0]


def test_a_registrar_that_has_been_away_and_knows_nobody_is_told_again(stack, kamailio, caller):
    """It is missed by OPTIONS, which are given up early here."""
    quick = '''
sip-config { t1 = "50ms" }
'''
    watched = lambda text: stack.change(text).replace('"udp:10.0.0.5:5060"', '"udp:10.0.0.5:5060"  options-interval = 1') + quick
    stack.start("packet", change=watched)
    try:
        phone = registered(stack, "heidi")
        log = stack.sbc.log_path("controlplane")
        kamailio.stop()
        netns.wait_for("the registrar being missed", lambda: "does not answer" in log.read_text(), 60)
        assert phone.refresh().status == 200
        kamailio.start()
        netns.wait_for("the registrar being found again", lambda: "answers again" in log.read_text(), 60)
        assert phone.challenges == 1
        assert phone.register().status == 200
        assert phone.challenges == 2
        reached(caller, phone, "heidi")
    finally:
        stack.start("packet")


def test_its_flow_is_trusted_while_it_is_registered(stack, kamailio, caller):
    """An address and port of its own: a flow of several is trusted as long as one of them is there."""
    phone = registered(stack, "ivan", port=5079)
    source = next(row["source"] for row in shown(stack) if row["aor"].startswith("ivan@"))
    netns.wait_for("the flow being trusted", lambda: source in trusted(stack), 10)
    assert phone.register(expires=0).status == 200
    netns.wait_for("the flow being trusted no more", lambda: source not in trusted(stack), 10)


def test_a_registration_that_is_cleared_by_order_is_over_until_the_phone_registers_again(stack, kamailio, caller):
    phone = registered(stack, "judy", port=5081)
    source = next(row["source"] for row in shown(stack) if row["aor"].startswith("judy@"))
    netns.wait_for("the flow being trusted", lambda: source in trusted(stack), 10)
    cleared = stack.sbc.command("clear", "registration", "judy", "--json")
    assert cleared.returncode == 0 and json.loads(cleared.stdout) == {"cleared": 1}, cleared.stderr
    call = caller.call(KAMAILIO, "judy", sdp(HOST, 7000))
    assert call.expect(lambda m: m.status and m.status >= 400).status in (404, 480)
    netns.wait_for("the flow being trusted no more", lambda: source not in trusted(stack), 15)
    assert stack.sbc.command("show", "registration", "judy").returncode == 1
    nobody = stack.sbc.command("clear", "registration", "judy")
    assert nobody.returncode == 1 and "nobody is registered" in nobody.stderr
    assert stack.sbc.show("audit")["audit"][0]["what"] == "registration cleared"
    assert phone.register().status == 200
    reached(caller, phone, "judy")


def trusted(stack):
    shown = json.loads(stack.sbc.command("show", "trusted", "--json").stdout)["trusted"]
    return {row["source"] for row in shown if not row["configured"]}


def test_a_stranger_is_told_nothing_and_reaches_nobody(stack, kamailio, caller):
    phone = phone_at(stack, port=5077)
    call = phone.call((SBC_OUT4, 5060), "1000", sdp(phone.host, 6000))
    with pytest.raises(AssertionError):
        phone.expect(lambda m: m.status and m.status < 300 and m.status > 100, call.call_id, timeout=1)
