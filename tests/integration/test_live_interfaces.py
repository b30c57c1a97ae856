# SPDX-License-Identifier: BSD-3-Clause
"""Listeners, agents, certificates and limits of a running SBC change, and what goes on by those that stay, or that leave, goes on."""

import os
import pathlib
import shutil
import socket
import ssl
import threading

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4, SBC_OUT6, Call, Stack
from live import Live
from pki import Pki
from sip import bracket, compose, sdp, token
from stream_peer import StreamEndpoint
from tls_peer import TlsEndpoint, client_side

FILES = pathlib.Path(f"/tmp/sallyport-live-tls-{os.getpid()}")
TO_SBC = (SBC_OUT4, 5060)
PATIENCE = 30.0
# T1 short: a listener that has lost its last dialog waits for 64 of them. Two addresses of the PBX by name of its port.
GUARD = """
guard { untrusted-rate = 10000  untrusted-burst = 10000  stream-rate = 10000  syn-rate = 10000 }
sip-config { shards = 3  t1 = "20ms"  timer-b = "2s" }
sip-interface stays { realm = access  ip-profile = phone  allow-anonymous = all  listen = {"tcp:203.0.113.10:5060"} }
"""


@pytest.fixture(scope="module")
def module_stack():
    FILES.mkdir(exist_ok=True)
    stack = Stack()
    stack.more = GUARD
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()
        shutil.rmtree(FILES, ignore_errors=True)


@pytest.fixture
def live(stack):
    """A session that commits; what a test has changed is changed back."""
    before = stack.sbc.config_path.read_text()
    live = Live(stack.sbc)
    yield live
    if stack.sbc.config_path.read_text() != before:
        live.commit("load text", *before.splitlines(), ".")
    live.check_running()
    live.close()


def publish(issued, name):
    for source, kind in ((issued.key, "key"), (issued.certificate, "pem")):
        target = FILES / f"{name}.{kind}"
        shutil.copy(source, f"{target}.part")
        os.chmod(f"{target}.part", 0o644)
        os.rename(f"{target}.part", target)


def interface(name, *listen, realm="access", profile="phone", more=()):
    at = f"set sip-interface {name}"
    return [f"{at} realm {realm}", f"{at} ip-profile {profile}", f"{at} allow-anonymous all", f"{at} listen {' '.join(listen)}",
            *(f"{at} {line}" for line in more)]


def sockets(stack, port):
    """Inodes of the control plane's sockets at a local port, by kind: the kernel's own tables."""
    found = {}
    for kind in ("udp", "udp6", "tcp", "tcp6"):
        table = pathlib.Path(f"/proc/{stack.sbc.pid('controlplane')}/net/{kind}").read_text().splitlines()[1:]
        for fields in (line.split() for line in table):
            if fields[1].endswith(f":{port:04X}") and fields[9] != "0":
                found.setdefault(kind, set()).add(fields[9])
    return found


def none_at(stack, port):
    netns.wait_for(f"no socket at {port}", lambda: not sockets(stack, port), PATIENCE, interval=0.1)


def tcp_phone(stack):
    endpoint = StreamEndpoint(stack.lab.namespace("phone"), "192.168.77.2", 0)
    stack.closing.append(endpoint)
    return endpoint


def tls_phone(stack, **kwargs):
    endpoint = TlsEndpoint(stack.lab.namespace("phone"), "192.168.77.2", 0, **kwargs)
    stack.closing.append(endpoint)
    return endpoint


def ask(endpoint, to, status=200):
    """OPTIONS, and that answer."""
    mark, host, there = f"ask-{token()}", bracket(endpoint.host), bracket(to[0])
    endpoint.send(compose(
        f"OPTIONS sip:{there} SIP/2.0",
        [("Via", f"SIP/2.0/{endpoint.transport} {host}:{endpoint.port};branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
         ("From", f"<sip:ask@{there}>;tag={token()}"), ("To", f"<sip:{there}>"), ("Call-ID", mark), ("CSeq", "1 OPTIONS")]), to)
    return endpoint.expect(status, call_id=mark)


def refused_call(endpoint, to, status, number="1000"):
    a = endpoint.call(to, number, sdp(endpoint.host, 30000))
    a.ack(a.expect(status))


def established(call):
    """A request of each side is still answered through the dialog."""
    for side, other in ((call.a, call.b), (call.b, call.a)):
        side.request("OPTIONS")
        side.expect(lambda m: m.status == 200 and m.method == "OPTIONS")


# --- listeners ---------------------------------------------------------------------------------------------------------


def test_an_added_interface_serves_at_once_by_every_transport(stack, live):
    publish(Pki.of_this_run().issue("live", ip=[SBC_OUT4]), "first")
    live.commit(f"set tls-profile first certificate {FILES}/first.pem", f"set tls-profile first key {FILES}/first.key",
                *interface("added", "udp:203.0.113.10:5070", "tcp:203.0.113.10:5070", "tls:203.0.113.10:5071",
                           "udp:[2001:db8:1::10]:5070", more=["tls-profile first"]))
    ask(stack.phone(), (SBC_OUT4, 5070))
    ask(stack.phone(6), (SBC_OUT6, 5070))
    ask(tcp_phone(stack), (SBC_OUT4, 5070))
    ask(tls_phone(stack), (SBC_OUT4, 5071))
    Call(stack, stack.phone(port=5062), stack.pbx()).hang_up()


def test_what_stays_keeps_its_sockets_its_connections_and_every_datagram(stack, live):
    """300 requests are on their way to listeners that stay while others come and go: each is answered, and by the same sockets."""
    phone, stream = stack.phone(), tcp_phone(stack)
    ask(stream, TO_SBC)
    link = stream.link_to(TO_SBC)
    call = Call(stack, stack.phone(port=5062), stack.pbx())
    before = sockets(stack, 5060)
    assert before["udp"] and before["udp6"] and before["tcp"]
    going = threading.Event()
    asked = []

    def keep_asking():
        while not going.is_set():
            asked.append(phone.ask(TO_SBC))
            asked.append(stream.ask(TO_SBC))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        for i in range(4):
            live.commit(*interface("comes", f"udp:203.0.113.10:{5090 + i}", f"tcp:203.0.113.10:{5090 + i}"),
                        "set sip-interface stays registration relay", f"set sip-config user-agent sbc{i}")
            live.commit("delete sip-interface comes", "set sip-interface stays registration off")
    finally:
        going.set()
        thread.join()
    assert len(asked) > 10 and phone.repeats == 0
    assert sockets(stack, 5060) == before
    assert link.is_open and stream.link_to(TO_SBC) is link
    established(call)
    call.hang_up()


@pytest.mark.parametrize("transport, port", [("udp", 5072), ("tcp", 5073)])
def test_a_port_that_another_program_has_refuses_the_commit(stack, live, transport, port):
    def occupy():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        sock.bind((SBC_OUT4, port))
        if transport == "tcp":
            sock.listen(1)
        return sock

    before = stack.sbc.config_path.read_bytes()
    lines = interface("late", f"udp:203.0.113.10:{port + 10}", f"{transport}:203.0.113.10:{port}")
    other = netns.inside(stack.sbc.namespace, occupy)
    try:
        said = live.refuse(*lines)
        assert f"sip-interface late.listen: {transport}:203.0.113.10:{port}: Address already in use" in said, said
        assert stack.sbc.config_path.read_bytes() == before and not sockets(stack, port + 10)
    finally:
        other.close()
    live.commit(*lines)
    ask(stack.phone(), (SBC_OUT4, port + 10))


def test_an_address_that_is_not_there_yet_is_waited_for(stack, live):
    address = ("2001:db8:1::10/64", "dev", "sp-outside")
    assert netns.run(stack.sbc.namespace, ["ip", "-6", "addr", "del", *address]).returncode == 0
    try:
        live.commit(*interface("patient", "udp:[2001:db8:1::10]:5074"))
        assert not sockets(stack, 5074)
    finally:
        assert netns.run(stack.sbc.namespace, ["ip", "-6", "addr", "add", *address, "nodad"]).returncode == 0
    netns.wait_for("the listener", lambda: sockets(stack, 5074), PATIENCE, interval=0.1)
    ask(stack.phone(6), (SBC_OUT6, 5074))


@pytest.mark.parametrize("transport, port", [("udp", 5075), ("tcp", 5079)])
def test_a_removed_interface_is_left_to_its_dialogs(stack, live, transport, port):
    to = (SBC_OUT4, port)
    live.commit(*interface("leaves", f"{transport}:203.0.113.10:{port}"))
    phone = stack.phone() if transport == "udp" else tcp_phone(stack)
    call = Call(stack, phone, stack.pbx(), to=to)
    before = sockets(stack, port)
    live.commit("delete sip-interface leaves")
    ask(phone, to, status=503)
    refused_call(phone, to, 503)
    established(call)
    assert sockets(stack, port) == before
    # Another change does not end it either.
    live.commit("set system location elsewhere")
    established(call)
    call.hang_up("callee")
    none_at(stack, port)
    if transport == "tcp":
        phone.wait(lambda: not any(link.is_open for link in phone.links), "the end of its connection")
    # Once more, as if it had never been away.
    live.commit(*interface("leaves", f"{transport}:203.0.113.10:{port}"))
    ask(stack.phone(port=5063) if transport == "udp" else tcp_phone(stack), to)


def test_a_listen_address_that_comes_back_while_it_leaves_stays(stack, live):
    to = (SBC_OUT4, 5076)
    live.commit(*interface("back", "udp:203.0.113.10:5076"))
    phone = stack.phone()
    call = Call(stack, phone, stack.pbx(), to=to)
    before = sockets(stack, 5076)
    live.commit("delete sip-interface back")
    live.commit(*interface("again", "udp:203.0.113.10:5076"))
    ask(phone, to)
    established(call)
    assert sockets(stack, 5076) == before
    call.hang_up()


def test_another_transport_at_the_same_port_takes_it_over(stack, live):
    publish(Pki.of_this_run().issue("live", ip=[SBC_OUT4]), "first")
    to = (SBC_OUT4, 5077)
    live.commit(*interface("turns", "tcp:203.0.113.10:5077"))
    phone = tcp_phone(stack)
    call = Call(stack, phone, stack.pbx(), to=to)
    live.commit(f"set tls-profile first certificate {FILES}/first.pem", f"set tls-profile first key {FILES}/first.key",
                "set sip-interface turns tls-profile first", "set sip-interface turns listen tls:203.0.113.10:5077")
    # Whoever connects now speaks TLS; by the connection that is there the call goes on.
    asks = tls_phone(stack)
    netns.wait_for("TLS at the port", lambda: answers(asks, to), PATIENCE, interval=0.1)
    established(call)
    call.hang_up()


def answers(endpoint, to):
    try:
        return ask(endpoint, to)
    except (AssertionError, OSError):
        return None


def test_calls_by_what_has_left_are_hung_up_when_drain_time_is_over(stack, live):
    live.commit(*interface("short", "udp:203.0.113.10:5078"), "set sip-config drain-time 1")
    call = Call(stack, stack.phone(), stack.pbx(), to=(SBC_OUT4, 5078))
    stays = Call(stack, stack.phone(port=5062), call.b.endpoint, number="1001")
    live.commit("delete sip-interface short")
    call.a.take_bye(timeout=PATIENCE)
    call.b.take_bye(timeout=PATIENCE)
    none_at(stack, 5078)
    established(stays)
    stays.hang_up()


def test_signalling_is_marked_as_configured_now(stack, live):
    assert dscp_of(stack, live) == 24
    live.commit("set network-interface inside dscp-signalling 46")
    assert dscp_of(stack, live) == 46


def dscp_of(stack, live):
    def listen():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        sock.bind(("10.0.0.5", 5099))
        sock.settimeout(10)
        return sock

    sock = netns.inside(stack.lab.namespace("pbx"), listen)
    with sock:
        sock.sendto(compose("OPTIONS sip:10.0.0.1 SIP/2.0", [
            ("Via", f"SIP/2.0/UDP 10.0.0.5:5099;branch=z9hG4bK{token()};rport"), ("Max-Forwards", "70"),
            ("From", f"<sip:a@10.0.0.5>;tag={token()}"), ("To", "<sip:10.0.0.1>"), ("Call-ID", token()), ("CSeq", "1 OPTIONS")]), (SBC_IN4, 5060))
        _, ancillary, _, _ = sock.recvmsg(65535, 64)
        return ancillary[0][2][0] >> 2


# --- agents ------------------------------------------------------------------------------------------------------------


class Living:
    """A session-agent that answers each OPTIONS for as long as the test runs."""

    def __init__(self, stack, port):
        self.endpoint = stack.endpoint("pbx", "10.0.0.5", port)
        self.asked, self.going = 0, True
        self.thread = threading.Thread(target=self.answer)
        self.thread.start()
        stack.closing.append(self)

    def answer(self):
        while self.going:
            try:
                request = self.endpoint.expect(lambda m: m.is_request and m.method == "OPTIONS", timeout=0.2)
            except AssertionError:
                continue
            self.endpoint.send(compose("SIP/2.0 200 OK", [
                *(("Via", v) for v in request.all("via")), ("From", request["from"]), ("To", request["to"] + ";tag=x"),
                ("Call-ID", request.call_id), ("CSeq", request["cseq"])]), request.source)
            self.asked += 1

    def wait_asked(self):
        before = self.asked
        netns.wait_for(f"OPTIONS at {self.endpoint.port}", lambda: self.asked > before, PATIENCE, interval=0.05)

    def close(self):
        self.going = False
        self.thread.join()


def silences(stack):
    return {row["subject"]: row["since"] for row in stack.sbc.show("alarms")["alarms"] if "OPTIONS" in row["text"]}


def test_agents_are_watched_from_the_commit_that_adds_them_to_the_one_that_removes_them(stack, live):
    watched, moved = Living(stack, 5090), Living(stack, 5093)
    at = "set session-agent watched"
    live.commit(f"{at} realm core", f"{at} address udp:10.0.0.5:5090", f"{at} options-interval 1",
                "set session-agent silent realm core", "set session-agent silent address udp:10.0.0.5:5091",
                "set session-agent silent options-interval 1")
    watched.wait_asked()
    netns.wait_for("the silent one being missed", lambda: "silent" in silences(stack), PATIENCE, interval=0.1)
    since = silences(stack)
    assert set(since) == {"silent"}
    # What is known stays, in whatever order they are now.
    live.commit("set session-agent aaa realm core", "set session-agent aaa address udp:10.0.0.5:5092", "set session-agent silent max-rate 7")
    watched.wait_asked()
    assert silences(stack) == since
    # Elsewhere now: the silence was that of another place.
    live.commit("set session-agent silent address udp:10.0.0.5:5093")
    moved.wait_asked()
    live.commit("delete session-agent watched", "delete session-agent silent")
    # What was on its way then has been answered by now, and nothing comes any more: others are asked meanwhile.
    ask(stack.phone(), TO_SBC)
    before = watched.asked, moved.asked
    live.commit("set session-agent aaa address udp:10.0.0.5:5096", "set session-agent aaa options-interval 1")
    third = Living(stack, 5096)
    for _ in range(3):
        third.wait_asked()
    assert (watched.asked, moved.asked) == before


def test_calls_count_with_an_agent_of_the_same_name_even_one_that_was_away(stack, live):
    live.commit("set session-agent pbx max-sessions 1")
    call = Call(stack, stack.phone(), stack.pbx())
    other = stack.phone(port=5062)
    refused_call(other, TO_SBC, 503, "1001")
    live.commit("set session-agent before realm core", "set session-agent before address udp:10.0.0.5:5094",
                "set session-agent pbx max-rate 1000")
    refused_call(other, TO_SBC, 503, "1002")
    # Gone with a call, and there again: the call has been counting all the time, and ends.
    live.commit("delete local-policy from-phones", "delete session-agent pbx")
    established(call)
    live.commit(*"set session-agent pbx realm core|set session-agent pbx address udp:10.0.0.5:5060|set session-agent pbx max-sessions 1|"
                "set local-policy from-phones from-realm access|set local-policy from-phones to '^[0-9]+$'|"
                "set local-policy from-phones next-hop agent:pbx".split("|"))
    refused_call(other, TO_SBC, 503, "1003")
    callee = call.b.endpoint
    call.hang_up()
    Call(stack, other, callee, number="1004").hang_up()


def test_calls_go_where_the_agent_is_now_and_those_before_stay_where_it_was(stack, live):
    there = Call(stack, stack.phone(), stack.pbx())
    live.commit("set session-agent pbx address udp:10.0.0.5:5095")
    moved = Call(stack, stack.phone(port=5062), stack.pbx(port=5095), number="1001")
    established(there)
    there.hang_up("callee")
    moved.hang_up("callee")


# --- TLS ---------------------------------------------------------------------------------------------------------------


def test_certificates_change_under_connections_that_go_on(stack, live):
    pki = Pki.of_this_run()
    for name in ("first", "second"):
        publish(pki.issue(name, ip=[SBC_OUT4], dns=[f"{name}.example.test"]), name)
    (FILES / "broken.pem").write_text("no certificate")
    (FILES / "broken.pem").chmod(0o644)
    to = (SBC_OUT4, 5061)
    live.commit(f"set tls-profile public certificate {FILES}/first.pem", f"set tls-profile public key {FILES}/first.key",
                *interface("secure", "tls:203.0.113.10:5061", more=["tls-profile public"]))
    phone = tls_phone(stack, client=client_side(ca=pki.ca))
    ask(phone, to)
    link = phone.link_to(to)
    said = live.refuse(f"set tls-profile public certificate {FILES}/broken.pem")
    assert "tls-profile public" in said and "broken.pem" in said, said
    said = live.refuse(f"set tls-profile public key {FILES}/second.key")
    assert "is not the key of the certificate" in said, said
    ask(phone, to)
    live.commit(f"set tls-profile public certificate {FILES}/second.pem", f"set tls-profile public key {FILES}/second.key",
                'set tls-profile public minimum-version 1.3')
    ask(phone, to)
    assert phone.link_to(to) is link and link.is_open
    newer = tls_phone(stack, client=client_side(ca=pki.ca))
    ask(newer, to)
    seen = newer.link_to(to).socket
    assert ("DNS", "second.example.test") in seen.getpeercert()["subjectAltName"] and seen.version() == "TLSv1.3"
    with pytest.raises((ssl.SSLError, OSError)):
        tls_phone(stack, client=client_side(ca=pki.ca, maximum=ssl.TLSVersion.TLSv1_2)).connect(to)
    shown = {row["profile"] for row in stack.sbc.show("certificates")["certificates"]}
    assert "public" in shown
    # Files of a directory that is known since a commit only are followed, too.
    publish(pki.issue("third", ip=[SBC_OUT4], dns=["third.example.test"]), "second")

    def is_third():
        fresh = tls_phone(stack, client=client_side(ca=pki.ca))
        names = fresh.connect(to).socket.getpeercert()["subjectAltName"]
        return ("DNS", "third.example.test") in names

    netns.wait_for("the renewed certificate", is_third, PATIENCE, interval=0.2)
    live.commit("delete sip-interface secure", "delete tls-profile public")
    phone.wait(lambda: not link.is_open, "the end of the connection")
    assert not any(row["profile"] == "public" for row in stack.sbc.show("certificates")["certificates"])


# --- limits, and what has been learnt ------------------------------------------------------------------------------------


def test_bans_and_limits_and_words_of_ours_follow(stack, live):
    phone = stack.phone()
    assert stack.sbc.command("ban", "198.51.100.99", "for", "600").returncode == 0
    assert not ask(phone, TO_SBC)["server"]
    live.commit("set sip-config user-agent live-sbc", "set guard deny-time 77", "set sip-config stream-max-per-source 2",
                "set sip-config max-message-udp 2000", "set system log-level debug")
    assert ask(phone, TO_SBC)["server"] == "live-sbc"
    assert any(row["source"].startswith("198.51.100.99") for row in stack.sbc.show("bans")["bans"])
    first, second, third = tcp_phone(stack), tcp_phone(stack), tcp_phone(stack)
    ask(first, TO_SBC)
    ask(second, TO_SBC)
    turned_away = third.connect(TO_SBC)
    third.wait(lambda: not turned_away.is_open, "being turned away")
    first.hang_up(first.link_to(TO_SBC))
    netns.wait_for("debug lines", lambda: " DEBUG " in stack.sbc.log_path("controlplane").read_text(errors="replace"), PATIENCE)
    assert ask(second, TO_SBC)["server"] == "live-sbc"
