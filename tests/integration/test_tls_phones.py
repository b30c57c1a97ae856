# SPDX-License-Identifier: BSD-3-Clause
"""baresip and linphone behind the NAT register by TLS, believing the test's authority alone, and call and are called with SRTP by a baresip on
the inside that speaks plain UDP and RTP; each hears the other's melody."""

import pytest

import nat
from conftest import SBC_OUT4, lab, survived
from phone_programs import POLICIES, Party, baresips_call_each_other, carol_and_desk_call_each_other

WHERE = f"{SBC_OUT4}:5061"


@pytest.fixture(scope="module")
def module_stack(pki):
    # The name is the address: what phones compare it with that are configured with one.
    sbc = pki.issue("sbc", cn=SBC_OUT4, dns=[SBC_OUT4], ip=[SBC_OUT4])
    with lab(nat.GUARD + POLICIES + f"""
tls-profile public {{ certificate = "{sbc.certificate}"  key = "{sbc.key}" }}
ip-profile secret {{ nat = auto  latching = latch  media-security = require }}
sip-interface secret {{ realm = access  ip-profile = secret  registration = cache  allow-anonymous = registered  tls-profile = public
                    listen = {{"tls:{WHERE}"}} }}
""", nat.registering) as stack:
        yield stack


@pytest.fixture
def stack(module_stack):
    yield module_stack
    survived(module_stack)


def is_secret(stack, user):
    assert stack.sbc.show("registration", user)["registrations"][0]["transport"] == "tls"
    return lambda: "AES" in str(stack.sbc.the_call()["media"]) or pytest.fail("media without SRTP")


def test_baresip_by_tls_and_srtp(stack, pki):
    with Party(stack, "baresip-tls") as party:
        desk = party.desk()
        alice = party.baresip("phone", "alice", "192.168.77.2", f"{WHERE};transport=tls", "phone", ";mediaenc=srtp-mand",
                              more=f"module srtp.so\nsip_cafile {pki.ca}\nsip_verify_server yes\n")
        baresips_call_each_other(stack, party.notes, alice, desk, f"sip:desk@{WHERE};transport=tls", "sip:alice@10.0.0.5", is_secret(stack, "alice"))


def test_linphone_by_tls_and_srtp(stack, pki):
    with Party(stack, "linphone-tls") as party:
        desk = party.desk()
        carol = party.carol(
            f"{WHERE};transport=tls",
            sip=f"sip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\nroot_ca={pki.ca}\nverify_server_certs=1\nverify_server_cn=1\n"
                "media_encryption=srtp\nmedia_encryption_mandatory=1\n")
        carol_and_desk_call_each_other(stack, party.notes, carol, desk, is_secret(stack, "carol"))
