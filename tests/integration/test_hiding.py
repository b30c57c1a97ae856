# SPDX-License-Identifier: BSD-3-Clause
"""Topology hiding, proved on what crosses the wires: no byte sequence that identifies one side in any packet of the other."""

import itertools
import re
import socket
import time

import pytest

from capture import Capture, udp_payload
from conftest import SBC_OUT4, SBC_OUT6, Call
from media import exchange, open_path
from sip import Dialog, Message, sdp, token

GUARD = "guard { untrusted-rate = 1000  untrusted-burst = 1000 }\n"

# What each side says about itself. None of it may be seen on the other wire.
PHONE_SIDE = ["handset.home.example", "192.168.77.", "fd00:77:", "203.0.113.", "2001:db8:1:", "HomePhone/4.2", "homeuser", "evening talk"]
PBX_SIDE = ["pbx7.corp.example", "10.0.0.", "fd00:10:", "SecretPBX/13.5", "corpuser", "board room", "rack-12", "X-Corp"]
ADDRESSES = {
    "phone": ["192.168.77.2", "203.0.113.2", "203.0.113.10", "203.0.113.100", "fd00:77::2", "2001:db8:1::2", "2001:db8:1::10"],
    "pbx": ["10.0.0.5", "10.0.0.1", "10.0.0.100", "fd00:10::5", "fd00:10::1"],
}
SELF_PRAISE = [  # headers a PBX puts into responses and requests
    ("Warning", '399 pbx7.corp.example "licence of 10.0.0.5 in rack-12 expires"'),
    ("Alert-Info", "<http://pbx7.corp.example/ring.wav>"), ("Call-Info", "<http://10.0.0.5/photo>;purpose=icon"),
    ("Reason", 'Q.850;cause=17;text="rack-12 busy"'), ("Error-Info", "<sip:busy@pbx7.corp.example>"),
    ("P-Asserted-Identity", "<sip:corpuser@pbx7.corp.example>"), ("Remote-Party-ID", "<sip:corpuser@10.0.0.5>"),
    ("X-Corp-Trace", "10.0.0.5"), ("Organization", "rack-12 ltd"), ("Retry-After", "30 (rack-12 reboots)"),
    ("History-Info", "<sip:1000@pbx7.corp.example>;index=1"), ("Diversion", "<sip:1000@10.0.0.5>;reason=busy"),
]
SELF_MORE = [
    ("User-to-User", "pbx7.corp.example"), ("Session-ID", "pbx7.corp.example"), ("P-Charging-Vector", "icid-value=rack-12;orig-ioi=pbx7.corp.example"),
    ("Feature-Caps", '*;+g.3gpp.pbx7.corp.example;+sip.instance="<urn:x:rack-12>"'), ("P-Early-Media", "supported;rack-12"),
    ("Target-Dialog", "77@pbx7.corp.example;local-tag=rack-12;remote-tag=rack-12"), ("Date", "rack-12"), ("Answer-Mode", "rack-12"),
]
CALLER_PRAISE = [
    ("Subject", "evening talk"), ("Organization", "handset.home.example"), ("Call-Info", "<http://192.168.77.2/me>;purpose=icon"),
    ("P-Preferred-Identity", "<sip:alice@handset.home.example>"), ("In-Reply-To", "77@handset.home.example"),
    ("X-Home", "192.168.77.2"), ("P-Access-Network-Info", "IEEE-802.11; handset.home.example"), ("Privacy", "none"),
    ("Geolocation", "<http://handset.home.example/where>"), ("Identity-Info", "<http://handset.home.example/cert>"),
]
CALLER_MORE = [  # apart: a message must fit into one packet
    ("Join", "77@handset.home.example;to-tag=homeuser;from-tag=b"),
    ("Target-Dialog", "77@handset.home.example;local-tag=homeuser;remote-tag=b"), ("Referred-By", '<sip:alice@handset.home.example>;cid="1@192.168.77.2"'),
    ("History-Info", "<sip:alice@handset.home.example>;index=1, <sip:alice@192.168.77.2;cause=302>;index=1.1;rc=homeuser"),
    ("Diversion", "<sip:alice@192.168.77.2>;reason=homeuser;privacy=off"), ("Priority", "homeuser"), ("Accept-Language", "homeuser-homeuser"),
    ("Accept-Contact", '*;+sip.instance="<urn:x:handset.home.example>";audio'), ("Resource-Priority", "handset.home.example"),
    ("Alert-Info", "<http://handset.home.example/ring>;info=alert-internal"), ("Identity", '"x";info=<http://handset.home.example/cert>'),
]


def dialogs_of(*endpoints):
    """Call-IDs, tags, branches and o= fields that these endpoints made up."""
    made = set()
    for endpoint in endpoints:
        for raw in endpoint.sent:
            message = Message(raw)
            if message.is_request and message.call_id.endswith(("home.example", "corp.example")):
                made |= {message.call_id, message.call_id.split("@")[0]}
                made.add(message.branch)
                made.add(message.tag("from"))
            elif message.status:
                made.add(message.tag("to"))
            for line in message.body.decode().split("\r\n"):
                if line.startswith("o="):
                    made |= {line.split()[0][2:], line.split()[1]}
    return {m for m in made if len(m) > 3}


def recording(endpoint):
    """Keeps what the endpoint sends in endpoint.sent."""
    endpoint.sent = []
    send = endpoint.send
    endpoint.send = lambda raw, to: (endpoint.sent.append(raw), send(raw, to))
    return endpoint


def home_sdp(host, port, **kwargs):
    return sdp(host, port, user="homeuser", name="evening talk", extra=["a=tool:HomePhone/4.2", "i=evening talk"][:1], **kwargs)


def corp_sdp(host, port, **kwargs):
    return sdp(host, port, user="corpuser", name="board room", extra=["a=tool:SecretPBX/13.5"], **kwargs)


@pytest.mark.parametrize("phone_ip, pbx_ip", [(4, 4), (6, 4)], ids=["4-4", "6-4"])
def test_nothing_of_one_side_is_seen_on_the_other(stack, tmp_path, phone_ip, pbx_ip):
    phone = recording(stack.phone(phone_ip, agent="HomePhone/4.2"))
    pbx = recording(stack.pbx(pbx_ip, agent="SecretPBX/13.5"))
    outside = Capture(stack.lab.namespace("outside"), "sbc", tmp_path / "outside.pcap")
    inside = Capture(stack.lab.namespace("inside"), "sbc", tmp_path / "inside.pcap")
    stack.closing += [outside, inside]
    play(stack, phone, pbx)
    from_outside, from_inside = outside.frames(), inside.frames()

    phone_words = {*PHONE_SIDE, *dialogs_of(phone)}
    pbx_words = {*PBX_SIDE, *dialogs_of(pbx)}
    assert len(phone_words) > 20 and len(pbx_words) > 20
    # The SBC's own dialogs: what it says on one side is of no use to the other either.
    for frames, words in ((from_outside, pbx_words), (from_inside, phone_words)):
        messages = [Message(p[2]) for p in map(udp_payload, frames) if p and b"SIP/2.0" in p[2]]
        assert len(messages) > 30
        other = from_inside if frames is from_outside else from_outside
        for payload in (p[2] for p in map(udp_payload, other) if p and b"SIP/2.0" in p[2]):
            m = Message(payload)
            words |= {w for w in (m.call_id, m.branch, m.tag("from"), m.tag("to")) if len(w) > 3}

    search(from_outside, "outside", pbx_words, ADDRESSES["pbx"])
    search(from_inside, "inside", phone_words, ADDRESSES["phone"])


def pieces(frame):
    """A frame without the sequence number and the timestamp of RTP: they count from anywhere, past the octets of any address."""
    packet = udp_payload(frame)
    if not packet or len(packet[2]) < 12 or packet[2][0] >> 6 != 2 or 192 <= packet[2][1] <= 223:
        return [frame]
    start = frame.index(packet[2], 42)
    return [frame[: start + 2], frame[start + 8 :]]


def search(frames, where, words, addresses):
    pattern = re.compile(b"|".join(re.escape(w.encode()) for w in sorted(words, key=len, reverse=True)), re.I)
    packed = [socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in addresses]
    for frame in frames:
        found = pattern.search(frame)
        assert not found, f"{where}: {found.group()} in\n{frame[14:].decode('latin-1')}"
        for address, text in zip(packed, addresses):
            assert not any(address in piece for piece in pieces(frame)), f"{where}: the bytes of {text} in {frame.hex()}"


# What may come within a call besides INVITE; whether it is relayed or answered by the SBC is for others to prove.
REQUESTS = [
    ("INFO", [], b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay"), ("INFO", [], b"<x/>", "application/x-unheard-of"),
    ("MESSAGE", [], b"hello", "text/plain"), ("OPTIONS", [], b"", ""), ("UPDATE", [], b"", ""),
    ("NOTIFY", [("Event", "refer;id=77"), ("Subscription-State", "active")], b"SIP/2.0 100 Trying\r\n", "message/sipfrag"),
    ("SUBSCRIBE", [("Event", "dialog"), ("Expires", "60")], b"", ""), ("PUBLISH", [("Event", "presence")], b"", ""),
    ("REFER", [("Refer-To", "<mailto:nobody>")], b"", ""), ("PRACK", [("RAck", "1 1 INVITE")], b"", ""),
]


def ask(asker, asked, method, headers, body, content_type, status, reason, answer_headers):
    """A request within the call, answered by the other side, if it gets there, with all that it has to say."""
    asker.request(method, body, headers, content_type=content_type)
    number = asker.last["cseq"]
    final = lambda m: m.status and m.status >= 200 and m["cseq"] == number
    there = lambda m: m.is_request and m.method == method and m.call_id == asked.call_id
    end = time.monotonic() + 5
    while not (asked.endpoint.pending(there) or asker.endpoint.pending(final)) and time.monotonic() < end:
        with asker.endpoint._changed:
            asker.endpoint._changed.wait(0.01)
    if asked.endpoint.pending(there):
        asked.reply(asked.expect(there), status, reason, headers=answer_headers)
    asker.expect(final)


def play(stack, phone, pbx):
    """Every kind of message that can cross."""
    to = (SBC_OUT6 if ":" in phone.host else SBC_OUT4, 5060)
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    praise = itertools.cycle([CALLER_PRAISE, CALLER_MORE])

    def start(number="1000"):
        dialog = Dialog(phone, to)
        dialog.call_id = f"{token(20)}@handset.home.example"
        dialog.local = f'"Al" <sip:alice@handset.home.example>;tag={token()}'
        host = f"[{to[0]}]" if ":" in to[0] else to[0]
        dialog.remote, dialog.target = f"<sip:{number}@{host}>", f"sip:{number}@{host}"
        dialog.contact = f"<sip:homeuser@{phone.host if ':' not in phone.host else '[' + phone.host + ']'}:5060;line=homeuser>"
        dialog.request("INVITE", home_sdp(phone.host, near.port), next(praise))
        return dialog

    def answer():
        dialog = pbx.answerer()
        host = f"[{pbx.host}]" if ":" in pbx.host else pbx.host
        dialog.contact = f"<sip:corpuser@{host}:5060;node=rack-12>"
        return dialog

    # An answered call with early media, changes from both sides, and BYE from each side.
    for by in ("caller", "callee"):
        a = start()
        b = answer()
        b.reply(b.invite, 183, "rack-12 progresses", corp_sdp(pbx.host, far.port), SELF_PRAISE)
        a.expect(183)
        b.reply(b.invite, 200, "OK from rack-12", corp_sdp(pbx.host, far.port), SELF_PRAISE)
        ok = a.expect(200)
        near.destination, far.destination = ok.media()[:2], b.invite.media()[:2]
        a.ack(ok)
        b.expect("ACK")
        open_path(near, far)
        exchange([(near, far)], 5)
        for holder, held, body, answer_body in (
            (a, b, home_sdp(phone.host, near.port, direction="sendonly"), corp_sdp(pbx.host, far.port, direction="recvonly")),
            (b, a, corp_sdp(pbx.host, far.port, version=3), home_sdp(phone.host, near.port, version=3)),
        ):
            holder.request("INVITE", body, SELF_PRAISE if holder is b else CALLER_PRAISE)
            offer = held.expect("INVITE")
            held.reply(offer, 200, "rack-12 agrees" if held is b else "evening talk goes on", answer_body,
                       SELF_PRAISE if held is b else CALLER_PRAISE)
            holder.ack(holder.expect(200))
            held.expect("ACK")
        for status in (200, 488):
            for method, headers, body, content_type in REQUESTS:
                for mine, theirs in ((CALLER_PRAISE, SELF_PRAISE), (CALLER_MORE, SELF_MORE)):
                    ask(a, b, method, [*headers, *mine], body, content_type, status, "rack-12 says", theirs)
                    ask(b, a, method, [*headers, *theirs], body, content_type, status, "evening talk", mine)
        first, second = (a, b) if by == "caller" else (b, a)
        first.request("BYE", headers=CALLER_PRAISE if first is a else SELF_PRAISE)
        bye = second.expect("BYE")
        second.reply(bye, 200, "evening talk over" if second is a else "rack-12 says bye",
                     headers=SELF_PRAISE if second is b else CALLER_PRAISE)
        first.expect(lambda m: m.status == 200 and m.method == "BYE")

    # Refusals, with a body and with contacts of the inside.
    for status in (302, 403, 404, 480, 486, 488, 500, 503, 603):
        a = start()
        b = answer()
        b.reply(b.invite, 180, "rack-12 rings", headers=SELF_PRAISE)
        a.expect(180)
        b.reply(b.invite, status, "rack-12 refuses", headers=[*SELF_PRAISE, ("Contact", "<sip:other@pbx7.corp.example>")])
        final = a.expect(lambda m: m.status and m.status >= 300)
        a.ack(final)
        b.expect("ACK")
    a = start()
    b = answer()
    b.reply(b.invite, 401, "rack-12 asks", headers=[
        *SELF_PRAISE, ("WWW-Authenticate", 'Digest realm="calls", nonce="abcdef0123456789", algorithm=MD5')])
    a.ack(a.expect(lambda m: m.status and m.status >= 300))
    b.expect("ACK")

    # Given up.
    a = start()
    b = answer()
    b.reply(b.invite, 180, "rack-12 rings", headers=SELF_PRAISE)
    a.expect(180)
    a.cancel()
    a.expect(lambda m: m.method == "CANCEL" and m.status == 200)
    cancel = b.expect("CANCEL")
    b.reply(cancel, 200, "rack-12 gave up", headers=SELF_PRAISE)
    b.reply(b.invite, 487, "rack-12 terminated", headers=SELF_PRAISE)
    a.ack(a.expect(487))
    b.expect("ACK")

    # Errors of the SBC itself.
    a = start("nobody")
    a.ack(a.expect(404))
    a = start()
    answer_b = answer()
    for dialog, method, headers in ((a, "OPTIONS", CALLER_PRAISE), (a, "FROBNICATE", CALLER_PRAISE), (answer_b, "FROBNICATE", SELF_PRAISE)):
        if dialog is answer_b:
            dialog.target = dialog.invite.contact_uri
        dialog.request(method, headers=headers)
        dialog.expect(lambda m: m.status and m.status >= 200 and m.method == method)
    answer_b.reply(answer_b.invite, 486, "rack-12 busy")
    a.ack(a.expect(486))
    answer_b.expect("ACK")


def test_the_check_would_find_a_leak(stack, tmp_path):
    """The same search over the wire that a message really was on finds what is looked for."""
    outside = Capture(stack.lab.namespace("outside"), "sbc", tmp_path / "outside.pcap")
    stack.closing.append(outside)
    call = Call(stack, stack.phone(agent="HomePhone/4.2"), stack.pbx())
    call.hang_up()
    frames = outside.frames()
    for words, addresses in ((["HomePhone/4.2"], []), ([call.a.call_id], []), (["nothing like this"], ["203.0.113.2"])):
        with pytest.raises(AssertionError):
            search(frames, "outside", words, addresses)
