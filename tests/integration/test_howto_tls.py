# SPDX-License-Identifier: BSD-3-Clause
"""The configuration of docs/howto-tls.md: valid, and calls between carrier and PBX by certificates and SRTP on both sides."""

import os
import pathlib
import re
import shutil

import pytest

import sbc as sbc_module
from conftest import SBC_IN4, SBC_OUT4, Stack
from pki import Pki
from sip import sdp
from tls_peer import TlsEndpoint, client_side, server_side

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "howto-tls.md"
FILES = pathlib.Path("/tmp/sallyport-howto-%d" % os.getpid())
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def page():
    return re.search(r"```\n# sallyport\.conf\n(.*?)```", PAGE.read_text(), re.S).group(1)


def put(issued, certificate, key):
    shutil.copy(issued.certificate, FILES / certificate)
    shutil.copy(issued.key, FILES / key)


@pytest.fixture(scope="module")
def module_stack():
    """The page's configuration on the lab's interfaces, with files of the tests' authority, and the carrier's name as its address."""
    pki = Pki.of_this_run()
    FILES.mkdir()
    put(pki.issue("sbc", dns=["sbc.example.test"], ip=[SBC_OUT4]), "fullchain.pem", "privkey.pem")
    put(pki.issue("inside", ip=[SBC_IN4]), "inside.pem", "inside.key")
    for name in ("carrier-ca.pem", "inside-ca.pem"):
        shutil.copy(pki.ca, FILES / name)
    stack = Stack()
    lab = sbc_module.configuration(stack.lab)
    text = page()
    for name in ("system", "media-manager"):
        block = re.search(rf"^{name}\s*{{.*?}}\n", lab, re.M | re.S).group(0)
        text = re.sub(rf"^{name}\s*{{.*?}}\n", lambda _, block=block: block, text, flags=re.M | re.S)
    for ours, labs in (('"xdp:eth1"', '"packet:eth1"'), ('"xdp:eth2"', '"packet:eth2"'), ("/etc/sallyport/tls", str(FILES)),
                       ("tls:sip.itsp.example", "tls:203.0.113.100:5071")):
        assert ours in text
        text = text.replace(ours, labs)
    try:
        stack.start("packet", change=lambda _: text)
        yield stack
    finally:
        stack.down()
        shutil.rmtree(FILES, ignore_errors=True)


def peer(stack, node, host, port, **names):
    pki = Pki.of_this_run()
    issued = pki.issue("peer", **names)
    endpoint = TlsEndpoint(stack.lab.namespace(node), host, port, server=server_side(issued, pki.ca), client=client_side(pki.ca, issued))
    stack.closing.append(endpoint)
    return endpoint


def secret(host, port):
    return sdp(host, port, extra=(KEY,)).replace(b"RTP/AVP", b"RTP/SAVP")


def call(caller, callee, to, number, offered):
    """offered: with which profile the callee is asked; keys are beside it in any case, and none of them the caller's."""
    a = caller.call(to, number, secret(caller.host, 30000))
    b = callee.answerer()
    assert offered in b.invite.body and b"a=crypto:" in b.invite.body and b"WVNfX19z" not in b.invite.body
    b.reply(b.invite, 200, "OK", secret(callee.host, 30002).replace(b"RTP/SAVP", offered))
    ok = a.expect(200)
    assert b"RTP/SAVP" in ok.body
    a.ack(ok)
    b.expect("ACK")
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")


def test_the_configuration_of_the_page_is_valid(stack):
    assert stack.sbc.command("config", "check", str(stack.sbc.config_path)).returncode == 0


def test_carrier_and_pbx_call_each_other_with_the_configuration_of_the_page(stack):
    pbx = peer(stack, "pbx", "10.0.0.5", 5061, ip=["10.0.0.5"])
    carrier = peer(stack, "outside", "203.0.113.100", 5071, dns=["itsp.example"])
    call(carrier, pbx, (SBC_OUT4, 5062), "4711", b"RTP/SAVP")
    call(pbx, carrier, (SBC_IN4, 5061), "0815", b"RTP/AVP")


def test_what_the_page_says_of_asterisk_fits(stack):
    text = PAGE.read_text()
    assert f"outbound_proxy=sip:{SBC_IN4}:5061" in text and "bind=10.0.0.5:5061" in text and '"tls:10.0.0.5"' in page()
