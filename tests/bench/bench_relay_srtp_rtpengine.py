# SPDX-License-Identifier: BSD-3-Clause
"""relay-srtp-rtpengine: RTP that becomes SRTP (AES_CM_128_HMAC_SHA1_80, keys by SDES), relayed between two veth pairs on one core, by the real
sallyport-dataplane over AF_XDP against rtpengine in userspace. Only that way: the generator, in the kernel, cannot encrypt. "carried" and "whole"
are those of relay-rtpengine.

BENCH_SRTP_RTPENGINE_CALLS, BENCH_RTPENGINE_SECONDS (of one rate), BENCH_RTPENGINE_KIND (xdp, packet)."""

import base64
import os

import stage
import traffic
from bench_relay_rtpengine import Relay, ask, measure_case, start_rtpengine
from bench_relay_veth import start_dataplane

SUITE, NUMBER = "AES_CM_128_HMAC_SHA1_80", 1  # enum dp_srtp_suite
PLAIN = (0,)  # the side that sends


def secured_call(sock, number, near, far, call):
    """near offers RTP, far gets SRTP offered and answers with a key."""
    offer = ask(sock, 2 * number, command="offer", sdp=near, direction=["outside", "inside"], transport_protocol="RTP/SAVP", DTLS="off", **call)
    tag = next(line.split(":")[1].split()[0] for line in offer.splitlines() if line.startswith("a=crypto:") and SUITE in line.split())
    key = base64.b64encode(os.urandom(30)).decode()
    far = far.replace("RTP/AVP", "RTP/SAVP") + f"a=crypto:{tag} {SUITE} inline:{key}\r\n"
    answer = ask(sock, 2 * number + 1, command="answer", to_tag="b", sdp=far, direction=["inside", "outside"], transport_protocol="RTP/AVP", **call)
    return [sdp.split("m=audio ")[1].split()[0] for sdp in (answer, offer)]


class SecuredRelay(Relay):
    """Nothing may be protected twice: what is sent goes on where the last run ended."""

    def end(self):
        super().end()
        self.sequence = 1

    def run(self, seconds, rate, **more):
        self.sequence = getattr(self, "sequence", 1)
        report = super().run(seconds, rate, sequence=self.sequence, **more)
        self.sequence = (self.sequence + report["rtp_sent"] // self.calls + 2) % 65536 or 1
        return report


def measure():
    seconds = stage.setting("BENCH_RTPENGINE_SECONDS", 2)
    kind = os.environ.get("BENCH_RTPENGINE_KIND", "xdp")
    for calls in stage.settings("BENCH_SRTP_RTPENGINE_CALLS", (100,)):
        relays = (SecuredRelay("ours", calls, lambda s, n: start_dataplane(s, kind, n, "-k", NUMBER, sides=PLAIN)),
                  SecuredRelay("peer", calls, lambda s, n: start_rtpengine(s, n, secured_call, PLAIN)))
        measure_case("relay-srtp-rtpengine", f"{kind}-{calls}-calls", relays, seconds)
