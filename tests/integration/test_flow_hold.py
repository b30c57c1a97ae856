# SPDX-License-Identifier: BSD-3-Clause
"""Hold and resume in every form there has been, from either side: what the other side is told, who is heard, what the relay knows."""

import re

import pytest

import netns
from change import Parties, directions, no_calls_left, streams, talk
from conftest import Call
from media import check_exactly_once

GUARD = "guard { untrusted-rate = 1000  untrusted-burst = 1000 }\n"
BY = pytest.mark.parametrize("by", ["caller", "callee"])


def no_address(body, at_media):
    """RFC 2543 section B.5: c=0.0.0.0, at the session's or at the stream's level."""
    if not at_media:
        return re.sub(rb"c=IN IP4 [0-9.]+", b"c=IN IP4 0.0.0.0", body)
    return re.sub(rb"(m=audio [^\r]*\r\n)", rb"\1c=IN IP4 0.0.0.0\r\n", body)


def no_port(body):
    return re.sub(rb"m=audio \d+", b"m=audio 0", body)


# form: what the holder writes, what the other side reads and answers, what the holder reads, whether the holder still sends
FORMS = {
    "sendonly": (lambda p: p.sdp(p.asker, 2, "sendonly"), "sendonly", "recvonly", True),
    "inactive": (lambda p: p.sdp(p.asker, 2, "inactive"), "inactive", "inactive", False),
    "c=0 session": (lambda p: no_address(p.sdp(p.asker, 2), False), "sendonly", "recvonly", True),
    "c=0 stream": (lambda p: no_address(p.sdp(p.asker, 2), True), "sendonly", "recvonly", True),
    "c=0 and inactive": (lambda p: no_address(p.sdp(p.asker, 2, "inactive"), False), "inactive", "inactive", False),
    "c=0 and sendonly": (lambda p: no_address(p.sdp(p.asker, 2, "sendonly"), False), "sendonly", "recvonly", True),
}


def heard(sender, receiver, expected):
    sender.forget()
    receiver.forget()
    for _ in range(5):
        sender.send()
    if expected:
        receiver.wait(5)
        check_exactly_once(sender, receiver)


@BY
@pytest.mark.parametrize("form", FORMS)
def test_hold_and_resume(stack, by, form):
    write, told, answered, sends = FORMS[form]
    p = Parties(Call(stack, stack.phone(), stack.pbx()), by)
    talk(p.call)
    seen, final = p.change(write(p), p.sdp(p.asked, 2, answered))
    assert directions(seen) == [told] and directions(final) == [answered]
    assert seen.media()[0] != "0.0.0.0" and seen.media()[1] != 0
    holder = 0 if by == "caller" else 1
    legs = stack.sbc.the_call()["legs"]
    assert legs[holder]["holds"]
    # The holder may play music; nobody is to hear the other way.
    heard(p.asker_media, p.asked_media, sends)
    counted = lambda: stack.sbc.directions()[1 - holder]["packets"]
    before = counted()
    heard(p.asked_media, p.asker_media, False)
    netns.wait_for("the held side's packets having been counted", lambda: counted() >= before + 5, 5)
    p.asker_media.drain()
    assert p.asker_media.arrived == []
    _, final = p.change(p.sdp(p.asker, 3), p.sdp(p.asked, 3))
    assert directions(final) == ["sendrecv"]
    p.asker_media.forget()
    p.asked_media.forget()
    talk(p.call)
    assert not any(leg["holds"] for leg in stack.sbc.the_call()["legs"])
    p.call.hang_up()
    no_calls_left(stack)


@BY
def test_hold_by_port_0_and_resume_by_a_port(stack, by):
    p = Parties(Call(stack, stack.phone(), stack.pbx()), by)
    talk(p.call)
    seen, final = p.change(no_port(p.sdp(p.asker, 2)), no_port(p.sdp(p.asked, 2)))
    assert [s[1] for s in streams(seen) + streams(final)] == [0, 0]
    seen, final = p.change(p.sdp(p.asker, 3), p.sdp(p.asked, 3))
    for message, media in ((seen, p.asked_media), (final, p.asker_media)):
        assert message.media()[1] != 0
        media.destination = message.media()[:2]
    talk(p.call)
    p.call.hang_up()
    no_calls_left(stack)


@BY
def test_both_hold_and_one_after_the_other_resumes(stack, by):
    p = Parties(Call(stack, stack.phone(), stack.pbx()), by)
    holds = lambda: [leg["holds"] for leg in stack.sbc.the_call()["legs"]]
    p.change(p.sdp(p.asker, 2, "sendonly"), p.sdp(p.asked, 2, "recvonly"))
    other = Parties(p.call, "callee" if by == "caller" else "caller")
    other.a, other.b = p.a, p.b
    other.asker, other.asked = p.asked, p.asker
    other.change(other.sdp(other.asker, 3, "inactive"), other.sdp(other.asked, 3, "inactive"))
    assert holds() == [True, True]
    # Who still holds says so in its answer.
    seen, final = p.change(p.sdp(p.asker, 4, "sendrecv"), p.sdp(p.asked, 4, "sendonly"))
    assert directions(seen) == ["sendrecv"] and directions(final) == ["sendonly"]
    assert holds() == ([False, True] if by == "caller" else [True, False])
    other.change(other.sdp(other.asker, 5, "sendrecv"), other.sdp(other.asked, 5, "sendrecv"))
    assert holds() == [False, False]
    talk(p.call)
    p.call.hang_up()
    no_calls_left(stack)


@BY
def test_the_relay_knows_who_is_to_hear_nothing_and_who_is_to_say_nothing(stack, by):
    p = Parties(Call(stack, stack.phone(), stack.pbx()), by)
    talk(p.call)
    for version, pair, muted, quiet in [
        (2, ("sendonly", "recvonly"), {"asker"}, {"asked"}),
        (3, ("inactive", "inactive"), {"asker", "asked"}, {"asker", "asked"}),
        (4, ("recvonly", "sendonly"), {"asked"}, {"asker"}),
        (5, ("sendrecv", "sendrecv"), set(), set()),
    ]:
        p.change(p.sdp(p.asker, version, pair[0]), p.sdp(p.asked, version, pair[1]))
        asker_realm = "access" if by == "caller" else "core"
        name = lambda flow: "asker" if flow["realm"] == asker_realm else "asked"
        known = lambda: [{name(f) for f in stack.sbc.show("flows")["flows"] if f[what]} for what in ("muted", "quiet")]
        netns.wait_for(f"muted {muted}, quiet {quiet}; now {known()}", lambda: known() == [muted, quiet], 5)
    p.call.hang_up()
    no_calls_left(stack)
