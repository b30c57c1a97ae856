# SPDX-License-Identifier: BSD-3-Clause
"""Phones whose passwords this SBC knows itself: subscribers, and what is left of them and of their registrations after kill -9."""

import signal

import pytest

import netns
from conftest import SBC_OUT4, Stack
from nat import Registrar, phone_at
from registrar import Registered, digest
from sbc import BUILD

MORE = """
guard { untrusted-rate = 1000  untrusted-burst = 1000 }
registration { per-source-rate = 1000  per-aor-rate = 1000 }
local-policy to-phones { from-realm = core    to = ".*"  next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = ".*"  next-hop = "agent:pbx"  priority = 30 }
"""


def change(text):
    return text.replace("ip-profile = phone  allow-anonymous = all",
                        "ip-profile = phone  registration = cache  authentication = local  allow-anonymous = registered")


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more, stack.change = MORE, change
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


def subscriber(stack, *words, text=""):
    return netns.run(stack.sbc.namespace, [str(BUILD / "sallyport"), "-c", str(stack.sbc.config_path), "subscriber", *words], input=text)


def answer_to(phone, registrar=None, **credentials):
    """The final answer to a REGISTER with the answer to `credentials`' challenge, the registrar saying yes if one is given."""
    value = digest(credentials["challenge"], "REGISTER", f"sip:{SBC_OUT4}", phone.user, credentials["password"])
    phone.headers = [("Authorization", value)]
    phone.send()
    if registrar:
        registrar.accept(phone.phone)
    return phone.answer()


def test_a_subscriber_registers_with_the_password_that_was_set_and_no_other(stack):
    assert subscriber(stack, "add", "alice", SBC_OUT4, text="open sesame\n").returncode == 0
    registrar = Registrar(stack.pbx())
    phone = Registered(phone_at(stack), "alice")
    phone.send()
    challenge = phone.answer()
    assert challenge.status == 401
    offered = challenge.all("www-authenticate")
    assert [("SHA-256" in o, "MD5" in o) for o in offered] == [(True, False), (False, True)]
    refused = answer_to(phone, challenge=offered[0], password="guess")
    assert refused.status == 401 and "stale" not in refused["www-authenticate"]
    assert "bad-password" in {reason["sign"] for reason in stack.sbc.show("block", "203.0.113.2")["reasons"]}
    assert answer_to(phone, registrar, challenge=refused.all("www-authenticate")[1], password="open sesame").status == 200
    # The same answer once more: a replay.
    phone.send()
    replayed = phone.answer()
    assert replayed.status == 401 and "stale=true" in replayed["www-authenticate"]


def test_registrations_and_subscribers_outlive_a_kill(stack):
    assert subscriber(stack, "add", "bob", SBC_OUT4, text="open sesame\n").returncode == 0
    registrar = Registrar(stack.pbx())
    phone = Registered(phone_at(stack, port=5066), "bob")
    phone.send()
    assert answer_to(phone, registrar, challenge=phone.answer().all("www-authenticate")[0], password="open sesame").status == 200
    before = [r for r in stack.sbc.show("registrations")["registrations"] if r["aor"].startswith("bob@")]
    files = [stack.lab.directory / "data" / name for name in ("controlplane.db", "controlplane.db-wal")]
    netns.wait_for("the binding on disk", lambda: any(f.exists() and before[0]["token"].encode() in f.read_bytes() for f in files), 10)
    stack.sbc.end("controlplane", signal.SIGKILL)
    stack.sbc.start("controlplane")
    stack.sbc.wait_ready()
    after = [r for r in stack.sbc.show("registrations")["registrations"] if r["aor"].startswith("bob@")]
    for key in ("aor", "contact", "source", "token", "registrar", "instance"):
        assert after[0][key] == before[0][key]
    assert "bob" in subscriber(stack, "list").stdout
    assert stack.sbc.command("show", "registration", "bob").returncode == 0
    assert stack.sbc.command("show", "registration", "nobody").returncode == 1
