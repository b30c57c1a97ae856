# SPDX-License-Identifier: BSD-3-Clause
"""REGISTER requests that are odd, wrong or hostile, at an SBC that has a registrar: each of RFC 4475 and RFC 5118, and more: what the
sender gets, and what the registrar sees. A sound phone is served after each."""

import re

import pytest

import nat
import rfc4475
import rfc4475_invalid
import rfc5118
from conftest import SBC_IN4, SBC_OUT4, SBC_OUT6, Stack
from sip import compose, token
from stream_peer import StreamEndpoint

GUARD = """
guard { untrusted-rate = 10000  untrusted-burst = 10000 }
registration { per-source-rate = 100  per-aor-rate = 100  keep-alive = off }
sip-interface access-tcp { realm = access  ip-profile = phone  registration = cache  allow-anonymous = registered
                    listen = {"tcp:203.0.113.10:5060"} }
local-policy register { from-realm = access  to = ".*"  next-hop = "agent:pbx"  priority = 30 }
"""
TORTURE = {name: raw for table in (rfc4475.MESSAGES, rfc4475_invalid.MESSAGES, rfc5118.MESSAGES) for name, raw in table.items()
           if raw.startswith(b"REGISTER ")}
SOUND = '<sip:a@203.0.113.100>'
LONG = "a" * 2048


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more, stack.change = GUARD, nat.registering
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


class Ends:
    """Who sends, and the registrar, which says `status` to all that it is asked."""

    def __init__(self, stack, host="203.0.113.100", stream=False):
        self.sbc = (SBC_OUT6 if ":" in host else SBC_OUT4), 5060
        if stream:
            self.phone = StreamEndpoint(stack.lab.namespace("outside"), host, 5060)
            stack.closing.append(self.phone)
        else:
            self.phone = stack.endpoint("outside", host)
        self.pbx = stack.pbx()

    def nothing_reaches_the_registrar(self):
        self.pbx.ask((SBC_IN4, 5060))
        assert not self.pbx.pending(lambda m: m.is_request)

    def refused(self, raw, *statuses):
        """With one of these, once; none: it hears nothing."""
        self.phone.send(raw, self.sbc)
        self.phone.ask(self.sbc)
        answers = self.phone.pending(lambda m: not m.call_id.startswith("ask-"))
        assert [m.status in statuses for m in answers] == [True] * bool(statuses), answers
        self.nothing_reaches_the_registrar()
        return answers[0] if answers else None

    def relayed(self, raw, status=200):
        """What the registrar was asked, and what the sender got."""
        self.phone.send(raw, self.sbc)
        asked = self.pbx.expect("REGISTER")
        more = [("Contact", f"<{asked.contact_uri}>;expires=3600")] if status == 200 else [("WWW-Authenticate", 'Digest realm="pbx", nonce="n"')]
        self.pbx.send(compose(f"SIP/2.0 {status} As Told", [
            *(("Via", v) for v in asked.all("via")), ("From", asked["from"]), ("To", f"{asked['to']};tag={token()}"), ("Call-ID", asked.call_id),
            ("CSeq", asked["cseq"]), *more]), asked.source)
        answer = self.phone.expect(lambda m: m.status == status and m.method == "REGISTER")
        self.phone.ask(self.sbc)
        assert not self.phone.pending(lambda m: m.status)
        # It is the SBC's own request, about a contact of the SBC's.
        assert re.fullmatch(r"sip:[^@;]+@10\.0\.0\.1(:5060)?(;.*)?", asked.contact_uri) and len(asked.all("contact")) == 1
        assert len(asked.all("via")) == 1 and not asked.all("route") and "sip.example.com" not in asked.raw.decode()
        return asked, answer


@pytest.fixture
def ends(stack):
    return Ends(stack)


@pytest.fixture(autouse=True)
def a_sound_phone_is_served(stack):
    yield
    stack.end_test()
    registration = nat.Registration(stack.endpoint("outside", "203.0.113.101", 5062), "sound")
    registration.refresh(nat.Registrar(stack.pbx()))


def request(user="a", contact=SOUND, headers=(), to=None, via=None, call_id=None):
    to = to or f"<sip:{user}@{SBC_OUT4}>"
    return compose(f"REGISTER sip:{SBC_OUT4} SIP/2.0", [
        ("Via", via or f"SIP/2.0/UDP 203.0.113.100:5060;branch=z9hG4bK{token()}"), ("Max-Forwards", "70"),
        ("From", f"<sip:f@{SBC_OUT4}>;tag={token()}"),
        ("To", to), ("Call-ID", call_id or token(20)), ("CSeq", "1 REGISTER"), *([("Contact", contact)] if contact else []), *headers])


# --- RFC 4475, RFC 5118 --------------------------------------------------------------------------------------------------------

REFUSED = {
    "escnull": "no user may hold a NUL (docs/decisions/0059)",
    "unksm2": "To has a scheme that no registrar knows (RFC 3261 section 10.3 step 5 would say 404)",
    "scalar02": "scalars beyond their range",
    "regbadct": "a URI with headers needs <>",
    "ipv6-bad": "an IPv6 address without brackets",
}
# Name: the Contact that the sender gets back.
TAKEN = {
    "dblreq": "<sip:j.user@host.example.com>",
    "regaut01": None,  # it asks who is registered
    "cparam01": "<sip:+19725552222@gw1.example.net>",
    "cparam02": "<sip:+19725552222@gw1.example.net;unknownparam>",
    "regescrt": "<sip:user@example.com>",
    "ipv6-good": "<sip:caller@[2001:db8::1]>",
    "port-ambiguous": "<sip:caller@[2001:db8::1]>",
    "port-unambiguous": "<sip:caller@[2001:db8::1]>",
}


def test_every_message_has_its_answer():
    assert set(REFUSED) | set(TAKEN) == set(TORTURE) and len(rfc5118.MESSAGES) >= 4


def ends_for(stack, name):
    raw = TORTURE[name]
    # Several have the branch, Call-ID and CSeq of another, which the RFCs mean nothing by.
    raw = re.sub(rb"(branch=z9hG4bK[^\r;]*)", rb"\g<1>" + name.encode(), raw, count=1).replace(b"SSG9559905523997077", name.encode())
    version6 = name in rfc5118.MESSAGES
    return Ends(stack, "2001:db8:1::100" if version6 else "203.0.113.100", b"/TCP" in raw), raw


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_and_reaches_nobody(stack, name):
    both, raw = ends_for(stack, name)
    both.refused(raw, 400)


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_odd_is_registered_as_it_is_meant(stack, name):
    both, raw = ends_for(stack, name)
    if TAKEN[name] is None:
        both.phone.send(raw, both.sbc)
        asked = both.pbx.expect("REGISTER")
        # Its scheme is not Digest: nobody's business.
        assert not asked.all("authorization") and not asked.all("contact")
        both.pbx.send(compose("SIP/2.0 401 Unauthorized", [
            *(("Via", v) for v in asked.all("via")), ("From", asked["from"]), ("To", f"{asked['to']};tag=1"), ("Call-ID", asked.call_id),
            ("CSeq", asked["cseq"]), ("WWW-Authenticate", 'Digest realm="pbx", nonce="n"')]), asked.source)
        assert both.phone.expect(401)["www-authenticate"]
        return
    _, answer = both.relayed(raw)
    assert TAKEN[name] in [c.rpartition(";expires=")[0] for c in answer.all("contact")]


# --- and more ------------------------------------------------------------------------------------------------------------------

def contacts(count):
    return ", ".join(f"<sip:{n}@h>" for n in range(count))


@pytest.mark.parametrize("count, statuses", [(11, [403]), (120, [403]), (700, [400])])
def test_a_huge_list_of_contacts_is_refused(ends, count, statuses):
    ends.refused(request(contact=contacts(count)), *statuses)


def test_ten_thousand_contacts_on_a_stream_end_it(stack):
    both = Ends(stack, stream=True)
    raw = request(contact=contacts(10000), via=f"SIP/2.0/TCP 203.0.113.100:5060;branch=z9hG4bK{token()}")
    both.phone.connect(both.sbc)
    try:
        both.phone.send(raw, both.sbc)
    except OSError:
        pass  # closed while it was sent
    both.phone.wait(lambda: not both.phone.links[0].is_open, "the end of the connection")
    assert all(m.status in (400, 413, 513) for m in both.phone.received)
    both.nothing_reaches_the_registrar()


@pytest.mark.parametrize("to, statuses", [
    (f"<sip:{LONG}@h>", []), (f"<sip:a@{LONG}>", []), (f"<sip:a;{LONG}@h>", []), (f"<sip:{LONG[:1900]}@h>", [400]), (f"<sip:{LONG[:300]}@h>", [400]),
    ("<sip:ä@h>", [400]), ("<sip:\u202e@h>", [400])], ids=["2 KB", "host", "parameter", "1,900", "300", "umlaut", "override"])
def test_a_user_of_two_kilobytes_or_not_of_ascii_is_refused(ends, to, statuses):
    """What an answer would have to repeat, and is longer than a header may be, gets none."""
    ends.refused(request(to=to), *statuses)


def test_utf8_where_it_may_be_is_none_of_our_business(ends):
    asked, _ = ends.relayed(request(to=f'"Ünïcödé \u202e" <sip:%C3%A4@{SBC_OUT4}>', headers=[("X-Any", "ä")]))
    assert re.search(r"<sip:%c3%a4@", asked["to"], re.I) and "X-Any" not in asked.raw.decode()


@pytest.mark.parametrize("expires", ["99999999999999999999", "4294967296", "-1", "1e9", "3600;x=y"])
def test_an_expiry_that_cannot_be_is_one_that_can(ends, expires):
    """RFC 3261 section 10.2.1.1. The cache asks the registrar for its own time in any case, and grants what it always grants."""
    asked, answer = ends.relayed(request(user="e", headers=[("Expires", expires)], contact=f"<sip:{token()}@203.0.113.100>"))
    assert asked["expires"] in ("", "3600") and "expires=3600" in asked["contact"] + f";expires={asked['expires']}"
    granted = [int(n) for n in re.findall(r"expires=(\d+)", answer["contact"])]
    assert granted and all(0 < n <= 60 for n in granted)


@pytest.mark.parametrize("via", [
    "SIP/2.0/UDP 203.0.113.101:5060;received=203.0.113.101;rport=5060", "SIP/2.0/UDP 203.0.113.101;maddr=203.0.113.101;ttl=5",
    "SIP/2.0/UDP 10.0.0.5:5060;received=10.0.0.5"], ids=["received", "maddr", "core"])
def test_an_answer_goes_where_the_request_came_from_whatever_its_via_says(stack, ends, via):
    victim = stack.endpoint("outside", "203.0.113.101")
    ends.relayed(request(user="v", via=f"{via};branch=z9hG4bK{token()}", contact=f"<sip:{token()}@203.0.113.100>"))
    ends.refused(request(contact="<sip:>", via=f"{via};branch=z9hG4bK{token()}"), 400)
    mark = token()
    victim.send(request(contact="<sip:>", via=f"SIP/2.0/UDP {victim.host}:5060;branch=z9hG4bK{token()}", call_id=mark), ends.sbc)
    victim.expect(400)
    assert {m.call_id for m in victim.received} == {mark}


@pytest.mark.parametrize("value, crosses", [
    ('Digest username="a', True), ("Digest ", False), ("Digest username", True), (f'Digest username="a", nonce="{LONG[:1200]}"', True),
    ('Digest username="a", username="b", realm="x", nonce="n", nc=99999999999, qop=auth-int, response="r"', True),
    ('Digest nonce="\\"", opaque=, opaque="', True), ("Basic YTpi", False), ("digest", False)],
                         ids=["quote", "empty", "name", "long", "twice", "escape", "basic", "word"])
def test_wrong_credentials_are_the_registrars_to_refuse(ends, value, crosses):
    """As they are or not at all, and nothing of them becomes a header of its own."""
    asked, answer = ends.relayed(request(user="d", headers=[("Authorization", value)], contact=f"<sip:{token()}@203.0.113.100>"), 401)
    assert asked.all("authorization") == ([value.strip()] if crosses else [])
    assert {name for name, _ in asked.headers} <= {
        "via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "expires", "supported", "authorization", "user-agent", "content-length",
        "allow", "require", "path"}
    assert answer["www-authenticate"].startswith('Digest realm="pbx", nonce="n"')


def test_credentials_of_two_kilobytes_are_no_header(ends):
    ends.refused(request(headers=[("Authorization", f'Digest nonce="{LONG}"')]), 400)
