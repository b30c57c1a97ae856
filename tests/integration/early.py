# SPDX-License-Identifier: BSD-3-Clause
"""Early dialogs of raw peers: branches of a callee that forks, each with a tag of its own, and what RFC 3261 and 3262 ask of requests in them."""

import copy
import re

import netns
from conftest import SBC_OUT4
from sip import token

TO_SBC = (SBC_OUT4, 5060)
KNOWN = ("Supported", "100rel")
REQUIRED = ("Require", "100rel")


def number(message):
    """Of its CSeq."""
    return int(message["cseq"].split()[0])


def branch(dialog, user="branch"):
    """Another early dialog of the callee `dialog`: a user agent behind a proxy that forks."""
    other = copy.copy(dialog)
    other.local = f"{dialog.invite['to']};tag={token()}"
    other.contact = f"<sip:{user}@{dialog.endpoint.host}:{dialog.endpoint.port}>"
    return other


def early(dialog, response):
    """The caller's early dialog that a provisional response has made."""
    other = copy.copy(dialog)
    other.remote = response["to"]
    other.target = response.contact_uri
    other.cseq = number(dialog.invited)
    return other


def tag(dialog):
    """The callee's own."""
    return re.search(r";tag=([^;]+)", dialog.local).group(1)


def of(method):
    return lambda status: lambda m: m.status == status and m.method == method


prack_response = of("PRACK")
invite_response = of("INVITE")


def reliable(dialog, status, rseq, body=b"", headers=()):
    return dialog.reply(dialog.invite, status, body=body, headers=[REQUIRED, ("RSeq", str(rseq)), *headers])


def rseq(response):
    """Of a reliable response, checked."""
    assert response["require"] == "100rel" and re.fullmatch(r"[1-9][0-9]{0,9}", response["rseq"]), response.raw
    assert int(response["rseq"]) < 1 << 31
    return int(response["rseq"])


def prack(dialog, response, body=b"", headers=(), acknowledges=None):
    """The caller's PRACK of a reliable response."""
    rack = acknowledges or f"{rseq(response)} {number(response)} INVITE"
    return dialog.request("PRACK", body, [("RAck", rack), *headers])


def take_prack(dialog, acknowledges, status=200, body=b"", headers=()):
    """PRACK at the callee, checked and answered."""
    request = dialog.expect(lambda m: m.is_request and m.method == "PRACK" and m.tag("to") == tag(dialog))
    assert request["rack"] == f"{acknowledges} {number(dialog.invite)} INVITE", request.raw
    check_in_dialog(request, dialog)
    assert number(request) > number(dialog.invite)
    dialog.reply(request, status, body=body, headers=headers)
    return request


def check_in_dialog(request, dialog):
    """A request of the SBC in the dialog of the callee `dialog` (RFC 3261 sections 12.2.1.1 and 8.1.1)."""
    assert request.call_id == dialog.call_id
    assert request.tag("to") == tag(dialog) and request.tag("from") == dialog.invite.tag("from")
    assert request.uri == re.search(r"<([^>]+)>", dialog.contact).group(1)
    assert request.branch.startswith("z9hG4bK") and request.branch != dialog.invite.branch
    assert request["max-forwards"].isdigit() and len(request.all("via")) == 1
    assert request["cseq"].split()[1] == request.method


def check_response(response, dialog, branch_of=None):
    """A response of the SBC to the caller's INVITE."""
    invite = branch_of or dialog.invited
    assert response.call_id == dialog.call_id and response["cseq"] == invite["cseq"]
    assert response["from"] == invite["from"] and response.branch == invite.branch
    assert response.status == 100 or response.tag("to")
    assert response.status >= 300 or response.status == 100 or SBC_OUT4 in response["contact"]


def check_hidden(phone, pbx):
    """No address, Call-ID, tag or branch of one side in any message of the other."""
    def identifiers(endpoint):
        for m in endpoint.received:
            yield from (m.call_id, m.tag("from"), m.tag("to"), m.branch)

    for here, there, networks in ((phone, pbx, (b"10.0.0.",)), (pbx, phone, (b"192.168.77.", b"203.0.113."))):
        words = {w.encode() for w in identifiers(there) if len(w) > 5}
        assert here.received and words
        for m in here.received:
            for word in (*networks, *words):
                assert word not in m.raw, f"{word} of the other side in\n{m.raw.decode()}"


def restart_with(stack, settings):
    """The SBC again, with more in sip-config; the test that does so starts it once more at its end."""
    def change(text):
        text = stack.change(text) if stack.change else text
        return text.replace("sip-config {", f"sip-config {{ {settings} ", 1) if "sip-config {" in text else f"{text}\nsip-config {{ {settings} }}\n"

    stack.start(stack.kind, change)


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 8)


def hang_up(a, b):
    """BYE of the caller, in the winner's dialog."""
    a.request("BYE")
    bye = b.expect("BYE")
    check_in_dialog(bye, b)
    b.reply(bye, 200)
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
