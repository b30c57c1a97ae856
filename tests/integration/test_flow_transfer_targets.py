# SPDX-License-Identifier: BSD-3-Clause
"""`transfer = terminate`: the target of a REFER is tried as any callee is: members of a group, contacts of a 3xx, credentials for a trunk."""

import pytest

import attempts
import netns
from attempts import MOVED, PBX_B
from sip import sdp
from transfer import check_sides, connected, ends, final, hear, no_calls_left, refer, talk, told

pytestmark = pytest.mark.parametrize("module_stack", ["packet"], indirect=True, scope="module")
GUARD = attempts.CONFIG


def begin(stack, target):
    """An answered call whose caller refers to `target`; the referrer has been told 100."""
    phone, pbx = stack.phone(), stack.pbx()
    call = connected(stack, phone, pbx)
    refer(call.a, f"<sip:{target}@203.0.113.10>")
    assert final(call.a, "REFER").status == 202
    told(call.a, 100)
    return call, phone, pbx


def ring(endpoint, user, timeout=5.0):
    b = endpoint.answerer(timeout, match=lambda m: m.uri.startswith(f"sip:{user}@"))
    assert b.invite.body == b"" and "1000" in b.invite["from"]
    return b


def in_turn(pbx, other):
    """The members of the group, who is asked first in front."""
    asked = lambda e: e.pending(lambda m: m.is_request and m.method == "INVITE" and "2005" in m.uri)
    netns.wait_for("the first member is asked", lambda: asked(pbx) or asked(other), 5)
    return (pbx, other) if asked(pbx) else (other, pbx)


def refuse(b, status, headers=()):
    b.reply(b.invite, status, headers=headers)
    b.expect("ACK")


def complete(stack, call, phone, b):
    """The target answers, the remaining party takes its offer, the referrer is told and hangs up."""
    media = stack.media("pbx", b.endpoint.host)
    b.reply(b.invite, 200, "OK", sdp(b.endpoint.host, media.port))
    hear(call.b, call.far, call.b.expect("INVITE"), call.b.endpoint)
    call.b.expect("ACK")
    media.destination = b.expect("ACK").media()[:2]
    told(call.a, 200, ended=True)
    call.a.bye()
    talk(call.far, media)
    b.request("BYE")
    ends(call.b)
    final(b, "BYE")
    check_sides([phone], [call.b.endpoint, b.endpoint])
    no_calls_left(stack)


def test_the_next_member_of_a_group_is_asked(stack):
    other = stack.pbx(port=PBX_B)
    call, phone, pbx = begin(stack, "2005")
    one, two = in_turn(pbx, other)
    refuse(ring(one, "2005"), 503)
    complete(stack, call, phone, ring(two, "2005"))


def test_a_member_that_says_nothing_is_given_up(stack):
    other = stack.pbx(port=PBX_B)
    call, phone, pbx = begin(stack, "2005")
    one, two = in_turn(pbx, other)
    silent = ring(one, "2005")
    b = ring(two, "2005", timeout=10)
    silent.reply(silent.invite, 180)
    silent.reply(silent.expect("CANCEL"), 200)
    refuse(silent, 487)
    complete(stack, call, phone, b)


def test_a_refusal_that_retry_on_has_not_ends_it(stack):
    other = stack.pbx(port=PBX_B)
    call, phone, pbx = begin(stack, "2005")
    one, two = in_turn(pbx, other)
    refuse(ring(one, "2005"), 486)
    told(call.a, 486, ended=True)
    assert not [m for m in two.received if m.is_request and "2005" in (m.uri or "")]
    talk(call.near, call.far)
    call.hang_up()
    no_calls_left(stack)


def test_the_best_of_several_refusals_is_told(stack):
    other = stack.pbx(port=PBX_B)
    call, phone, pbx = begin(stack, "2005")
    one, two = in_turn(pbx, other)
    refuse(ring(one, "2005"), 503)
    refuse(ring(two, "2005"), 404)
    told(call.a, 404, ended=True)
    call.hang_up()
    no_calls_left(stack)


def test_a_redirection_of_the_target_is_followed(stack):
    call, phone, pbx = begin(stack, "1003")
    refuse(ring(pbx, "1003"), 302, [("Contact", "<sip:1004@10.0.0.99>")])
    complete(stack, call, phone, ring(pbx, "1004"))


def test_a_redirection_of_an_agent_whose_redirections_are_passed_on_is_none_here(stack):
    mover = stack.pbx(port=MOVED)
    call, phone, pbx = begin(stack, "4003")
    refuse(ring(mover, "4003"), 302, [("Contact", "<sip:1004@10.0.0.99>")])
    told(call.a, 480, ended=True)
    call.hang_up()
    no_calls_left(stack)
