# SPDX-License-Identifier: BSD-3-Clause
"""SNMP through a real snmpd, as docs/howto-snmp.md has it: what the MIB says is there and true, alarms arrive, and snmpd may come and go."""

import functools
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import netns
from conftest import Call, Stack
from media import exchange, open_path
from pki import Pki
from snmp import AGENT, MIB, REPOSITORY, Snmpd

FILES = pathlib.Path("/tmp/sallyport-snmp-%d" % os.getpid())
KIND = "certificate-reload-failed"  # an alarm that begins and ends at a word
HOSTILE = "=1+1%22%3cb%3e"


@pytest.fixture(scope="module")
def module_stack():
    pki = Pki.of_this_run()
    FILES.mkdir()
    issued = pki.expiring("soon", 5, dns=["soon.example.test"], ip=["203.0.113.10"])
    for source, name in ((issued.certificate, "sbc.pem"), (issued.key, "sbc.key")):
        shutil.copy(source, FILES / name)
        (FILES / name).chmod(0o644)
    stack = Stack()
    stack.certificate = (FILES / "sbc.pem").read_text()
    stack.snmpd = Snmpd(stack.lab.namespace("sbc"), stack.lab.directory / "snmp")
    stack.more = f"""
snmp {{ agentx = "{stack.snmpd.socket}"  enabled = yes  trap-interval = 1 }}
guard {{ untrusted-rate = 1000  untrusted-burst = 1000 }}
tls-profile public {{ certificate = "{FILES}/sbc.pem"  key = "{FILES}/sbc.key"  ca = "{pki.ca}" }}
sip-interface public {{ realm = access  tls-profile = public  listen = {{"tls:203.0.113.10:5061"}} }}
"""
    try:
        stack.snmpd.receive()
        stack.snmpd.start()
        stack.start("packet")
        yield stack
    finally:
        stack.snmpd.close()
        stack.down()
        shutil.rmtree(FILES, ignore_errors=True)


@pytest.fixture
def stack(module_stack):
    try:
        yield module_stack
    finally:
        module_stack.end_test()


def until(what, condition, deadline=40):
    return netns.wait_for(what, condition, deadline, interval=0.2)


def answers(snmpd):
    return snmpd.get("spSystemName.0") == "lab"


@pytest.fixture
def snmpd(stack):
    until("SNMP", lambda: answers(stack.snmpd))
    return stack.snmpd


def reload_tls(stack, certificate):
    (FILES / "sbc.pem").write_text(certificate)
    stack.sbc.command("reload", "tls")


def raise_alarm(stack):
    reload_tls(stack, "no certificate\n")
    until("the alarm", lambda: KIND in alarms(stack))


def clear_alarm(stack):
    reload_tls(stack, stack.certificate)
    until("its end", lambda: KIND not in alarms(stack))


def alarms(stack):
    return [a["alarm"] for a in stack.sbc.show("alarms")["alarms"]]


def due(stack):
    """How many notifications of it mgmt has found to be due."""
    return sum("notification is due" in line and f"alarm={KIND}" in line for line in stack.sbc.log_path("mgmt").read_text().splitlines())


def told(snmpd, kind=KIND):
    """What was told of this kind of alarm: [("spAlarmRaised", ..), ..]"""
    return [n["trap"] for n in snmpd.notifications() if n.get("spAlarmKind") == kind]


# --- the MIB ---


def lint(tmp_path, text):
    config, mib = tmp_path / "smi.conf", tmp_path / "SALLYPORT-MIB"
    config.write_text(f"path {REPOSITORY}/tests/mib:/usr/share/snmp/mibs\n")
    mib.write_text(text)
    return subprocess.run(["smilint", "-c", config, "-l", "6", "-s", mib], capture_output=True, text=True)


def readable_objects(tmp_path):
    """{name: object identifier} of what the MIB says that can be read."""
    lint(tmp_path, MIB.read_text())
    dump = subprocess.run(["smidump", "-q", "-c", tmp_path / "smi.conf", "-f", "python", tmp_path / "SALLYPORT-MIB"], capture_output=True, text=True, check=True)
    names = {}
    exec(dump.stdout, names)  # noqa: S102: smidump writes Python
    nodes = names["MIB"]["nodes"]
    return {name: node["oid"] for name, node in nodes.items() if node.get("access") == "readonly"}


def test_the_mib_is_clean_at_level_6(tmp_path):
    result = lint(tmp_path, MIB.read_text())
    assert result.stdout + result.stderr == ""
    # It would have been said.
    assert "spAlarmTimes" in (result := lint(tmp_path, MIB.read_text().replace("spAlarmLast, spAlarmTimes", "spAlarmLast"))).stdout + result.stderr


def test_every_object_that_can_be_read_is_answered(stack, snmpd, tmp_path):
    call = Call(stack, stack.phone(), stack.pbx())
    until("the call", lambda: snmpd.get("spCallsCurrent.0") == "1")
    objects = readable_objects(tmp_path)
    assert len(objects) > 150
    until("the call in the list", lambda: snmpd.calls("spActiveCallState"))
    walked = snmpd.walk(options=("-On", "-OQ"))
    answered = {oid for oid in objects.values() if any(row.startswith(f".{oid}.") for row in walked)}
    assert not [name for name, oid in objects.items() if oid not in answered]
    # And nothing that the MIB does not have.
    assert not [row for row in walked if not any(row.startswith(f".{oid}.") for oid in objects.values())]
    call.hang_up()


# --- true ---


def test_what_is_said_is_what_show_says(stack, snmpd):
    sbc = stack.sbc
    values = snmpd.walk()
    status = sbc.show("status")
    assert values["spSystemState.0"] == "inService" and values["spSystemStateReason.0"] == ""
    assert values["spMediaSessionsMax.0"] == str(status["sessions-max"]) and values["spMediaPortsMax.0"] == str(status["ports-total"])
    for realm in sbc.show("realms")["realms"]:
        assert values[f'spRealmPortsMax."{realm["name"]}"'] == str(realm["ports-total"])
        assert values[f'spRealmInterface."{realm["name"]}"'] == realm["interface"]
        assert f'spRealmCallInAttempts."{realm["name"]}"' in values
    agents = {a["name"]: a for a in sbc.show("agents")["agents"]}
    assert set(agents) == {"pbx", "pbx6", "carrier", "carrier6"}
    for name, agent in agents.items():
        assert values[f'spAgentState."{name}"'] == agent["state"] and values[f'spAgentRealm."{name}"'] == agent["realm"]
        assert values[f'spAgentAddress."{name}"'] == agent["address"]
        assert values[f'spAgentCallOutAttempts."{name}"'] == str(agent["out-attempts"])
    shown = sbc.show("certificates")["certificates"]
    ours = next(c for c in shown if c["use"] == "own")
    numbers = [key.split(".")[1] for key, value in values.items() if key.startswith("spCertificateFingerprint.") and value == ours["fingerprint"]]
    assert len(numbers) == 1 and len([k for k in values if k.startswith("spCertificateSubject.")]) == len(shown)
    assert values[f"spCertificateDaysLeft.{numbers[0]}"] == str(ours["days-left"]) == "5" and values[f"spCertificateNames.{numbers[0]}"] == ours["names"]
    counters = sbc.counters()
    for plane, column in (("dataplane", "spPacketCounter"), ("controlplane", "spSipCounter")):
        names = {value for key, value in values.items() if key.startswith(f"{column}Name.")}
        assert names == set(counters[plane])
    drops = {values[f"spPacketCounterName.{key.split('.')[1]}"] for key, value in values.items() if key.startswith("spPacketCounterDrop.") and value == "true"}
    assert drops == {name for name in counters["dataplane"] if name.startswith("drop-")}
    for alarm in sbc.show("alarms")["alarms"]:
        assert alarm["alarm"] in [value for key, value in values.items() if key.startswith("spAlarmKind.")]


def test_ports_are_found_by_the_number_of_their_mirror_and_count_what_show_interfaces_does(stack, snmpd):
    def agree():
        shown = {row["name"]: row for row in stack.sbc.show("interfaces")["interfaces"]}
        values = snmpd.walk("SALLYPORT-MIB::spInterfaceTable")
        for name, row in shown.items():
            index = netns.run(stack.lab.namespace("sbc"), ["cat", f"/sys/class/net/{row['mirror']}/ifindex"]).stdout.strip()
            assert values[f"spInterfaceName.{index}"] == name
            assert values[f"spInterfacePhysAddress.{index}"].split(":")[-1].zfill(2) == row["mac-address"].split(":")[-1]
            pairs = {"HCInOctets": "rx-octets", "HCInPkts": "rx-packets", "HCOutOctets": "tx-octets", "HCOutPkts": "tx-packets", "MirrorIn": "mirror-in"}
            if any(values[f"spInterface{column}.{index}"] != str(row[key]) for column, key in pairs.items()):
                return False  # something came in between
            # snmpd's own row of that number is the mirror's.
            described = snmpd.command("walk", f"IF-MIB::ifDescr.{index}", program="snmpget", options=("-m", "IF-MIB", "-OQv")).stdout
            if described.strip() != row["mirror"]:
                return False  # it looks at the interfaces now and then
        return True

    until("the same counters", agree)


def test_a_call_is_counted_where_it_came_from_and_went_to(stack, snmpd):
    before = snmpd.walk("SALLYPORT-MIB::spCalls")
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 20)

    def grown(name):
        return int(snmpd.get(name)) - int(before[name])

    until("one attempt", lambda: grown("spCallInAttempts.0") == 1 and grown('spRealmCallInAnswered."access"') == 1)
    until("it at the agent", lambda: snmpd.get('spAgentCallOutCurrent."pbx"', 'spRealmCallOutCurrent."core"') == ["1", "1"])
    until("its answer", lambda: 0 < int(snmpd.get('spAgentCallOutAsr."pbx"')) <= 1000)
    call.hang_up()
    until("its end", lambda: snmpd.get('spAgentCallOutCurrent."pbx"') == "0" and grown("spCallInEnded.0") == 1)
    assert int(snmpd.get("spCallInAcd.0")) >= 0
    until("its media", lambda: int(snmpd.get('spQualityCalls."access"')) >= 1)
    classes = snmpd.column("spQualityClassCalls")
    for measure in ("mos", "loss", "jitter"):
        assert sum(int(n) for index, n in classes.items() if index.startswith(f'"access".{measure}.')) >= 1


def test_calls_are_listed_one_by_one_and_hostile_names_are_printable(stack, snmpd):
    phone, pbx = stack.phone(), stack.pbx()
    calls = [Call(stack, phone, pbx)]
    stranger = stack.phone(port=5077)
    stranger.call = functools.partial(stranger.call, caller=HOSTILE)
    calls.append(Call(stack, stranger, pbx, number="1001"))
    shown = stack.sbc.show("calls")["calls"]
    assert len(shown) == 2

    rows = until("both in the list", lambda: (lambda r: r if len(r) == 2 else None)(snmpd.calls("spActiveCallFrom")), 60)
    assert sorted(rows.values()) == sorted(row["from"] for row in shown)
    assert HOSTILE in rows.values() and all(c.isprintable() and c.isascii() for text in rows.values() for c in text)
    names = snmpd.calls("spActiveCallName")
    assert set(names.values()) == {row["id"] for row in shown} and set(names) == set(rows)
    assert set(snmpd.calls("spActiveCallState").values()) == {"answered"}
    table = snmpd.command("table", "SALLYPORT-MIB::spActiveCallTable", options=("-Ob",))
    assert all(name in table.stdout for name in names.values()), table
    for call in calls:
        call.hang_up()


def test_a_table_is_printed_by_the_command_of_the_page(stack, snmpd):
    result = snmpd.command("table")
    assert result.returncode == 0 and "pbx6" in result.stdout and "spAgentState" in result.stdout


def test_calls_go_on_while_everything_is_walked(stack, snmpd):
    phone, pbx = stack.phone(), stack.pbx()
    calls = [Call(stack, phone, pbx, number=f"20{i:02}") for i in range(20)]
    walkers = [netns.popen(stack.lab.namespace("sbc"), snmpd.words("walk"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    more = [Call(stack, phone, pbx, number=f"21{i:02}") for i in range(20)]
    for walker in walkers:
        assert walker.wait(60) == 0, walker.stderr.read()
        walker.stderr.close()
    for call in calls + more:
        call.hang_up()


# --- who may look ---


def test_only_the_user_with_his_secrets_sees_anything(stack, snmpd):
    right = snmpd.words("walk")
    for ours, wrong in (("change this encryption", "another encryption"), ("change this authentication", "another one here")):
        words = [wrong if word == ours else word for word in right]
        assert words != right
        result = netns.run(stack.lab.namespace("sbc"), [words[0], "-r", "0", "-t", "2", *words[1:]], timeout=20)
        assert result.returncode != 0 and "sp" not in result.stdout
    plain = [word if word != "authPriv" else "authNoPriv" for word in right]
    assert "spSystem" not in netns.run(stack.lab.namespace("sbc"), [plain[0], "-r", "0", "-t", "2", *plain[1:]], timeout=20).stdout
    assert "spSystem" not in netns.run(stack.lab.namespace("sbc"), ["snmpwalk", "-v", "2c", "-c", "public", "-r", "0", "-t", "1", AGENT, ".1.3.6.1.4.1.8072.9999.9999"], timeout=20).stdout


# --- notifications ---


def test_alarms_there_are_at_the_start_are_told(stack, snmpd):
    until("the certificate", lambda: told(snmpd, "certificate-expiry"))
    first = next(n for n in snmpd.notifications() if n["spAlarmKind"] == "certificate-expiry")
    alarm = next(a for a in stack.sbc.show("alarms")["alarms"] if a["alarm"] == "certificate-expiry")
    assert first["trap"] == "spAlarmRaised" and first["spAlarmSubject"] == alarm["subject"] and first["spAlarmSeverity"] == alarm["severity"]
    assert first["spAlarmText"] == alarm["text"] and int(first["spNotificationSequence"]) >= 1 and first["spNotificationSuppressed"].split()[0] == "0"


def test_an_alarm_is_told_when_it_begins_and_when_it_ends(stack, snmpd):
    before = len(told(snmpd))
    raise_alarm(stack)
    until("raised", lambda: told(snmpd)[before:] == ["spAlarmRaised"])
    until("it is in the table", lambda: KIND in snmpd.column("spAlarmKind").values())
    clear_alarm(stack)
    until("cleared", lambda: told(snmpd)[before:] == ["spAlarmRaised", "spAlarmCleared"])
    numbers = [int(n["spNotificationSequence"]) for n in snmpd.notifications()]
    assert numbers == sorted(set(numbers))
    until("the count", lambda: int(snmpd.get("spNotificationsSent.0")) == len(numbers) and snmpd.get("spNotificationsWaiting.0") == "0")


def test_what_happens_while_snmpd_is_away_is_told_when_it_is_back(stack, snmpd):
    before, seen = len(told(snmpd)), due(stack)
    snmpd.kill()
    try:
        raise_alarm(stack)
        until("mgmt has seen it", lambda: due(stack) == seen + 1)
        call = Call(stack, stack.phone(), stack.pbx())
        clear_alarm(stack)
        until("mgmt has seen that too", lambda: due(stack) == seen + 2)
    finally:
        snmpd.start()
    until("both notifications", lambda: told(snmpd)[before:] == ["spAlarmRaised", "spAlarmCleared"])
    until("SNMP", lambda: answers(snmpd))
    call.hang_up()


# --- snmpd and the others come and go ---


def test_an_snmpd_that_hangs_holds_nobody_up_and_is_served_again(stack, snmpd):
    before = len(told(snmpd))
    snmpd.signal(signal.SIGSTOP)
    try:
        raise_alarm(stack)
        call = Call(stack, stack.phone(), stack.pbx())
        assert stack.sbc.show("status")["state"] == "in-service"
        call.hang_up()
    finally:
        snmpd.signal(signal.SIGCONT)
    until("the notification", lambda: "spAlarmRaised" in told(snmpd)[before:])
    clear_alarm(stack)
    until("its end", lambda: told(snmpd)[before:][-1] == "spAlarmCleared")
    until("SNMP", lambda: answers(snmpd))


def test_what_a_daemon_that_is_gone_would_tell_is_absent_until_it_is_back(stack, snmpd):
    stack.sbc.end("controlplane", signal.SIGKILL)
    until("it is down", lambda: snmpd.get("spProcessState.2") == "down")
    values = snmpd.walk()
    assert values["spProcessState.1"] == "up" and values["spSystemState.0"] == "degraded" and values["spSystemStateReason.0"]
    assert not [v for v in values if v.startswith(("spCallsCurrent", "spAgent", "spActiveCall", "spSipCounter", "spCallIn", "spCertificate"))]
    assert "spMediaSessions.0" in values
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    until("it is back", lambda: snmpd.get("spProcessState.2", "spCallsCurrent.0") == ["up", "0"])


def test_a_daemon_that_hangs_is_down_and_the_others_answer(stack, snmpd):
    os.kill(stack.sbc.pid("controlplane"), signal.SIGSTOP)
    try:
        until("it is down", lambda: snmpd.get("spProcessState.2") == "down")
        assert snmpd.get("spProcessState.1") == "up"
    finally:
        os.kill(stack.sbc.pid("controlplane"), signal.SIGCONT)
    until("it is back", lambda: snmpd.get("spProcessState.2") == "up")


def test_a_commit_ends_it_moves_it_and_begins_it(stack, snmpd):
    sbc = stack.sbc

    def set_snmp(setting, value):
        assert sbc.shell(f"set snmp {setting} {value}", "commit").returncode == 0

    set_snmp("enabled", "no")
    until("nothing", lambda: snmpd.get("spSystemName.0") != "lab")
    set_snmp("enabled", "yes")
    until("SNMP", lambda: answers(snmpd))
    set_snmp("agentx", "/run/there-is-no-snmpd-here")
    until("nothing", lambda: snmpd.get("spSystemName.0") != "lab")
    set_snmp("agentx", str(snmpd.socket))
    until("SNMP", lambda: answers(snmpd))
    assert sbc.alive("mgmt")


def test_mgmt_ends_in_good_time_while_snmpd_hangs(stack, snmpd):
    snmpd.signal(signal.SIGSTOP)
    try:
        assert stack.sbc.end("mgmt") == 0
    finally:
        snmpd.signal(signal.SIGCONT)
    stack.sbc.start("mgmt")
    until("SNMP", lambda: answers(snmpd))
