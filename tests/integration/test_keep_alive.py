# SPDX-License-Identifier: BSD-3-Clause
"""What keeps NATs open, on the wire: OPTIONS, line ends, STUN; what an adaptive interval learns of a real NAT; and who is told nothing."""

import os
import struct
import zlib

import pytest

import nat
import netns
from conftest import SBC_OUT4, Stack
from nat import TO_CORE

COOKIE = bytes.fromhex("2112a442")


def module(mode, interval=5, more=""):
    return nat.GUARD + f"""
registration {{ per-source-rate = 100  per-aor-rate = 100  keep-alive-interval = {interval}  keep-alive = {mode} }}
local-policy to-phones {{ from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }}
local-policy register  {{ from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }}
""" + more


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(module_stack):
    yield module_stack
    module_stack.end_test()
    dead = [d for d in module_stack.sbc.processes if not module_stack.sbc.alive(d)]
    assert not dead, f"died: {dead}\n{module_stack.sbc.log_tails()}"


def start(stack, mode, **kwargs):
    stack.more = module(mode, **kwargs)
    stack.start("packet", change=nat.registering)
    return nat.Registrar(stack.pbx())


def registration(stack):
    return stack.sbc.show("registration", "alice")["registrations"][0]


def test_options_keep_a_binding_of_seconds_open(stack):
    pbx = start(stack, "options")
    nat.Router(stack, "symmetric", timeout=8)
    phone = nat.phone_at(stack)
    alice = nat.registered(stack, pbx, phone)
    nat.wait_until_asked(phone, 4, 40)
    nat.incoming(stack, pbx.endpoint, alice, TO_CORE).end_by_callee()


def test_adaptive_finds_the_interval_of_a_nat_that_forgets_sooner_than_it_begins(stack):
    """It begins at 12 s before a NAT that forgets after 9 s: the first silence loses the phone, its next REGISTER tells why, and from then on
    it is asked in time."""
    pbx = start(stack, "adaptive", interval=12)
    nat.Router(stack, "symmetric", timeout=9)
    phone = nat.phone_at(stack)
    alice = nat.registered(stack, pbx, phone)
    sent = lambda: stack.sbc.counters()["controlplane"]["tx-keep-alive"]
    netns.wait_for("the first keep-alive, in vain", lambda: sent() >= 3, 40)
    assert phone.asked == 0
    alice.refresh(pbx)
    nat.wait_until_asked(phone, 3, 40)
    nat.incoming(stack, pbx.endpoint, alice, TO_CORE).end_by_callee()


def test_line_ends_keep_a_binding_open_and_wait_for_no_answer(stack):
    pbx = start(stack, "crlf")
    nat.Router(stack, "symmetric", timeout=8)
    phone = nat.phone_at(stack)
    alice = nat.registered(stack, pbx, phone)
    netns.wait_for("four keep-alives", lambda: stack.sbc.counters()["controlplane"]["tx-keep-alive"] >= 4, 40)
    assert phone.asked == 0
    nat.incoming(stack, pbx.endpoint, alice, TO_CORE).end_by_callee()


def test_a_phone_that_keeps_its_nat_open_itself_is_not_asked(stack):
    pbx = start(stack, "options")
    nat.Router(stack, "symmetric", timeout=8)
    phone = nat.phone_at(stack)
    nat.registered(stack, pbx, phone)
    for n in range(12):
        phone.send(b"\r\n\r\n", (SBC_OUT4, 5060))
        netns.wait_for("the line ends", lambda n=n: stack.sbc.counters()["controlplane"]["rx-keep-alive"] > n, 5)
        try:
            phone.expect("NOTHING", timeout=1)
        except AssertionError:
            pass
    assert phone.asked == 0


def test_a_phone_that_answers_nothing_is_called_no_more_until_it_is_heard(stack):
    pbx = start(stack, "options")
    nat.Router(stack, "symmetric")
    phone = nat.phone_at(stack)
    alice = nat.registered(stack, pbx, phone)
    phone.answers_options = False
    netns.wait_for("the phone given up", lambda: not registration(stack)["reachable"], 60)
    call = pbx.endpoint.call(TO_CORE, alice.contact_user, nat.sdp(pbx.endpoint.host, 4000))
    call.ack(call.expect(480))
    phone.send(b"\r\n\r\n", (SBC_OUT4, 5060))
    netns.wait_for("the phone heard", lambda: registration(stack)["reachable"], 10)
    nat.incoming(stack, pbx.endpoint, alice, TO_CORE).end_by_callee()


def test_a_tcp_phone_is_asked_by_its_connection_and_gone_with_it(stack):
    pbx = start(stack, "options", more='''
sip-interface access-tcp { realm = access  ip-profile = phone  registration = cache  allow-anonymous = registered
                    listen = {"tcp:203.0.113.10:5060"} }
''')
    nat.Router(stack, "symmetric")
    phone = nat.stream_phone_at(stack)
    alice = nat.registered(stack, pbx, phone)
    for _ in range(2):
        asked = phone.expect("OPTIONS", timeout=20)
        phone.send(nat.compose("SIP/2.0 200 OK", [
            *(("Via", v) for v in asked.all("via")), ("From", asked["from"]), ("To", f"{asked['to']};tag=1"), ("Call-ID", asked.call_id),
            ("CSeq", asked["cseq"])]), alice.to)
    assert len(phone.links) == 1 and registration(stack)["reachable"]
    phone.hang_up(phone.links[0])
    netns.wait_for("the phone given up", lambda: not registration(stack)["reachable"], 40)
    # Nobody calls back through a NAT.
    assert len(phone.links) == 1
    phone.connect(alice.to)
    alice.refresh(pbx)
    assert registration(stack)["reachable"]


# --- STUN ---------------------------------------------------------------------------------------------------------------------

def binding_request(fingerprint=False):
    identity = os.urandom(12)
    if not fingerprint:
        return b"\0\1\0\0" + COOKIE + identity, identity
    head = b"\0\1\0\x08" + COOKIE + identity
    return head + b"\x80\x28\0\4" + struct.pack("!I", zlib.crc32(head) ^ 0x5354554E), identity


class RawPhone:
    """A phone's socket, for what is no SIP."""

    def __init__(self, stack, host="192.168.77.2", port=0, node="phone"):
        self.socket = netns.udp_socket(stack.lab.namespace(node), host, port)
        stack.closing.append(self.socket)

    def ask(self, fingerprint=False, timeout=5.0):
        request, identity = binding_request(fingerprint)
        self.socket.settimeout(timeout)
        self.socket.sendto(request, (SBC_OUT4, 5060))
        answer = self.socket.recv(2048)
        assert answer[:2] == b"\1\1" and answer[4:20] == COOKIE + identity
        return answer


def test_stun_tells_a_registered_phone_its_public_address(stack):
    pbx = start(stack, "options")
    nat.Router(stack, "symmetric")
    phone = nat.phone_at(stack)
    nat.registered(stack, pbx, phone)
    request, identity = binding_request(True)

    def answered():
        phone.send(request, (SBC_OUT4, 5060))
        return phone.stun

    answer = netns.wait_for("an answer by STUN", answered, 10, interval=0.2)[0]
    assert answer[:2] == b"\1\1" and answer[4:20] == COOKIE + identity
    kind, length, family, port = struct.unpack("!HHHH", answer[20:28])
    address = bytes(a ^ b for a, b in zip(answer[28:32], COOKIE))
    assert (kind, length, family) == (0x0020, 8, 1)
    assert ".".join(map(str, address)) == nat.PUBLIC
    assert f"{nat.PUBLIC}:{port ^ 0x2112}" == registration(stack)["source"]
    assert struct.unpack("!I", answer[36:40])[0] == zlib.crc32(answer[:32]) ^ 0x5354554E


def test_stun_tells_strangers_nothing(stack):
    start(stack, "options")
    stranger = RawPhone(stack, "203.0.113.101", node="outside")
    before = stack.sbc.counters()["controlplane"]["rx-stun"]
    with pytest.raises(TimeoutError):
        stranger.ask(timeout=1)
    assert stack.sbc.counters()["controlplane"]["rx-stun"] == before + 1


def test_stun_tells_strangers_their_address_where_nothing_is_hidden(stack):
    stack.more = module("options").replace("guard {", "guard { silent = no ", 1)
    stack.start("packet", change=nat.registering)
    answer = RawPhone(stack, "203.0.113.101", node="outside").ask()
    assert bytes(a ^ b for a, b in zip(answer[28:32], COOKIE)) == bytes([203, 0, 113, 101])
