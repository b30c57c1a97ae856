# SPDX-License-Identifier: BSD-3-Clause
"""Calls with SRTP on several shards: who is moved to a call of another shard is heard with the key and the rollover counter it had, and is told
another key than before."""

import pytest

from secret_call import CM32, CM80, CONFIGURATION, GCM, VAULT, SecretCall, go_on, keeps, phones_prefer_srtp, roll_over, secret, told
from srtp import Key, SecureMedia
from transfer import (OUT, attended, dialog_elsewhere, ends, final, knows_replaces, no_calls_left, refer, replaces, shard, tags, talk)
from transfer import told as notified

pytestmark = pytest.mark.parametrize("module_stack", ["packet, 2 shards"], indirect=True, scope="module")
GUARD = CONFIGURATION


@pytest.fixture(scope="module", autouse=True)
def srtp(module_stack):
    several = module_stack.change
    module_stack.change = lambda text: phones_prefer_srtp(several(text))
    module_stack.start(module_stack.kind)


def call_elsewhere(stack, first, phone, vault, suite):
    """Another call of both, on another shard."""
    while True:
        call = SecretCall(stack, CM80, "7001", phone=phone, callee=vault, callee_suite=suite)
        if shard(call) != shard(first):
            return call
        call.a.bye()
        ends(call.b)


@pytest.mark.parametrize("suites", [(CM80, GCM), (GCM, CM32)])
def test_attended_transfer_across_shards_both_who_are_joined_go_on_counting(stack, suites):
    phone, vault = stack.phone(), stack.endpoint("inside", "10.0.0.100")
    one = SecretCall(stack, CM80, VAULT, phone=phone, callee=vault, callee_suite=suites[0])
    two = call_elsewhere(stack, one, phone, vault, suites[1])
    roll_over(one, one.far)
    roll_over(two, two.far)
    knows_replaces(two.b)
    refer(one.a, attended(two.a, "7001", "203.0.113.10"))
    assert final(one.a, "REFER").status == 202
    notified(one.a, 100)
    b = vault.answerer(match=lambda m: m["replaces"])
    assert b.invite.body == b"" and tags(two.b)[0] in b.invite["replaces"]
    b.reply(b.invite, 200, "OK", secret(two.far, [two.theirs], session=4713))
    keeps(one.b, one.far, one.b.expect("INVITE"))
    one.b.expect("ACK")
    ack = b.expect("ACK")
    (tag, ours), = told(ack)
    assert tag == 1 and ours.suite == two.theirs.suite
    assert ours.master not in (two.far.keys[1].master, one.far.keys[1].master, two.theirs.master, one.theirs.master)
    go_on(two.far, ours, ack)
    notified(one.a, 200, ended=True)
    two.b.request("BYE")
    ends(two.a)
    final(two.b, "BYE")
    one.a.bye()
    talk(one.far, two.far, 20)
    assert not one.far.refused and not two.far.refused
    b.request("BYE")
    ends(one.b)
    final(b, "BYE")
    no_calls_left(stack)


def test_a_phone_of_another_shard_takes_a_call_and_who_remains_goes_on_counting(stack):
    phone, other = stack.phone(), stack.phone(port=5070)
    call = SecretCall(stack, CM80, VAULT, phone=phone, callee_suite=GCM)
    media, mine = SecureMedia(stack.lab.namespace("phone"), other.host), Key(CM32)
    stack.closing.append(media)
    roll_over(call, call.far)
    before = call.far.keys[1]
    taking = dialog_elsewhere(other, VAULT, shard(call))
    taking.request("INVITE", secret(media, [mine]), [("Replaces", replaces(call.a)), ("Require", "replaces")])
    keeps(call.b, call.far, call.b.expect("INVITE"))
    call.b.expect("ACK")
    ok = final(taking, "INVITE")
    assert ok.status == 200
    (_, ours), = told(ok)
    assert ours.master not in (before.master, call.far.keys[1].master)
    media.use(mine, ours)
    media.destination = ok.media()[:2]
    taking.ack(ok)
    ends(call.a)
    other.ask(OUT)
    talk(media, call.far, 20)
    assert not media.refused and not call.far.refused
    taking.request("BYE")
    ends(call.b)
    final(taking, "BYE")
    no_calls_left(stack)
