# SPDX-License-Identifier: BSD-3-Clause
"""SIP over TCP (RFC 3261 section 18): framing, connections and their reuse, limits, long requests that leave UDP, and calls whose
sides speak different transports, over IPv4 and IPv6."""

import signal
import socket

import pytest

import netns
from conftest import SBC_IN4, SBC_IN6, SBC_OUT4, SBC_OUT6, Call
from media import check_exactly_once, exchange, open_path
from sip import bracket, compose, sdp, token
from stream_peer import StreamEndpoint

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "packet, 3 shards"], indirect=True, scope="module")

GUARD = """
guard { untrusted-rate = 10000  untrusted-burst = 10000 }
sip-interface access-tcp { realm = access  ip-profile = phone  allow-anonymous = all
                    listen = {"tcp:203.0.113.10:5060", "tcp:[2001:db8:1::10]:5060"} }
sip-interface core-tcp { realm = core  ip-profile = trunk  allow-anonymous = agents
                    listen = {"tcp:10.0.0.1:5060", "tcp:[fd00:10::1]:5060"} }
session-agent pbx-tcp  { realm = core  address = "tcp:10.0.0.5:5060"   ip-profile = trunk }
session-agent pbx-tcp6 { realm = core  address = "tcp:[fd00:10::5]:5060"  ip-profile = trunk }
session-agent carrier-tcp { realm = access  address = "tcp:203.0.113.100:5060"  ip-profile = trunk }
local-policy to-tcp  { from-realm = access  to = "^7[0-9]+$"   next-hop = "agent:pbx-tcp"   priority = 1 }
local-policy to-tcp6 { from-realm = access  to = "^76[0-9]+$"  next-hop = "agent:pbx-tcp6"  priority = 0 }
local-policy out-tcp { from-realm = core    to = "^97[0-9]+$"  next-hop = "agent:carrier-tcp"  priority = 1 }
"""

TO_SBC, TO_SBC6 = (SBC_OUT4, 5060), (SBC_OUT6, 5060)


def stream(stack, node, host, port=5060):
    endpoint = StreamEndpoint(stack.lab.namespace(node), host, port)
    stack.closing.append(endpoint)
    return endpoint


def tcp_phone(stack, version=4):
    return stream(stack, "phone", "192.168.77.2" if version == 4 else "fd00:77::2", 0)


def tcp_pbx(stack, version=4):
    return stream(stack, "pbx", "10.0.0.5" if version == 4 else "fd00:10::5")


def options(endpoint, to=TO_SBC, extra=()):
    host = bracket(to[0])
    return compose(
        f"OPTIONS sip:{host} SIP/2.0",
        [("Via", f"SIP/2.0/TCP {bracket(endpoint.host)}:{endpoint.port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"),
         ("From", f"<sip:a@{host}>;tag={token()}"), ("To", f"<sip:{host}>"), ("Call-ID", token()), ("CSeq", "1 OPTIONS"), *extra],
    )


def counted(stack, name):
    return stack.sbc.counters()["controlplane"][name]


def talk(call, count=5):
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], count)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 5)


# --- framing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [TO_SBC, TO_SBC6], ids=["4", "6"])
def test_a_request_octet_by_octet(stack, to):
    phone = tcp_phone(stack, 6 if ":" in to[0] else 4)
    link = phone.connect(to)
    link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in options(phone, to):
        link.socket.sendall(bytes([octet]))
    answer = phone.expect(200)
    assert answer.link is link and answer["via"].startswith("SIP/2.0/TCP ")


def test_many_messages_in_one_segment(stack):
    phone = tcp_phone(stack)
    requests = [options(phone) for _ in range(20)]
    phone.send(b"\r\n".join(requests), TO_SBC)
    answers = [phone.expect(200) for _ in requests]
    assert len({a.call_id for a in answers}) == 20 and len(phone.links) == 1


def test_a_ping_is_answered(stack):
    phone = tcp_phone(stack)
    link = phone.connect(TO_SBC)
    link.socket.sendall(b"\r\n\r\n")
    phone.wait(lambda: link.line_ends == 1, "a pong")
    link.socket.sendall(options(phone))
    phone.expect(200)
    assert link.line_ends == 1
    assert stack.sbc.show("status")["connections"] >= 1


@pytest.mark.parametrize("length", ["", "Content-Length: x\r\n", "Content-Length: 70000\r\n", "Content-Length: 3\r\nl: 4\r\n"],
                         ids=["none", "no number", "too long", "two"])
def test_a_broken_stream_is_answered_once_and_closed(stack, length):
    phone = tcp_phone(stack)
    link = phone.connect(TO_SBC)
    raw = options(phone).replace(b"Content-Length: 0\r\n", length.encode())
    link.socket.sendall(raw + b"xyz")
    phone.expect(400)
    phone.wait(lambda: not link.is_open, "the end of the connection")
    assert len(phone.received) == 1


def test_what_is_no_sip_is_closed_without_a_word(stack):
    phone = tcp_phone(stack)
    link = phone.connect(TO_SBC)
    link.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    phone.wait(lambda: not link.is_open, "the end of the connection")
    assert phone.received == []


# --- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["caller", "callee"])
@pytest.mark.parametrize("near, far", [(4, 4), (6, 6), (4, 6), (6, 4)], ids=["4-4", "6-6", "4-6", "6-4"])
@pytest.mark.parametrize("kinds", ["tcp-tcp", "udp-tcp", "tcp-udp", "udp-udp"])
def test_a_call(stack, kinds, near, far, by):
    near_kind, far_kind = kinds.split("-")
    caller = tcp_phone(stack, near) if near_kind == "tcp" else stack.phone(near)
    callee = tcp_pbx(stack, far) if far_kind == "tcp" else stack.pbx(far)
    number = {("tcp", 4): "7000", ("tcp", 6): "7600", ("udp", 4): "1000", ("udp", 6): "6000"}[far_kind, far]
    call = Call(stack, caller, callee, number)
    out, inner = SBC_OUT6 if near == 6 else SBC_OUT4, SBC_IN6 if far == 6 else SBC_IN4
    assert call.b.invite["via"].startswith(f"SIP/2.0/{callee.transport} {bracket(inner)}:5060;")
    tail = {"tcp": ";transport=tcp>", "udp": ">"}
    assert f"@{bracket(inner)}:5060{tail[far_kind]}" in call.b.invite["contact"]
    assert f"@{bracket(out)}:5060{tail[near_kind]}" in call.ok["contact"]
    assert (";transport=tcp" in call.b.invite.uri) == (far_kind == "tcp")
    assert call.ok["via"].startswith(f"SIP/2.0/{caller.transport} ")
    talk(call)
    call.hang_up(by)
    no_calls_left(stack)
    # Nothing of one side's transport or addresses on the other.
    assert all(bracket(SBC_OUT4) not in m.raw.decode() and bracket(SBC_OUT6) not in m.raw.decode() for m in callee.received)
    for endpoint in (caller, callee):
        if endpoint.transport == "TCP":
            assert len([link for link in endpoint.links if link.far[0] in (out, inner)]) == 1, "one connection for the whole call"


def test_the_pbx_calls_out_over_tcp(stack):
    pbx, carrier = tcp_pbx(stack), stream(stack, "outside", "203.0.113.100")
    call = Call(stack, pbx, carrier, "97123", to=(SBC_IN4, 5060))
    talk(call)
    call.hang_up("callee")
    no_calls_left(stack)


def test_hold_and_resume_go_by_the_calls_connection(stack):
    phone, pbx = tcp_phone(stack), stack.pbx()
    call = Call(stack, phone, pbx)
    call.b.request("INVITE", sdp(pbx.host, call.far.port, "sendonly", version=2))
    offer = call.a.expect("INVITE")
    assert offer.link is phone.links[0] and offer["via"].startswith("SIP/2.0/TCP ")
    call.a.reply(offer, 200, "OK", sdp(phone.host, call.near.port, "recvonly", version=2))
    call.b.ack(call.b.expect(200))
    call.a.expect("ACK")
    call.hang_up("callee")
    no_calls_left(stack)


def test_cancel_over_tcp(stack):
    phone, pbx = tcp_phone(stack), tcp_pbx(stack)
    a = phone.call(TO_SBC, "7000", sdp(phone.host, 30000))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    a.cancel()
    assert a.expect(lambda m: m.status and m.method == "CANCEL").status == 200
    cancel = b.expect("CANCEL")
    assert cancel["via"] == b.invite["via"] and cancel.link is b.invite.link
    b.reply(cancel, 200, "OK")
    b.reply(b.invite, 487, "Request Terminated")
    a.ack(a.expect(487))
    assert b.expect("ACK")["via"] == b.invite["via"]
    no_calls_left(stack)


# --- connections that break --------------------------------------------------------------------------------------------


def test_a_callee_that_refuses_connections_is_out_of_reach_at_once(stack):
    phone = stack.phone()
    a = phone.call(TO_SBC, "7000", sdp(phone.host, 30000))
    a.ack(a.expect(503))
    no_calls_left(stack)


def test_a_connection_that_breaks_before_an_answer_fails_the_call_at_once(stack):
    phone, pbx = stack.phone(), tcp_pbx(stack)
    a = phone.call(TO_SBC, "7000", sdp(phone.host, 30000))
    b = pbx.answerer()
    pbx.hang_up(b.invite.link)
    a.ack(a.expect(503))
    no_calls_left(stack)


def test_a_break_in_mid_call_leaves_the_call_and_the_next_request_connects_again(stack):
    phone, pbx = stack.phone(), tcp_pbx(stack)
    call = Call(stack, phone, pbx, "7000")
    talk(call)
    first = call.b.invite.link
    pbx.hang_up(first)
    talk(call)
    call.a.request("BYE")
    bye = call.b.take_bye()
    assert bye.link is not first
    call.a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def ringing(stack, caller, callee, number="7000"):
    a = caller.call(TO_SBC, number, sdp(caller.host, 30000))
    b = callee.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    return a, b


def test_a_callee_that_breaks_its_connection_while_it_rings_answers_by_another(stack):
    """RFC 3261 section 18.2.2: by one of its own to our sent-by. Ours is there meanwhile, for CANCEL."""
    phone, pbx = stack.phone(), tcp_pbx(stack)
    for cancelled in (True, False):
        a, b = ringing(stack, phone, pbx)
        count = len(pbx.links)
        pbx.hang_up(b.invite.link)
        pbx.wait(lambda: len(pbx.links) > count, "another connection")
        b.invite.source = (SBC_IN4, 5060)
        if cancelled:
            a.cancel()
            cancel = b.expect("CANCEL")
            assert cancel["via"] == b.invite["via"]
            b.reply(cancel, 200, "OK")
            b.reply(b.invite, 487, "Request Terminated")
            a.ack(a.expect(487))
            b.expect("ACK")
        else:
            b.reply(b.invite, 200, "OK", sdp(pbx.host, 30002))
            a.ack(a.expect(lambda m: m.status == 200 and m.method == "INVITE"))
            b.expect("ACK")
            a.request("BYE")
            b.take_bye()
            a.expect(lambda m: m.status == 200 and m.method == "BYE")
        no_calls_left(stack)


def test_a_ringing_callee_that_is_gone_altogether_fails_the_call(stack):
    phone, pbx = stack.phone(), tcp_pbx(stack)
    a, _ = ringing(stack, phone, pbx)
    pbx.close()
    stack.closing.remove(pbx)
    a.ack(a.expect(503, timeout=20))
    no_calls_left(stack)


def test_a_caller_behind_a_nat_that_loses_its_connection_is_given_up(stack):
    """Nobody could tell it of an answer, and it has given up itself (RFC 3261 section 8.1.3.1): the other side stops ringing."""
    phone, pbx = tcp_phone(stack), stack.pbx()
    a, b = ringing(stack, phone, pbx, "1000")
    phone.hang_up(phone.links[0])
    cancel = b.expect("CANCEL", timeout=20)
    assert "cause=503" in cancel["reason"]
    b.reply(cancel, 200, "OK")
    b.reply(b.invite, 487, "Request Terminated")
    b.expect("ACK")
    no_calls_left(stack)


def test_a_new_dataplane_ends_calls_by_new_connections_and_takes_new_ones(stack):
    """Its mirrors are other devices than those that the sockets were bound to."""
    carrier, pbx = stream(stack, "outside", "203.0.113.100"), tcp_pbx(stack)
    call = Call(stack, carrier, pbx, "7000")
    old = {*carrier.links, *pbx.links}
    stack.sbc.end("dataplane", signal.SIGKILL)
    stack.sbc.start("dataplane")
    stack.sbc.wait_ready()
    for dialog in (call.a, call.b):
        bye = dialog.take_bye(timeout=20)
        assert bye.link not in old
    no_calls_left(stack)
    carrier.connect(TO_SBC)
    again = Call(stack, carrier, pbx, "7001")
    assert again.b.invite.link not in old
    again.hang_up()
    no_calls_left(stack)


def test_an_answer_whose_connection_has_gone_goes_to_sent_by_at_the_same_host(stack):
    """RFC 3261 section 18.2.2. The carrier is not behind a NAT, and listens where its Via says."""
    carrier, pbx = stream(stack, "outside", "203.0.113.100"), stack.pbx()
    a = carrier.call(TO_SBC, "1000", sdp(carrier.host, 30000))
    b = pbx.answerer()
    a.expect(100)
    first = carrier.links[0]
    carrier.hang_up(first)
    b.reply(b.invite, 486, "Busy Here")
    busy = a.expect(486)
    assert busy.link is not first and busy.link.near == ("203.0.113.100", 5060)
    a.ack(busy)
    no_calls_left(stack)


def test_the_peers_new_connection_serves_its_dialog(stack):
    """A phone loses its connection and makes another: what it sends in its dialog is taken, and answered there."""
    phone, pbx = tcp_phone(stack), stack.pbx()
    call = Call(stack, phone, pbx)
    phone.hang_up(phone.links[0])
    call.a.request("BYE")
    call.b.take_bye()
    answer = call.a.expect(lambda m: m.status == 200 and m.method == "BYE")
    assert answer.link is phone.links[1]
    no_calls_left(stack)


# --- long requests -----------------------------------------------------------------------------------------------------


def long_call(stack, phone):
    return phone.call(TO_SBC, "1000", sdp(phone.host, 30000, extra=[f"a=rtpmap:{96 + i} {'L' * 40}/8000" for i in range(25)]))


def test_a_long_invite_goes_by_tcp_where_the_peer_has_it_and_by_udp_where_not(stack):
    phone, by_udp = stack.phone(), stack.pbx()
    by_tcp = tcp_pbx(stack)
    a = long_call(stack, phone)
    b = by_tcp.answerer()
    assert len(b.invite.raw) > 1300 and by_udp.received == []
    assert b.invite["via"].startswith(f"SIP/2.0/TCP {SBC_IN4}:5060;")
    b.reply(b.invite, 486, "Busy Here")
    a.ack(a.expect(486))
    ack = b.expect("ACK")
    assert ack["via"] == b.invite["via"] and ack.link is b.invite.link
    assert by_udp.received == []

    # No TCP there any more: the same request comes by UDP, and the next one without asking again.
    by_tcp.close()
    stack.closing.remove(by_tcp)
    netns.wait_for("the connection's end", lambda: counted(stack, "stream-opened") == counted(stack, "stream-closed"), 5)
    back = counted(stack, "requests-moved-back")
    for moved_back in (1, 1):
        a = long_call(stack, phone)
        b = by_udp.answerer()
        assert b.invite["via"].startswith(f"SIP/2.0/UDP {SBC_IN4}:5060;") and len(b.invite.raw) > 1300
        b.reply(b.invite, 486, "Busy Here")
        a.ack(a.expect(486))
        assert b.expect("ACK")["via"] == b.invite["via"]
        if stack.sbc.show("status").get("shards", 1) == 1:
            assert counted(stack, "requests-moved-back") - back == moved_back
    no_calls_left(stack)


# --- limits ------------------------------------------------------------------------------------------------------------

LIMITS = """
sip-config { stream-first-byte-timeout = 1  stream-message-timeout = 1  stream-idle-timeout = 2  stream-max-connections = 8
             stream-max-per-source = 4  stream-keep-alive = 1  stream-queue = 65536 %s }
"""


@pytest.fixture
def limited(module_stack):
    """The module's lab with an SBC of narrow limits."""
    shards = "shards = 3" if module_stack.change else ""
    before = module_stack.change
    module_stack.start(module_stack.kind, change=lambda text: text + LIMITS % shards)
    module_stack.change = before
    yield module_stack
    module_stack.end_test()
    assert all(module_stack.sbc.alive(d) for d in module_stack.sbc.processes), module_stack.sbc.log_tails()
    module_stack.start(module_stack.kind)


def test_who_is_silent_slow_or_idle_is_closed(limited):
    phone = tcp_phone(limited)
    silent, slow = phone.connect(TO_SBC), phone.connect(TO_SBC)
    slow.socket.sendall(options(phone)[:-1])
    phone.wait(lambda: not silent.is_open and not slow.is_open, "both closed")
    assert phone.received == []
    idle = phone.connect(TO_SBC)
    idle.socket.sendall(options(phone))
    phone.expect(200)
    phone.wait(lambda: not idle.is_open, "closed again")
    assert counted(limited, "stream-timed-out") == 3


def test_a_sender_of_one_octet_a_moment_does_not_hold_a_connection(limited):
    """Each octet is heard of, the message never ends: it is the message's time that counts."""
    phone = tcp_phone(limited)
    link = phone.connect(TO_SBC)
    raw = options(phone, extra=[("X-Long", "x" * 1000)])
    sent = 0

    def dribble():
        nonlocal sent
        if link.is_open and sent < len(raw) - 1:
            try:
                link.socket.sendall(raw[sent:sent + 1])
            except OSError:
                pass
            sent += 1
        return not link.is_open

    netns.wait_for("the end of the connection", dribble, 10, 0.05)
    assert phone.received == [] and counted(limited, "stream-timed-out") == 1


def test_a_source_has_its_share_of_connections(limited):
    phone = tcp_phone(limited)
    links = []
    for _ in range(4):
        links.append(phone.connect(TO_SBC))
        links[-1].socket.sendall(options(phone))
        phone.expect(200)
    one_more = phone.connect(TO_SBC)
    phone.wait(lambda: not one_more.is_open, "the fifth closed")
    assert counted(limited, "stream-refused") == 1
    links[0].socket.sendall(options(phone))
    phone.expect(200)


def test_who_does_not_read_is_closed_and_the_others_are_served(limited):
    phone, other = tcp_phone(limited), tcp_phone(limited)
    deaf = netns.inside(phone.namespace, socket.socket, socket.AF_INET, socket.SOCK_STREAM)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(TO_SBC)
    deaf.setblocking(False)
    raw = b"".join(options(phone, extra=[("Via", f"SIP/2.0/TCP h{i}.example;branch=z9hG4bK{'v' * 900}") for i in range(12)])
                   for _ in range(8))
    left = b""

    def pour():
        nonlocal left
        try:
            left = left or raw
            left = left[deaf.send(left):]
        except BlockingIOError:
            pass
        except OSError:
            return True
        return counted(limited, "stream-too-slow") + counted(limited, "stream-timed-out") > 0

    netns.wait_for("the deaf one closed", pour, 20, 0.01)
    deaf.close()
    other.send(options(other), TO_SBC)
    other.expect(200)


def test_pings_keep_an_agents_connection_open(limited):
    phone, pbx = limited.phone(), tcp_pbx(limited)
    call = Call(limited, phone, pbx, "7000")
    link = call.b.invite.link
    pbx.wait(lambda: link.line_ends >= 8, "four pings")
    assert link.is_open
    call.hang_up()
    assert call.b.endpoint.links == [link]


# --- sipp --------------------------------------------------------------------------------------------------------------


def test_sipp_calls_over_tcp(stack):
    """200 calls of another implementation, by one connection on each side."""
    run = lambda node, *more: netns.popen(
        stack.lab.namespace(node), ["sipp", "-nostdin", "-timeout", "60", "-timeout_error", "-t", "t1", *more],
        stdout=-3, stderr=-3, cwd=stack.lab.directory)
    callee = run("pbx", "-sn", "uas", "-i", "10.0.0.5", "-p", "5060")
    caller = run("phone", "-sn", "uac", "-i", "192.168.77.2", "-s", "7000", "-m", "200", "-r", "100", "-d", "100", f"{SBC_OUT4}:5060")
    try:
        assert caller.wait(70) == 0
        no_calls_left(stack)
    finally:
        for process in (caller, callee):
            process.kill()
            process.wait()
