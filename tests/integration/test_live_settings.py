# SPDX-License-Identifier: BSD-3-Clause
"""Every setting that concerns the control plane and needs no restart, as the product's own reference lists them, is changed on a running SBC: it
is taken, both planes run it, no process has ended, nobody has logged an error; and a call that was there before is there still."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import sbc as sbc_module
from conftest import SBC_OUT4, Call, Stack
from live import Live
from pki import Pki

FILES = pathlib.Path(f"/tmp/sallyport-live-{os.getpid()}")

# One object of each kind, with all that it refers to, beside those that the call goes by.
OBJECTS = f"""
sip-config {{ shards = 2 }}
tls-profile one {{ certificate = "{FILES}/one.pem"  key = "{FILES}/one.key" }}
tls-profile two {{ certificate = "{FILES}/two.pem"  key = "{FILES}/two.key" }}
ip-profile one {{ srtp-without-tls = no }}
sip-interface one {{ realm = access  listen = {{"udp:203.0.113.10:5080", "tls:203.0.113.10:5081"}}  ip-profile = one  tls-profile = one }}
session-agent one {{ realm = core  address = "udp:10.0.0.77:5060" }}
session-agent two {{ realm = core  address = "udp:10.0.0.78:5060" }}
session-group one {{ agents = {{one}} }}
local-policy one {{ from-realm = access  to = "^55$"  next-hop = "agent:one" }}
admission one {{ local-policy = one  match = "^5" }}
"""
GUARD = OBJECTS

# Where the setting says what else there must be, or what its type allows does not say enough. In the order of the reference; a value may
# be lines of the shell in its place.
VALUES = {
    "sip-config event-packages": "dialog",
    "sip-config info-packages": "x-live",
    "sip-config dns-servers": "10.0.0.79",
    "sip-config max-sdp-lines": "200",
    "sip-config max-sdp-media": "8",
    "realm trust": "untrusted",
    "tls-profile certificate": [f"set tls-profile one certificate {FILES}/two.pem", f"set tls-profile one key {FILES}/two.key"],
    "tls-profile key": [f"set tls-profile one certificate {FILES}/one.pem", f"set tls-profile one key {FILES}/one.key"],
    "tls-profile second-certificate": [f"set tls-profile one second-certificate {FILES}/rsa.pem",
                                       f"set tls-profile one second-key {FILES}/rsa.key"],
    "tls-profile second-key": ["delete tls-profile one second-certificate", "delete tls-profile one second-key"],
    "tls-profile server-names": "live.example.test",
    "tls-profile ca": "@CA@",
    "tls-profile crl": "@CRL@",
    "tls-profile pins": "ab" * 32,
    "tls-profile ciphers": "ECDHE+AESGCM",
    "tls-profile cipher-suites": "TLS_AES_256_GCM_SHA384",
    "tls-profile curves": "P-256",
    "ip-profile media-security": ["set ip-profile one srtp-without-tls yes", "set ip-profile one media-security prefer"],
    "ip-profile srtp-without-tls": ["set ip-profile one media-security none", "set ip-profile one srtp-without-tls no"],
    "ip-profile crypto-suites": "AEAD_AES_256_GCM",
    "ip-profile source-header": "X-Source",
    "ip-profile agent-header": "X-Phone",
    "ip-profile headers-pass": "X-Live",
    "ip-profile headers-drop": "X-Dead",
    "ip-profile bodies-pass": "text/plain",
    "sip-interface realm": ["set sip-interface one realm core", "set sip-interface one listen udp:10.0.0.1:5080 tls:10.0.0.1:5081"],
    "sip-interface listen": "udp:10.0.0.1:5082 tcp:10.0.0.1:5082 tls:10.0.0.1:5083",
    "sip-interface tls-profile": "two",
    "sip-interface sni-profiles": "one",
    "sip-interface ip-profile": "trunk",
    "session-agent realm": "access",
    "session-agent address": "tcp:10.0.0.80:5061",
    "session-agent ip-profile": "trunk",
    "session-agent tls-profile": "two",
    "session-agent password": "secret",
    "session-agent tls-subject": "live.example.test",
    "session-group agents": "two one",
    "session-group retry-on": "503",
    "local-policy from-realm": "core",
    "local-policy from": "'^1'",
    "local-policy to": "'^56$'",
    "local-policy next-hop": "group:one",
    "admission local-policy": "from-phones",
    "admission match": "'^77'",
    "guard mode": "enforce",
    "guard scanner-agents": "live-scanner",
}
# Taken by the daemons, and put back at once: whoever tests needs them as they were.
RESTORED = {"system log-level"}


def reference():
    """(section, setting, allowed, default) of each row that the control plane uses live."""
    text = subprocess.run([sbc_module.BUILD / "sallyport", "config", "reference"], capture_output=True, text=True, check=True).stdout
    section = None
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:].removesuffix(" NAME")
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        # In use by the control plane; or only some values are in use, of which there must be several to change it.
        if len(cells) != 6 or cells[3] != "live" or not ("controlplane" in cells[4] or cells[4].startswith("only") and "," in cells[4]):
            continue
        yield section, cells[0].strip("`"), cells[1], cells[2].strip("`")


ROWS = list(reference())


def milliseconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)?", text).groups()
    return int(number) * {"ms": 1, None: 1000, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}[unit]


def other_value(allowed, default):
    """A legal value that is not the default."""
    if ", units" in allowed:
        low, high = (milliseconds(end) for end in allowed.partition(",")[0].split(".."))
        value = milliseconds(default or "0") + (10 if default.endswith("ms") else 1000)
        value = value if low <= value <= high else value - 2000
        return f"{value}ms" if default.endswith("ms") else str(value // 1000)
    span = re.match(r"(\d+)\.\.(\d+)", allowed)
    if span:
        low, high = map(int, span.groups())
        value = int(default or low) + 1
        return str(value if value <= high else value - 2)
    if allowed.startswith("text"):
        return "live"
    words = [word.strip() for word in allowed.split(",")]
    return next(word for word in words if word != default)


def lines_of(section, setting, allowed, default):
    value = VALUES.get(f"{section} {setting}") or other_value(allowed, default)
    if isinstance(value, list):
        return value
    pki = Pki.of_this_run()
    value = value.replace("@CA@", pki.ca).replace("@CRL@", pki.crl())
    named = {"network-interface": "inside", "realm": "core"}.get(section, "one")
    place = section if section in ("system", "sip-config", "registration", "guard", "store", "accounting") else f"{section} {named}"
    return [f"set {place} {setting} {value}"]


@pytest.fixture(scope="module")
def module_stack():
    pki = Pki.of_this_run()
    FILES.mkdir(exist_ok=True)
    for name, issued in (("one", pki.issue("one")), ("two", pki.issue("two")), ("rsa", pki.issue("rsa", key="rsa"))):
        for source, kind in ((issued.key, "key"), (issued.certificate, "pem")):
            shutil.copy(source, FILES / f"{name}.{kind}")
            (FILES / f"{name}.{kind}").chmod(0o644)
    stack = Stack()
    stack.more = OBJECTS
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()
        shutil.rmtree(FILES, ignore_errors=True)


def test_there_is_no_setting_that_this_module_has_not_heard_of():
    known = {f"{section} {setting}" for section, setting, _, _ in ROWS}
    assert set(VALUES) <= known, set(VALUES) - known
    assert len(ROWS) > 150


def test_each_setting_is_changed_under_a_call(stack):
    call = Call(stack, stack.phone(), stack.pbx())
    live = Live(stack.sbc)
    stack.closing.append(live)
    refused = []
    before = live.check_running()
    for row in ROWS:
        lines = lines_of(*row)
        said = live.order(*lines)
        if "is in force" not in said:
            refused.append((lines, said))
            continue
        digest = live.check_running()
        assert digest != before, f"{lines}: both planes run what they ran before"
        before = digest
        if f"{row[0]} {row[1]}" in RESTORED:
            live.commit(f"delete {row[0]} {row[1]}")
            before = live.check_running()
    assert not refused, "\n".join(f"{lines}: {said}" for lines, said in refused)
    assert len(stack.sbc.show("calls")["calls"]) == 1
    call.hang_up()
    assert live.check_running()
