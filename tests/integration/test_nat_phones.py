# SPDX-License-Identifier: BSD-3-Clause
"""Programs that people use, behind the NAT: baresip and linphone register through the SBC at a Kamailio, which asks for their passwords, and
call and are called by a baresip on the inside, each hearing the other's melody."""

import pytest

import nat
from conftest import SBC_OUT4, lab, survived
from phone_programs import POLICIES, Party, baresips_call_each_other, carol_and_desk_call_each_other


@pytest.fixture(scope="module")
def module_stack():
    with lab(nat.GUARD + POLICIES, nat.registering) as stack:
        nat.Router(stack, "symmetric")
        yield stack


@pytest.fixture
def stack(module_stack):
    yield module_stack
    survived(module_stack)


def test_baresip_registers_with_its_password_calls_and_is_called(stack):
    with Party(stack, "programs") as party:
        desk, alice = party.desk(), party.baresip("phone", "alice", "192.168.77.2", SBC_OUT4, "phone")
        shown = stack.sbc.show("registration", "alice")["registrations"][0]
        assert shown["nat"] and shown["source"].startswith(nat.PUBLIC)
        baresips_call_each_other(stack, party.notes, alice, desk, f"sip:desk@{SBC_OUT4}", "sip:alice@10.0.0.5")


def test_linphone_registers_with_its_password_calls_and_is_called(stack):
    with Party(stack, "linphone") as party:
        desk, carol = party.desk(), party.carol(SBC_OUT4)
        assert (f"carol@{SBC_OUT4}", True) in [(r["aor"], r["nat"]) for r in stack.sbc.show("registrations")["registrations"]]
        assert "linphone" in stack.sbc.show("registration", "carol")["registrations"][0]["user-agent"].lower()
        carol_and_desk_call_each_other(stack, party.notes, carol, desk)
