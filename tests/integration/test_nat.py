# SPDX-License-Identifier: BSD-3-Clause
"""Registered phones behind real NATs of every kind: reached, heard, held, hung up, and reached again when their NAT has changed its mind."""

import pytest

import nat
import netns
from conftest import SBC_OUT4, Stack
from nat import TO_CORE, registered
from sip import sdp

GUARD = """
guard { untrusted-rate = 1000  untrusted-burst = 1000 }
registration { per-source-rate = 100  per-aor-rate = 100  keep-alive-interval = 5  keep-alive = options }
ip-profile near { nat = auto  latching = latch  local-media = yes }
sip-interface access-second { realm = access  ip-profile = phone  registration = cache  allow-anonymous = registered
                    listen = {"udp:203.0.113.10:38388", "tcp:203.0.113.10:5060"} }
sip-interface access-local { realm = access  ip-profile = near  registration = cache  allow-anonymous = registered
                    listen = {"udp:203.0.113.10:5070"} }
local-policy to-phones { from-realm = core    to = ".*"      next-hop = "registration"  priority = 20 }
local-policy among     { from-realm = access  to = "^[a-z]+$"  next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"  priority = 30 }
"""

PORTS = {"5060": (SBC_OUT4, 5060), "38388": (SBC_OUT4, 38388)}


@pytest.fixture(scope="module", params=[1, 3], ids=["1 shard", "3 shards"])
def module_stack(request):
    stack = Stack()
    stack.more, stack.change = GUARD + f"sip-config {{ shards = {request.param} }}\n", nat.registering
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def pbx(stack):
    return nat.Registrar(stack.pbx())


def whole_life(stack, pbx, registration):
    """Calls both ways with audio, hold from both sides, BYE from both sides, and a refresh in between."""
    phone, core = registration.phone, pbx.endpoint
    talk = nat.incoming(stack, core, registration, TO_CORE).heard()
    talk.hold_and_resume(talk.b)
    talk.heard()
    talk.end(talk.a)
    talk = nat.Talk(stack, phone, registration.to, "1000", core, registration.user).heard()
    talk.hold_and_resume(talk.b)
    talk.hold_and_resume(talk.a)
    talk.end(talk.b)
    registration.refresh()
    talk = nat.incoming(stack, core, registration, TO_CORE).heard()
    talk.end(talk.b)
    talk = nat.Talk(stack, phone, registration.to, "1000", core, registration.user)
    talk.end(talk.a)


# kind: who else gets in besides the address and port that were written to, and whether each destination is shown another port
LETS_IN = {"full cone": ("other port", "other address"), "address restricted": ("other port",), "port restricted": (), "symmetric": ()}


@pytest.mark.parametrize("kind", nat.KINDS)
def test_the_router_is_what_it_is_called(stack, kind):
    """RFC 4787 sections 4.1 and 5."""
    nat.Router(stack, kind)
    inner = netns.udp_socket(stack.lab.namespace("phone"), "192.168.77.2", 5770 + list(nat.KINDS).index(kind))
    outside = lambda host, port: netns.udp_socket(stack.lab.namespace("outside"), host, port)
    with inner, outside("203.0.113.100", 6000) as asked, outside("203.0.113.100", 6001) as other_port, \
            outside("203.0.113.101", 6000) as other_address, outside("203.0.113.101", 6001) as second:
        for sock in (inner, asked, other_port, other_address, second):
            sock.settimeout(5)
        inner.sendto(b"out", ("203.0.113.100", 6000))
        shown = asked.recvfrom(100)[1]
        assert shown[0] == nat.PUBLIC
        for name, sock in (("other port", other_port), ("other address", other_address)):
            sock.sendto(name.encode(), shown)
        asked.sendto(b"asked", shown)  # the last one: nothing is behind it
        got = []
        while not got or got[-1] != "asked":
            got.append(inner.recv(100).decode())
        assert sorted(got[:-1]) == sorted(LETS_IN[kind])
        inner.sendto(b"out", ("203.0.113.101", 6001))
        assert (second.recvfrom(100)[1] == shown) == (kind != "symmetric")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("kind", nat.KINDS)
def test_a_phone_behind_a_nat_is_reached_heard_and_kept(stack, pbx, kind, port):
    router = nat.Router(stack, kind)
    registration = registered(stack, pbx, nat.phone_at(stack), to=PORTS[port])
    whole_life(stack, pbx, registration)
    # The router is switched off and on: other ports, or the same ones closed. The phone's next REGISTER mends it.
    router.forget()
    registration.refresh(pbx if kind == "symmetric" else None)
    nat.incoming(stack, pbx.endpoint, registration, TO_CORE).heard()


def test_dialogs_follow_a_phone_that_registers_from_another_flow(stack, pbx):
    """The BYE of the PBX reaches a phone whose NAT has given it another port in the middle of the call."""
    router = nat.Router(stack, "symmetric")
    registration = registered(stack, pbx, nat.phone_at(stack))
    talk = nat.incoming(stack, pbx.endpoint, registration, TO_CORE).heard()
    router.forget()
    registration.refresh(pbx)
    talk.end(talk.a)
    # Also when another public address came with it.
    talk = nat.Talk(stack, registration.phone, registration.to, "1000", pbx.endpoint).heard()
    router.move("203.0.113.7")
    registration.refresh(pbx)
    talk.end(talk.b)


def test_a_phone_is_reached_from_the_port_that_it_registered_at_last(stack, pbx):
    nat.Router(stack, "port restricted")
    phone = nat.phone_at(stack)
    for port in ("38388", "5060"):
        registration = registered(stack, pbx, phone, to=PORTS[port])
        talk = nat.incoming(stack, pbx.endpoint, registration, TO_CORE).heard()
        talk.end(talk.a)
        registration.refresh(pbx, expires=0)


def test_two_nats_in_a_row(stack, pbx):
    nat.Router(stack, "symmetric")
    nat.Carrier(stack)
    whole_life(stack, pbx, registered(stack, pbx, nat.phone_at(stack, "192.168.178.2", node="inner")))


def test_two_phones_with_the_same_port_behind_one_nat(stack, pbx):
    nat.Router(stack, "port restricted")
    phones = [nat.phone_at(stack, f"192.168.77.{n}") for n in (2, 3)]
    registrations = [registered(stack, pbx, phone, user) for phone, user in zip(phones, ("alice", "bob"))]
    for registration in registrations:
        whole_life(stack, pbx, registration)


def test_a_middlebox_that_rewrites_wrongly(stack, pbx):
    router = nat.Router(stack, "symmetric")
    nat.Middlebox(router)
    whole_life(stack, pbx, registered(stack, pbx, nat.phone_at(stack, port=5066)))  # the router remembers whom it has diverted


def test_the_kernels_own_sip_helper(stack, pbx):
    """An ALG that rewrites what it understands: nf_nat_sip."""
    router = nat.Router(stack, "port restricted")
    router.rules(nat.KINDS["port restricted"] + """
        ct helper sip-helper { type "sip" protocol udp; }
        chain help { type filter hook prerouting priority filter; udp dport 5060 ct helper set "sip-helper"; }""")
    whole_life(stack, pbx, registered(stack, pbx, nat.phone_at(stack, port=5064)))  # a flow that it sees from its beginning


def test_a_binding_that_ends_after_seconds_is_kept_open(stack, pbx):
    """The NAT forgets after 8 s, the keep-alives come each 5 s: minutes later than the NAT's patience the phone is still reached."""
    nat.Router(stack, "symmetric", timeout=8)
    phone = nat.phone_at(stack)
    registration = registered(stack, pbx, phone)
    nat.wait_until_asked(phone, 4, 40)
    talk = nat.incoming(stack, pbx.endpoint, registration, TO_CORE)
    talk.end(talk.b)


def test_without_keep_alives_the_nat_closes_and_the_next_register_opens_it(stack, pbx):
    """What the keep-alives are for; and that the phone's own REGISTER mends it."""
    router = nat.Router(stack, "symmetric")
    phone = nat.phone_at(stack)
    phone.answers_options = False
    registration = registered(stack, pbx, phone)
    router.forget()
    call = pbx.endpoint.call(TO_CORE, registration.contact_user, sdp(pbx.endpoint.host, 4000))
    call.expect(100)
    assert not phone.pending(lambda m: m.method == "INVITE")
    call.cancel()
    call.ack(call.expect(487))
    registration.refresh(pbx)
    talk = nat.incoming(stack, pbx.endpoint, registration, TO_CORE)
    talk.end(talk.a)


# --- streams ------------------------------------------------------------------------------------------------------------------

def test_a_phone_on_tcp_is_called_by_its_connection_and_a_new_one_takes_its_place(stack, pbx):
    router = nat.Router(stack, "symmetric")
    phone = nat.stream_phone_at(stack)
    registration = registered(stack, pbx, phone)
    talk = nat.incoming(stack, pbx.endpoint, registration, TO_CORE).heard()
    talk.end(talk.b)
    assert len(phone.links) == 1
    # The router is switched off and on, the phone finds out and connects again.
    router.forget()
    phone.connect(registration.to)
    registration.refresh(pbx)
    talk = nat.incoming(stack, pbx.endpoint, registration, TO_CORE).heard()
    talk.end(talk.a)
    assert len(phone.links) == 2


def test_a_phone_whose_connection_has_ended_is_gone_at_once_and_its_other_contact_is_called(stack, pbx):
    nat.Router(stack, "symmetric")
    desk, soft = nat.phone_at(stack), nat.stream_phone_at(stack)
    first = registered(stack, pbx, desk)
    second = registered(stack, pbx, soft)
    reachable = lambda: sorted(row["reachable"] for row in stack.sbc.show("registrations")["registrations"])
    assert reachable() == [True, True]
    soft.hang_up(soft.links[0])
    # Before anything is due to be sent to it: its first keep-alive comes after 7/8 of its interval of 5 seconds.
    netns.wait_for("the end of the connection seen", lambda: reachable() == [False, True], 4)
    call = pbx.endpoint.call(TO_CORE, second.contact_user, nat.sdp(pbx.endpoint.host, 4000))
    call.ack(call.expect(480))
    # By name: the one that is there.
    nat.Talk(stack, pbx.endpoint, TO_CORE, first.user, desk).end_by_callee()
    assert len(soft.links) == 1
    soft.connect(second.to)
    second.refresh(pbx)
    assert reachable() == [True, True]
    nat.incoming(stack, pbx.endpoint, second, TO_CORE).end_by_callee()


def test_two_phones_of_one_user_ring_together_and_who_answers_is_heard(stack, pbx):
    """Behind one NAT, each by its own flow. Whichever answers has the call; the other stops ringing."""
    nat.Router(stack, "symmetric")
    phones = [nat.phone_at(stack), nat.phone_at(stack, port=5064)]
    for phone in phones:
        registered(stack, pbx, phone)
    for who in (0, 1):
        winner, loser = phones[who], phones[1 - who]
        near, far = nat.Media(pbx.endpoint.namespace, pbx.endpoint.host), nat.Media(winner.namespace, winner.host)
        stack.closing += [near, far]
        a = pbx.endpoint.call(TO_CORE, "alice", sdp(pbx.endpoint.host, near.port))
        rings = [phone.answerer() for phone in phones]
        for dialog in rings:
            dialog.reply(dialog.invite, 180, "Ringing")
        a.expect(180)
        b, other = rings[who], rings[1 - who]
        far.destination = b.invite.media()[:2]
        b.reply(b.invite, 200, "OK", sdp(winner.host, far.port))
        ok = a.expect(200)
        near.destination = ok.media()[:2]
        a.ack(ok)
        b.expect("ACK")
        cancel = other.expect("CANCEL")
        assert "cause=200" in cancel["reason"]
        other.reply(cancel, 200, "OK")
        other.reply(other.invite, 487, "Request Terminated")
        other.expect("ACK")
        nat.open_path(far, near)
        nat.exchange([(near, far)], 5)
        nat.check_exactly_once(near, far)
        nat.check_exactly_once(far, near)
        a.request("BYE")
        b.take_bye()
        a.expect(lambda m: m.status == 200 and m.method == "BYE")
        assert not loser.pending(lambda m: m.method in ("ACK", "BYE", "INVITE"))


def test_pings_of_a_tcp_phone_are_answered(stack, pbx):
    nat.Router(stack, "symmetric")
    phone = nat.stream_phone_at(stack)
    registered(stack, pbx, phone)
    phone.links[0].socket.sendall(b"\r\n\r\n")
    phone.wait(lambda: phone.links[0].line_ends == 1, "the pong")


# --- hairpin ------------------------------------------------------------------------------------------------------------------

def two_phones(stack, pbx, port):
    nat.Router(stack, "symmetric")
    phones = [nat.phone_at(stack, f"192.168.77.{n}") for n in (2, 3)]
    return [registered(stack, pbx, phone, user, (SBC_OUT4, port)) for phone, user in zip(phones, ("alice", "bob"))]


def test_two_phones_behind_one_nat_talk_through_the_sbc(stack, pbx):
    alice, bob = two_phones(stack, pbx, 5060)
    talk = nat.Talk(stack, alice.phone, alice.to, "bob", bob.phone)
    assert talk.b.invite.media()[0] == SBC_OUT4 and talk.ok.media()[0] == SBC_OUT4
    for side, other in ((talk.near, talk.far), (talk.far, talk.near)):  # both open their NAT
        side.send()
    talk.heard()
    talk.end(talk.a)


def test_with_local_media_they_send_to_each_other(stack, pbx):
    alice, bob = two_phones(stack, pbx, 5070)
    talk = nat.Talk(stack, alice.phone, alice.to, "bob", bob.phone)
    assert talk.b.invite.media()[:2] == (alice.phone.host, talk.near.port)
    assert talk.ok.media()[:2] == (bob.phone.host, talk.far.port)
    # Nothing else of where they are crosses.
    for message, host in ((talk.b.invite, alice.phone.host), (talk.ok, bob.phone.host)):
        head, _, body = message.raw.partition(b"\r\n\r\n")
        assert host.encode() not in head
        assert [line[:2] for line in body.split(b"\r\n") if host.encode() in line] == [b"c="]
    talk.heard()
    talk.hold_and_resume(talk.a)
    talk.end(talk.b)


def test_local_media_needs_both_profiles(stack, pbx):
    nat.Router(stack, "symmetric")
    alice = registered(stack, pbx, nat.phone_at(stack), "alice", (SBC_OUT4, 5070))
    bob = registered(stack, pbx, nat.phone_at(stack, "192.168.77.3"), "bob", (SBC_OUT4, 5060))
    talk = nat.Talk(stack, alice.phone, alice.to, "bob", bob.phone)
    assert talk.b.invite.media()[0] == SBC_OUT4 and talk.ok.media()[0] == SBC_OUT4
    talk.end(talk.a)


def test_local_media_is_for_one_public_address(stack, pbx):
    nat.Router(stack, "symmetric")
    alice = registered(stack, pbx, nat.phone_at(stack), "alice", (SBC_OUT4, 5070))
    bob = registered(stack, pbx, nat.phone_at(stack, "203.0.113.101", 5062, node="outside"), "bob", (SBC_OUT4, 5070))
    talk = nat.Talk(stack, alice.phone, alice.to, "bob", bob.phone)
    assert talk.b.invite.media()[0] == SBC_OUT4 and talk.ok.media()[0] == SBC_OUT4
    talk.end(talk.a)


def test_local_media_that_the_sbc_does_not_see_does_not_end_the_call(stack, pbx):
    stack.start("packet", change=lambda text: nat.registering(text).replace(
        "max-sessions = 2000", "max-sessions = 2000  idle-timeout = 2  initial-timeout = 2"))
    try:
        alice, bob = two_phones(stack, pbx, 5070)
        talk = nat.Talk(stack, alice.phone, alice.to, "bob", bob.phone)
        nat.wait_until_asked(alice.phone, 2, 30)  # well after both time-outs
        assert not [m for m in alice.phone.received + bob.phone.received if m.is_request and m.method == "BYE"]
        talk.end(talk.a)
    finally:
        stack.end_test()
        stack.start("packet")
