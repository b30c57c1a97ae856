# SPDX-License-Identifier: BSD-3-Clause
"""SIP over TLS beside other programs, and after the handshake: openssl s_server as an agent, an agent that DNS knows as a service of TLS
(RFC 3263 section 4.2), SIPp through a tunnel (Debian's has no TLS of its own), and peers that send a message too slowly, or nothing."""

import contextlib
import itertools
import os
import re
import select
import socket
import ssl
import subprocess
import threading

import pytest

import netns
from conftest import SBC_IN4, SBC_OUT4, lab
from pki import Pki
from sip import compose, sdp, token
from test_dns import Dns
from tls_peer import TlsEndpoint, client_side, server_side, tls_phone

PUBLIC = (SBC_OUT4, 5061)
S_SERVER = 5071
SERVICE, HERE, THERE = "service.example", "10.0.0.100", "10.0.0.101"


def configuration():
    pki = Pki.of_this_run()
    public, core = pki.issue("sbc", ip=[SBC_OUT4]), pki.issue("core", ip=[SBC_IN4])
    return f"""
guard {{ untrusted-rate = 10000  untrusted-burst = 10000  stream-rate = 10000  syn-rate = 10000 }}
sip-config {{ t1 = 100ms  dns-servers = {{"127.0.0.1"}}  dns-timeout = 300ms  dns-min-ttl = 1  dns-max-ttl = 1  dns-retry = 1  address-timeout = 500ms
             stream-first-byte-timeout = 1  stream-message-timeout = 1  stream-idle-timeout = 2  tls-handshake-rate = 2000 }}
tls-profile public {{ certificate = "{public.certificate}"  key = "{public.key}" }}
tls-profile core   {{ certificate = "{core.certificate}"  key = "{core.key}"  ca = "{pki.ca}" }}
sip-interface public {{ realm = access  ip-profile = phone  allow-anonymous = all  tls-profile = public  listen = {{"tls:203.0.113.10:5061"}} }}
sip-interface core-tls {{ realm = core  ip-profile = trunk  allow-anonymous = agents  tls-profile = core  listen = {{"tls:10.0.0.1"}} }}
session-agent s-server {{ realm = core  address = "tls:10.0.0.5:{S_SERVER}"  ip-profile = trunk }}
session-agent service  {{ realm = core  address = "tls:{SERVICE}"  ip-profile = trunk }}
local-policy to-s-server {{ from-realm = access  to = "^71[0-9]+$"  next-hop = "agent:s-server"  priority = 1 }}
local-policy to-service  {{ from-realm = access  to = "^73[0-9]+$"  next-hop = "agent:service"  priority = 1 }}
"""


@pytest.fixture(scope="module")
def module_stack():
    with lab(configuration()) as stack:
        yield stack


def counted(stack, name):
    return stack.sbc.counters()["controlplane"][name]


# --- openssl s_server --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def s_server(stack, issued, *words):
    process = netns.popen(
        stack.lab.namespace("pbx"),
        ["openssl", "s_server", "-accept", f"10.0.0.5:{S_SERVER}", "-cert", issued.certificate, "-cert_chain", issued.certificate,
         "-key", issued.key, "-quiet", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def request_read(process):
    """The first request that it prints, and its header fields."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        assert select.select([process.stdout], [], [], 10)[0], f"no request, only {octets}"
        some = os.read(process.stdout.fileno(), 65536)
        assert some, octets
        octets += some
    start, *lines = octets.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return start, [tuple(line.split(": ", 1)) for line in lines]


@pytest.mark.parametrize("words", [("-tls1_2",), ("-tls1_3",), ("-Verify", "2", "-verify_return_error", "-CAfile")], ids=["1.2", "1.3", "mutual"])
def test_openssl_s_server_is_an_agent(stack, pki, words):
    """It gets an INVITE by TLS, from whom can show a certificate of its own, and its answer arrives."""
    words = (*words, pki.ca) if words[-1] == "-CAfile" else words
    with s_server(stack, pki.issue("s-server", ip=["10.0.0.5"]), *words) as process:
        phone = stack.phone()
        listens = lambda: f":{S_SERVER} " in netns.run(stack.lab.namespace("pbx"), ["ss", "-Hltn"]).stdout
        netns.wait_for("s_server listening", listens, 10)
        a = phone.call((SBC_OUT4, 5060), "7100", sdp(phone.host, 30000))
        start, headers = request_read(process)
        assert start.startswith("INVITE sip:7100@10.0.0.5:5071")
        answer = [(name, value + ";tag=s" if name == "To" else value) for name, value in headers if name in ("Via", "From", "To", "Call-ID", "CSeq")]
        assert answer[0][1].startswith(f"SIP/2.0/TLS {SBC_IN4}:5061;")
        process.stdin.write(compose("SIP/2.0 486 Busy Here", answer))
        process.stdin.flush()
        a.ack(a.expect(486))


# --- DNS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def dns(stack):
    server = Dns(stack.lab.namespace("sbc"))
    yield server
    server.stop()


def test_a_service_of_tls_is_found_and_known_by_the_name_that_was_asked_for(stack, dns, pki):
    """_sips._tcp, not _sip._tcp; the certificate is the service's, not its host's (RFC 5922 section 4)."""
    right, wrong = pki.issue("service", dns=[SERVICE]), pki.issue("host", dns=["host.example"])
    dns.start(f"srv-host=_sips._tcp.{SERVICE},host.example,5081,1,0", f"srv-host=_sip._tcp.{SERVICE},clear.example,5082,1,0",
              f"host-record=host.example,{HERE}", f"host-record=clear.example,{THERE}")
    peer = lambda issued: TlsEndpoint(stack.lab.namespace("inside"), HERE, 5081, server=server_side(issued))
    phone, numbers = stack.phone(), itertools.count(1000)
    service = peer(right)
    stack.closing.append(service)

    def attempt():
        number = f"73{next(numbers)}"
        a = phone.call((SBC_OUT4, 5060), number, sdp(phone.host, 30000))
        try:
            return a, service.answerer(match=lambda m: number in m.uri, timeout=2)
        except AssertionError:
            a.cancel()
            return None

    a, b = netns.wait_for("a call by the service's record", attempt, 40, interval=0.1)
    assert b.invite["via"].startswith(f"SIP/2.0/TLS {SBC_IN4}:5061;")
    b.reply(b.invite, 486, "Busy Here")
    a.ack(a.expect(486))
    service.close()
    stack.closing.remove(service)
    before = counted(stack, "tls-wrong-name")
    imposter = peer(wrong)
    stack.closing.append(imposter)
    a = phone.call((SBC_OUT4, 5060), f"73{next(numbers)}", sdp(phone.host, 30000))
    a.ack(a.expect(lambda m: m.status >= 400 and m.method == "INVITE", timeout=20))
    assert counted(stack, "tls-wrong-name") > before and not imposter.received


# --- SIPp --------------------------------------------------------------------------------------------------------------


class Tunnel:
    """Takes one TCP connection of SIP in a namespace and carries it over TLS, under that name."""

    def __init__(self, stack, node, host, port, to):
        namespace = stack.lab.namespace(node)
        self.server = netns.inside(namespace, socket.create_server, (host, port))
        self.ends = []
        self.namespace, self.to = namespace, to
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _carry(self):
        with contextlib.suppress(OSError):
            near = self.server.accept()[0]
            far = client_side().wrap_socket(netns.tcp_connect(self.namespace, *self.to))
            self.ends = [near, far]
            # One thread for both directions: OpenSSL allows no reader beside a writer of one connection.
            forth, back = self._pass(far, b"TCP", b"TLS"), self._pass(near, b"TLS", b"TCP")
            for one in (forth, back):
                next(one)
            while True:
                ready = [far] if far.pending() else select.select([near, far], [], [])[0]
                for source, pass_on in ((near, forth), (far, back)):
                    if source in ready:
                        pass_on.send(self._read(source))

    @staticmethod
    def _read(source):
        """What has arrived; nothing, if that was only TLS's own, a session ticket or a part of a record."""
        source.setblocking(False)
        try:
            octets = source.recv(65536)
        except ssl.SSLWantReadError:
            return b""
        finally:
            source.settimeout(10)
        if not octets:
            raise ConnectionResetError
        return octets

    @staticmethod
    def _pass(sink, before, after):
        """Takes octets, and sends whole lines of them under the other transport's name."""
        rest = b""
        while True:
            lines, end, rest = (rest + (yield)).rpartition(b"\n")
            sink.sendall(re.sub(b"(SIP/2.0/|transport=)" + before, rb"\1" + after, lines + end))

    def close(self):
        for sock in (self.server, *self.ends):
            sock.close()


def test_sipp_calls_over_tls(stack):
    """200 calls of another implementation by one TLS connection."""
    stack.closing.append(Tunnel(stack, "phone", "192.168.77.2", 6061, PUBLIC))
    run = lambda node, *more: netns.popen(stack.lab.namespace(node), ["sipp", "-nostdin", "-timeout", "60", "-timeout_error", *more],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=stack.lab.directory)
    callee = run("pbx", "-sn", "uas", "-i", "10.0.0.5", "-p", "5060")
    caller = run("phone", "-t", "t1", "-sn", "uac", "-i", "192.168.77.2", "-s", "1000", "-m", "200", "-r", "100", "-d", "100", "192.168.77.2:6061")
    try:
        assert caller.wait(70) == 0
        netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                       and stack.sbc.show("status")["sessions"] == 0, 5)
    finally:
        for process in (caller, callee):
            process.kill()
            process.wait()


# --- after the handshake -----------------------------------------------------------------------------------------------


def options(phone, extra=()):
    return compose(
        f"OPTIONS sip:{SBC_OUT4} SIP/2.0",
        [("Via", f"SIP/2.0/TLS {phone.host}:{phone.port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"), ("From", f"<sip:a@{SBC_OUT4}>;tag=1"),
         ("To", f"<sip:{SBC_OUT4}>"), ("Call-ID", token()), ("CSeq", "1 OPTIONS"), *extra])


def test_who_is_silent_idle_or_dribbles_after_the_handshake_is_closed(stack):
    """As over TCP: neither octets of a message that never ends, each in a record of its own, nor a handshake alone hold a connection."""
    before = counted(stack, "stream-timed-out")
    phone = tls_phone(stack)
    silent, slow = phone.connect(PUBLIC), phone.connect(PUBLIC)
    raw, sent = options(phone, [("X-Long", "x" * 1000)]), 0

    def dribble():
        nonlocal sent
        if slow.is_open and sent < len(raw) - 1:
            with contextlib.suppress(OSError):
                slow.socket.sendall(raw[sent:sent + 1])
            sent += 1
        return not slow.is_open and not silent.is_open

    netns.wait_for("both closed", dribble, 10, 0.05)
    assert phone.received == []
    idle = phone.connect(PUBLIC)
    idle.socket.sendall(options(phone))
    phone.expect(200)
    phone.wait(lambda: not idle.is_open, "the idle one closed")
    assert counted(stack, "stream-timed-out") >= before + 3
