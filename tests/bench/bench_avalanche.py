# SPDX-License-Identifier: BSD-3-Clause
"""avalanche: after a power cut all phones register in the same second, unknown to us, while the calls of a registered caller go on and whoever is
back refreshes its registration. Until all are back, against the least time that upstream-rate allows (two messages each); the most that the
registrar saw in any second; calls lost; how differently hosts of equal size were treated, and which share of its phones a host has back when half of all are.

BENCH_AVALANCHE_PHONES, BENCH_AVALANCHE_HOST (phones of each), BENCH_AVALANCHE_RATE (upstream-rate), BENCH_AVALANCHE_CALLS (a second)."""

import phones
import stage

MESSAGES = 2  # of a registration: it is challenged, and answers


def measure():
    count, per_host = stage.setting("BENCH_AVALANCHE_PHONES", 20000), stage.setting("BENCH_AVALANCHE_HOST", 50)
    rate, call_rate = stage.setting("BENCH_AVALANCHE_RATE", 400), stage.setting("BENCH_AVALANCHE_CALLS", 100)
    least = MESSAGES * count / rate
    with stage.Stage("avalanche") as s:
        phones.start(s, upstream_rate=rate, registered_rate=0)
        calls = phones.Calls(s)
        registering = phones.Phones(s, count, per_host)
        calls.register()
        calls.begin(call_rate)
        report = registering.ask(f"avalanche {3 * least + 30:.0f}")
        complete, lost, repeated = calls.finish()
    back = report["back"]
    stage.result("avalanche", f"{count}-phones-back", round(report["seconds"], 1), round(least, 1), "s", less_is_better=True, peer_name="the least",
                 back=back, told_to_wait=report["told_to_wait"], repeated=report["repeated"], unanswered=report["unanswered"])
    stage.result("avalanche", "registrar-saw-in-any-second", report["registrar_most"], None, "REGISTER/s", bar=rate, of=report["registrar_saw"])
    stage.result("avalanche", "calls-lost", lost, None, "calls", bar=0, of=complete + lost, repeated=repeated)
    stage.result("avalanche", "refreshes-refused", report["failed"], None, "REGISTER", bar=0, of=report["refreshed"] + report["failed"])
    stage.result("avalanche", "host-at-half-time", report["share_most"], report["share_least"], "phones", less_is_better=True,
                 peer_name="the least of a host", of=per_host)
    for what in ("half", "all"):
        stage.result("avalanche", f"{what}-of-a-host-back-last-host", report[f"{what}_last_s"], report[f"{what}_first_s"], "s", less_is_better=True,
                     peer_name="the first host", hosts=report["hosts"])
