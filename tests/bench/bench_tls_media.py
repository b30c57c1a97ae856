# SPDX-License-Identifier: BSD-3-Clause
"""tls-media: how long RTP of BENCH_TLS_MEDIA_CALLS calls takes through the relay at most, while TLS handshakes arrive at the same port as fast as
openssl's s_time makes them: at least BENCH_TLS_MEDIA_RATE a second, else there is no result. The bar is a millisecond at 1,000 a second. The packet
worker has one core; the other one has the control plane, which does the handshakes, those who ask for them, and the sender of RTP.

BENCH_TLS_MEDIA_SECONDS (of one measurement), BENCH_TLS_MEDIA_ROUNDS, BENCH_TLS_MEDIA_KIND (xdp, packet)."""

import json
import os
import time

import stage
import traffic
from bench_flood import AGENT, PACKETS_PER_SECOND, absent, show, start_sallyport
from bench_relay_veth import sessions
from traffic import FAR, INSIDE, NEAR, OUTSIDE

BAR_US = 1000
TLS_PORT = 5061
CLIENTS = 4  # processes that begin handshakes, one after another each

MORE = """
guard {{ mode = watch  untrusted-rate = 1000000  untrusted-burst = 1000000  untrusted-class-rate = 0  stream-rate = 1000000  syn-rate = 1000000 }}
sip-config {{ tls-handshake-rate = 0  tls-max-handshakes = 1000  stream-max-connections = 10000  stream-max-per-source = 10000 }}
tls-profile bench {{ certificate = "{directory}/tls.pem"  key = "{directory}/tls.key"  session-tickets = no }}
sip-interface tls {{ realm = access  listen = {{"tls:{OUTSIDE}:{port}"}}  ip-profile = trunk  allow-anonymous = all  tls-profile = bench }}
"""


def certificate(s):
    done = s.run(None, stage.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=bench", "-keyout", s.directory / "tls.key", "-out", s.directory / "tls.pem")
    if done.returncode != 0:
        raise stage.Refused(f"openssl req: {done.stderr.strip()}")
    (s.directory / "tls.key").chmod(0o644)  # the daemon is nobody


def handshakes(s):
    """Begun so far, each of them as far as the server's signature; s_time may have hung up before its end is counted."""
    return next(row["value"] for row in json.loads(show(s, "counters"))["controlplane"] if row["name"] == "stream-opened")


def run(s, flows, calls, seconds, load):
    """(report of the traffic, handshakes a second)."""
    clients = [s.start("near", stage.program("openssl"), "s_time", "-connect", f"{OUTSIDE}:{TLS_PORT}", "-new", "-tls1_3", "-time", seconds + 2,
                       cpu=stage.LOAD_CPU) for _ in range(CLIENTS if load else 0)]
    time.sleep(1)  # the load is there before, and after
    began, first, before = time.monotonic(), handshakes(s), absent(s)
    report = traffic.run(s, seconds, flows, rate=2 * calls * PACKETS_PER_SECOND, latencies=True)
    rate = (handshakes(s) - first) / (time.monotonic() - began)
    stolen, waited = (now - then for now, then in zip(absent(s), before))
    for client in clients:
        s.end(client, seconds + 10)
    stage.note(f"{rate:,.0f} handshakes/s; the worker's CPU stolen for {stolen} ms, the worker kept waiting for {waited / 1e6:.1f} ms")
    return report, rate


def measure():
    calls, bar = stage.setting("BENCH_TLS_MEDIA_CALLS", 50), stage.setting("BENCH_TLS_MEDIA_RATE", 1000)
    seconds, rounds = stage.setting("BENCH_TLS_MEDIA_SECONDS", 10), stage.setting("BENCH_TLS_MEDIA_ROUNDS", 3)
    kind = os.environ.get("BENCH_TLS_MEDIA_KIND", "xdp")
    with stage.Stage("tlsmedia") as s:
        traffic.build(s)
        s.address("near", "eth0", f"{AGENT}/24")
        certificate(s)
        start_sallyport(s, kind, MORE.format(directory=s.directory, OUTSIDE=OUTSIDE, port=TLS_PORT))
        for node, source, target in (("near", NEAR, OUTSIDE), ("far", FAR, INSIDE)):
            s.run(node, "ping", "-c", "1", "-W", "2", "-I", source, target)
        ports = [line.split() for line in sessions(s, s.directory / "run" / "dataplane.sock", calls).splitlines()]
        flows = traffic.write_flows(s, ports, (traffic.mac(s, "sbc", "sp-outside"), traffic.mac(s, "sbc", "sp-inside")))
        run(s, flows, calls, 2, False)  # everybody learns who is where
        for _ in range(rounds):
            for load in (False, True):  # in turn: whatever else this machine does meets both
                report, rate = run(s, flows, calls, seconds, load)
                if load and rate < bar:
                    raise stage.Refused(f"only {rate:.0f} handshakes/s could be made")
                stage.result("tls-media", f"{kind}-{'handshakes' if load else 'quiet'}-longest", report["max_us"], None, "us", bar=BAR_US,
                             handshakes_per_second=round(rate), p50=report["p50_us"], p99=report["p99_us"], p999=report["p999_us"],
                             sent=report["rtp_sent"], lost=report["rtp_sent"] - report["rtp_received"])
