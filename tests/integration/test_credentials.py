# SPDX-License-Identifier: BSD-3-Clause
"""A trunk that wants credentials: challenges are answered on the same leg, in whatever request they come; the caller sees nothing of it."""

import hashlib
import re

import pytest

import attempts
from attempts import TO_SBC, TRUNK, finish, refuse, refused
from sip import sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")
GUARD = attempts.CONFIG
HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def challenge(nonce, algorithm="MD5", header="WWW-Authenticate", more=""):
    return header, f'Digest realm="trunk.example", nonce="{nonce}", qop="auth,auth-int", algorithm={algorithm}, opaque="op"{more}'


def check_answer(request, nonce, count, header="authorization", password="open sesame"):
    """The credentials of a request, computed again (RFC 7616 section 3.4.1)."""
    assert len(request.all(header)) == 1, request.raw
    value = request[header]
    p = {k: v.strip('"') for k, v in re.findall(r'([a-z]+)=("[^"]*"|[^,\s]+)', value)}
    digest = lambda text: hashlib.new(HASHES[p["algorithm"]], text.encode()).hexdigest()
    assert value.startswith("Digest ") and (p["username"], p["realm"], p["opaque"], p["qop"]) == ("trunk-1", "trunk.example", "op", "auth")
    assert p["nonce"] == nonce and p["nc"] == f"{count:08x}" and p["uri"] == request.uri
    ha1, ha2 = digest(f"trunk-1:trunk.example:{password}"), digest(f"{request.method}:{request.uri}")
    assert p["response"] == digest(f"{ha1}:{nonce}:{p['nc']}:{p['cnonce']}:auth:{ha2}")
    return p["algorithm"]


def again(endpoint, dialog):
    """The next request of the same dialog's side: the INVITE with credentials."""
    first, dialog.invite = dialog.invite, endpoint.expect("INVITE", dialog.call_id)
    assert dialog.invite.branch != first.branch and dialog.invite["from"] == first["from"] and dialog.invite["to"] == first["to"]
    assert int(dialog.invite["cseq"].split()[0]) == int(first["cseq"].split()[0]) + 1
    return dialog.invite


def start(stack, headers=()):
    phone, trunk = stack.phone(), stack.pbx(port=TRUNK)
    a = phone.call(TO_SBC, "7000", sdp(phone.host, 30000), headers=headers)
    return phone, trunk, a, trunk.answerer()


def establish(a, b):
    b.reply(b.invite, 200, "OK", sdp(b.endpoint.host, 30002))
    ack = b.expect("ACK")
    a.ack(a.expect(lambda m: m.status == 200 and m.method == "INVITE"))
    a.endpoint.ask(TO_SBC)
    return ack


@pytest.mark.parametrize("header, status, answer", [("WWW-Authenticate", 401, "authorization"), ("Proxy-Authenticate", 407, "proxy-authorization")])
def test_a_trunk_that_asks_is_answered_and_every_request_of_the_call_carries_it(stack, header, status, answer):
    phone, trunk, a, b = start(stack)
    assert not b.invite.all(answer)
    refuse(b, status, [challenge("n1", "MD5", header), challenge("n2", "SHA-256", header)])
    assert check_answer(again(trunk, b), "n2", 1, answer) == "SHA-256"
    ack = establish(a, b)
    assert ack[answer] == b.invite[answer]
    a.request("BYE")
    bye = b.expect("BYE")
    check_answer(bye, "n2", 2, answer)
    b.reply(bye, status, headers=[challenge("n3", "SHA-512-256", header, ", stale=true")])
    bye = b.expect("BYE")
    check_answer(bye, "n3", 1, answer)
    b.reply(bye, 200)
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    assert not [m for m in phone.received if m.status in (401, 407) or b"trunk" in m.raw]
    finish(stack, phone, trunk)


def test_the_trunk_asks_for_a_bye_what_it_did_not_ask_for_the_invite(stack):
    phone, trunk, a, b = start(stack)
    establish(a, b)
    b.request("BYE")
    b.expect(lambda m: m.status == 200 and m.method == "BYE")
    bye = a.expect("BYE")
    a.reply(bye, 401, headers=[challenge("mine")])  # a phone's challenge is not answered
    finish(stack, phone, trunk)
    assert len([m for m in phone.received if m.method == "BYE" and m.is_request]) == 1


def test_proxy_and_server_of_the_trunk_both_ask(stack):
    phone, trunk, a, b = start(stack)
    refuse(b, 407, [challenge("p1", header="Proxy-Authenticate")])
    check_answer(again(trunk, b), "p1", 1, "proxy-authorization")
    refuse(b, 401, [challenge("s1")])
    invite = again(trunk, b)
    check_answer(invite, "p1", 2, "proxy-authorization")
    check_answer(invite, "s1", 1)
    establish(a, b)
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, trunk)


def test_a_wrong_password_is_said_once(stack):
    phone, trunk, a, b = start(stack)
    refuse(b, 401, [challenge("n1")])
    again(trunk, b)
    refuse(b, 401, [challenge("n2")])
    response = refused(a, 403)
    assert not response["www-authenticate"] and b"trunk.example" not in response.raw
    assert len([m for m in trunk.received if m.method == "INVITE"]) == 2
    finish(stack, phone, trunk)


def test_the_callers_own_credentials_do_not_stand_beside_ours(stack):
    theirs = ("Authorization", 'Digest username="alice", realm="x", nonce="y", uri="sip:z", response="0"')
    phone, trunk, a, b = start(stack, [theirs])
    refuse(b, 401, [challenge("n1")])
    check_answer(again(trunk, b), "n1", 1)
    establish(a, b)
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    finish(stack, phone, trunk)
