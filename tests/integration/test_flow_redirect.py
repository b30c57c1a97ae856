# SPDX-License-Identifier: BSD-3-Clause
"""3xx of a callee: followed where a local-policy leads the caller, passed on with a Contact of ours, never to a host that it names."""

import pytest

import attempts
from attempts import MOVED, PBX_B, TO_SBC, answer, check_other_leg, finish, refuse, refused
from early import hang_up
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = attempts.CONFIG + """
ip-profile tells-diversion { nat = never  latching = fixed  diversion = diversion }
ip-profile tells-history   { nat = never  latching = fixed  diversion = history-info }
session-agent by-diversion { realm = core  address = "udp:10.0.0.5:5072"  ip-profile = tells-diversion }
session-agent by-history   { realm = core  address = "udp:10.0.0.5:5074"  ip-profile = tells-history }
local-policy to-by-diversion { from-realm = access  to = "^66[0-9]+$"  next-hop = "agent:by-diversion"  priority = 1 }
local-policy to-by-history   { from-realm = access  to = "^67[0-9]+$"  next-hop = "agent:by-history"    priority = 1 }
"""


def start(stack, number="1000", port=5060):
    phone, pbx = stack.phone(), stack.pbx(port=port)
    a = phone.call(TO_SBC, number, sdp(phone.host, 30000))
    return phone, pbx, a, pbx.answerer()


def test_a_redirection_is_followed_by_its_users_best_first(stack):
    phone, pbx, a, first = start(stack)
    refuse(first, 302, [("Contact", "<sip:1002@10.0.0.99>;q=0.1, <sip:1001@10.0.0.98:5090;transport=tcp>;q=0.8"), ("Contact", "<sip:nobody@10.0.0.97>")])
    second = pbx.answerer()
    check_other_leg(first.invite, second.invite)
    assert second.invite.uri.startswith("sip:1001@10.0.0.5") and "<sip:1000@" in second.invite["to"]
    refuse(second, 404)
    third = pbx.answerer()
    assert third.invite.uri.startswith("sip:1002@10.0.0.5")
    answer(a, third)
    hang_up(a, third)
    finish(stack, phone, pbx)


def test_a_redirection_to_another_agent_is_followed_if_the_caller_may_call_it(stack):
    other = stack.pbx(port=PBX_B)
    phone, pbx, a, first = start(stack, "2000")
    refuse(first, 301, [("Contact", f"<sip:2005@10.0.0.5:{PBX_B}>")])
    second = other.answerer()
    assert second.invite.uri.startswith(f"sip:2005@10.0.0.5:{PBX_B}")
    answer(a, second)
    hang_up(a, second)
    finish(stack, phone, pbx, other)


def test_no_host_that_a_redirection_names_is_dialled(stack):
    stranger, trunk = stack.endpoint("outside", "203.0.113.100"), stack.carrier(port=5080)
    phone, pbx, a, first = start(stack)
    refuse(first, 302, [("Contact", "<sip:1001@203.0.113.100:5060>"), ("Contact", "<sip:1001@203.0.113.100:5080;maddr=203.0.113.100>")])
    second = pbx.answerer()
    assert second.invite.uri.startswith("sip:1001@10.0.0.5")
    refuse(second, 486)
    refused(a, 486)
    assert not stranger.received and not trunk.received
    finish(stack, phone, pbx)


def test_redirections_in_a_circle_end(stack):
    phone, pbx, a, b = start(stack)
    asked = [b.invite.uri]
    for target in ("1001", "1000", "1002"):
        refuse(b, 302, [("Contact", f"<sip:{target}@10.0.0.5>")])
        if target == "1000":
            break
        b = pbx.answerer()
        asked.append(b.invite.uri)
    refused(a, 480)
    assert len(asked) == 2
    finish(stack, phone, pbx)


def test_redirections_without_end_end(stack):
    phone, pbx, a, b = start(stack)
    for n in range(5):
        refuse(b, 302, [("Contact", f"<sip:{1100 + n}@10.0.0.5>")])
        b = pbx.answerer()
    refuse(b, 302, [("Contact", "<sip:1200@10.0.0.5>")])
    refused(a, 480)
    finish(stack, phone, pbx)


def test_a_redirection_is_passed_on_and_the_caller_follows_it_through_us(stack):
    phone, mover, a, first = start(stack, "4000", MOVED)
    refuse(first, 302, [("Contact", '"Bob" <sip:4001@10.0.0.77;secret=1>;q=0.5')])
    moved = refused(a, 302)
    assert moved.all("contact") == ["<sip:4001@203.0.113.10:5060>;q=0.500"]
    again = phone.call(TO_SBC, "4001", sdp(phone.host, 30000))
    b = mover.answerer()
    assert b.invite.uri.startswith("sip:4001@")
    answer(again, b)
    hang_up(again, b)
    finish(stack, phone, mover)


@pytest.mark.parametrize("status, contact", [(305, "<sip:1001@10.0.0.9>"), (380, "<sip:1001@10.0.0.9>"), (302, "<mailto:bob@10.0.0.9>"), (302, "<sip:10.0.0.9>")])
def test_what_cannot_be_followed_is_480_without_a_contact(stack, status, contact):
    phone, pbx, a, b = start(stack)
    refuse(b, status, [("Contact", contact)])
    assert not refused(a, 480)["contact"]
    finish(stack, phone, pbx)


def test_who_is_called_by_a_redirection_is_told_of_it_as_its_profile_says(stack):
    phone, pbx, a, first = start(stack)
    diverted, traced = stack.pbx(port=5072), stack.pbx(port=5074)
    refuse(first, 302, [("Contact", "<sip:6600@10.0.0.99>")])
    second = diverted.answerer()
    assert second.invite.all("diversion") == ["<sip:1000@10.0.0.1>;reason=unconditional;counter=1;privacy=off"]
    assert not second.invite["history-info"]
    refuse(second, 302, [("Contact", "<sip:6700@10.0.0.99>")])
    third = traced.answerer()
    assert third.invite.all("history-info") == ["<sip:1000@10.0.0.1>;index=1", "<sip:6600@10.0.0.1;cause=302>;index=1.1",
                                                "<sip:6700@10.0.0.1;cause=302>;index=1.1.1"]
    assert not third.invite["diversion"]
    refuse(third, 302, [("Contact", "<sip:1001@10.0.0.5>")])
    last = pbx.answerer()  # relay: as it came, and nothing had come
    assert not last.invite["history-info"] and not last.invite["diversion"]
    refuse(last, 486)
    refused(a, 486)
    finish(stack, phone, pbx)


@pytest.mark.parametrize("come, seen", [
    ([("Diversion", "<sip:boss@192.168.77.2>;reason=no-answer")],
     {"diversion": ["<sip:1000@10.0.0.1>;reason=unconditional;counter=1;privacy=off",
                    "<sip:boss@10.0.0.1>;reason=no-answer;counter=1;privacy=off"], "history-info": []}),
    ([("History-Info", "<sip:boss@192.168.77.2>;index=1, <sip:1000@192.168.77.2;cause=302>;index=1.1")],
     {"diversion": [], "history-info": ["<sip:boss@10.0.0.1>;index=1", "<sip:1000@10.0.0.1;cause=302>;index=1.1",
                                        "<sip:1001@10.0.0.1;cause=302>;index=1.1.1"]}),
])
def test_a_redirection_is_added_to_what_the_caller_brings(stack, come, seen):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call(TO_SBC, "1000", sdp(phone.host, 30000), headers=come)
    first = pbx.answerer()
    refuse(first, 302, [("Contact", "<sip:1001@10.0.0.5>")])
    second = pbx.answerer()
    for name, values in seen.items():
        assert second.invite.all(name) == values
    refuse(second, 486)
    refused(a, 486)
    finish(stack, phone, pbx)
