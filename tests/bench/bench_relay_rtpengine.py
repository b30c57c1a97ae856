# SPDX-License-Identifier: BSD-3-Clause
"""relay-rtpengine: RTP packets per second relayed between two veth pairs, two streams a call, on one core without losing more than
one in a thousand, by the real sallyport-dataplane over AF_XDP, against rtpengine in userspace. That core also does the kernel's
receiving: all of it for the dataplane, which polls; all but the driver's part for rtpengine. In the cases "receive-elsewhere" the
generator's core does it, as is usual with veth. Then the latency that each adds to that of a plain cable: at half of its own highest
rate, and both at half of rtpengine's.

BENCH_RTPENGINE_CALLS, BENCH_RTPENGINE_SECONDS (of one rate), BENCH_RTPENGINE_KIND (xdp, packet)."""

import os
import sys

import stage
import traffic
from bench_relay_veth import start_dataplane
from traffic import FAR, INSIDE, NEAR, OUTSIDE, PORT_FIRST

sys.path.insert(0, str(stage.REPOSITORY / "platforms" / "lab"))

import netns  # noqa: E402


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


def describe(address, port):
    return f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"


def start_rtpengine(s, calls):
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
        offer = ask(sock, 2 * i, command="offer", sdp=describe(NEAR, port), direction=["outside", "inside"], **call)
        answer = ask(sock, 2 * i + 1, command="answer", to_tag="b", sdp=describe(FAR, port), direction=["inside", "outside"], **call)
        ports.append([sdp.split("m=audio ")[1].split()[0] for sdp in (answer, offer)])
    sock.close()
    return traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "eth1"), traffic.mac(s, "sbc", "eth2")))


class Relay:
    """The relay under test with its calls. After overload it is started anew: rtpengine reads a socket no more that it has once
    left with packets in it."""

    def __init__(self, name, calls, start, at_home):
        self.name, self.calls, self.start, self.at_home, self.stage = name, calls, start, at_home, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.stage:
            self.stage.__exit__()
            self.stage = None

    def offer(self, seconds, rate, **more):
        if self.stage is None:
            self.stage = stage.Stage(self.name).__enter__()
            traffic.build(self.stage)
            self.flows = self.start(self.stage, self.calls)
            if self.at_home:  # what moves the kernel's receiving to the server's core
                self.at_home(self.stage)
            traffic.run(self.stage, 1, self.flows, rate=self.calls * 10)  # everybody learns who is where
        report = traffic.run(self.stage, seconds, self.flows, rate=rate, **more)
        if report["arrived"] < 0.999 * report["offered"]:
            self.end()
        return report

    def highest(self, seconds):
        """(The highest rate that arrives, to about 3 %; whether the generator could offer no more.) A failure counts twice."""
        low, high, rate = 0, None, 50000
        while rate >= 1000 and (high is None or high - low > low // 32):
            for _ in range(2):
                report = self.offer(seconds, rate)
                whole = report["arrived"] >= 0.999 * report["offered"]
                if whole or report["arrived"] < 0.9 * rate:
                    break
            if whole and report["offered"] < 0.97 * rate:
                return report["arrived"], True
            low, high = (rate, high) if whole else (low, rate)
            rate = low * 2 if high is None else (low + high) // 2
        return low, False


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


def compare(case, seconds, ours, rate_ours, theirs, rate_theirs):
    reports = []
    for relay, rate in ((ours, rate_ours), (theirs, rate_theirs)):
        # Begun with nothing left in its sockets, and ended before the other one wants the core.
        with relay:
            relay.end()
            report = relay.offer(seconds, rate, latencies=True)
        plain = cable(seconds, rate)
        reports.append({key: max(0.0, round(report[key] - plain[key], 1)) for key in ("p50_us", "p99_us")})
    for key in ("p50_us", "p99_us"):
        mine, peer = (report[key] for report in reports)
        stage.result("relay-rtpengine", f"{case}-{key[:3]}", mine, peer, "us added", less_is_better=True, at_ours=round(rate_ours),
                     at_peer=round(rate_theirs))


def measure_case(case, kind, calls, seconds, at_home):
    peer = Relay("peer", calls, start_rtpengine, at_home and traffic.steer)
    ours = Relay("ours", calls, lambda s, n: start_dataplane(s, kind, n), at_home and traffic.poll_at_home)
    with peer:
        theirs, _ = peer.highest(seconds)
    with ours:
        mine, limited = ours.highest(seconds)
    stage.result("relay-rtpengine", case, round(mine), round(theirs), "packets/s", limited_by_generator=limited)
    compare(f"{case}-half-load", seconds, ours, mine / 2, peer, theirs / 2)
    compare(f"{case}-same-load", seconds, ours, theirs / 2, peer, theirs / 2)


def measure():
    seconds = stage.setting("BENCH_RTPENGINE_SECONDS", 3)
    kind = os.environ.get("BENCH_RTPENGINE_KIND", "xdp")
    for calls in stage.settings("BENCH_RTPENGINE_CALLS", (1000, 4900)):
        measure_case(f"{kind}-{calls}-calls", kind, calls, seconds, True)
        measure_case(f"{kind}-{calls}-calls-receive-elsewhere", kind, calls, seconds, False)
