# SPDX-License-Identifier: BSD-3-Clause
"""Requests that are no calls: OPTIONS, unknown methods, requests outside dialogs, and those that must be refused."""

import pytest

from conftest import SBC_OUT4, SBC_OUT6
from sip import Dialog, compose, token


def lone(endpoint, method, user="1000", **kwargs):
    """Sends one request outside any dialog; returns its Dialog."""
    to = (SBC_OUT6 if ":" in endpoint.host else SBC_OUT4, 5060)
    host = f"[{to[0]}]" if ":" in to[0] else to[0]
    dialog = Dialog(endpoint, to)
    dialog.local, dialog.remote = f"<sip:alice@{host}>;tag={token()}", f"<sip:{user}@{host}>"
    dialog.target = f"sip:{user}@{host}"
    dialog.request(method, **kwargs)
    return dialog


@pytest.mark.parametrize("version", [4, 6])
def test_options_is_answered(stack, version):
    phone = stack.phone(version)
    answer = lone(phone, "OPTIONS").expect(200)
    assert "INVITE" in answer["allow"] and "BYE" in answer["allow"]
    assert answer.tag("to")


@pytest.mark.parametrize("method", ["FROBNICATE", "x-unheard.of", "REGISTER"])
def test_a_method_that_is_not_known_is_answered_405_with_allow(stack, method):
    answer = lone(stack.phone(), method).expect(lambda m: m.status and m.status >= 200)
    assert answer.status == 405
    allowed = {m.strip() for m in answer["allow"].split(",")}
    assert {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"} <= allowed and method not in allowed


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_a_request_for_a_dialog_that_is_not_there_is_answered_481(stack, method):
    phone = stack.phone()
    dialog = Dialog(phone, (SBC_OUT4, 5060))
    dialog.local, dialog.remote = f"<sip:alice@{SBC_OUT4}>;tag={token()}", f"<sip:1000@{SBC_OUT4}>;tag={token()}"
    dialog.target = f"sip:1000@{SBC_OUT4}"
    dialog.request(method)
    answer = dialog.expect(lambda m: m.status and m.status >= 200)
    assert answer.status == 481
    if method == "INVITE":
        dialog.ack(answer)


def test_cancel_of_nothing_is_answered_481(stack):
    assert lone(stack.phone(), "CANCEL").expect(lambda m: m.status).status == 481


def test_an_ack_of_nothing_is_passed_over(stack):
    phone = stack.phone()
    lone(phone, "ACK")
    lone(phone, "OPTIONS").expect(200)
    assert len(phone.received) == 1


def test_no_hops_left_is_answered_483(stack):
    phone = stack.phone()
    dialog = Dialog(phone, (SBC_OUT4, 5060))
    dialog.local, dialog.remote = f"<sip:alice@{SBC_OUT4}>;tag={token()}", f"<sip:1000@{SBC_OUT4}>"
    dialog.target = f"sip:1000@{SBC_OUT4}"
    raw = dialog.request("OPTIONS").raw.replace(b"OPTIONS", b"INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    phone.send(raw.replace(b"z9hG4bK", b"z9hG4bK-0-"), dialog.peer)
    dialog.expect(lambda m: m.status == 483 and m.method == "INVITE")


def test_an_extension_that_is_required_and_not_known_is_answered_420(stack):
    phone = stack.phone()
    dialog = phone.call((SBC_OUT4, 5060), "1000", headers=[("Require", "nothingSupportsThis")])
    answer = dialog.expect(lambda m: m.status and m.status >= 200)
    assert answer.status == 420 and "nothingSupportsThis" in answer["unsupported"]
    dialog.ack(answer)


def test_responses_go_where_the_request_came_from(stack):
    """Neither a forged Via nor its parameters send the response elsewhere (reflection)."""
    victim = stack.endpoint("outside", "203.0.113.101")
    attacker = stack.endpoint("outside", "203.0.113.100")
    dialog = Dialog(attacker, (SBC_OUT4, 5060))
    dialog.local, dialog.remote = f"<sip:a@{SBC_OUT4}>;tag={token()}", f"<sip:1000@{SBC_OUT4}>"
    dialog.target = f"sip:1000@{SBC_OUT4}"
    forged = [
        b"203.0.113.101:5060;branch=", b"203.0.113.100:5060;maddr=203.0.113.101;branch=",
        b"203.0.113.100:5060;received=203.0.113.101;branch=", b"203.0.113.100:5060;received=203.0.113.101;rport=5060;branch=",
    ]
    for i, via in enumerate(forged):
        raw = compose(
            f"OPTIONS sip:1000@{SBC_OUT4} SIP/2.0",
            [("Via", f"SIP/2.0/UDP {via.decode()}z9hG4bK{token()}"), ("Max-Forwards", "70"), ("From", dialog.local),
             ("To", dialog.remote), ("Call-ID", f"forged-{i}"), ("CSeq", "1 OPTIONS"), ("Contact", dialog.contact)],
        )
        attacker.send(raw, dialog.peer)
        attacker.expect(200, call_id=f"forged-{i}")
    assert victim.received == []
