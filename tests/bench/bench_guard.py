# SPDX-License-Identifier: BSD-3-Clause
"""guard: 200,000 REGISTERs a second from 10,000 sources that nobody knows, each with a user of its own and never an answer to a challenge, while
registered phones call and refresh: the share of their calls that is complete, with the flood off and on. All our daemons have one core.

BENCH_GUARD_RATE, BENCH_GUARD_SOURCES, BENCH_GUARD_CALLS (a second), BENCH_GUARD_SECONDS."""

import time

import phones
import stage
import traffic

BAR_PERCENT = 99.9
CALLERS, PHONES, PER_HOST = 10, 500, 5
REGISTERS = 50  # of registered phones, a second


def run(s, registering, calls, call_rate, seconds, flood, sources):
    """(calls complete, calls begun, messages repeated, report of the phones, flood a second)."""
    calls.begin(call_rate)
    core = phones.CoreTime(s)
    registering.tell(f"steady {REGISTERS} {seconds}")
    flooded = 0
    if flood:
        flooded = traffic.run(s, seconds, flood=flood, flood_mac=traffic.mac(s, "sbc", "sp-outside"), sources=sources, near="caller", far="callee")["flooded"]
    else:
        time.sleep(seconds)
    share = core.look()
    complete, lost, repeated = calls.finish()
    report = registering.answer()
    stage.note(f"{flooded:,.0f}/s of flood: {complete} calls complete, {lost} lost, {repeated} messages repeated; {report['failed'] + report['unanswered']} of "
               f"{report['sent']} REGISTERs failed; percent of the core: {share}")
    return complete, complete + lost, repeated, report, round(flooded), share


def measure():
    rate, sources = stage.setting("BENCH_GUARD_RATE", 200000), stage.setting("BENCH_GUARD_SOURCES", 10000)
    call_rate, seconds = stage.setting("BENCH_GUARD_CALLS", 50), stage.setting("BENCH_GUARD_SECONDS", 30)
    with stage.Stage("guard") as s:
        phones.start(s, upstream_rate=200)
        calls = phones.Calls(s, CALLERS)
        registering = phones.Phones(s, PHONES, PER_HOST)
        calls.register()
        registering.ask("register 80")
        off = run(s, registering, calls, call_rate, max(5, seconds // 3), 0, 0)
        on = run(s, registering, calls, call_rate, seconds, rate, sources)
        stage.note("the guard knows " + phones.show(s, "guard").strip().splitlines()[-1])
        stage.note(phones.show(s, "drops"))
    for name, (complete, begun, repeated, report, flooded, share) in (("off", off), ("on", on)):
        stage.result("guard", f"flood-{name}-calls-complete", round(100 * complete / begun, 3), None, "percent", bar=BAR_PERCENT, of=begun, repeated=repeated,
                     flood_per_second=flooded, sources=sources if flooded else 0, core_percent=share)
        stage.result("guard", f"flood-{name}-registers-failed", report["failed"] + report["unanswered"], None, "REGISTER", of=report["sent"],
                     repeated=report["repeated"])
