# SPDX-License-Identifier: BSD-3-Clause
"""relay-rtpengine: RTP packets per second relayed between two veth pairs on one core without losing more than one in a thousand,
by the real sallyport-dataplane over AF_XDP, against rtpengine in userspace with a call for each flow.

BENCH_RTPENGINE_CALLS, BENCH_RTPENGINE_SECONDS (of one rate), BENCH_RTPENGINE_KIND (xdp, packet)."""

import os
import sys

import stage
from bench_relay_veth import FAR, INSIDE, NEAR, OUTSIDE, build, mac, offer, start_dataplane

sys.path.insert(0, str(stage.REPOSITORY / "platforms" / "lab"))

import netns  # noqa: E402

PORT_FIRST = 1024  # as in generator.c


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


def sdp(address, port):
    return f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"


def start_rtpengine(s, calls):
    """Runs rtpengine with a call for each flow; returns the generator's options for them."""
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
        ask(sock, 2 * i, command="offer", sdp=sdp(NEAR, port), direction=["outside", "inside"], **call)
        answer = ask(sock, 2 * i + 1, command="answer", to_tag="b", sdp=sdp(FAR, port), direction=["inside", "outside"], **call)
        ports.append(answer.split("m=audio ")[1].split()[0])
    sock.close()
    path = s.directory / "ports"
    path.write_text("\n".join(ports))
    return "-m", mac(s, "sbc", "eth1"), "-P", path


class Relay:
    """The relay under test with its calls. After real overload it is started anew: rtpengine reads a socket no more that it has
    once left with packets in it."""

    def __init__(self, calls, start):
        self.calls, self.start, self.stage = calls, start, None

    def offer(self, seconds, rate):
        """(Does all but one in a thousand arrive? Could the generator offer as much as asked for? What arrived.)"""
        if self.stage is None:
            self.stage = stage.Stage("relay").__enter__()
            build(self.stage)
            self.where = self.start(self.stage, self.calls)
            offer(self.stage, self.calls, 1, *self.where, rate=self.calls * 5)  # everybody learns who is where
        arrive, offered = offer(self.stage, self.calls, seconds, *self.where, rate=rate)
        if arrive < 0.9 * offered:
            self.end()
        return arrive >= 0.999 * offered, offered >= 0.97 * rate, arrive

    def end(self):
        if self.stage:
            self.stage.__exit__()
            self.stage = None

    def highest(self, seconds):
        """(The highest rate that arrives, to about 5 %; whether the generator could offer no more.) A failure counts twice."""
        low, high, rate = 0, None, 50000
        while rate >= 1000 and (high is None or high - low > low // 20):
            whole, as_asked, arrive = self.offer(seconds, rate)
            if not whole and arrive > 0.9 * rate:
                whole, as_asked, arrive = self.offer(seconds, rate)
            if whole and not as_asked:
                return arrive, True
            low, high = (rate, high) if whole else (low, rate)
            rate = low * 2 if high is None else (low + high) // 2
        return low, False


def measured(calls, seconds, start):
    relay = Relay(calls, start)
    try:
        return relay.highest(seconds)
    finally:
        relay.end()


def measure():
    seconds = stage.setting("BENCH_RTPENGINE_SECONDS", 3)
    kind = os.environ.get("BENCH_RTPENGINE_KIND", "xdp")
    for calls in stage.settings("BENCH_RTPENGINE_CALLS", (1000, 4900)):
        theirs, _ = measured(calls, seconds, start_rtpengine)
        mine, limited = measured(calls, seconds, lambda s, n: start_dataplane(s, kind, n))
        stage.result("relay-rtpengine", f"{kind}-{calls}-calls", round(mine), round(theirs), "packets/s", limited_by_generator=limited)
