# SPDX-License-Identifier: BSD-3-Clause
"""SIP over TLS (RFC 3261 section 26.3.2, RFC 5922, RFC 5923): what is spoken and what is not, certificates by name and by kind, mutual
TLS, tickets, new certificates under open connections, limits, and calls with peers by other implementations of TLS."""

import os
import pathlib
import re
import shutil
import ssl
import subprocess
import time

import pytest

import netns
import sbc as sbc_module
from conftest import SBC_IN4, SBC_OUT4, SBC_OUT6, Call, lab
from pki import Pki
from sip import bracket, compose, sdp, token
from tls_peer import TlsEndpoint, client_side, tls_pbx, tls_phone

NAMES = {"dns": ["sbc.example.test"], "ip": [SBC_OUT4]}
PUBLIC, MUTUAL, PINNED, STRICT = ((SBC_OUT4, port) for port in (5061, 5062, 5063, 5064))
FILES = "/tmp/sallyport-tls-%d" % os.getpid()  # where the SBC has them: tests put others there


def publish(issued, name):
    """The SBC's files of that name, by rename as tools do that renew certificates."""
    for source, kind in ((issued.key, "key"), (issued.certificate, "pem")):
        target = pathlib.Path(FILES, f"{name}.{kind}")
        shutil.copy(source, f"{target}.part")
        os.chmod(f"{target}.part", 0o644)
        os.rename(f"{target}.part", target)


def configuration():
    pki = Pki.of_this_run()
    pathlib.Path(FILES).mkdir(exist_ok=True)
    publish(pki.issue("sbc", **NAMES), "sbc")
    publish(pki.issue("sbc-rsa", key="rsa", **NAMES), "sbc-rsa")
    publish(pki.issue("other", dns=["other.example.test", "*.wild.example.test"]), "other")
    publish(pki.issue("core", dns=["core.example.test"], ip=[SBC_IN4]), "core")
    pin = pki.self_signed("pinned").spki()
    return f"""
guard {{ untrusted-rate = 10000  untrusted-burst = 10000  stream-rate = 10000  syn-rate = 10000 }}
sip-config {{ shards = 3  tls-handshake-timeout = "1500ms"  tls-handshake-rate = 2000 }}
tls-profile public {{ certificate = "{FILES}/sbc.pem"  key = "{FILES}/sbc.key"
                    second-certificate = "{FILES}/sbc-rsa.pem"  second-key = "{FILES}/sbc-rsa.key" }}
tls-profile other  {{ certificate = "{FILES}/other.pem"  key = "{FILES}/other.key"  verify-peer = no }}
tls-profile named  {{ certificate = "{FILES}/core.pem"  key = "{FILES}/core.key"  server-names = {{"*.named.example.test"}}
                    minimum-version = "1.3" }}
tls-profile mutual {{ certificate = "{FILES}/sbc.pem"  key = "{FILES}/sbc.key"  ca = "{pki.ca}"  verify-peer = yes }}
tls-profile pinned {{ certificate = "{FILES}/sbc.pem"  key = "{FILES}/sbc.key"  pins = {{"{pin}"}}  verify-peer = yes }}
tls-profile strict {{ certificate = "{FILES}/sbc.pem"  key = "{FILES}/sbc.key"  minimum-version = "1.3"  session-tickets = no }}
tls-profile core   {{ certificate = "{FILES}/core.pem"  key = "{FILES}/core.key"  ca = "{pki.ca}" }}
sip-interface public {{ realm = access  ip-profile = phone  allow-anonymous = all  tls-profile = public  sni-profiles = {{other, named}}
                    listen = {{"tls:203.0.113.10:5061", "tls:[2001:db8:1::10]:5061"}} }}
sip-interface mutual {{ realm = access  ip-profile = phone  allow-anonymous = all  tls-profile = mutual  listen = {{"tls:203.0.113.10:5062"}} }}
sip-interface pinned {{ realm = access  ip-profile = phone  allow-anonymous = all  tls-profile = pinned  listen = {{"tls:203.0.113.10:5063"}} }}
sip-interface strict {{ realm = access  ip-profile = phone  registration = cache  allow-anonymous = registered  tls-profile = strict
                    listen = {{"tls:203.0.113.10:5064"}} }}
sip-interface core-tls {{ realm = core  ip-profile = trunk  allow-anonymous = agents  tls-profile = core
                    listen = {{"tls:10.0.0.1", "tls:[fd00:10::1]:5061"}} }}
session-agent pbx-tls  {{ realm = core  address = "tls:10.0.0.5"  ip-profile = trunk }}
local-policy to-tls    {{ from-realm = access  to = "^7[0-9]+$"   next-hop = "agent:pbx-tls"  priority = 1 }}
local-policy register  {{ from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"  priority = 30 }}
local-policy to-phones {{ from-realm = core  to = ".*"  next-hop = "registration"  priority = 20 }}
"""


@pytest.fixture(scope="module")
def module_stack():
    with lab(configuration()) as stack:
        yield stack
    shutil.rmtree(FILES, ignore_errors=True)


def counted(stack, name):
    return stack.sbc.counters()["controlplane"][name]


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 5)


def s_client(stack, to, *words, say=""):
    """What openssl s_client prints of a connection that it ends itself, and whether the handshake succeeded."""
    done = netns.run(stack.lab.namespace("phone"), ["openssl", "s_client", "-connect", f"{bracket(to[0])}:{to[1]}", *words],
                     input=say, timeout=20)
    text = done.stdout + done.stderr
    return text, bool(re.search(r"^(New|Reused), (?!\(NONE\))", text, re.M))


def plain_connection(stack, to):
    sock = netns.tcp_connect(stack.lab.namespace("phone"), *to)
    return sock


def connected(stack, context, to, name=None, session=None):
    """A connection by Python's ssl, the handshake done."""
    return context.wrap_socket(plain_connection(stack, to), server_hostname=name, session=session)


def ask(sock, to=PUBLIC):
    """OPTIONS and its answer by a connection of one's own."""
    host = bracket(to[0])
    sock.sendall(compose(
        f"OPTIONS sip:{host} SIP/2.0",
        [("Via", f"SIP/2.0/TLS 192.168.77.2:5061;branch=z9hG4bK{token()}"), ("Max-Forwards", "70"), ("From", f"<sip:a@{host}>;tag={token()}"),
         ("To", f"<sip:{host}>"), ("Call-ID", token()), ("CSeq", "1 OPTIONS")]))
    answer = b""
    while b"\r\n\r\n" not in answer:
        octets = sock.recv(65536)
        assert octets, f"closed after {answer}"
        answer += octets
    return answer.decode()


def subject(sock):
    """Common name of the certificate that the other end has shown."""
    der = sock.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject", "-serial"], input=der, capture_output=True, check=True)
    return text.stdout.decode()


# --- what is spoken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version, spoken", [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_versions(stack, pki, version, spoken):
    before = counted(stack, "tls-version")
    text, done = s_client(stack, PUBLIC, version, "-cipher", "ALL:@SECLEVEL=0", "-CAfile", pki.ca, "-verify_return_error")
    assert done == spoken, text
    assert counted(stack, "tls-version") == before + (not spoken)
    if spoken:
        assert "Verify return code: 0 (ok)" in text  # the intermediate has come with it
        assert "Compression: NONE" in text


def test_a_downgrade_is_refused(stack):
    """A profile of TLS 1.3 alone; and a client that pretends to have fallen back (RFC 7507)."""
    assert not s_client(stack, STRICT, "-tls1_2")[1]
    assert s_client(stack, STRICT, "-tls1_3")[1]
    assert not s_client(stack, PUBLIC, "-tls1_2", "-fallback_scsv")[1]


def hello_with_compression():
    """A ClientHello of TLS 1.2 that would like DEFLATE (RFC 3749) best."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(coming, going).do_handshake()
    body = bytearray(going.read()[9:])
    at = 34 + 1 + body[34]
    at += 2 + int.from_bytes(body[at:at + 2], "big")
    assert bytes(body[at:at + 2]) == b"\1\0"
    body[at:at + 2] = b"\2\1\0"
    handshake = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + len(handshake).to_bytes(2, "big") + handshake


def test_compression_is_not_taken_and_early_data_not_offered(stack):
    connection = plain_connection(stack, PUBLIC)
    connection.sendall(hello_with_compression())
    answer = b""
    while len(answer) < 9 + 35 or len(answer) < 9 + 35 + answer[43] + 3:
        piece = connection.recv(4096)
        assert piece, "no ServerHello"
        answer += piece
    connection.close()
    assert answer[0] == 22 and answer[5] == 2 and answer[9 + 35 + answer[43] + 2] == 0
    text, done = s_client(stack, PUBLIC, "-tls1_3", say="Q\n")
    assert done and set(re.findall(r"Max Early Data: (\d+)", text)) <= {"0"}, text
    assert "Early data was not sent" in text


def test_who_leaves_out_his_intermediate_is_not_believed(stack, pki):
    issued = pki.issue("half", dns=["half.example.test"])
    before = counted(stack, "tls-bad-certificate")
    s_client(stack, MUTUAL, "-tls1_2", "-cert", issued.leaf, "-key", issued.key)
    assert counted(stack, "tls-bad-certificate") == before + 1
    text, done = s_client(stack, MUTUAL, "-tls1_2", "-cert", issued.leaf, "-key", issued.key, "-cert_chain", pki.intermediate.certificate)
    assert done and counted(stack, "tls-bad-certificate") == before + 1, text


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES128-GCM-SHA256", "AES256-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                                    "DHE-RSA-AES128-GCM-SHA256", "NULL-SHA256", "ECDHE-ECDSA-AES128-CCM", "AECDH-AES128-SHA", "PSK-AES128-GCM-SHA256"])
def test_weak_ciphers_are_not_spoken(stack, cipher):
    """No forward secrecy, no AEAD, no authentication, no encryption, or no need of it."""
    text, done = s_client(stack, PUBLIC, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert not done, text


@pytest.mark.parametrize("cipher, certificate", [("ECDHE-ECDSA-AES128-GCM-SHA256", "sbc"), ("ECDHE-ECDSA-CHACHA20-POLY1305", "sbc"),
                                                 ("ECDHE-RSA-AES256-GCM-SHA384", "sbc-rsa")])
def test_strong_ciphers_with_the_certificate_of_their_kind(stack, cipher, certificate):
    text, done = s_client(stack, PUBLIC, "-tls1_2", "-cipher", cipher)
    assert done and re.search(rf"subject=CN = {certificate}$", text, re.M), text


def test_who_knows_rsa_alone_gets_it_and_all_others_ecdsa(stack):
    text, done = s_client(stack, PUBLIC, "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256")
    assert done and re.search(r"subject=CN = sbc-rsa$", text, re.M)
    text, done = s_client(stack, PUBLIC, "-tls1_3")
    assert done and re.search(r"subject=CN = sbc$", text, re.M)
    assert not s_client(stack, PUBLIC, "-groups", "P-521")[1]


def test_nothing_is_negotiated_anew(stack):
    text, done = s_client(stack, PUBLIC, "-tls1_2", say="R\n")
    assert done and "RENEGOTIATING" in text and "no renegotiation" in text, text


def test_application_protocol_if_it_is_offered(stack):
    assert "ALPN protocol: sip" in s_client(stack, PUBLIC, "-alpn", "h2,sip")[0]
    text, done = s_client(stack, PUBLIC, "-alpn", "h2")
    assert done and "No ALPN negotiated" in text


def test_what_is_no_tls_is_closed(stack):
    before = counted(stack, "tls-broken")
    for words in (b"OPTIONS sip:x SIP/2.0\r\n\r\n", b"\r\n\r\n\r\n\r\n\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x80\x2e\x01\x03\x01" + b"\0" * 60):
        sock = plain_connection(stack, PUBLIC)
        sock.sendall(words)
        sock.settimeout(5)
        try:
            assert not sock.recv(4096).startswith(b"SIP")
        except ConnectionResetError:
            pass
        sock.close()
    assert counted(stack, "tls-broken") >= before + 3


# --- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, certificate", [("sbc.example.test", "sbc"), ("other.example.test", "other"), ("OTHER.example.test", "other"),
                                               ("a.wild.example.test", "other"), ("a.named.example.test", "core"),
                                               ("a.b.named.example.test", "sbc"), ("unknown.test", "sbc"), (None, "sbc")])
def test_the_certificate_of_the_name_that_is_asked_for(stack, name, certificate):
    sock = connected(stack, client_side(), PUBLIC, name)
    assert re.search(rf"CN = {certificate}$", subject(sock), re.M)
    assert "200 OK" in ask(sock)
    sock.close()


def test_a_name_brings_the_rules_of_its_profile(stack):
    with pytest.raises(ssl.SSLError):
        connected(stack, client_side(maximum=ssl.TLSVersion.TLSv1_2), PUBLIC, "a.named.example.test")
    connected(stack, client_side(maximum=ssl.TLSVersion.TLSv1_2), PUBLIC, "other.example.test").close()


# --- mutual ------------------------------------------------------------------------------------------------------------


def refused(stack, to, issued):
    """The handshake fails, or (TLS 1.3) the first use of the connection does."""
    try:
        sock = connected(stack, client_side(issued=issued), to)
        sock.settimeout(5)
        ask(sock, to)
    except (OSError, AssertionError):
        return True
    return False


@pytest.mark.parametrize("to", [MUTUAL, PINNED], ids=["ca", "pins"])
def test_clients_need_a_certificate_that_we_believe(stack, pki, to):
    good, bad = pki.issue("phone", dns=["phone.example.test"]), pki.self_signed("pinned")
    if to == PINNED:
        good, bad = bad, good
    sock = connected(stack, client_side(issued=good), to)
    assert "200 OK" in ask(sock, to)
    sock.close()
    before = counted(stack, "tls-bad-certificate"), counted(stack, "tls-no-certificate")
    for issued in (bad, pki.expired("phone-old"), pki.not_yet_valid("phone-soon"), pki.unknown("phone-unknown"), pki.self_signed("phone-self")):
        assert refused(stack, to, issued), issued.name
    assert refused(stack, to, None)
    assert (counted(stack, "tls-bad-certificate"), counted(stack, "tls-no-certificate")) == (before[0] + 5, before[1] + 1)


# --- tickets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_ticket_is_good_on_every_shard(stack, version):
    context = client_side(maximum=version, minimum=version)
    first = connected(stack, context, PUBLIC)
    ask(first)
    session, before = first.session, counted(stack, "tls-resumed")
    assert session.has_ticket
    for _ in range(12):
        sock = connected(stack, context, PUBLIC, session=session)
        assert sock.session_reused and "200 OK" in ask(sock)
        sock.close()
    assert counted(stack, "tls-resumed") == before + 12
    first.close()


def test_no_tickets_where_they_are_off(stack):
    context = client_side()
    sock = connected(stack, context, STRICT)
    sock.sendall(b"\r\n\r\n")
    assert sock.recv(16) == b"\r\n"
    assert not sock.session.has_ticket
    again = connected(stack, context, STRICT, session=sock.session)
    assert not again.session_reused


def test_a_ticket_is_no_way_around_the_certificate(stack, pki):
    """Of another profile: it is not known there, and the client is asked as all are."""
    context = client_side()
    sock = connected(stack, context, PUBLIC)
    ask(sock)
    with pytest.raises((OSError, AssertionError)):
        other = connected(stack, context, MUTUAL, session=sock.session)
        other.settimeout(5)
        ask(other, MUTUAL)


# --- new certificates --------------------------------------------------------------------------------------------------


def test_a_new_certificate_is_taken_and_connections_go_on(stack, pki):
    context = client_side(pki.ca)
    old = connected(stack, context, PUBLIC)
    ask(old)
    session = old.session
    publish(pki.issue("sbc", again=True, **NAMES), "sbc")
    netns.wait_for("the new certificate", lambda: subject(connected(stack, context, PUBLIC)) != subject(old), 10, 0.2)
    for _ in range(6):
        sock = connected(stack, context, PUBLIC, session=session)
        assert not sock.session_reused and subject(sock) != subject(old)  # on every shard
        assert "200 OK" in ask(sock)
        sock.close()
    assert "200 OK" in ask(old)


def test_a_bad_certificate_keeps_the_old_one_and_raises_an_alarm(stack, pki):
    context = client_side(pki.ca)
    sock = connected(stack, context, PUBLIC)
    before = subject(sock)
    good = pathlib.Path(FILES, "sbc.pem").read_text()
    alarms = lambda: [a for a in stack.sbc.show("alarms")["alarms"] if a["alarm"] == "certificate-reload-failed"]
    for bad in ("", good[:200], good.replace("M", "N", 5), pathlib.Path(pki.issue("somebody").certificate).read_text()):
        pathlib.Path(FILES, "sbc.pem").write_text(bad)
        reload = stack.sbc.command("reload", "tls")
        assert reload.returncode != 0 and "refused" in reload.stdout, reload
        assert alarms()
        assert subject(connected(stack, context, PUBLIC)) == before
    pathlib.Path(FILES, "sbc.pem").write_text(good)
    assert stack.sbc.command("reload", "tls").returncode == 0
    netns.wait_for("the alarm's end", lambda: not alarms(), 5)
    assert "200 OK" in ask(sock)


@pytest.mark.parametrize("wrong, said", [("key", "is not the key of the certificate"), ("certificate", "holds no certificate"), ("missing", "No such file")])
def test_a_start_and_a_check_say_what_is_wrong_with_the_files(stack, pki, wrong, said):
    good = pki.issue("sbc", **NAMES)
    certificate, key = good.certificate, good.key
    if wrong == "key":
        key = pki.issue("other", dns=["other.example.test", "*.wild.example.test"]).key
    elif wrong == "certificate":
        certificate = good.key
    else:
        certificate = f"{FILES}/nothing"
    file = stack.lab.directory / "wrong.conf"
    text = sbc_module.configuration(stack.lab)
    file.write_text(f'{text}\ntls-profile t {{ certificate = "{certificate}"\n  key = "{key}" }}\n')
    binary = lambda name: str(sbc_module.BUILD / name)
    check = subprocess.run([binary("sallyport"), "config", "check", file], text=True, capture_output=True, timeout=20)
    line = len(text.splitlines()) + (3 if wrong == "key" else 2)
    assert f"{file}:{line}: tls-profile t." in check.stderr and said in check.stderr, check
    assert check.returncode == (0 if wrong == "missing" else 2)
    file.write_text(file.read_text().replace(f"{stack.lab.directory}/run", f"{stack.lab.directory}/run2").replace(
        f"{stack.lab.directory}/data", f"{stack.lab.directory}/data2"))
    start = netns.run(stack.lab.namespace("sbc"), [binary("sallyport-controlplane"), "-c", str(file)], timeout=20)
    assert start.returncode == 2 and f"{file}:" in start.stderr and "tls-profile t" in start.stderr, start


def test_a_process_with_certificates_keys_writes_no_core(stack):
    """What is not dumpable belongs to root in /proc (proc(5)), whoever runs it."""
    process = pathlib.Path("/proc", str(stack.sbc.processes["controlplane"].pid))
    users = re.search(r"^Uid:\s+(.*)$", (process / "status").read_text(), re.M).group(1).split()
    assert "0" not in users and (process / "environ").stat().st_uid == 0


# --- limits ------------------------------------------------------------------------------------------------------------


def test_who_does_not_finish_his_handshake_is_turned_out(stack):
    """Silent ones, those who stop in the middle, and those who send an octet now and then."""
    before = counted(stack, "tls-timed-out")
    hello = client_hello()
    silent, half, slow = (plain_connection(stack, PUBLIC) for _ in range(3))
    half.sendall(hello[:100])
    sent = 0

    def ended():
        nonlocal sent
        try:
            slow.sendall(hello[sent:sent + 1])
            sent += 1
        except OSError:
            pass
        return counted(stack, "tls-timed-out") >= before + 3

    netns.wait_for("three handshakes given up", ended, 10, 0.1)
    for sock in (silent, half):
        sock.settimeout(5)
        assert sock.recv(1) == b""


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_a_handshake_has_an_end(stack):
    """One that fragments its hello into records without limit."""
    before = counted(stack, "tls-too-long") + counted(stack, "tls-broken")
    sock = plain_connection(stack, PUBLIC)
    with pytest.raises(OSError):
        sock.sendall(b"\x16\x03\x01\x40\x00" + b"\x01\x01\xff\xff\x03\x03" + b"x" * (16384 - 6))
        for _ in range(64):
            sock.sendall(b"\x16\x03\x01\x40\x00" + b"x" * 16384)
            time.sleep(0)
    assert counted(stack, "tls-too-long") + counted(stack, "tls-broken") == before + 1


def test_a_flood_of_handshakes_from_one_source_leaves_others_calling(stack):
    """Narrow limits, and a source that begins and abandons handshakes as fast as it can. Calls of others go on, and TLS of others, too."""
    before = stack.more
    stack.more = before.replace("tls-handshake-rate = 2000", "tls-handshake-rate = 5  tls-max-handshakes = 2")
    stack.start("packet")
    hello, left = client_hello(), []

    def begin():
        try:
            sock = plain_connection(stack, PUBLIC)
            left.append(sock)
            sock.sendall(hello)
        except OSError:
            pass

    phone, pbx = stack.phone(), tls_pbx(stack)
    try:
        while counted(stack, "tls-over-rate") < 20:
            for _ in range(10):
                begin()
            Call(stack, phone, pbx, "7000").hang_up()
        other = netns.tcp_connect(stack.lab.namespace("outside"), *PUBLIC)
        sock = client_side().wrap_socket(other)
        assert "200 OK" in ask(sock)
        sock.close()
        assert counted(stack, "tls-gave-way") > 0
    finally:
        for sock in left:
            sock.close()
        stack.end_test()
        stack.more = before
        stack.start("packet")


# --- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("near, far", [("tls", "tls"), ("tls", "udp"), ("udp", "tls")])
def test_a_call(stack, near, far):
    caller = tls_phone(stack) if near == "tls" else stack.phone()
    callee = tls_pbx(stack) if far == "tls" else stack.pbx()
    call = Call(stack, caller, callee, "7000" if far == "tls" else "1000", to=(SBC_OUT4, 5061 if near == "tls" else 5060))
    if far == "tls":
        assert call.b.invite["via"].startswith(f"SIP/2.0/TLS {SBC_IN4}:5061;")
        assert ";transport=tls" in call.b.invite["contact"] or call.b.invite["contact"].startswith("<sips:")
    if near == "tls":
        assert call.ok["via"].startswith("SIP/2.0/TLS ")
    call.hang_up("callee")
    no_calls_left(stack)
    for endpoint in (caller, callee):
        if isinstance(endpoint, TlsEndpoint):
            assert len(endpoint.links) == 1


def test_an_agent_gets_all_calls_by_one_connection_and_another_after_its_restart(stack):
    phone, pbx = stack.phone(), tls_pbx(stack)
    shards = set()
    for number in range(7000, 7008):
        Call(stack, phone, pbx, str(number)).hang_up()
    shards = len(pbx.links)
    assert 1 <= shards <= 3  # one of each shard
    pbx.close()
    stack.closing.remove(pbx)
    pbx = tls_pbx(stack)
    call = Call(stack, phone, pbx, "7100")
    call.hang_up()
    no_calls_left(stack)


@pytest.mark.parametrize("wrong", ["name", "expired", "not_yet_valid", "unknown", "self_signed"])
def test_an_agent_that_cannot_prove_who_it_is_gets_no_call(stack, pki, wrong):
    issued = pki.issue("imposter", ip=["10.0.0.66"], dns=["sbc.example.test"]) if wrong == "name" \
        else getattr(pki, wrong)(f"pbx-{wrong}", ip=["10.0.0.5"])
    counter = "tls-wrong-name" if wrong == "name" else "tls-bad-certificate"
    before = counted(stack, counter)
    phone, pbx = stack.phone(), tls_pbx(stack, issued)
    a = phone.call((SBC_OUT4, 5060), "7000", sdp(phone.host, 30000))
    a.ack(a.expect(lambda m: m.status >= 400 and m.method == "INVITE", timeout=20))
    assert counted(stack, counter) > before
    assert not pbx.received
    no_calls_left(stack)


def test_a_registered_phone_is_called_by_its_connection(stack):
    phone, registrar = tls_phone(stack, client=client_side()), stack.pbx()
    contact = f"<sip:alice@{phone.host}:{phone.port};transport=tls>"
    call_id, host = token(), bracket(STRICT[0])
    phone.send(compose(
        f"REGISTER sip:{host} SIP/2.0",
        [("Via", f"SIP/2.0/TLS {phone.host}:{phone.port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"), ("From", f"<sip:alice@{host}>;tag=1"),
         ("To", f"<sip:alice@{host}>"), ("Call-ID", call_id), ("CSeq", "1 REGISTER"), ("Contact", contact), ("Expires", "600")]), STRICT)
    register = registrar.expect("REGISTER")
    ours = re.search(r"<(sips?:[^>]+)>", register["contact"]).group(1)
    answer = [("Via", register["via"]), ("From", register["from"]), ("To", register["to"] + ";tag=r"), ("Call-ID", register.call_id),
              ("CSeq", register["cseq"]), ("Contact", f"<{ours}>;expires=600")]
    registrar.send(compose("SIP/2.0 200 OK", answer), register.source)
    phone.expect(200)
    user = re.match(r"sips?:([^@]+)@", ours).group(1)
    b = registrar.call((SBC_IN4, 5060), user, sdp(registrar.host, 30000))
    a = phone.answerer()
    assert a.invite.link is phone.links[0] and len(phone.links) == 1
    a.reply(a.invite, 486, "Busy Here")
    b.ack(b.expect(486))
    no_calls_left(stack)


def test_calls_over_ipv6(stack):
    sock = connected(stack, client_side(), (SBC_OUT6, 5061))
    assert "200 OK" in ask(sock, (SBC_OUT6, 5061))
