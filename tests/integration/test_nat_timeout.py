# SPDX-License-Identifier: BSD-3-Clause
"""The NAT that most have at home: it forgets a binding after 30 s. With the settings that one gets without setting any, a phone is reached after a
minute; what nobody keeps open is closed."""

import time

import pytest

import nat
import netns
from conftest import Stack
from nat import TO_CORE

FORGETS = 30  # seconds, of the router

MORE = nat.GUARD + """
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }
"""


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more, stack.change = MORE, nat.registering
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


class Unkept:
    """A socket behind the same NAT that says one word and is silent from then on; and who may answer it once."""

    def __init__(self, stack):
        self.inside = netns.udp_socket(stack.lab.namespace("phone"), "192.168.77.2", 7000)
        self.outside = netns.udp_socket(stack.lab.namespace("outside"), "203.0.113.101", 7000)
        stack.closing.extend([self.inside, self.outside])
        self.outside.settimeout(5)

    def speak(self):
        self.inside.sendto(b"word", ("203.0.113.101", 7000))
        self.public = self.outside.recvfrom(64)[1]
        return time.monotonic()

    def hears_an_answer(self):
        self.inside.settimeout(1)
        self.outside.sendto(b"answer", self.public)
        try:
            return self.inside.recv(64) == b"answer"
        except TimeoutError:
            return False


def test_a_phone_outlives_what_its_nat_forgets_after_30_seconds(stack):
    pbx = nat.Registrar(stack.pbx())
    nat.Router(stack, "symmetric", timeout=FORGETS)
    unkept = Unkept(stack)
    unkept.speak()
    assert unkept.hears_an_answer()
    spoken = unkept.speak()
    alice = nat.registered(stack, pbx, nat.phone_at(stack))
    nat.wait_until_asked(alice.phone, 2, 2 * FORGETS + 10)
    netns.wait_for("more time than the NAT remembers", lambda: time.monotonic() > spoken + FORGETS + 2, FORGETS + 10)
    assert not unkept.hears_an_answer()
    nat.incoming(stack, pbx.endpoint, alice, TO_CORE).end_by_callee()
