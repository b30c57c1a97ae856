# SPDX-License-Identifier: BSD-3-Clause
"""Session-agents configured by name, with dnsmasq as their DNS: RFC 3263 as far as our addresses leave it open, and what happens when DNS changes
its mind or is away."""

import itertools
import pathlib
import subprocess

import pytest

import netns
from attempts import TO_SBC, answer, refuse, refused
from conftest import SBC_IN4, SBC_OUT4
from early import hang_up, no_calls_left
from nat import Registrar, Registration
from sip import Dialog, sdp

pytestmark = pytest.mark.parametrize("module_stack", ["packet"], indirect=True, scope="module")

HERE, THERE, DEAD = "10.0.0.100", "10.0.0.101", "10.0.0.99"
PORT = 5070
PATIENCE = 40  # longer than the longest pause between two questions

GUARD = f"""
guard {{ untrusted-rate = 10000  untrusted-burst = 10000 }}
sip-config {{ shards = 3  t1 = 100ms  dns-servers = {{"127.0.0.1"}}  dns-timeout = 300ms  dns-min-ttl = 1  dns-max-ttl = 1  dns-retry = 1
             dns-max-addresses = 4  address-timeout = 500ms }}
session-agent by-a     {{ realm = core  address = "udp:four.example:{PORT}" }}
session-agent by-aaaa  {{ realm = core  address = "udp:six.example:{PORT}" }}
session-agent by-srv   {{ realm = core  address = "udp:service.example" }}
session-agent watched  {{ realm = core  address = "udp:watched.example"  options-interval = 1 }}
session-agent moving   {{ realm = core  address = "udp:moving.example:{PORT}" }}
local-policy to-a       {{ from-realm = access  to = "^71[0-9]+$"  next-hop = "agent:by-a"     priority = 1 }}
local-policy to-aaaa    {{ from-realm = access  to = "^72[0-9]+$"  next-hop = "agent:by-aaaa"  priority = 1 }}
local-policy to-srv     {{ from-realm = access  to = "^73[0-9]+$"  next-hop = "agent:by-srv"   priority = 1 }}
local-policy to-watched {{ from-realm = access  to = "^74[0-9]+$"  next-hop = "agent:watched"  priority = 1 }}
sip-interface registering {{ realm = access  ip-profile = phone  registration = relay  allow-anonymous = registered
             listen = {{"udp:{SBC_OUT4}:5070"}} }}
local-policy register   {{ from-realm = access  to = "^[a-z]+$"  next-hop = "agent:by-srv"  priority = 30 }}
local-policy to-moving  {{ from-realm = access  to = "^75[0-9]+$"  next-hop = "agent:moving"   priority = 1 }}
"""


NAMES = ("four", "six", "service", "watched", "moving")


class Dns:
    """dnsmasq beside the SBC; its records are changed by starting it anew. A name without records of its own leads to nobody."""

    def __init__(self, namespace):
        self.namespace, self.process = namespace, None

    def start(self, *records):
        self.stop()
        others = [f"host-record={name}.example,{DEAD}" for name in NAMES if not any(f"{name}.example," in r for r in records)]
        command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--user=root",
                   "--bind-interfaces", "--listen-address=127.0.0.1", "--local=/example/", "--local-ttl=1", "--log-facility=-"]
        self.process = netns.popen(self.namespace, command + [f"--{r}" for r in [*records, *others]],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@pytest.fixture(scope="module")
def dns(module_stack):
    server = Dns(module_stack.lab.namespace("sbc"))
    server.start()
    yield server
    server.stop()


def trusted(stack):
    return {row["source"] for row in stack.sbc.show("trusted")["trusted"]}


def trusts(stack, *hosts):
    """Until the dataplane trusts the addresses: then the shard that says so knows them."""
    netns.wait_for(f"trust of {hosts}", lambda: any(h in str(trusted(stack)) for h in hosts), PATIENCE, interval=0.1)


numbers = itertools.count(1000)


def reaches(stack, caller, prefix, callee):
    """Calls until one arrives there: each shard learns of a change by itself. Returns both dialogs."""
    def attempt():
        number = f"{prefix}{next(numbers)}"
        a = caller.call(TO_SBC, number, sdp(caller.host, 30000))
        try:
            return a, callee.answerer(match=lambda m: number in m.uri and not m.tag("to"), timeout=2)
        except AssertionError:
            a.cancel()
            return None

    return netns.wait_for(f"a call at {callee.host}", attempt, PATIENCE, interval=0.1)


def complete(a, b):
    answer(a, b)
    hang_up(a, b)


def is_stranger(source):
    a = source.call((SBC_IN4, 5060), f"90{next(numbers)}", sdp(source.host, 30000))
    try:
        refused(a, 403, timeout=1)
        return True
    except AssertionError:
        a.cancel()
        return False


def is_let_in(source, carrier):
    number = f"90{next(numbers)}"
    a = source.call((SBC_IN4, 5060), number, sdp(source.host, 30000))
    try:
        b = carrier.answerer(match=lambda m: number in m.uri, timeout=2)
    except AssertionError:
        a.cancel()
        return False
    b.reply(b.invite, 200, "OK", sdp(b.endpoint.host, 30002))
    b.expect("ACK")
    a.ack(a.expect(lambda m: m.status == 200 and m.method == "INVITE"))
    a.endpoint.ask((SBC_IN4, 5060))
    hang_up(a, b)
    return True


@pytest.mark.parametrize("record, prefix, host", [
    (f"host-record=four.example,{HERE}", "71", HERE),
    ("host-record=six.example,fd00:10::100", "72", "fd00:10::100"),
], ids=["A", "AAAA"])
def test_a_call_goes_where_the_name_leads(stack, dns, record, prefix, host):
    phone, peer = stack.phone(), stack.endpoint("inside", host, PORT)
    dns.start(record)
    a, b = reaches(stack, phone, prefix, peer)
    complete(a, b)
    no_calls_left(stack)


def test_a_request_outside_of_calls_goes_where_the_name_leads(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", HERE, PORT)
    dns.start(f"host-record=four.example,{HERE}")
    complete(*reaches(stack, phone, "71", peer))
    a = Dialog(phone, TO_SBC)
    a.local, a.remote, a.target = f"<sip:alice@{phone.host}>;tag=m1", "<sip:7100@203.0.113.10>", "sip:7100@203.0.113.10:5060"
    a.request("MESSAGE", b"hello", content_type="text/plain")
    message = peer.expect("MESSAGE")
    assert message.body == b"hello"
    b = Dialog(peer, message.source)
    b.local = f"{message['to']};tag=m2"
    b.reply(message, 200)
    a.expect(lambda m: m.status == 200 and m.method == "MESSAGE")


def srv(name, *targets):
    """Records of a service: (host, port, priority, weight) each."""
    return [f"srv-host=_sip._udp.{name},t{i}.example,{port},{priority},{weight}" for i, (_, port, priority, weight) in enumerate(targets)] + [
        f"host-record=t{i}.example,{host}" for i, (host, *_) in enumerate(targets)]


def test_a_target_that_is_dead_is_left_for_the_next_of_the_service(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", THERE, 5081)
    dns.start(*srv("service.example", (DEAD, 5080, 1, 0), (THERE, 5081, 2, 0)))
    a, b = reaches(stack, phone, "73", peer)
    assert f"@{THERE}:5081" in b.invite.uri
    complete(a, b)
    no_calls_left(stack)


def test_a_registrar_that_is_dead_is_left_for_the_next_of_the_service(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", THERE, 5081)
    dns.start(*srv("service.example", (DEAD, 5080, 1, 0), (THERE, 5081, 2, 0)))
    registration = Registration(phone, "alice", (SBC_OUT4, 5070))

    def arrives():
        """Each shard learns of a change by itself."""
        registration.send()
        try:
            asked = Registrar(peer).accept(phone, timeout=3)
        except AssertionError:
            return None
        return asked if registration.answer().status == 200 else None

    asked = netns.wait_for("a REGISTER at the second target", arrives, PATIENCE, interval=1.0)
    assert f"@{SBC_IN4}" in asked["contact"]
    assert len(stack.sbc.show("registrations")["registrations"]) == 1
    registration.refresh(Registrar(peer), 0)


def test_a_service_of_more_targets_than_fit_a_datagram_is_told_by_tcp(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", THERE, 5084)
    many = [f"srv-host=_sip._udp.service.example,target-with-a-long-name-{i}.example,5080,{i + 2},0" for i in range(40)]
    dns.start(*many, *srv("service.example", (THERE, 5084, 1, 0)))
    complete(*reaches(stack, phone, "73", peer))
    no_calls_left(stack)


def test_a_target_that_says_503_is_left_and_one_that_is_busy_is_not(stack, dns):
    phone, first, second = stack.phone(), stack.endpoint("inside", HERE, 5080), stack.endpoint("inside", THERE, 5081)
    dns.start(*srv("service.example", (HERE, 5080, 1, 0), (THERE, 5081, 2, 0)))
    a, b = reaches(stack, phone, "73", first)
    refuse(b, 503)
    c = second.answerer(match=lambda m: b.invite.uri.partition("@")[0] in m.uri)
    assert c.call_id != b.call_id
    complete(a, c)
    a = phone.call(TO_SBC, "7302", sdp(phone.host, 30000))
    b = first.answerer(match=lambda m: "7302" in m.uri)
    refuse(b, 486)
    refused(a, 486)
    assert not second.pending(lambda m: "7302" in m.uri)
    no_calls_left(stack)


def test_a_target_that_does_not_answer_options_is_not_asked(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", THERE, 5083)
    dns.start(*srv("watched.example", (DEAD, 5082, 1, 0), (THERE, 5083, 2, 0)))
    options = peer.expect("OPTIONS", timeout=60)  # after timer F at the dead one
    peer.send(b"\r\n".join([b"SIP/2.0 200 OK", *(f"{h}: {options[h.lower()]}".encode() for h in ("Via", "From", "To", "Call-ID", "CSeq")),
                            b"Content-Length: 0", b"", b""]), options.source)
    a, b = reaches(stack, phone, "74", peer)
    complete(a, b)


def test_calls_follow_an_address_that_changes_and_the_old_one_is_a_stranger(stack, dns):
    phone, old, new = stack.phone(), stack.endpoint("inside", HERE, PORT), stack.endpoint("inside", THERE, PORT)
    carrier = stack.carrier()
    netns.wait_for("a stranger", lambda: is_stranger(old), PATIENCE)
    dns.start(f"host-record=moving.example,{HERE}")
    complete(*reaches(stack, phone, "75", old))
    trusts(stack, HERE)
    netns.wait_for("calls of the agent", lambda: is_let_in(old, carrier), PATIENCE)
    dns.start(f"host-record=moving.example,{THERE}")
    complete(*reaches(stack, phone, "75", new))
    trusts(stack, THERE)
    netns.wait_for("calls of the agent", lambda: is_let_in(new, carrier), PATIENCE)
    netns.wait_for("the old address being a stranger", lambda: is_stranger(old), PATIENCE)
    netns.wait_for("the old address without trust", lambda: HERE not in str(trusted(stack)), PATIENCE)


def test_without_dns_the_last_address_holds_and_with_it_a_name_comes_to_life(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", HERE, PORT)
    dns.stop()
    stack.start(stack.kind)
    a = phone.call(TO_SBC, "7102", sdp(phone.host, 30000))
    refused(a, 503)
    dns.start(f"host-record=four.example,{HERE}")
    complete(*reaches(stack, phone, "71", peer))
    trusts(stack, HERE)
    netns.wait_for("every shard's address", lambda: log_count(stack, "has an address") >= 1, PATIENCE)
    dns.stop()
    netns.wait_for("DNS being missed", lambda: log_count(stack, "DNS does not tell") >= 2, PATIENCE)
    complete(*reaches(stack, phone, "71", peer))


def test_a_dataplane_that_restarts_is_told_whom_to_trust(stack, dns):
    dns.start(f"host-record=four.example,{HERE}")
    trusts(stack, HERE)
    dns.stop()
    stack.sbc.end("dataplane")
    stack.sbc.start("dataplane")
    stack.sbc.wait_ready()
    trusts(stack, HERE)


def test_without_servers_in_the_configuration_those_of_resolv_conf_are_asked(stack, dns):
    phone, peer = stack.phone(), stack.endpoint("inside", HERE, PORT)
    # What ip-netns(8) shows to those in the namespace as /etc.
    etc = pathlib.Path("/etc/netns") / stack.sbc.namespace
    etc.mkdir(parents=True, exist_ok=True)
    more = stack.more
    try:
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch nowhere.example\n")
        stack.more = more.replace('dns-servers = {"127.0.0.1"}', "")
        dns.start(f"host-record=four.example,{HERE}")
        stack.start(stack.kind)
        complete(*reaches(stack, phone, "71", peer))
    finally:
        (etc / "resolv.conf").unlink(missing_ok=True)
        etc.rmdir()
        stack.more = more
        stack.start(stack.kind)


def log_count(stack, text):
    return stack.sbc.log_path("controlplane").read_text(errors="replace").count(text)
