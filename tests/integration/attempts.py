# SPDX-License-Identifier: BSD-3-Clause
"""More session-agents than the lab has: a second PBX, a trunk that wants credentials, one whose redirections are passed on, and groups of them."""

from conftest import SBC_OUT4
from early import check_hidden, no_calls_left
from sip import sdp

TO_SBC = (SBC_OUT4, 5060)
PBX_B, TRUNK, MOVED = 5062, 5064, 5066  # ports of the agents beside pbx

CONFIG = f"""
guard {{ untrusted-rate = 10000  untrusted-burst = 10000 }}
ip-profile mover  {{ nat = never  latching = fixed  redirect = relay }}
ip-profile short  {{ nat = never  latching = fixed  max-call-duration = 1 }}
session-agent pbx-b  {{ realm = core  address = "udp:10.0.0.5:{PBX_B}" }}
session-agent trunk  {{ realm = core  address = "udp:10.0.0.5:{TRUNK}"  username = "trunk-1"  password = "open sesame" }}
session-agent mover  {{ realm = core  address = "udp:10.0.0.5:{MOVED}"  ip-profile = mover }}
session-agent short  {{ realm = core  address = "udp:10.0.0.5:5068"  ip-profile = short }}
session-agent narrow {{ realm = core  address = "udp:10.0.0.5:5070"  max-sessions = 1 }}
session-group pbxs   {{ agents = {{pbx, pbx-b}}  attempt-timeout = "1s" }}
session-group mixed  {{ agents = {{pbx, carrier}} }}
local-policy to-pbxs   {{ from-realm = access  to = "^2[0-9]+$"  next-hop = "group:pbxs"    priority = 1 }}
local-policy to-mixed  {{ from-realm = access  to = "^3[0-9]+$"  next-hop = "group:mixed"   priority = 1 }}
local-policy to-mover  {{ from-realm = access  to = "^4[0-9]+$"  next-hop = "agent:mover"   priority = 1 }}
local-policy to-short  {{ from-realm = access  to = "^5[0-9]+$"  next-hop = "agent:short"   priority = 1 }}
local-policy to-trunk  {{ from-realm = access  to = "^7[0-9]+$"  next-hop = "agent:trunk"   priority = 1 }}
local-policy to-narrow {{ from-realm = access  to = "^8[0-9]+$"  next-hop = "agent:narrow"  priority = 1 }}
"""


def refuse(dialog, status, headers=(), **kwargs):
    """A final refusal and its ACK, which belongs to the INVITE's transaction."""
    dialog.reply(dialog.invite, status, headers=headers, **kwargs)
    ack = dialog.expect("ACK")
    assert ack.branch == dialog.invite.branch and ack["cseq"].split()[0] == dialog.invite["cseq"].split()[0]


def refused(dialog, status, timeout=5):
    """The caller's only final response."""
    response = dialog.expect(lambda m: m.status and m.status >= 200 and m.method == "INVITE", timeout)
    assert response.status == status, response.raw
    dialog.ack(response)
    return response


def answer(a, b, port=30002):
    """200 to both, ACK of both."""
    b.reply(b.invite, 200, "OK", sdp(b.endpoint.host, port))
    b.expect("ACK")
    ok = a.expect(lambda m: m.status == 200 and m.method == "INVITE")
    a.ack(ok)
    a.endpoint.ask(TO_SBC)
    return ok


def check_other_leg(first, second):
    """Two attempts of a call share nothing that a peer could tell them together by."""
    assert first.call_id != second.call_id and first.tag("from") != second.tag("from") and first.branch != second.branch
    assert len(second.all("via")) == 1 and not second.tag("to") and not second.all("route")


def finish(stack, phone, *others):
    for other in others:
        check_hidden(phone, other)
    no_calls_left(stack)
