# SPDX-License-Identifier: BSD-3-Clause
"""Calls whose media is SRTP on one side or on both, keyed by SDES (RFC 4568): what each side is told, what is heard, what is refused, and that
keys are nowhere but where they belong."""

import base64
import pathlib
import re

import pytest

import netns
from conftest import SBC_OUT4
from media import open_path
from secret_call import (CM32, CM80, CONFIGURATION, GCM, PLAIN, VAULT, SecretCall, go_on, keeps, phones_prefer_srtp, protocol, roll_over,
                         secret, told)
from sip import sdp
from srtp import SUITES, Key, SecureMedia
from transfer import IN, OUT, attended, ends, final, no_calls_left, refer, replaces, talk
from transfer import told as notified

GUARD = CONFIGURATION


@pytest.fixture(scope="module", autouse=True)
def srtp(module_stack):
    module_stack.change = phones_prefer_srtp
    module_stack.start(module_stack.kind)


@pytest.mark.parametrize("suite", SUITES)
def test_srtp_of_each_suite_ends_here_and_the_pbx_has_plain_rtp(stack, suite):
    call = SecretCall(stack, suite, PLAIN)
    assert protocol(call.b.invite) == "RTP/AVP" and not call.offered
    assert protocol(call.ok) == "RTP/SAVP" and told(call.ok)[0][1].suite == suite
    call.talk()
    near, far = stack.sbc.directions()
    assert (near["suite"], near["suite-toward"], far["suite"], far["suite-toward"]) == (suite, suite, None, None)
    call.hang_up(stack)


def test_a_phone_of_best_effort_gets_srtp_within_rtp_avp(stack):
    call = SecretCall(stack, CM80, PLAIN, "RTP/AVP")
    assert protocol(call.ok) == "RTP/AVP" and len(told(call.ok)) == 1
    call.talk()
    call.hang_up(stack)


def test_a_phone_without_srtp_is_told_of_none(stack):
    call = SecretCall(stack, None, PLAIN)
    assert not told(call.ok)
    call.talk()
    call.hang_up(stack)


@pytest.mark.parametrize("mine, theirs", [(None, GCM), (CM32, CM80), (GCM, GCM)])
def test_each_side_has_keys_of_its_own(stack, mine, theirs):
    call = SecretCall(stack, mine, VAULT, callee_suite=theirs)
    assert protocol(call.b.invite) == "RTP/SAVP"
    assert [key.suite for _, key in call.offered] == [GCM, CM80, CM32, "AES_256_CM_HMAC_SHA1_80"]
    masters = [key.master for _, key in call.offered]
    assert len(set(masters)) == len(masters)
    call.talk()
    if mine:
        assert base64.b64encode(call.mine.master) not in call.b.invite.raw
    assert base64.b64encode(call.theirs.master) not in call.ok.raw
    call.hang_up(stack)


def test_hold_resume_and_another_key_within_the_call(stack):
    call = SecretCall(stack, CM80, VAULT, callee_suite=CM80)
    call.talk()
    for version, direction, answered in ((2, "sendonly", "recvonly"), (3, "", "")):
        call.a.request("INVITE", secret(call.near, [call.mine], version=version, direction=direction))
        seen = call.b.expect("INVITE")
        tag = next(tag for tag, key in told(seen) if key.master == call.far.keys[1].master)
        answer = secret(call.far, [call.theirs], session=4712, version=version, direction=answered)
        call.b.reply(seen, 200, "OK", answer.replace(b"crypto:1", f"crypto:{tag}".encode()))
        ok = call.a.expect(200)
        assert told(ok)[0][1].master == call.near.keys[1].master
        call.a.ack(ok)
        call.b.expect("ACK")
    call.talk()  # the rollover counters and the replay window have stayed
    fresh = Key(CM80)
    call.a.request("INVITE", secret(call.near, [fresh], version=4))
    seen = call.b.expect("INVITE")
    tag = next(tag for tag, key in told(seen) if key.master == call.far.keys[1].master)
    call.b.reply(seen, 200, "OK", secret(call.far, [call.theirs], session=4712, version=4).replace(b"crypto:1", f"crypto:{tag}".encode()))
    ok = call.a.expect(200)
    call.a.ack(ok)
    call.b.expect("ACK")
    call.near.use(fresh, call.near.keys[1])
    call.near.receiver.key = told(ok)[0][1]
    call.talk()
    call.hang_up(stack)


@pytest.mark.parametrize("body", [
    lambda m, k: secret(m, [k]).replace(b"inline:", b"inline:!"),
    lambda m, k: secret(m, [k]).replace(b"inline:", b"inline:AAAA"),
    lambda m, k: secret(m, [k]).replace(k.suite.encode(), b"F8_128_HMAC_SHA1_80"),
    lambda m, k: secret(m, [k], more=" UNENCRYPTED_SRTP"),
    lambda m, k: secret(m, []),
    lambda m, k: secret(m, [k], "RTP/AVP").replace(b"inline:", b"inline:=="),
    lambda m, k: secret(m, [k, Key(GCM)]).replace(b"crypto:2", b"crypto:1"),
], ids=["not base64", "too long", "unknown suite", "unencrypted", "none", "best effort, not base64", "one tag twice"])
def test_an_offer_with_bad_keys_is_488_and_nobody_is_called(stack, body):
    phone, pbx = stack.phone(), stack.pbx()
    media = stack.media("phone", phone.host)
    refused = stack.sbc.counters()["controlplane"]["srtp-refused"]
    call = phone.call((SBC_OUT4, 5060), PLAIN, body(media, Key(CM80)))
    call.ack(call.expect(488))
    assert not pbx.pending(lambda m: m.method == "INVITE")
    assert stack.sbc.counters()["controlplane"]["srtp-refused"] == refused + 1


def downgrades(stack, subject):
    return [a for a in stack.sbc.show("alarms")["alarms"] if a["alarm"] == "srtp-downgrade" and a["subject"] == subject]


@pytest.mark.parametrize("strip", [
    lambda body: sdp("10.0.0.100", 4000),
    lambda body: re.sub(rb"a=crypto[^\r]*\r\n", b"", body),
    lambda body: body.replace(b"crypto:2 ", b"crypto:1 "),
    lambda body: body.replace(CM80.encode(), CM32.encode()),
    lambda body: body.replace(b"crypto:2 ", b"crypto:9 "),
    lambda body: re.sub(rb"(a=crypto[^\r]*\r\n)", rb"\1\1", body),
], ids=["plain", "stripped", "another tag", "another suite", "a tag not offered", "one line twice"])
def test_an_answer_that_takes_keys_away_is_hung_up_and_nothing_is_relayed(stack, strip):
    phone, vault = stack.phone(), stack.endpoint("inside", "10.0.0.100")
    near, far = stack.media("phone", phone.host), stack.media("inside", vault.host)
    before = stack.sbc.counters()
    call = phone.call((SBC_OUT4, 5060), VAULT, sdp(near.host, near.port))
    leg = vault.answerer()
    far.destination = leg.invite.media()[:2]
    answer = secret(near, [Key(CM80)]).replace(b"crypto:1", b"crypto:2").replace(near.host.encode(), vault.host.encode())
    for _ in range(5):
        far.send()
    leg.reply(leg.invite, 200, "OK", strip(answer))
    leg.expect("ACK")
    for _ in range(5):
        far.send()
    assert "SIP;cause=488" in leg.take_bye()["reason"]
    call.ack(call.expect(488))
    assert "a=crypto" not in call.invited.raw.decode()
    no_calls_left(stack)
    after = stack.sbc.counters()
    assert after["dataplane"]["media-relayed"] == before["dataplane"]["media-relayed"] and near.drain() == 0
    assert after["controlplane"]["srtp-refused"] == before["controlplane"]["srtp-refused"] + 1
    assert downgrades(stack, "vault")


def test_an_offer_whose_keys_were_taken_away_is_488_and_an_alarm(stack):
    vault, carrier = stack.endpoint("inside", "10.0.0.100"), stack.carrier()
    call = vault.call(IN, "9123", sdp(vault.host, 30000))
    call.ack(call.expect(488))
    assert not carrier.pending(lambda m: m.method == "INVITE")
    assert downgrades(stack, "vault")
    call = vault.call(IN, "9123", secret(stack.media("inside", vault.host), [Key(CM80)]))
    b = carrier.answerer()
    assert protocol(b.invite) == "RTP/AVP" and not told(b.invite)
    b.reply(b.invite, 486)
    b.expect("ACK")
    call.ack(call.expect(486))
    no_calls_left(stack)


def test_packets_that_are_tampered_with_or_plain_are_dropped_and_said(stack):
    call = SecretCall(stack, CM80, PLAIN)
    call.talk()
    dropped = stack.sbc.counters()["dataplane"]["drop-srtp-auth"]
    call.far.forget()
    packet = call.near.seal(call.near.packet())
    for position in (1, 20, len(packet) - 1):
        call.near.raw(packet[:position] + bytes([packet[position] ^ 1]) + packet[position + 1:])
    call.near.raw(call.near.packet())
    netns.wait_for("them counted", lambda: stack.sbc.counters()["dataplane"]["drop-srtp-auth"] >= dropped + 4, 5)
    call.far.drain()
    assert not call.far.arrived
    netns.wait_for("the alarm", lambda: stack.sbc.the_call()["legs"][0]["srtp-alarm"], 5)
    assert not stack.sbc.the_call()["legs"][1]["srtp-alarm"]
    call.talk()
    call.hang_up(stack)


def test_a_key_that_is_used_up_is_renewed_and_the_call_goes_on(stack):
    call = SecretCall(stack, CM80, PLAIN, more="|1000")
    open_path(call.near, call.far)
    for _ in range(950):
        call.near.send()
        call.far.drain()
    offer = call.a.expect(lambda m: m.is_request and m.method in ("INVITE", "UPDATE"))
    (tag, ours), = told(offer)
    fresh = Key(CM80)
    call.a.reply(offer, 200, "OK", secret(call.near, [fresh], version=2, more="|1000"))
    call.a.expect("ACK")
    call.near.use(fresh, ours)
    # What the answer says is another description: the other side is told what it knows.
    again = call.b.expect("INVITE")
    call.b.reply(again, 200, "OK", call.answer)
    call.b.expect("ACK")
    call.near.forget(), call.far.forget()
    call.talk(50)
    assert stack.sbc.counters()["controlplane"]["srtp-rekeys"] == 1
    call.hang_up(stack)


# --- to another call, with the key that was there: the rollover counter goes on (RFC 3711 section 3.2.3) ---

@pytest.mark.parametrize("suite", [CM80, GCM])
def test_who_is_transferred_blind_is_heard_with_the_key_it_had(stack, suite):
    call, carrier = SecretCall(stack, suite, PLAIN), stack.carrier()
    target = stack.media("outside", carrier.host)
    roll_over(call, call.near)
    refer(call.b, "<sip:9123@10.0.0.1>")
    assert final(call.b, "REFER").status == 202
    notified(call.b, 100)
    b = carrier.answerer()
    b.reply(b.invite, 200, "OK", sdp(carrier.host, target.port))
    keeps(call.a, call.near, call.a.expect("INVITE"))
    call.a.expect("ACK")
    target.destination = b.expect("ACK").media()[:2]
    notified(call.b, 200, ended=True)
    call.b.bye()
    talk(call.near, target)
    assert not call.near.refused
    call.a.request("BYE")
    ends(b)
    final(call.a, "BYE")
    no_calls_left(stack)


def test_both_who_are_joined_are_heard_with_the_keys_they_had(stack):
    phones, pbx = [stack.phone(), stack.phone(port=5070)], stack.pbx()
    one, two = [SecretCall(stack, suite, number, phone=phone, callee=pbx)
                for suite, number, phone in zip((CM80, GCM), (PLAIN, "1001"), phones)]
    roll_over(one, one.near)
    roll_over(two, two.near)
    refer(one.b, attended(two.b, "alice", "10.0.0.1"))
    assert final(one.b, "REFER").status == 202
    notified(one.b, 100)
    ask = two.a.expect("INVITE")
    assert ask.body == b""
    two.a.reply(ask, 200, "OK", secret(two.near, [two.mine], version=2))
    keeps(one.a, one.near, one.a.expect("INVITE"))
    one.a.expect("ACK")
    ack = two.a.expect("ACK")
    (_, ours), = told(ack)
    assert ours.master != two.near.keys[1].master
    go_on(two.near, ours, ack)
    notified(one.b, 200, ended=True)
    ends(two.b)
    one.b.bye()
    two.near.send()  # both are behind a NAT: nothing is sent there before it has opened
    talk(one.near, two.near)
    assert not one.near.refused and not two.near.refused
    one.a.request("BYE")
    ends(two.a)
    final(one.a, "BYE")
    no_calls_left(stack)


def test_who_gets_another_peer_by_replaces_is_heard_with_the_key_it_had(stack):
    call, other = SecretCall(stack, None, VAULT, callee_suite=CM80), stack.phone(port=5070)
    media = stack.media("phone", other.host)
    roll_over(call, call.far)
    taking = other.call(OUT, VAULT, sdp(other.host, media.port), caller="thief", headers=[("Replaces", replaces(call.a))])
    keeps(call.b, call.far, call.b.expect("INVITE"))
    call.b.expect("ACK")
    ok = final(taking, "INVITE")
    assert ok.status == 200
    media.destination = ok.media()[:2]
    taking.ack(ok)
    ends(call.a)
    talk(media, call.far)
    assert not call.far.refused
    taking.request("BYE")
    ends(call.b)
    final(taking, "BYE")
    no_calls_left(stack)


@pytest.mark.parametrize("profile, number, taker", [
    ("RTP/AVP", PLAIN, None), ("RTP/SAVP", PLAIN, None), ("RTP/SAVP", VAULT, GCM), (None, VAULT, CM80)])
def test_a_call_that_rings_is_taken_by_a_colleague_with_or_without_srtp(stack, profile, number, taker):
    vault = number == VAULT
    phone, callee = stack.phone(), stack.endpoint("inside", "10.0.0.100") if vault else stack.pbx()
    near = SecureMedia(stack.lab.namespace("phone"), phone.host)
    far = SecureMedia(stack.lab.namespace("inside" if vault else "pbx"), callee.host)
    stack.closing += [near, far]
    mine, theirs = Key(CM80) if profile else None, Key(taker) if taker else None
    a = phone.call(OUT, number, secret(near, [mine], profile) if mine else sdp(near.host, near.port, session=4711))
    b = callee.answerer()
    b.reply(b.invite, 180)
    a.expect(180)
    name = f"{b.call_id};to-tag={b.invite.tag('from')};from-tag={b.local.split(';tag=')[1]}"
    body = secret(far, [theirs]).replace(b"crypto:1", b"crypto:42") if theirs else sdp(callee.host, far.port)
    if vault:  # RTP/AVP is not for who must have keys: it rings on
        refused = callee.call(IN, "alice", sdp(callee.host, far.port), caller="1001", headers=[("Replaces", name)])
        answer = final(refused, "INVITE")
        assert answer.status == 488
        refused.ack(answer)
    taking = callee.call(IN, "alice", body, caller="1001", headers=[("Replaces", name)])
    ok = final(taking, "INVITE")
    assert ok.status == 200 and protocol(ok) == ("RTP/SAVP" if taker else "RTP/AVP")
    taking.ack(ok)
    answer = final(a, "INVITE")
    assert answer.status == 200 and protocol(answer) == (profile or "RTP/AVP")
    a.ack(answer)
    for media, key, message, tag in ((near, mine, answer, 1), (far, theirs, ok, 42)):
        assert [n for n, _ in told(message)] == ([tag] if key else [])
        if key:
            media.use(key, told(message)[0][1])
        media.destination = message.media()[:2]
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200)
    b.reply(b.invite, 487)
    b.expect("ACK")
    near.send()
    talk(near, far)
    assert not near.refused and not far.refused
    a.request("BYE")
    ends(taking)
    final(a, "BYE")
    no_calls_left(stack)


def dumpable(pid):
    """What a core dump would have (core(5)): every mapping that can be read and is not left out of it. Of shared ones those of files that have a
    name, and of sockets, are written only if coredump_filter says so."""
    shared_files = int(pathlib.Path(f"/proc/{pid}/coredump_filter").read_text(), 16) & 8
    with open(f"/proc/{pid}/smaps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        pieces = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (r.*)\n(?:\S+: .*\n)*?VmFlags: (.*)$", maps.read(), re.M)
        for first, end, name, flags in pieces:
            if "dd" in flags.split() or "io" in flags.split():
                continue
            if name.split()[0].endswith("s") and not name.endswith("(deleted)") and not shared_files:
                continue
            try:
                memory.seek(int(first, 16))
                yield name, memory.read(int(end, 16) - int(first, 16))
            except (OSError, ValueError, OverflowError):
                continue


def test_keys_are_in_no_log_no_show_and_no_core_dump(stack):
    call = SecretCall(stack, CM80, VAULT, callee_suite=CM80)
    call.talk()
    secrets = {form for key in call.keys() for form in (key[:16], base64.b64encode(key))}
    shown = "".join(stack.sbc.command(*words.split()).stdout for words in (
        "show calls", "show status", "show counters", "show call " + stack.sbc.the_call()["id"], "show flows", "show log"))
    logs = b"".join(path.read_bytes() for path in (stack.lab.directory / "log").iterdir())
    assert b" DEBUG " in logs
    for form in secrets:
        assert form not in logs and form.decode("latin-1") not in shown
    # What is derived from them is enough to listen, too.
    media_keys = [key for media in (call.near, call.far) if media.keys for key in media.keys]
    secrets |= {octets[:16] for key in media_keys for octets in (key.rtp[0], key.rtp[1], key.rtcp[0], key.rtcp[1])}
    for daemon, process in stack.sbc.processes.items():
        for name, piece in dumpable(process.pid):
            at = max(piece.find(form) for form in secrets)
            assert at < 0, f"{daemon}: a key is in {name}: {re.sub(b'[^ -~]+', b'~', piece[max(0, at - 500) : at + 40])}"
    call.hang_up(stack)
