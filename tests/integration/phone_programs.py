# SPDX-License-Identifier: BSD-3-Clause
"""Phones as people use them, registered with a PBX that is Kamailio, and whether they have heard each other's melody."""

import pathlib
import subprocess

import baresip
import melody
import netns
from conftest import SBC_OUT4

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 5  # of talk
# For both sides' phones to be called by name.
POLICIES = """
registration { per-source-rate = 100  per-aor-rate = 100 }
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy to-pbx    { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }
"""


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
        if self.log.closed:
            return
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


def talk(stack):
    netns.wait_for(f"{SECONDS} s of media each way", lambda: stack.sbc.show("calls")["calls"]
                   and min(d["packets"] for d in stack.sbc.directions()) >= 50 * SECONDS, SECONDS + 10, interval=0.2)


def over(stack):
    netns.wait_for("the call's end", lambda: not stack.sbc.show("calls")["calls"], 10)


def baresips_call_each_other(stack, notes, phone, desk, to_desk, to_phone, check=lambda: None):
    """`check` while they talk."""
    for caller, called, to in ((phone, desk, to_desk), (desk, phone, to_phone)):
        caller.command("dial", to)
        assert caller.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=15)["type"] == "CALL_ESTABLISHED"
        talk(stack)
        check()
        caller.command("hangup")
        called.wait_event("CALL_CLOSED")
        over(stack)
        assert heard_well(notes["pbx"], phone.recording()) and heard_well(notes["phone"], desk.recording())


def carol_and_desk_call_each_other(stack, notes, carol, desk, check=lambda: None):
    carol.type(f"call sip:desk@{SBC_OUT4}")
    assert desk.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=20)["type"] == "CALL_ESTABLISHED"
    talk(stack)
    check()
    carol.type("terminate")
    desk.wait_event("CALL_CLOSED")
    assert heard_well(notes["phone"], desk.recording())
    over(stack)
    desk.command("dial", "sip:carol@10.0.0.5")
    assert desk.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout=20)["type"] == "CALL_ESTABLISHED"
    talk(stack)
    check()
    desk.command("hangup")
    over(stack)
    # It ends its recording with itself.
    carol.close()
    assert heard_well(notes["pbx"], carol.heard)


class Party:
    """A directory with the tunes of both sides, Kamailio, and whoever has been started, until the end of the block."""

    def __init__(self, stack, name):
        self.stack, self.directory = stack, stack.lab.directory / name

    def __enter__(self):
        self.directory.mkdir()
        self.notes = {side: tune(self.directory, side) for side in ("phone", "pbx")}
        self.opened = [Program(self.stack)]
        return self

    def __exit__(self, *_):
        for program in reversed(self.opened):
            program.close()

    def baresip(self, node, user, host, registrar, side, options="", **kwargs):
        """One that is registered and answers; it plays the tune of its side."""
        phone = baresip.Baresip(self.stack.lab.namespace(node), self.directory / user, user, host, f"aufile,{self.directory}/{side}.wav", "auto",
                                f";auth_user={user};auth_pass=secret{options}", registrar=registrar, **kwargs)
        phone.close = phone.stop
        self.opened.append(phone)
        # The event may come before somebody listens.
        netns.wait_for(f"{user} registered", lambda: "[1 binding]" in phone.log(), 15)
        return phone

    def desk(self):
        return self.baresip("inside", "desk", "10.0.0.100", "10.0.0.5", "pbx")

    def carol(self, register_at, **kwargs):
        phone = Linphone(self.stack.lab.namespace("phone"), self.directory / "carol", "carol", self.directory / "phone.wav", **kwargs)
        self.opened.append(phone)
        phone.type(f"register sip:carol@{SBC_OUT4} sip:{register_at} secret")
        netns.wait_for("carol registered", lambda: "carol" in str(self.stack.sbc.show("registrations")), 20)
        return phone
