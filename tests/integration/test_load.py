# SPDX-License-Identifier: BSD-3-Clause
"""200 calls at once: every single RTP packet of every call is accounted for, both ways."""

import pytest

import netns
from conftest import SBC_OUT4
from media import check_exactly_once, exchange
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "xdp"], indirect=True, scope="module")

# Its phones call faster than a stranger may by default.
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"
CALLS = 200
PACKETS = 75  # per call and direction


def test_200_calls_at_once_lose_and_mix_up_no_packet(stack):
    phone, pbx = stack.phone(), stack.pbx()
    pairs, calls = [], []
    for i in range(CALLS):
        near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
        a = phone.call((SBC_OUT4, 5060), f"1{i:03}", sdp(phone.host, near.port))
        b = pbx.answerer(match=lambda m: f":1{i:03}@" in m.uri)
        far.destination = b.invite.media()[:2]
        b.reply(b.invite, 200, "OK", sdp(pbx.host, far.port))
        ok = a.expect(200)
        near.destination = ok.media()[:2]
        a.ack(ok)
        b.expect("ACK")
        pairs.append((near, far))
        calls.append((a, b))
    assert len(stack.sbc.show("calls")["calls"]) == CALLS
    status = stack.sbc.show("status")
    assert status["sessions"] == CALLS and status["ports-used"] >= 2 * CALLS
    # Media ports and addresses are all different.
    assert len({n.destination for n, _ in pairs} | {f.destination for _, f in pairs}) == 2 * CALLS

    # The phones speak first, as the NAT wants it; from then on every packet counts.
    for near, _ in pairs:
        near.send()
    for near, far in pairs:
        far.wait(1)
    exchange(pairs, PACKETS)
    problems = []
    for near, far in pairs:
        for one, other in ((near, far), (far, near)):
            try:
                check_exactly_once(one, other)
            except AssertionError as error:
                problems.append(str(error).splitlines()[0])
    counters = stack.sbc.counters()["dataplane"]
    assert not problems, f"{len(problems)} of {2 * CALLS} directions: {problems[:5]}\n{counters}"

    for a, _ in calls:
        a.request("BYE")
    for _, b in calls:
        b.take_bye()
    for a, _ in calls:
        a.expect(lambda m: m.status == 200 and m.method == "BYE")
    netns.wait_for("all calls over", lambda: stack.sbc.show("status")["sessions"] == 0, 5)
    assert stack.sbc.show("status")["ports-used"] == 0
