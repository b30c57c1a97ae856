# SPDX-License-Identifier: BSD-3-Clause
"""Programs that people use, behind the NAT: baresip and linphone register through the SBC at a Kamailio, which asks for their passwords, and
call and are called by a baresip on the inside, each hearing the other's melody."""

import pathlib
import subprocess

import pytest

import baresip
import melody
import nat
import netns
from conftest import SBC_OUT4, Stack

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 5
CONFIGURATION = nat.GUARD + """
registration { per-source-rate = 100  per-aor-rate = 100 }
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy to-pbx    { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }
"""


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more, stack.change = CONFIGURATION, nat.registering
    try:
        stack.start("packet")
        nat.Router(stack, "symmetric")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(module_stack):
    yield module_stack
    dead = [d for d in module_stack.sbc.processes if not module_stack.sbc.alive(d)]
    assert not dead, f"died: {dead}\n{module_stack.sbc.log_tails()}"


class Program:
    """Kamailio at the PBX's address, in the foreground."""

    def __init__(self, stack):
        directory = stack.lab.directory
        self.log = open(directory / "kamailio.log", "wb")
        command = ["kamailio", "-DD", "-E", "-f", str(HERE / "kamailio.cfg"), "-Y", str(directory), "-P", str(directory / "kamailio.pid")]
        self.process = netns.popen(stack.lab.namespace("pbx"), command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


class Linphone:
    """linphonec with files for microphone and loudspeaker, told what to do as one types it."""

    def __init__(self, namespace, directory, user, melody_path, sip="sip_port=5072\n"):
        self.user, self.directory = user, pathlib.Path(directory)
        (self.directory / ".local/share/linphone").mkdir(parents=True)
        self.heard = self.directory / "heard.wav"
        rc = self.directory / "linphonerc"
        rc.write_text(f"[sip]\n{sip}[rtp]\naudio_rtp_port=7078\n")
        self.log = open(self.directory / "linphone.log", "wb")
        self.process = netns.popen(
            namespace, ["env", f"HOME={self.directory}", "linphonec", "-c", str(rc), "-d", "0"],
            stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT)
        self.type("soundcard use files", f"play {melody_path}", f"record {self.heard}", "autoanswer enable")

    def type(self, *lines):
        for line in lines:
            self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def close(self):
        try:
            self.type("quit")
            self.process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()


def tune(directory, side):
    notes = melody.compose(side, SECONDS + 6)
    melody.write(directory / f"{side}.wav", notes)
    return notes


def heard_well(notes, path):
    heard = melody.hear(melody.read(path))
    return melody.longest_match(notes, heard) >= SECONDS / melody.NOTE_SECONDS - 4


def test_baresip_registers_with_its_password_calls_and_is_called(stack):
    directory = stack.lab.directory / "programs"
    directory.mkdir()
    notes = {side: tune(directory, side) for side in ("phone", "pbx")}
    opened = []

    def start(node, name, user, host, registrar, side):
        phone = baresip.Baresip(stack.lab.namespace(node), directory / name, user, host, f"aufile,{directory}/{side}.wav", "auto",
                                ";auth_user=%s;auth_pass=secret" % user, registrar=registrar)
        opened.append(phone)
        # The event may come before somebody listens.
        netns.wait_for(f"{user} registered", lambda: "[1 binding]" in phone.log(), 15)
        return phone

    kamailio = Program(stack)
    try:
        desk = start("inside", "desk", "desk", "10.0.0.100", "10.0.0.5", "pbx")
        alice = start("phone", "alice", "alice", "192.168.77.2", SBC_OUT4, "phone")
        shown = stack.sbc.show("registration", "alice")["registrations"][0]
        assert shown["nat"] and shown["source"].startswith(nat.PUBLIC)
        for caller, called, host in ((alice, desk, SBC_OUT4), (desk, alice, "10.0.0.5")):
            caller.command("dial", f"sip:{called.user}@{host}")
            assert caller.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=15)["type"] == "CALL_ESTABLISHED"
            netns.wait_for(
                f"{SECONDS} s of RTP each way", lambda: min(d["packets"] for d in stack.sbc.directions()) >= 50 * SECONDS, SECONDS + 6, interval=0.2)
            caller.command("hangup")
            called.wait_event("CALL_CLOSED")
            netns.wait_for("the SBC having forgotten the call", lambda: not stack.sbc.show("calls")["calls"], 5)
            assert heard_well(notes["pbx"], alice.recording()) and heard_well(notes["phone"], desk.recording())
    finally:
        for phone in opened:
            phone.stop()
        kamailio.close()


def test_linphone_registers_with_its_password_calls_and_is_called(stack):
    directory = stack.lab.directory / "linphone"
    directory.mkdir()
    notes = {side: tune(directory, side) for side in ("phone", "pbx")}
    kamailio = Program(stack)
    carol = desk = None
    talked = lambda: stack.sbc.show("calls")["calls"] and min(d["packets"] for d in stack.sbc.directions()) >= 50 * SECONDS
    try:
        desk = baresip.Baresip(stack.lab.namespace("inside"), directory / "desk", "desk", "10.0.0.100", f"aufile,{directory}/pbx.wav", "auto",
                               ";auth_user=desk;auth_pass=secret", registrar="10.0.0.5")
        netns.wait_for("desk registered", lambda: "[1 binding]" in desk.log(), 15)
        carol = Linphone(stack.lab.namespace("phone"), directory / "carol", "carol", directory / "phone.wav")
        carol.type(f"register sip:carol@{SBC_OUT4} sip:{SBC_OUT4} secret")
        shown = netns.wait_for("carol registered", lambda: stack.sbc.show("registrations")["registrations"], 20)
        assert [(r["aor"], r["nat"]) for r in shown] == [(f"carol@{SBC_OUT4}", True)]
        assert "linphone" in stack.sbc.show("registration", "carol")["registrations"][0]["user-agent"].lower()

        carol.type(f"call sip:desk@{SBC_OUT4}")
        assert desk.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=20)["type"] == "CALL_ESTABLISHED"
        netns.wait_for(f"{SECONDS} s of RTP each way", talked, SECONDS + 10, interval=0.2)
        carol.type("terminate")
        desk.wait_event("CALL_CLOSED")
        assert heard_well(notes["phone"], desk.recording())
        netns.wait_for("the call's end", lambda: not stack.sbc.show("calls")["calls"], 10)

        desk.command("dial", "sip:carol@10.0.0.5")
        assert desk.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=20)["type"] == "CALL_ESTABLISHED"
        netns.wait_for(f"{SECONDS} s of RTP each way", talked, SECONDS + 10, interval=0.2)
        desk.command("hangup")
        netns.wait_for("the call's end", lambda: not stack.sbc.show("calls")["calls"], 10)
    finally:
        if carol:
            carol.close()
        if desk:
            desk.stop()
        kamailio.close()
    # It ends its recording with itself.
    assert heard_well(notes["pbx"], carol.heard)
