# SPDX-License-Identifier: BSD-3-Clause
"""Single requests and subscriptions of raw peers: what RFC 3261 and 6665 ask of a message in a dialog, and what must not be seen of the
other side."""

import re

from conftest import SBC_IN4, SBC_OUT4
from sip import Dialog, token

TO_ACCESS, TO_CORE = (SBC_OUT4, 5060), (SBC_IN4, 5060)


def final(method):
    return lambda m: m.status and m.status >= 200 and m.method == method


def number(message):
    return int(message["cseq"].split()[0])


def outside(endpoint, user, to):
    """A Dialog that no request has made yet."""
    dialog = Dialog(endpoint, to)
    dialog.local, dialog.remote = f"<sip:alice@{to[0]}>;tag={token()}", f"<sip:{user}@{to[0]}>"
    dialog.target = f"sip:{user}@{to[0]}"
    return dialog


def asked(endpoint, method, contact=None):
    """Waits for a request that begins something; returns the Dialog of the one who was asked, the request in .invite."""
    request = endpoint.expect(lambda m: m.is_request and m.method == method and not m.tag("to"))
    dialog = Dialog(endpoint, request.source)
    dialog.call_id = request.call_id
    dialog.local = f"{request['to']};tag={token()}"
    dialog.remote = request["from"]
    dialog.target = request.contact_uri
    dialog.routes = request.all("record-route")
    dialog.invite = request
    if contact:
        dialog.contact = contact
    return dialog


def made_by(endpoint):
    """Call-IDs and tags that this endpoint has made up and the addresses it has: nothing of it is for the other side. From what it was
    sent: the SBC writes them back to it."""
    made = {endpoint.host, endpoint.agent}
    for message in endpoint.received:
        if message.status:
            made |= {message.call_id, message.tag("from")}
        else:
            made |= {message.tag("to")}
            if endpoint.host in message.call_id:
                made.add(message.call_id)
    return {m for m in made if len(m) > 3}


def check_hidden(*pairs):
    """(endpoint, addresses of the other side): nothing of either in any byte that the other one received."""
    for (one, _), (other, traces) in (pairs, pairs[::-1]):
        everything = b"\r\n".join(m.raw for m in one.received)
        for trace in {*made_by(other), *traces}:
            assert trace.encode() not in everything, f"{trace} was seen by {one.namespace}:\n{everything.decode()}"


def check_request(request, dialog):
    """A request of the SBC's in `dialog` of the peer that received it."""
    assert request.call_id == dialog.call_id
    assert request.tag("to") == re.search(r";tag=([^;]+)", dialog.local).group(1)
    assert request.tag("from") == re.search(r";tag=([^;]+)", dialog.remote).group(1)
    assert request.branch.startswith("z9hG4bK") and len(request.all("via")) == 1
    assert request["cseq"].split()[1] == request.method
    assert request.uri == re.search(r"<([^>]+)>", dialog.contact).group(1)
    assert 0 < int(request["max-forwards"]) <= 70


def check_answer(answer, request):
    for header in ("call-id", "cseq", "from"):
        assert answer[header] == request[header]
    assert answer.branch == request.branch and answer.tag("to")
