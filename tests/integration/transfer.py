# SPDX-License-Identifier: BSD-3-Clause
"""Transfers between raw peers: REFER and its subscription, calls whose media comes out at the right party, and identifiers that stay hidden."""

import re
import urllib.parse

import netns
from conftest import SBC_IN4, SBC_OUT4, Call
from media import check_exactly_once, exchange, open_path
from sip import Dialog, compose, sdp, token

OUT, IN = (SBC_OUT4, 5060), (SBC_IN4, 5060)
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"


def relayed(text):
    """The lab's configuration with `transfer = relay` towards every side."""
    return re.sub(r"(ip-profile \w+ +\{)", r"\1 transfer = relay ", text)


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 8)


def tags(dialog):
    """(own, other) of a dialog."""
    return tuple(re.search(r";tag=([^;>]+)", value).group(1) for value in (dialog.local, dialog.remote))


def number(message):
    return int(message["cseq"].split()[0])


def replaces(dialog):
    """Replaces that names `dialog` to the other side of it (RFC 3891 section 3)."""
    own, other = tags(dialog)
    return f"{dialog.call_id};to-tag={other};from-tag={own}"


def refer(dialog, target, headers=(), **kwargs):
    headers = [("Contact", dialog.contact), ("Refer-To", target), *headers]
    return dialog.request("REFER", headers=headers, **kwargs)


def attended(dialog, user, host):
    return f"<sip:{user}@{host}?Replaces={urllib.parse.quote(replaces(dialog), safe='')}>"


def final(dialog, method):
    return dialog.expect(lambda m: m.status and m.status >= 200 and m.method == method)


def told(dialog, status, ended=False, reply=200):
    """The next NOTIFY of a transfer, checked and answered."""
    notify = dialog.expect("NOTIFY")
    assert notify["event"].split(";")[0] == "refer", notify.raw
    assert notify["content-type"].split(";")[0] == "message/sipfrag", notify.raw
    assert re.fullmatch(rb"SIP/2\.0 %d [^\r\n]*\r\n" % status, notify.body), notify.raw
    assert notify["subscription-state"].startswith("terminated" if ended else "active"), notify.raw
    assert notify["contact"] and (notify.tag("to"), notify.tag("from")) == tags(dialog)
    dialog.reply(notify, reply)
    return notify


def talk(near, far, count=5):
    """RTP of both arrives at the other, and is theirs alone."""
    near.forget(), far.forget()
    open_path(near, far)
    exchange([(near, far)], count)
    check_exactly_once(near, far)
    check_exactly_once(far, near)


def hear(dialog, media, offer, endpoint, **kwargs):
    """Answers a re-INVITE's offer with the party's own description; its media goes to where that says."""
    media.destination = offer.media()[:2]
    return dialog.reply(offer, 200, "OK", sdp(endpoint.host, media.port, version=kwargs.get("version", 2)))


def check_hidden(*sides):
    """Pairs of (endpoints of one side, networks of it): nothing of one side in any message that the other has got."""
    for i, (here, _) in enumerate(sides):
        there, networks = sides[1 - i]
        words = {w.encode() for e in there for m in e.received
                 for w in (m.call_id, m.tag("from"), m.tag("to"), m.branch) if len(w) > 5}
        for m in (m for e in here for m in e.received):
            for word in (*networks, *words):
                assert word not in m.raw, f"{word} of the other side in\n{m.raw.decode()}"


def check_sides(outside, inside):
    check_hidden((outside, (b"192.168.77.", b"203.0.113.")), (inside, (b"10.0.0.",)))


def connected(stack, caller, callee, number="1000"):
    return Call(stack, caller, callee, number, to=OUT if caller.host.startswith(("192.", "203.")) else IN)


def ends(dialog):
    """BYE of the SBC, answered."""
    bye = dialog.expect("BYE")
    dialog.reply(bye, 200, "OK")
    return bye


def shard_of_tag(tag):
    return int(tag[:2], 32)


def shard(call):
    """The one that has it: our tags say so."""
    return shard_of_tag(tags(call.a)[1])


def dialog_elsewhere(endpoint, user, not_on):
    """A dialog yet to be begun, whose Call-ID belongs to another shard: the tag in an answer to OPTIONS tells which."""
    while True:
        dialog = Dialog(endpoint, OUT)
        dialog.local, dialog.remote = f"<sip:thief@{endpoint.host}>;tag={token()}", f"<sip:{user}@{OUT[0]}>"
        dialog.target = f"sip:{user}@{OUT[0]}"
        endpoint.send(compose(
            f"OPTIONS sip:{OUT[0]} SIP/2.0",
            [("Via", f"SIP/2.0/UDP {endpoint.host}:{endpoint.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
             ("From", f"<sip:ask@{OUT[0]}>;tag={token()}"), ("To", f"<sip:{OUT[0]}>"), ("Call-ID", dialog.call_id),
             ("CSeq", "1 OPTIONS")]), OUT)
        if shard_of_tag(endpoint.expect(200, dialog.call_id).tag("to")) != not_on:
            return dialog


def knows_replaces(dialog):
    dialog.request("UPDATE", headers=[("Supported", "replaces")])
    assert final(dialog, "UPDATE").status == 200
