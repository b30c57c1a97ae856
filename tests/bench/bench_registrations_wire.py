# SPDX-License-Identifier: BSD-3-Clause
"""The part "wire" of registrations: REGISTERs a second through real daemons and sockets, 9 answered from cache to 1 that goes through to the
registrar with its digest, while calls complete, all daemons on one core. Rates are tried upwards until one is not carried; if the first is not,
downwards until one is. Carried: nothing refused or unanswered, no call lost, and the rate was reached.

BENCH_WIRE_RATES (REGISTER/s), BENCH_WIRE_CALLS (a second), BENCH_WIRE_SECONDS (of one rate), BENCH_WIRE_PHONES."""

import time

import phones
import stage

PER_HOST = 50
BAR = 3000
LEAD_S = 1.0  # calls begin first


def tried(s, registering, calls, rate, call_rate, seconds):
    calls.begin(call_rate)
    time.sleep(LEAD_S)
    core = phones.CoreTime(s)
    registering.tell(f"steady {rate} {seconds}")
    time.sleep(seconds)
    share = core.look()
    report = registering.answer()
    complete, lost, repeated = calls.finish()
    report |= {"reached": report["sent"] / report["seconds"], "failed": report["failed"] + report["unanswered"], "calls": complete, "calls_lost": lost,
               "calls_repeated": repeated, "core": share}
    report["through"] = report["registrar_saw"] / report["sent"]
    report["carried"] = report["failed"] == 0 and lost == 0 and report["reached"] >= 0.98 * rate
    stage.note(f"{rate}/s: {report['reached']:,.0f}/s reached, {report['failed']} failed, {report['repeated']} repeated; {complete} calls complete, {lost} lost, "
               f"{repeated} messages repeated; percent of the core: {share}: {'yes' if report['carried'] else 'no'}")
    return report


def measure():
    rates, call_rate = stage.settings("BENCH_WIRE_RATES", [3000, 4000, 5000, 6000, 8000, 10000]), stage.setting("BENCH_WIRE_CALLS", 1000)
    seconds, count = stage.setting("BENCH_WIRE_SECONDS", 10), stage.setting("BENCH_WIRE_PHONES", 30000)
    with stage.Stage("wire") as s:
        phones.start(s, upstream_rate=10000, registered_rate=0)
        calls = phones.Calls(s)
        registering = phones.Phones(s, count, PER_HOST)
        calls.register()
        first = registering.ask("register 2500")
        if first["back"] != count:
            raise stage.Refused(f"{first['back']} of {count} phones have registered")
        best = None
        for rate in rates:
            report = tried(s, registering, calls, rate, call_rate, seconds)
            if not report["carried"]:
                break
            best = report
        while best is None and rate > 100:
            rate = int(rate * 0.8)
            report = tried(s, registering, calls, rate, call_rate, seconds)
            best = report if report["carried"] else None
    if best is None:
        raise stage.Refused("no rate is carried")
    stage.result("registrations", f"wire-beside-{call_rate}-calls", round(best["reached"]), None, "REGISTER/s", bar=BAR, failed=best["failed"],
                 repeated=best["repeated"], through_percent=round(100 * best["through"], 1), calls=best["calls"], calls_lost=best["calls_lost"],
                 calls_repeated=best["calls_repeated"], cached_p99_ms=best["p99_ms"], through_p99_ms=best["through_p99_ms"], core_percent=best["core"])
