# SPDX-License-Identifier: BSD-3-Clause
"""What a PBX is told of registered phones, and that nobody else can tell it so; the configuration of docs/howto-asterisk.md."""

import pathlib
import re

import pytest

import nat
import sbc as sbc_module
from conftest import SBC_OUT4, Stack
from nat import TO_CORE, registered
from sip import sdp

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "howto-asterisk.md"

CONFIGURATION = nat.GUARD + """
registration { per-source-rate = 100  per-aor-rate = 100 }
ip-profile pbx { nat = never  latching = fixed  assert-identity = yes  source-header = "X-Source"  agent-header = "X-Phone"
                 headers-pass = {"X-*", "P-Asserted-Identity"} }
sip-interface open { realm = access  ip-profile = phone  allow-anonymous = all  listen = {"udp:203.0.113.10:5080"} }
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }
"""

FORGED = (("P-Asserted-Identity", "<sip:director@example.com>"), ("P-Preferred-Identity", "<sip:director@example.com>"),
          ("Remote-Party-ID", "<sip:director@example.com>;party=calling"), ("X-Source", "10.0.0.5:5060"), ("x-phone", "trusted device"))


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more = CONFIGURATION
    stack.change = lambda text: nat.registering(text).replace(
        'address = "udp:10.0.0.5:5060" }', 'address = "udp:10.0.0.5:5060"  ip-profile = pbx }')
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def pbx(stack):
    nat.Router(stack, "symmetric")
    return nat.Registrar(stack.pbx())


def invited(pbx, phone, to=(SBC_OUT4, 5060), **kwargs):
    """The INVITE that the PBX gets for a call of the phone, which is given up then."""
    call = phone.call(to, "1000", sdp(phone.host, 4000), **kwargs)
    answerer = pbx.endpoint.answerer()
    answerer.reply(answerer.invite, 486, "Busy Here")
    pbx.endpoint.expect("ACK")
    call.ack(call.expect(486))
    return answerer.invite


def test_the_pbx_is_told_who_where_and_what_a_registered_phone_is(stack, pbx):
    phone = nat.phone_at(stack, agent='Desk Phone/1.2 "<sip:x@y>\\ä;%41')
    registered(stack, pbx, phone)
    source = stack.sbc.show("registration", "alice")["registrations"][0]["source"]
    invite = invited(pbx, phone)
    assert invite.all("p-asserted-identity") == ["<sip:alice@10.0.0.1>"]
    assert invite.all("x-source") == [source] and source.startswith(f"{nat.PUBLIC}:")
    assert invite["x-phone"].startswith("Desk Phone/1.2 __") and not set(invite["x-phone"]) & set('"<>\\;%@')


def test_what_a_phone_says_in_these_headers_is_dropped(stack, pbx):
    phone = nat.phone_at(stack)
    registered(stack, pbx, phone)
    invite = invited(pbx, phone, headers=FORGED)
    assert b"director" not in invite.raw and b"trusted device" not in invite.raw
    assert len(invite.all("x-source")) == len(invite.all("x-phone")) == len(invite.all("p-asserted-identity")) == 1


def test_who_is_not_registered_is_told_nothing_of_and_can_say_nothing(stack, pbx):
    stranger = stack.endpoint("outside", "203.0.113.101")
    invite = invited(pbx, stranger, to=(SBC_OUT4, 5080), headers=FORGED[3:])
    for name in ("p-asserted-identity", "x-source", "x-phone"):
        assert not invite.all(name)


def test_the_asserted_line_is_the_one_that_calls_and_no_other(stack, pbx):
    """Two lines of one phone share its flow; a From of somebody else's does not make him the caller."""
    phone = nat.phone_at(stack)
    for user in ("alice", "berta"):
        registered(stack, pbx, phone, user)
    for caller, asserted in (("alice", "alice"), ("berta", "berta")):
        assert invited(pbx, phone, caller=caller)["p-asserted-identity"] == f"<sip:{asserted}@10.0.0.1>"
    assert invited(pbx, phone, caller="director")["p-asserted-identity"] in ("<sip:alice@10.0.0.1>", "<sip:berta@10.0.0.1>")


def test_an_anonymous_caller_stays_so_where_privacy_is_carried_out(stack, pbx):
    phone = nat.phone_at(stack)
    registered(stack, pbx, phone)
    # Towards a trusted side the wish goes with the identity (RFC 3325 section 7).
    invite = invited(pbx, phone, headers=(("Privacy", "id"),))
    assert invite["privacy"] == "id" and invite["p-asserted-identity"] == "<sip:alice@10.0.0.1>"


def test_messages_are_told_of_as_calls_are(stack, pbx):
    phone = nat.phone_at(stack)
    alice = registered(stack, pbx, phone)
    from relayed import outside

    dialog = outside(phone, "1000", alice.to)
    dialog.request("MESSAGE", b"hello", content_type="text/plain", headers=FORGED)
    message = pbx.endpoint.expect("MESSAGE")
    pbx.endpoint.send(nat.compose("SIP/2.0 200 OK", [
        *(("Via", v) for v in message.all("via")), ("From", message["from"]), ("To", f"{message['to']};tag=1"),
        ("Call-ID", message.call_id), ("CSeq", message["cseq"])]), message.source)
    dialog.expect(200)
    assert message.all("p-asserted-identity") == ["<sip:alice@10.0.0.1>"] and b"director" not in message.raw


# --- docs/howto-asterisk.md -----------------------------------------------------------------------------------------------------

def page(name):
    """The block of the page whose first line is `# name`, or `; name`."""
    found = re.search(rf"```\w*\n[#;] {re.escape(name)}\n(.*?)```", PAGE.read_text(), re.S)
    assert found, f"{PAGE.name} has no {name}"
    return found.group(1)


def test_the_configuration_of_the_page_is_valid(stack, tmp_path):
    path = tmp_path / "sallyport.conf"
    path.write_text(page("sallyport.conf"))
    result = stack.sbc.command("config", "check", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_two_sides_of_the_page_fit():
    """Addresses, ports and header names that both files name."""
    ours, theirs = page("sallyport.conf"), page("pjsip.conf")
    sbc_address = re.search(r'sip-interface core.*?udp:([0-9.]+):5060', ours, re.S).group(1)
    assert f"match={sbc_address}" in theirs and f"outbound_proxy=sip:{sbc_address}" in theirs
    pbx_address = re.search(r'session-agent pbx.*?udp:([0-9.]+):5060', ours, re.S).group(1)
    assert f"bind={pbx_address}:5060" in theirs
    for name in re.findall(r'(?:source|agent)-header = "([^"]+)"', ours):
        assert name in page("extensions.conf")
    assert "trust_id_inbound=yes" in theirs and "assert-identity = yes" in ours


def test_a_phone_lives_with_the_configuration_of_the_page(module_stack):
    """The page's configuration on the lab's interfaces, with a PBX that does what Asterisk does: it knows the SBC by its address (identify),
    keeps what Contact the SBC has registered (aor), and calls that."""
    stack = module_stack
    text = page("sallyport.conf")
    lab = sbc_module.configuration(stack.lab)
    # What is the machine's and not the page's: where files lie, and which ports there are.
    own = {name: re.search(rf"^{name}\s*{{.*?}}\n", lab, re.M | re.S).group(0) for name in ("system", "media-manager")}
    for name, block in own.items():
        text = re.sub(rf"^{name}\s*{{.*?}}\n", lambda _, block=block: block, text, flags=re.M | re.S)
    text = text.replace('"xdp:eth1"', '"packet:eth1"').replace('"xdp:eth2"', '"packet:eth2"')
    stack.end_test()
    more, stack.more = stack.more, ""
    try:
        stack.start("packet", change=lambda _: text)
        nat.Router(stack, "symmetric")
        pbx = nat.Registrar(stack.pbx())
        for port in (5060, 38388):
            phone = nat.phone_at(stack, port=port)
            user = f"{port % 1000 + 100}"
            line = registered(stack, pbx, phone, user, (SBC_OUT4, port))
            talk = nat.incoming(stack, pbx.endpoint, line, TO_CORE).heard()
            talk.end(talk.a)
            talk = nat.Talk(stack, phone, line.to, "100", pbx.endpoint, caller_user=user).heard()
            assert talk.b.invite["p-asserted-identity"] == f"<sip:{user}@10.0.0.1>" and talk.b.invite["x-source"]
            talk.end(talk.b)
        stack.end_test()
    finally:
        stack.end_test()
        stack.more = more
        stack.start("packet")
