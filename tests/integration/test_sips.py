# SPDX-License-Identifier: BSD-3-Clause
"""sips (RFC 3261 section 26.2, RFC 5630): by TLS on both sides or not at all, unless a profile says that its secure way ends here."""

import re

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4, lab
from pki import Pki
from sip import Dialog, compose, sdp, token
from tls_peer import TlsEndpoint, tls_pbx, tls_phone

TO_SBC = (SBC_OUT4, 5061)


def configuration():
    pki = Pki.of_this_run()
    sbc = pki.issue("sbc", dns=["sbc.example.test"], ip=[SBC_OUT4, SBC_IN4])
    return f"""
guard {{ untrusted-rate = 10000  untrusted-burst = 10000  stream-rate = 10000  syn-rate = 10000 }}
tls-profile all {{ certificate = "{sbc.certificate}"  key = "{sbc.key}"  ca = "{pki.ca}" }}
ip-profile ends {{ nat = never  latching = fixed  sips = terminate }}
sip-interface phones {{ realm = access  ip-profile = phone  registration = cache  allow-anonymous = all  tls-profile = all
                    listen = {{"tls:203.0.113.10:5061"}} }}
sip-interface core-tls {{ realm = core  ip-profile = trunk  allow-anonymous = agents  tls-profile = all  listen = {{"tls:10.0.0.1:5061"}} }}
session-agent pbx-tls  {{ realm = core  address = "tls:10.0.0.5"  ip-profile = trunk }}
session-agent pbx-ends {{ realm = core  address = "udp:10.0.0.5:5070"  ip-profile = ends }}
session-group either   {{ agents = {{pbx, pbx-tls}}  strategy = hunt }}
local-policy to-tls   {{ from-realm = access  to = "^7[0-9]+$"  next-hop = "agent:pbx-tls"   priority = 1 }}
local-policy to-ends  {{ from-realm = access  to = "^8[0-9]+$"  next-hop = "agent:pbx-ends"  priority = 1 }}
local-policy to-group {{ from-realm = access  to = "^5[0-9]+$"  next-hop = "group:either"    priority = 1 }}
local-policy register {{ from-realm = access  to = "^strict$"   next-hop = "agent:pbx"       priority = 2 }}
local-policy others   {{ from-realm = access  to = "^[a-z]+$"   next-hop = "agent:pbx-ends"  priority = 3 }}
local-policy to-phones {{ from-realm = core   to = ".*"         next-hop = "registration"    priority = 20 }}
"""


@pytest.fixture(scope="module")
def module_stack():
    with lab(configuration()) as stack:
        yield stack


def call(phone, number, to=TO_SBC, scheme="sips", contact=None):
    """An INVITE whose Request-URI, To, From and Contact have that scheme."""
    dialog = Dialog(phone, to)
    dialog.local = f"<{scheme}:alice@{phone.host}>;tag={token()}"
    dialog.remote = f"<{scheme}:{number}@{to[0]}>"
    dialog.target = f"{scheme}:{number}@{to[0]}:{to[1]}"
    dialog.contact = f"<{contact or scheme}:raw@{phone.host}:{phone.port}>"
    dialog.request("INVITE", sdp(phone.host, 30000))
    return dialog


def answer(callee):
    b = callee.answerer()
    if isinstance(callee, TlsEndpoint) and b.invite.uri.startswith("sips:"):
        b.contact = b.contact.replace("sip:", "sips:").replace(";transport=tls", "")
    b.reply(b.invite, 200, "OK", sdp(callee.host, 30002))
    return b


def uri(value):
    return re.search(r"<([^>]+)>", value).group(1)


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 5)


def test_sips_goes_on_as_sips_by_tls(stack):
    phone, pbx = tls_phone(stack), tls_pbx(stack)
    a = call(phone, "7000")
    b = answer(pbx)
    invite = b.invite
    assert invite["via"].startswith(f"SIP/2.0/TLS {SBC_IN4}:5061;")
    for address in (invite.uri, uri(invite["to"]), uri(invite["from"]), invite.contact_uri):
        assert address.startswith("sips:") and "transport" not in address, address
    ok = a.expect(200)
    assert ok.contact_uri.startswith(f"sips:7000@{SBC_OUT4}:5061") and "transport" not in ok.contact_uri
    a.ack(ok)
    assert b.expect("ACK").uri.startswith("sips:")
    b.request("BYE")
    assert a.take_bye().uri.startswith("sips:")
    b.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def test_sip_by_tls_stays_sip(stack):
    phone, pbx = tls_phone(stack), tls_pbx(stack)
    a = call(phone, "7000", scheme="sip")
    b = answer(pbx)
    assert b.invite.uri == "sip:7000@10.0.0.5;transport=tls"
    assert b.invite.contact_uri.startswith("sip:") and b.invite.contact_uri.endswith(";transport=tls")
    ok = a.expect(200)
    assert ok.contact_uri == f"sip:7000@{SBC_OUT4}:5061;transport=tls"
    a.ack(ok)
    b.expect("ACK")
    b.request("BYE")
    a.take_bye()
    no_calls_left(stack)


def test_sips_is_not_sent_in_clear(stack):
    phone, pbx = tls_phone(stack), stack.pbx()
    a = call(phone, "1000")
    refusal = a.expect(480)
    a.ack(refusal)
    assert refusal["warning"] == f'380 {SBC_OUT4} "SIPS Not Allowed"'
    assert b"10.0.0" not in refusal.raw
    assert not pbx.received
    no_calls_left(stack)


@pytest.mark.parametrize("method, more", [("MESSAGE", ""), ("SUBSCRIBE", "message-summary")])
def test_other_requests_are_not_sent_in_clear_either(stack, method, more):
    phone, pbx = tls_phone(stack), stack.pbx()
    fields = [("Via", f"SIP/2.0/TLS {phone.host}:{phone.port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"),
              ("From", f"<sips:alice@{phone.host}>;tag=1"), ("To", f"<sips:1000@{SBC_OUT4}>"), ("Call-ID", token()), ("CSeq", f"1 {method}")]
    if more:
        fields += [("Event", more), ("Contact", f"<sips:alice@{phone.host}:{phone.port}>")]
    phone.send(compose(f"{method} sips:1000@{SBC_OUT4} SIP/2.0", fields, b"" if more else b"hello", "text/plain"), TO_SBC)
    assert phone.expect(480)["warning"] == f'380 {SBC_OUT4} "SIPS Not Allowed"'
    assert not pbx.received


def test_of_a_group_the_member_that_has_tls_gets_it(stack):
    phone, plain, pbx = tls_phone(stack), stack.pbx(), tls_pbx(stack)
    a = call(phone, "5000")
    b = pbx.answerer()
    assert b.invite.uri.startswith("sips:")
    b.reply(b.invite, 486, "Busy Here")
    a.ack(a.expect(486))
    assert not plain.received
    no_calls_left(stack)


def test_sips_ends_here_where_the_profile_says_so(stack):
    phone, pbx = tls_phone(stack), stack.pbx(port=5070)
    a = call(phone, "8000")
    b = answer(pbx)
    for address in (b.invite.uri, uri(b.invite["to"]), uri(b.invite["from"]), b.invite.contact_uri):
        assert address.startswith("sip:"), address
    assert b"sips" not in b.invite.raw
    ok = a.expect(200)
    assert ok.contact_uri.startswith("sips:")
    a.ack(ok)
    b.expect("ACK")
    b.request("BYE")
    assert a.take_bye().uri.startswith("sips:")
    no_calls_left(stack)


@pytest.mark.parametrize("number", ["7000", "8000"])
def test_sips_that_did_not_come_by_tls_is_no_scheme_here(stack, number):
    phone, pbx = stack.phone(), stack.pbx(port=5070)
    a = call(phone, number, (SBC_OUT4, 5060))
    a.ack(a.expect(416))
    assert not pbx.received


def test_sips_needs_a_sips_contact(stack):
    phone = tls_phone(stack)
    a = call(phone, "7000", contact="sip")
    refusal = a.expect(400)
    a.ack(refusal)
    assert refusal["warning"] == f'399 {SBC_OUT4} "SIPS Contact Required"'


def register(phone, user, contact, scheme="sips", expires=600):
    call_id = token()
    phone.send(compose(
        f"REGISTER {scheme}:{SBC_OUT4} SIP/2.0",
        [("Via", f"SIP/2.0/TLS {phone.host}:{phone.port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"),
         ("From", f"<{scheme}:{user}@{SBC_OUT4}>;tag=1"), ("To", f"<{scheme}:{user}@{SBC_OUT4}>"), ("Call-ID", call_id),
         ("CSeq", "1 REGISTER"), ("Contact", contact), ("Expires", str(expires))]), TO_SBC)
    return call_id


def registered(phone, registrar, user, contact, scheme):
    """Registers by way of the registrar; returns the user that the PBX knows the phone by."""
    call_id = register(phone, user, contact, scheme)
    asked = registrar.expect("REGISTER")
    ours = uri(asked["contact"])
    fields = [("Via", asked["via"]), ("From", asked["from"]), ("To", asked["to"] + ";tag=r"), ("Call-ID", asked.call_id),
              ("CSeq", asked["cseq"]), ("Contact", f"<{ours}>;expires=600")]
    registrar.send(compose("SIP/2.0 200 OK", fields), asked.source)
    ok = phone.expect(200, call_id=call_id)
    assert uri(contact) in ok["contact"]
    return asked, re.match(r"sip:([^@]+)@", ours).group(1)


def test_a_sips_registration_does_not_go_to_a_registrar_in_clear(stack):
    phone, registrar = tls_phone(stack), stack.pbx()
    call_id = register(phone, "strict", f"<sips:strict@{phone.host}:{phone.port}>")
    assert phone.expect(480, call_id=call_id)["warning"] == f'380 {SBC_OUT4} "SIPS Not Allowed"'
    assert not registrar.received


def test_a_phone_with_a_sips_contact_is_called_by_sip_as_well(stack):
    phone, registrar = tls_phone(stack), stack.pbx(port=5070)
    asked, user = registered(phone, registrar, "alice", f"<sips:alice@{phone.host}:{phone.port}>", "sips")
    assert asked.uri.startswith("sip:") and b"sips" not in asked.raw
    b = registrar.call((SBC_IN4, 5060), user, sdp(registrar.host, 30000))
    a = phone.answerer()
    assert a.invite.uri == f"sip:alice@{phone.host}:{phone.port}"
    assert a.invite.link is phone.links[0]
    a.reply(a.invite, 486, "Busy Here")
    b.ack(b.expect(486))
    no_calls_left(stack)


def test_sips_for_a_phone_that_registered_sip_alone_is_refused(stack):
    phone, registrar, caller = tls_phone(stack), stack.pbx(port=5070), tls_pbx(stack)
    _, user = registered(phone, registrar, "bob", f"<sip:bob@{phone.host}:{phone.port};transport=tls>", "sip")
    b = call(caller, user, (SBC_IN4, 5061))
    refusal = b.expect(480)
    b.ack(refusal)
    assert refusal["warning"].startswith("380 ")
    assert not phone.pending(lambda m: m.is_request)
    no_calls_left(stack)


def test_sips_for_a_phone_that_registered_sips(stack):
    phone, registrar, caller = tls_phone(stack), stack.pbx(port=5070), tls_pbx(stack)
    _, user = registered(phone, registrar, "carol", f"<sips:carol@{phone.host}:{phone.port}>", "sips")
    b = call(caller, user, (SBC_IN4, 5061))
    a = phone.answerer()
    assert a.invite.uri == f"sips:carol@{phone.host}:{phone.port}" and a.invite.contact_uri.startswith("sips:")
    a.reply(a.invite, 486, "Busy Here")
    b.ack(b.expect(486))
    no_calls_left(stack)
