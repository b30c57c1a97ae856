# SPDX-License-Identifier: BSD-3-Clause
"""tls: TLS handshakes a second of processor time that a shard takes, against a bare OpenSSL loop in the same program (TLS 1.3, ECDSA P-256,
without tickets), and the memory of BENCH_TLS_CONNECTIONS idle connections that are held."""

import json
import subprocess

import stage


def measure():
    handshakes, connections = stage.setting("BENCH_TLS_HANDSHAKES", 5000), stage.setting("BENCH_TLS_CONNECTIONS", 10000)
    done = subprocess.run([stage.BUILD / "bench" / "tls", str(handshakes), str(connections)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    stage.result("tls", "handshakes", report["ours"], report["bare"], "handshakes/s of processor time", peer_name="bare OpenSSL loop")
    stage.result("tls", "idle-connection", report["octets"], None, "octets a connection", connections=connections)
