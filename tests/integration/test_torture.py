# SPDX-License-Identifier: BSD-3-Clause
"""RFC 4475 and RFC 5118: every message of theirs from either side, with the reaction that the RFC expects; what is relayed of one is a
correct message of the SBC's own, names nothing of its sender, and ends up in a call that can be hung up."""

import re

import pytest

import rfc4475
import rfc4475_invalid
import rfc5118
from conftest import SBC_IN4, SBC_IN6, SBC_OUT4, SBC_OUT6
from relayed import final
from sip import Dialog, Message, bracket, compose, sdp, token
from stream_peer import StreamEndpoint

# Both sides speak TCP too, and whatever a message calls goes to the other side's agent.
GUARD = """
guard { untrusted-rate = 10000  untrusted-burst = 10000 }
sip-interface access-tcp { realm = access  ip-profile = phone  allow-anonymous = all
                    listen = {"tcp:203.0.113.10:5060", "tcp:[2001:db8:1::10]:5060"} }
sip-interface core-tcp { realm = core  ip-profile = trunk  allow-anonymous = agents
                    listen = {"tcp:10.0.0.1:5060", "tcp:[fd00:10::1]:5060"} }
session-agent pbx-tcp { realm = core  address = "tcp:10.0.0.5:5060"  ip-profile = trunk }
local-policy all-in   { from-realm = access  to = ".*"  next-hop = "agent:pbx"      priority = 90 }
local-policy all-out  { from-realm = core    to = ".*"  next-hop = "agent:carrier"  priority = 90 }
"""

MESSAGES = {**rfc4475.MESSAGES, **rfc4475_invalid.MESSAGES}
# What a sender of these messages says of itself.
TRACES = [b"example", b"192.0.2.", b"192.168.255.", b"127.0.0.1", b"2001:db8::", b"::ffff:", b"hlau_4100", b"NewFangled", b"UnknownHeader",
          b"Unknown-Long", b"EST", b"mhandley", b"29739", b"assistant", b"971731711378798081", b"Live video", b"Call me soon"]

# The methods that the RFC takes for an element that has them: this one takes no registrations and says so.
NO_REGISTRAR = {405}

# Name: (statuses one of which is the answer; none: silence, reason).
REACTIONS = {
    "wsinv": ({481}, "it has a To tag: it belongs to a dialog, which is not there"),
    "intmeth": (set(), "well-formed, but with NUL and other controls in it, which no header may bring here (docs/decisions/0059)"),
    "escnull": ({400}, "well-formed, but no user name may hold a NUL, escaped or not (docs/decisions/0059)"),
    "esc02": ({405}, "%47 is no escape in a method: this is not REGISTER"),
    "lwsdisp": ({200}, "no blank is needed between display name and <"),
    "dblreq": (NO_REGISTRAR, "what follows a body in a datagram is noise"),
    "semiuri": ({200}, "a semicolon may stand in a user name"),
    "transports": ({200}, "transports of Via"),
    "mpart01": ({415}, "well-formed: parts with NUL in them; but no text for a MESSAGE to carry"),
    "unreason": (set(), "a response to nothing"),
    "noreason": (set(), "a response to nothing"),
    "badinv01": ({400}, "separators without values"),
    "clerr": ({400}, "Content-Length beyond the datagram"),
    "ncl": ({400}, "negative Content-Length"),
    "scalar02": ({400}, "scalars beyond their range"),
    "scalarlg": (set(), "a response with scalars beyond their range"),
    "quotbal": ({400}, "a quote that does not end"),
    "ltgtruri": ({400}, "<> around a Request-URI"),
    "lwsruri": ({400}, "a blank within a Request-URI"),
    "lwsstart": ({400}, "more than one blank in a request line"),
    "trws": ({400}, "blanks at the end of a request line"),
    "escruri": ({400}, "headers in a Request-URI"),
    "regbadct": ({400}, "a URI with headers needs <>"),
    "badaspec": ({400}, "blanks within <>"),
    "baddn": ({400}, "a comma in a display name without quotes"),
    "badvers": ({505}, "version"),
    "mismatch01": ({400}, "methods of start line and CSeq"),
    "mismatch02": ({400, 501}, "the same with an unknown method"),
    "bigcode": (set(), "a status code that is none"),
    "badbranch": ({400}, "the cookie alone"),
    "insuf": (set(), "there is no From, To or Call-ID that an answer could copy"),
    "unkscm": ({416}, "unknown scheme"),
    "novelsc": ({416}, "known scheme, but no SIP"),
    "unksm2": ({400} | NO_REGISTRAR, "such schemes in From, To and Contact"),
    "bext01": ({420}, "Require"),
    "invut": ({415}, "type of body"),
    "regaut01": (NO_REGISTRAR, "unknown authentication scheme"),
    "multi01": ({400}, "single fields repeated"),
    "mcl01": ({400}, "two values of Content-Length"),
    "bcast": (set(), "a response to nothing, with a broadcast address"),
    "zeromf": ({200}, "the last one may answer"),
    "cparam01": (NO_REGISTRAR, "parameter of a Contact without <>"),
    "cparam02": (NO_REGISTRAR, "parameter of a Contact's URI"),
    "regescrt": (NO_REGISTRAR, "headers in a Contact's URI"),
    "inv2543": ({400}, "well-formed as of RFC 2543; but without Contact no request could ever reach its sender (RFC 3261 section 8.1.1.8)"),
    "sdp01": ({406}, "no answer of a type that it accepts can be had"),
}

# Name: user of the Request-URI, user of From. What follows an escaped @ is somebody's host, and stays on its side.
CALLS = {
    "esc01": ("sips%3Auser", "I%20have%20spaces"),
    "longreq": ("user", "amazinglylongcallername" * 5),
    "baddate": ("user", "caller"),
}

REACTIONS6 = {
    "ipv6-good": (NO_REGISTRAR, "an IPv6 reference"),
    "ipv6-bad": ({400}, "an IPv6 address without brackets"),
    "port-ambiguous": (NO_REGISTRAR, "a port that is the address's last part"),
    "port-unambiguous": (NO_REGISTRAR, "a port"),
    "via-received-param-with-delim": ({481}, "brackets in received"),
    "via-received-param-no-delim": ({200}, "no brackets in received"),
    "mult-ip-in-header": ({481}, "both versions in Via"),
    "ipv6-bug-abnf-3-colons": ({200}, "what the grammar of RFC 3261 asked for by mistake"),
    "ipv6-correct-abnf-2-colons": ({200}, "an IPv4 address at the end"),
}
CALLS6 = {name: ("user", "user") for name in ("ipv6-in-sdp", "mult-ip-in-sdp", "ipv4-mapped-ipv6")}


class Pair:
    """Who sends (from outside or from the core, over the transport of the message's Via), and who is on the other side."""

    def __init__(self, stack, side, raw, version=4):
        outside = side == "outside"
        node = "outside" if outside else "pbx"
        self.host = {("outside", 4): "203.0.113.100", ("outside", 6): "2001:db8:1::100", ("core", 4): "10.0.0.5", ("core", 6): "fd00:10::5"}[side, version]
        self.to = ({4: SBC_OUT4, 6: SBC_OUT6} if outside else {4: SBC_IN4, 6: SBC_IN6})[version], 5060
        if via_transport(raw) == "TCP":
            self.sender = StreamEndpoint(stack.lab.namespace(node), self.host, 5060)
            stack.closing.append(self.sender)
        else:
            self.sender = stack.endpoint(node, self.host)
        self.receiver = stack.pbx() if outside else stack.carrier()
        self.far_sbc = SBC_IN4 if outside else SBC_OUT4
        self.near_sbc = self.to[0]

    def answers(self, raw):
        """What comes back for a message, once it has been dealt with: what follows it is answered, or its connection is closed."""
        self.sender.send(raw, self.to)
        if via_transport(raw) == "UDP":
            self.sender.ask(self.to)
        else:
            link = self.sender.links[-1]
            try:
                link.socket.sendall(options(self.sender, self.to))
            except OSError:
                pass  # closed before
            self.sender.wait(lambda: not link.is_open or any(m.call_id.startswith("ask-") for m in self.sender.received), "the next answer")
        return [m for m in self.sender.received if not m.call_id.startswith("ask-") and m.status != 100]

    def check_nothing_relayed(self):
        self.receiver.ask((self.far_sbc, 5060))
        assert [m for m in self.receiver.received if not m.call_id.startswith("ask-")] == []


def options(endpoint, to):
    host = bracket(to[0])
    return compose(
        f"OPTIONS sip:{host} SIP/2.0",
        [("Via", f"SIP/2.0/TCP {bracket(endpoint.host)}:{endpoint.port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"),
         ("From", f"<sip:a@{host}>;tag={token()}"), ("To", f"<sip:{host}>"), ("Call-ID", f"ask-{token()}"), ("CSeq", "1 OPTIONS")])


def via_transport(raw):
    return re.search(rb"(?i)\nv(?:ia)?\s*:\s*SIP\s*/\s*[0-9.]+\s*/\s*(\w+)", raw)[1].decode()


def as_sent(name, raw):
    """TLS comes later. And no message may be another one's repetition: several have the same branch, which the RFC means nothing by."""
    raw = raw.replace(b"SIP/2.0/TLS fold-and-staple", b"SIP/2.0/TCP fold-and-staple")
    return re.sub(rb"branch=z9hG4bKkdjuw(?=\r)", b"branch=z9hG4bKkdjuw" + name.encode(), raw, count=1)


def unfolded(text):
    return re.sub(r"\s+", "", text)


def check_answer(answer, raw):
    """RFC 3261 section 8.2.6.2: Via, From, To, Call-ID and CSeq are the request's; To has a tag."""
    asked = Message(raw)
    theirs, ours = (unfolded(",".join(m.all("via"))) for m in (asked, answer))
    # The top one is extended by us, and what it claimed of itself is not believed (RFC 3581).
    (their_top, _, their_rest), (our_top, _, our_rest) = theirs.partition(","), ours.partition(",")
    assert our_rest == their_rest
    assert own_parameters(our_top) == own_parameters(their_top)
    for header in ("from", "call-id", "cseq"):
        assert unfolded(answer[header]) == unfolded(asked[header]), header
    assert unfolded(answer["to"]).startswith(unfolded(asked["to"])) and tag_of(answer, "to")
    assert int(answer["content-length"]) == len(answer.body)


def tag_of(message, header):
    """Of a field with any white space."""
    return (re.search(r";tag=([^;]+)", unfolded(message[header])) or [None, ""])[1]


def own_parameters(via):
    host, *parameters = via.split(";")
    return host, sorted(p for p in parameters if p and not p.startswith(("received", "rport")))


def all_of(table):
    return pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in table])


@pytest.fixture(scope="module", params=["outside", "core"])
def side(module_stack, request):
    """Who sends. Each side's messages meet an SBC that has not seen them yet: to it they would be repetitions. Contacts are of hosts that
    are not here: requests go where the messages came from."""
    module_stack.change = lambda text: text.replace("nat = never", "nat = always")
    module_stack.start()
    return request.param



def check_reaction(pair, raw, statuses):
    answers = pair.answers(raw)
    assert len(answers) == (1 if statuses else 0), answers
    for answer in answers:
        assert answer.status in statuses
        check_answer(answer, raw)
        if answer.method == "INVITE":
            acknowledge(pair, raw, answer)
    pair.check_nothing_relayed()
    return answers[0] if answers else None


def acknowledge(pair, raw, answer):
    dialog = Dialog(pair.sender, pair.to)
    dialog.call_id, dialog.invited = answer.call_id, Message(raw)
    dialog.local = dialog.invited["from"]
    dialog.ack(answer)


@all_of(REACTIONS)
def test_rfc_4475(stack, side, name):
    raw = as_sent(name, MESSAGES[name])
    answer = check_reaction(Pair(stack, side, raw), raw, REACTIONS[name][0])
    if name == "bext01":
        assert {v.strip() for v in answer["unsupported"].split(",")} >= {"nothingSupportsThis", "nothingSupportsThisEither"}
    if name in ("invut", "mpart01"):
        assert answer["accept"]


@all_of(REACTIONS6)
def test_rfc_5118(stack, side, name):
    raw = rfc5118.MESSAGES[name]
    raw = re.sub(rb"branch=z9hG4bKas3", b"branch=z9hG4bKas3" + name.encode(), raw, count=1)
    check_reaction(Pair(stack, side, raw, 6), raw, REACTIONS6[name][0])


def test_every_message_has_its_reaction():
    assert len(MESSAGES) == 49 and set(MESSAGES) == set(REACTIONS) | set(CALLS)
    assert set(rfc5118.MESSAGES) == set(REACTIONS6) | set(CALLS6)


# --- what is relayed -------------------------------------------------------------------------------------------------------


def check_description(invite, sbc):
    """One description, of our address, with the two streams of the offer."""
    lines = invite.body.decode().split("\r\n")
    assert lines[0] == "v=0" and lines[-1] == "" and [line[0] for line in lines[1:4]] == ["o", "s", lines[3][0]]
    assert all(line.split()[2] == sbc for line in lines if line.startswith("c=")) and lines[1].split()[5] == sbc
    assert [line.split()[0] for line in lines if line.startswith("m=")][0] == "m=audio"
    assert int(invite["content-length"]) == len(invite.body) and invite["content-type"] == "application/sdp"


def check_invite(pair, invite, raw, callee, caller):
    asked = Message(raw)
    assert re.fullmatch(rf"sip:{re.escape(callee)}@{re.escape(pair.receiver.host)}(:5060)?(;.*)?", invite.uri), invite.uri
    assert re.search(rf"<sip:{re.escape(caller)}@{re.escape(pair.far_sbc)}", invite["from"]), invite["from"]
    assert len(invite.all("via")) == 1 and invite.branch.startswith("z9hG4bK") and pair.far_sbc in invite["via"]
    assert int(invite["max-forwards"]) == int(asked["max-forwards"]) - 1
    assert invite["cseq"].split()[1] == "INVITE" and invite.tag("from") and not invite.tag("to")
    assert pair.far_sbc in invite.contact_uri and not invite.all("route") and not invite.all("record-route")
    assert invite.call_id != asked.call_id and invite.tag("from") != tag_of(asked, "from")
    if asked.body:
        check_description(invite, pair.far_sbc)
    check_no_trace(pair, pair.receiver, callee)


def check_no_trace(pair, endpoint, user):
    """Of the sender, in what the other side got. A name that is called is no trace of who calls."""
    for received in endpoint.received:
        text = received.raw.replace(user.encode(), b"")
        found = [trace for trace in TRACES if trace in text]
        assert not found, f"{found} in {received.raw}"
        assert pair.near_sbc.encode() not in text and pair.host.encode() not in text


def answer_streams(invite, host):
    """A description that takes every stream of an offer."""
    body = sdp(host, 30000)
    offered = [line for line in invite.body.decode().split("\r\n") if line.startswith("m=")]
    if len(offered) > 1:
        kind, _, profile, *formats = offered[1].split()
        body += f"{kind} 30002 {profile} {formats[0]}\r\n".encode()
    return body


def check_call(pair, raw, callee, caller):
    """Relays it, answers it, hangs up from the far side: what comes back must fit the message that began it."""
    sender, asked = pair.sender, Message(raw)
    sender.send(raw, pair.to)
    b = pair.receiver.answerer()
    check_invite(pair, b.invite, raw, callee, caller)
    b.reply(b.invite, 180, "Ringing")
    check_answer(sender.expect(180), raw)
    b.reply(b.invite, 200, "OK", answer_streams(b.invite, pair.receiver.host))
    ok = sender.expect(lambda m: m.status == 200 and m.method == "INVITE")
    check_answer(ok, raw)
    assert pair.receiver.host.encode() not in ok.raw and pair.far_sbc.encode() not in ok.raw
    a = Dialog(sender, pair.to)
    a.call_id, a.local, a.remote, a.invited = asked.call_id, asked["from"], ok["to"], asked
    a.target, a.cseq = ok.contact_uri, int(asked["cseq"].split()[0])
    a.ack(ok)
    b.expect("ACK")
    b.request("BYE")
    bye = sender.expect("BYE")
    assert bye.call_id == asked.call_id and bye.tag("to") == tag_of(asked, "from") and bye.tag("from") == ok.tag("to")
    if asked["contact"]:
        assert bye.uri == asked.contact_uri
    a.reply(bye, 200, "OK")
    b.expect(final("BYE"))
    check_no_trace(pair, pair.receiver, callee)


@all_of(CALLS)
def test_rfc_4475_is_relayed(stack, side, name):
    raw = as_sent(name, MESSAGES[name])
    check_call(Pair(stack, side, raw), raw, *CALLS[name])


@all_of(CALLS6)
def test_rfc_5118_is_relayed(stack, side, name):
    raw = rfc5118.MESSAGES[name]
    raw = re.sub(rb"branch=z9hG4bK(as3-111|bh19)", b"branch=z9hG4bK" + name.encode(), raw, count=1).replace(b"SSG9559905523997077", name.encode())
    check_call(Pair(stack, side, raw, 6), raw, *CALLS6[name])


def test_wsinv_that_begins_a_dialog_is_relayed(stack, side):
    """What is odd in it is its white space and not its To tag."""
    raw = MESSAGES["wsinv"].replace(b" ;   tag    = 1918181833n", b"")
    check_call(Pair(stack, side, raw), raw, "vivekg", "jdrosen")


def test_intmeth_without_control_characters_is_answered(stack, side):
    """Every other oddity of it is welcome; the method is not known."""
    raw = re.sub(rb"\\[\x00\x07\x7f]", rb"\\.", MESSAGES["intmeth"])
    check_reaction(Pair(stack, side, raw), raw, {405})


def test_escnull_without_nulls_is_answered(stack, side):
    raw = MESSAGES["escnull"].replace(b"%00", b"%01").replace(b"kdjuw", b"kdjuwescnot")
    check_reaction(Pair(stack, side, raw), raw, NO_REGISTRAR)


# --- responses within a call -----------------------------------------------------------------------------------------------


def responded(stack, side, start_line):
    """A call that is answered with a start line of the RFC's; its two dialogs, and the 200 that the caller got."""
    caller, callee = (stack.carrier(), stack.pbx()) if side == "outside" else (stack.pbx(), stack.carrier())
    to = (SBC_OUT4 if side == "outside" else SBC_IN4, 5060)
    a = caller.call(to, "1000", sdp(caller.host, 30000))
    b = callee.answerer()
    send = callee.send
    callee.send = lambda raw, there: send(start_line + raw[raw.index(b"\r\n"):], there)
    return a, b, lambda: setattr(callee, "send", send)


def test_unreason_answers_a_call(stack, side):
    """Reason phrases are of any UTF-8; the other side gets our own."""
    line = MESSAGES["unreason"].split(b"\r\n")[0]
    a, b, restore = responded(stack, side, line)
    b.reply(b.invite, 200, "", sdp(b.endpoint.host, 30002))
    restore()
    ok = a.expect(200)
    assert ok.start == "SIP/2.0 200 OK"
    a.ack(ok)
    b.expect("ACK")
    a.request("BYE")
    b.take_bye()
    a.expect(final("BYE"))


def test_noreason_is_a_response(stack, side):
    """An empty reason phrase, in a response that goes on to the other side, and before one that does."""
    a, b, restore = responded(stack, side, MESSAGES["noreason"].split(b"\r\n")[0])
    b.reply(b.invite, 100)
    restore()
    b.endpoint.send(silent_ringing(b), b.invite.source)
    assert a.expect(180).start == "SIP/2.0 180 Ringing"
    b.reply(b.invite, 486, "Busy Here")
    a.ack(a.expect(486))
    b.expect("ACK")


def silent_ringing(dialog):
    """180 without words."""
    sent, send = [], dialog.endpoint.send
    dialog.endpoint.send = lambda raw, to: sent.append(raw)
    dialog.reply(dialog.invite, 180, "Ringing")
    dialog.endpoint.send = send
    return sent[0].replace(b"180 Ringing", b"180 ")


def test_scalarlg_in_a_call_is_passed_over(stack, side):
    """A response to our INVITE with a CSeq beyond its range is none; Retry-After and Warning of that size do no harm either."""
    caller, callee = (stack.carrier(), stack.pbx()) if side == "outside" else (stack.pbx(), stack.carrier())
    to = (SBC_OUT4 if side == "outside" else SBC_IN4, 5060)
    a = caller.call(to, "1000", sdp(caller.host, 30000))
    b = callee.answerer()
    number = b.invite["cseq"]
    b.invite.headers = [(n, f"9292394834772304023312 {v.split()[1]}" if n == "cseq" else v) for n, v in b.invite.headers]
    b.reply(b.invite, 503, "Service Unavailable")
    callee.ask(b.peer)
    b.invite.headers = [(n, number if n == "cseq" else v) for n, v in b.invite.headers]
    b.reply(b.invite, 480, "Away", headers=[("Retry-After", "949302838503028349304023988"), ("Warning", '1812 overture "In Progress"')])
    refused = a.expect(480)
    assert b"9493028385" not in refused.raw and b"overture" not in refused.raw
    a.ack(refused)
    b.expect("ACK")
