# SPDX-License-Identifier: BSD-3-Clause
"""Who is who by certificate (RFC 5922, RFC 5924): agents behind any address, those who only claim to be one, and agents that cannot prove
who they are: a clear answer, an alarm, and nothing in clear."""

import json
import ssl

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4, Call, lab
from pki import SIP_DOMAIN, Pki
from sip import sdp
from tls_peer import TlsEndpoint, client_side, server_side

OPEN, DEMANDING = (SBC_OUT4, 5061), (SBC_OUT4, 5062)  # certificates are looked at; and demanded
CARRIER = "203.0.113.100"
NAME = "itsp.example.test"


def configuration():
    pki = Pki.of_this_run()
    sbc = pki.issue("sbc", dns=["sbc.example.test"], ip=[SBC_OUT4])
    pki.revoked("revoked", dns=[NAME])
    return f"""
guard {{ untrusted-rate = 10000  untrusted-burst = 10000  stream-rate = 10000  syn-rate = 10000 }}
tls-profile open      {{ certificate = "{sbc.certificate}"  key = "{sbc.key}"  ca = "{pki.ca}"  crl = "{pki.crl()}" }}
tls-profile demanding {{ certificate = "{sbc.certificate}"  key = "{sbc.key}"  ca = "{pki.ca}"  verify-peer = yes }}
sip-interface open      {{ realm = access  ip-profile = trunk  allow-anonymous = agents  tls-profile = open
                    listen = {{"tls:203.0.113.10:5061", "tcp:203.0.113.10:5066", "udp:203.0.113.10:5066"}} }}
sip-interface demanding {{ realm = access  ip-profile = trunk  allow-anonymous = agents  tls-profile = demanding
                    listen = {{"tls:203.0.113.10:5062"}} }}
session-agent itsp   {{ realm = access  address = "tls:{CARRIER}:5071"  ip-profile = trunk  tls-subject = {{"{NAME}"}} }}
session-agent second {{ realm = access  address = "tls:203.0.113.101:5071"  ip-profile = trunk }}
local-policy to-itsp {{ from-realm = core  to = "^98[0-9]+$"  next-hop = "agent:itsp"  priority = 1 }}
"""


@pytest.fixture(scope="module")
def module_stack():
    # The plain carrier of the lab has the address that the agent of this test is configured with.
    with lab(configuration(), lambda text: text.replace(f'"udp:{CARRIER}:5060"', '"udp:203.0.113.120:5060"')) as stack:
        yield stack


def peer(stack, node, host, issued=None, port=0, server=None):
    endpoint = TlsEndpoint(stack.lab.namespace(node), host, port, client=client_side(Pki.of_this_run().ca, issued), server=server)
    stack.closing.append(endpoint)
    return endpoint


def stranger(stack, issued=None):
    """Somebody behind a NAT, whose address is nobody's."""
    return peer(stack, "phone", "192.168.77.2", issued)


def at_the_agents_address(stack, issued=None):
    return peer(stack, "outside", CARRIER, issued)


def alarms(stack, kind="tls-peer-verify-failed"):
    return [a for a in stack.sbc.show("alarms")["alarms"] if a["alarm"] == kind]


def refused(endpoint, to=OPEN):
    """Its INVITE is answered 403."""
    a = endpoint.call(to, "1000", sdp(endpoint.host, 30000))
    a.ack(a.expect(403))


# --- who calls us ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [OPEN, DEMANDING], ids=["open", "demanding"])
@pytest.mark.parametrize("names", [{"dns": [NAME]}, {"dns": ["ITSP.Example.Test"]}, {"uri": [f"sip:{NAME}"]},
                                   {"dns": ["a.example.test", NAME]}, {"dns": [NAME], "eku": SIP_DOMAIN}, {"dns": [NAME], "eku": None},
                                   {"cn": NAME}],
                         ids=["dns", "any case", "uri", "one of them", "sip domain", "any use", "subject alone"])
def test_an_agent_is_known_by_its_certificate_wherever_it_is(stack, pki, to, names):
    caller = stranger(stack, pki.issue("agent", **names))
    call = Call(stack, caller, stack.pbx(), "1000", to=to)
    shown = stack.sbc.the_call()
    assert "itsp" in json.dumps(shown["legs"][0])
    call.hang_up()
    # At the border, too, while its connection lasts: no stranger's rate.
    source = shown["legs"][0]["remote-address"]
    assert any(row["source"] == source for row in stack.sbc.show("trusted")["trusted"])
    caller.hang_up(caller.links[0])
    netns.wait_for("the end of the trust", lambda: source not in str(stack.sbc.show("trusted")), 5)


@pytest.mark.parametrize("names", [{"dns": ["other.example.test"]}, {"dns": ["*.example.test"]}, {"uri": [f"sip:alice@{NAME}"]},
                                   {"uri": [f"sips:{NAME}"]}, {"dns": ["other.test"], "cn": NAME}, {"ip": [CARRIER]}],
                         ids=["another", "wildcard", "a person", "sips", "subject beside names", "address"])
def test_a_certificate_of_another_name_is_a_strangers(stack, pki, names):
    caller = stranger(stack, pki.issue("stranger", **names))
    refused(caller)


def test_without_a_certificate_an_address_is_not_enough(stack):
    for caller in (stranger(stack), at_the_agents_address(stack)):
        refused(caller)


def test_an_agent_that_speaks_tls_is_a_stranger_without(stack):
    caller = stack.endpoint("outside", CARRIER, 0)
    refused(caller, (SBC_OUT4, 5066))


def test_another_agents_certificate_at_the_address_of_one(stack, pki):
    """`second` is known by its own address, which its certificate names: it is `second` there, too."""
    caller = at_the_agents_address(stack, pki.issue("second", ip=["203.0.113.101"]))
    call = Call(stack, caller, stack.pbx(), "1000", to=DEMANDING)
    leg = json.dumps(stack.sbc.the_call()["legs"][0])
    assert "second" in leg and "itsp" not in leg
    call.hang_up()


@pytest.mark.parametrize("wrong", ["expired", "not_yet_valid", "self_signed", "unknown", "revoked", "use"])
def test_who_shows_a_bad_certificate_is_not_spoken_to(stack, pki, wrong):
    if wrong == "use":
        issued = pki.issue("wrong-use", dns=[NAME], eku="codeSigning")
    elif wrong == "revoked":
        issued = pki.issue("revoked", dns=[NAME])
    else:
        issued = getattr(pki, wrong)(wrong, dns=[NAME])
    before = sum(a["times"] for a in alarms(stack) if a["subject"] == "open")
    caller = stranger(stack, issued)
    try:
        link = caller.connect(OPEN)
        caller.wait(lambda: not link.is_open, "the end of the connection")
    except (ssl.SSLError, ConnectionError):
        pass
    assert not caller.received
    netns.wait_for("an alarm", lambda: sum(a["times"] for a in alarms(stack) if a["subject"] == "open") > before, 5)


# --- whom we call ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [{"dns": [NAME]}, {"uri": [f"sip:{NAME}"]}, {"dns": [NAME], "key": "rsa"},
                                   {"dns": [NAME], "eku": SIP_DOMAIN}], ids=["dns", "uri", "rsa", "sip domain"])
def test_an_agent_that_shows_its_name_is_called(stack, pki, names):
    carrier = peer(stack, "outside", CARRIER, port=5071, server=server_side(pki.issue("carrier", **names)))
    Call(stack, stack.pbx(), carrier, "9800", to=(SBC_IN4, 5060)).hang_up()
    assert not [a for a in alarms(stack) if a["subject"] == "itsp"]


@pytest.mark.parametrize("wrong", ["name", "address", "wildcard", "use", "revoked"])
def test_an_agent_that_does_not_is_not_called_and_nothing_goes_in_clear(stack, pki, wrong):
    issued = {"name": lambda: pki.issue("imposter", dns=["evil.example.test"]),
              "address": lambda: pki.issue("imposter", ip=[CARRIER]),
              "wildcard": lambda: pki.issue("imposter", dns=["*.example.test"]),
              "use": lambda: pki.issue("imposter", dns=[NAME], eku="codeSigning"),
              "revoked": lambda: pki.issue("revoked", dns=[NAME])}[wrong]()
    carrier = peer(stack, "outside", CARRIER, port=5071, server=server_side(issued))
    plain = [stack.endpoint("outside", CARRIER, port) for port in (5060, 5061, 5071)]
    pbx = stack.pbx()
    a = pbx.call((SBC_IN4, 5060), "9800", sdp(pbx.host, 30000))
    answer = a.expect(503)
    a.ack(answer)
    assert not carrier.received and not any(p.received for p in plain)
    raised = [x for x in alarms(stack) if x["subject"] == "itsp"]
    assert raised and "certificate" in raised[0]["text"]
    for word in (CARRIER, "203.0.113", NAME, "itsp", "ertificate", "imposter", "TLS"):
        assert word.encode() not in answer.raw, answer.raw


def test_the_alarm_ends_when_the_agent_shows_its_name_again(stack, pki):
    carrier = peer(stack, "outside", CARRIER, port=5071, server=server_side(pki.issue("imposter", dns=["evil.example.test"])))
    pbx = stack.pbx()
    a = pbx.call((SBC_IN4, 5060), "9800", sdp(pbx.host, 30000))
    a.ack(a.expect(503))
    assert [x for x in alarms(stack) if x["subject"] == "itsp"]
    carrier.close()
    stack.closing.remove(carrier)
    carrier = peer(stack, "outside", CARRIER, port=5071, server=server_side(pki.issue("carrier", dns=[NAME])))
    Call(stack, pbx, carrier, "9800", to=(SBC_IN4, 5060)).hang_up()
    assert not [x for x in alarms(stack) if x["subject"] == "itsp"]
