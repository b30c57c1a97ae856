# SPDX-License-Identifier: BSD-3-Clause
"""relay-rtpengine: RTP packets per second relayed between two veth pairs, two streams a call, by the real sallyport-dataplane
over AF_XDP with one worker, against rtpengine in userspace with one thread, both on the same core. What comes out is counted at the peers'
interfaces and ends there, on the relay's core, as veth has it; what is sent to a relay is received on the generator's core, for both. Two
figures: "carried", the most that arrive while they are offered, whatever is lost beside; and "whole", the highest rate that was offered of which
all but one in a thousand arrive, and 95 % while it is offered, the best of three tries. Then, for the first number of calls, the latency that each adds to that of a plain
cable, at half of its own highest whole rate.

BENCH_RTPENGINE_CALLS, BENCH_RTPENGINE_SECONDS (of one rate), BENCH_RTPENGINE_KIND (xdp, packet), BENCH_RTPENGINE_SOCKETS (1: what is
counted goes on through the peers' IP and UDP to a socket each, also on the relay's core; the relays then share it with their peers)."""

import os
import sys

import stage
import traffic
from bench_relay_veth import start_dataplane
from traffic import FAR, INSIDE, NEAR, OUTSIDE, PORT_FIRST

sys.path.insert(0, str(stage.REPOSITORY / "platforms" / "lab"))

import netns  # noqa: E402

# Packets per second below what either carries on any machine of today.
FIRST_RATE = {"ours": 600000, "peer": 150000}
TRIES = 3  # whatever else the machine does shall not decide
SHARES = 16  # of what is carried: how finely "whole" is found


def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(v) for k, v in sorted(value.items())) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return str(len(value.encode())).encode() + b":" + value.encode()


def ask(sock, number, **message):
    """One command of rtpengine's control protocol; returns the SDP of its answer."""
    sock.send(str(number).encode() + b" " + bencode({key.replace("_", "-"): value for key, value in message.items()}))
    answer = sock.recv(65536).decode(errors="replace")
    if "6:result2:ok" not in answer:
        raise stage.Refused(f"rtpengine: {answer}")
    return answer[answer.index("v=0"):]


def describe(address, port, profile="RTP/AVP", more=""):
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} {profile} 8\r\n"
            f"a=rtpmap:8 PCMA/8000\r\n{more}")


def plain_call(sock, number, near, far, call):
    """Offer and answer; returns the ports toward near and far."""
    offer = ask(sock, 2 * number, command="offer", sdp=near, direction=["outside", "inside"], **call)
    answer = ask(sock, 2 * number + 1, command="answer", to_tag="b", sdp=far, direction=["inside", "outside"], **call)
    return [sdp.split("m=audio ")[1].split()[0] for sdp in (answer, offer)]


def start_rtpengine(s, calls, make=plain_call, sides=(0, 1)):
    """Runs rtpengine with a call for each flow; returns the file of their flows."""
    s.address("sbc", "eth1", f"{OUTSIDE}/24")
    s.address("sbc", "eth2", f"{INSIDE}/24")
    process = s.start(
        "sbc", stage.program("rtpengine"), "--config-file=none",
        f"--interface=outside/{OUTSIDE}", f"--interface=inside/{INSIDE}", "--listen-ng=127.0.0.1:2223", "--table=-1", "--foreground",
        "--log-stderr", "--log-level=2", "--num-threads=1", "--port-min=1024", "--port-max=65535", cpu=stage.CPU, log="rtpengine.log")

    def answers():
        if process.poll() is not None:
            raise stage.Refused(f"rtpengine: {s.log('rtpengine.log')}")
        return "127.0.0.1:2223" in s.run("sbc", "ss", "-Hlun").stdout

    stage.wait_for("rtpengine", answers)
    s.run("near", "ping", "-c", "1", "-W", "2", OUTSIDE)
    s.run("far", "ping", "-c", "1", "-W", "2", INSIDE)
    sock = netns.udp_socket(f"{s.prefix}-sbc", "127.0.0.1")
    sock.connect(("127.0.0.1", 2223))
    sock.settimeout(5)
    ports = []
    for i in range(calls):
        port = PORT_FIRST + 2 * i
        call = {"call_id": str(i), "from_tag": "a", "ICE": "remove", "replace": ["origin", "session-connection"]}
        ports.append(make(sock, i, describe(NEAR, port), describe(FAR, port), call))
    sock.close()
    return traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "eth1"), traffic.mac(s, "sbc", "eth2")), sides)


class Relay:
    """The relay under test with its calls. After loss it is started anew: rtpengine reads a socket no more that it has once
    left with packets in it."""

    def __init__(self, name, calls, start):
        self.name, self.calls, self.start, self.stage, self.most = name, calls, start, None, 0
        self.all_of = 0  # the highest rate of which everything arrived
        self.sockets = stage.setting("BENCH_RTPENGINE_SOCKETS", 0) != 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.stage:
            self.stage.__exit__()
            self.stage = None

    def run(self, seconds, rate, **more):
        return traffic.run(self.stage, seconds, self.flows, rate=rate, deliver=self.sockets, **more)

    def offer(self, seconds, rate, **more):
        if self.stage is None:
            self.stage = stage.Stage(self.name).__enter__()
            traffic.build(self.stage)
            self.flows = self.start(self.stage, self.calls)
            self.run(1, self.calls * 10)  # everybody learns who is where
        report = self.run(seconds, rate, **more)
        self.most = max(self.most, report["carried"])
        if report["arrived"] < 0.999 * report["offered"]:
            self.end()
        return report

    def carried(self, seconds):
        """The most that arrives of rates that rise until two on end are too high: rtpengine collapses when much more is offered."""
        rate, too_high = FIRST_RATE[self.name], 0
        while too_high < 2:
            report = self.offer(seconds, rate)
            too_high = too_high + 1 if report["arrived"] < 0.95 * report["offered"] else 0
            rate = rate * 5 // 4
        return self.most

    def whole(self, seconds):
        """The highest rate that arrives, searched for in shares of what is carried."""
        low, high = 0, SHARES + 1
        while high - low > 1:
            share = (low + high) // 2
            if any(self._arrives(seconds, self.most * share / SHARES) for _ in range(TRIES)):
                low = share
            else:
                high = share
        return self.all_of

    def _arrives(self, seconds, rate):
        """Nothing lost, and nothing that was merely put off: a relay's sockets hold what they have no time for."""
        report = self.offer(seconds, rate)
        if report["arrived"] < 0.999 * report["offered"] or report["carried"] < 0.95 * report["offered"]:
            return False
        self.all_of = max(self.all_of, report["carried"])
        return True


def cable(seconds, rate):
    """The latency with nothing between the generator and what counts."""
    with stage.Stage("cable") as s:
        for node in ("near", "far"):
            s.namespace(node)
        s.cable("near", "eth0", "far", "eth0")
        s.run("near", "ethtool", "-K", "eth0", "gro", "on")
        s.run("far", "ethtool", "-K", "eth0", "gro", "on")
        flows = traffic.write_flows(s, [(PORT_FIRST, PORT_FIRST)], ("02:00:00:00:00:02",) * 2)
        return traffic.run(s, seconds, flows, rate=rate, latencies=True)


def compare(case, seconds, relays, rates):
    reports = []
    for relay, rate in zip(relays, rates):
        with relay:  # begun with nothing left in its sockets, and ended before the other one wants the core
            report = relay.offer(seconds, rate, latencies=True)
        plain = cable(seconds, rate)
        reports.append({key: max(0.0, round(report[key] - plain[key], 1)) for key in ("p50_us", "p99_us")})
    for key in ("p50_us", "p99_us"):
        mine, peer = (report[key] for report in reports)
        stage.result("relay-rtpengine", f"{case}-{key[:3]}", mine, peer, "us added", less_is_better=True, at_ours=round(rates[0]),
                     at_peer=round(rates[1]))


def measure_case(bench, case, relays, seconds):
    """Returns the rates that the relays, ours and the peer, lose nothing of."""
    rates = []
    for relay in relays:
        with relay:
            relay.carried(seconds)
    for relay in relays:
        with relay:
            rates.append(relay.whole(seconds))
    stage.result(bench, f"{case}-carried", *(round(relay.most) for relay in relays), "packets/s")
    stage.result(bench, f"{case}-whole", *map(round, rates), "packets/s")
    return rates


def measure():
    seconds = stage.setting("BENCH_RTPENGINE_SECONDS", 2)
    kind = os.environ.get("BENCH_RTPENGINE_KIND", "xdp")
    for number, calls in enumerate(stage.settings("BENCH_RTPENGINE_CALLS", (1000, 4900))):
        case = f"{kind}-{calls}-calls"
        relays = Relay("ours", calls, lambda s, n: start_dataplane(s, kind, n)), Relay("peer", calls, start_rtpengine)
        rates = measure_case("relay-rtpengine", case, relays, seconds)
        if number == 0:
            compare(f"{case}-half-load", seconds, relays, [max(rate, calls) / 2 for rate in rates])
