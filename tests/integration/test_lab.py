# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself: it is what the other tests believe it to be, and what judges audio can say no."""

import random
import subprocess

import pytest

import baresip
import melody
import netns
from conftest import LAB, Stack


@pytest.fixture(scope="module")
def bare():
    """A lab whose SBC namespace is a plain router."""
    stack = Stack()
    sbc = stack.lab.namespace("sbc")
    for interface, address in (("eth1", "203.0.113.10/24"), ("eth2", "10.0.0.1/24")):
        netns.run(sbc, ["ip", "address", "add", address, "dev", interface], check=True)
    for interface, address in (("eth1", "2001:db8:1::10/64"), ("eth2", "fd00:10::1/64")):
        netns.run(sbc, ["ip", "address", "add", address, "dev", interface, "nodad"], check=True)
    netns.run(sbc, ["sysctl", "-w", "net.ipv4.ip_forward=1"], check=True)
    netns.run(stack.lab.namespace("nat"), ["ip", "route", "add", "10.0.0.0/24", "via", "203.0.113.10"], check=True)
    netns.run(stack.lab.namespace("pbx"), ["ip", "route", "add", "default", "via", "10.0.0.1"], check=True)
    yield stack
    stack.down()


@pytest.mark.parametrize("phone, public, nat", [
    ("192.168.77.2", "203.0.113.100", "203.0.113.2"), ("fd00:77::2", "2001:db8:1::100", "2001:db8:1::2"),
])
def test_the_nat_hides_address_and_port_of_the_phone(bare, phone, public, nat):
    inner = netns.udp_socket(bare.lab.namespace("phone"), phone, 5060)
    outer = netns.udp_socket(bare.lab.namespace("outside"), public, 5060)
    with inner, outer:
        outer.settimeout(5)
        inner.settimeout(5)
        inner.sendto(b"out", (public, 5060))
        data, source = outer.recvfrom(100)
        assert data == b"out" and source[0] == nat and source[1] != 5060
        outer.sendto(b"back", source)
        assert inner.recv(100) == b"back"


def test_nothing_comes_through_the_nat_unasked(bare):
    inner = netns.udp_socket(bare.lab.namespace("phone"), "192.168.77.2", 5062)
    outer = netns.udp_socket(bare.lab.namespace("outside"), "203.0.113.100", 5062)
    with inner, outer:
        inner.sendto(b"out", ("203.0.113.100", 5062))
        outer.settimeout(5)
        binding = outer.recvfrom(100)[1]
        netns.run(bare.lab.namespace("outside"), ["ip", "route", "add", "192.168.77.0/24", "via", "203.0.113.2"], check=True)
        outer.sendto(b"uninvited", ("192.168.77.2", 5063))
        outer.sendto(b"to another address", ("192.168.77.2", 5062))
        outer.sendto(b"invited", binding)
        inner.settimeout(5)
        assert inner.recv(100) == b"invited"


def test_without_an_sbc_the_phone_behind_the_nat_does_not_hear_the_pbx(bare):
    """The reason for the product, and the proof that the audio check can fail."""
    directory = bare.lab.directory
    tunes = {side: melody.compose(side, 6) for side in ("phone", "pbx")}
    for side, notes in tunes.items():
        melody.write(directory / f"{side}.wav", notes)
    pbx = baresip.Baresip(bare.lab.namespace("pbx"), directory / "pbx", "1000", "10.0.0.5", f"aufile,{directory}/pbx.wav", "auto")
    phone = baresip.Baresip(bare.lab.namespace("phone"), directory / "phone", "alice", "192.168.77.2", f"aufile,{directory}/phone.wav")
    try:
        phone.command("dial", "sip:1000@10.0.0.5")
        phone.wait_event("CALL_ESTABLISHED")
        netns.wait_for("two seconds of audio at the PBX", lambda: pbx.recording() and pbx.recording().stat().st_size > 32000, 8)
        phone.command("hangup")
        pbx.wait_event("CALL_CLOSED")
    finally:
        phone.stop()
        pbx.stop()
    assert melody.longest_match(tunes["phone"], melody.hear(melody.read(pbx.recording()))) >= 6
    assert phone.recording() is None or melody.hear(melody.read(phone.recording())) == []


def test_a_melody_is_heard_note_by_note(tmp_path):
    notes = melody.compose("phone", 5)
    melody.write(tmp_path / "m.wav", notes)
    samples = melody.read(tmp_path / "m.wav")
    assert melody.hear(samples) == notes
    assert melody.hear(samples[137:]) == notes  # frames that do not begin where the notes do


@pytest.mark.parametrize("spoil", ["silence", "noise", "other melody", "other side", "every second packet"])
def test_a_wrong_recording_is_not_taken_for_the_melody(tmp_path, spoil):
    notes = melody.compose("phone", 5)
    melody.write(tmp_path / "m.wav", notes)
    samples = melody.read(tmp_path / "m.wav")
    if spoil == "silence":
        samples = [0] * len(samples)
    elif spoil == "noise":
        samples = [random.randrange(-20000, 20000) for _ in samples]
    elif spoil == "every second packet":
        samples = [s if i // 160 % 2 else 0 for i, s in enumerate(samples)]
    else:
        melody.write(tmp_path / "o.wav", melody.compose("phone" if spoil == "other melody" else "pbx", 5))
        samples = melody.read(tmp_path / "o.wav")
    assert melody.longest_match(notes, melody.hear(samples)) < 8


def test_up_and_down_may_be_repeated_and_leave_nothing(bare):
    stack = Stack(name=f"{LAB}2")
    namespaces = lambda: [n for n in subprocess.run(["ip", "netns", "list"], text=True, capture_output=True).stdout.split() if n.startswith(f"{LAB}2-")]
    sleeper = netns.popen(stack.lab.namespace("pbx"), ["sleep", "600"])
    stack.lab.up()
    assert len(namespaces()) == 6
    assert sleeper.wait(5) != 0  # what ran in the older lab is gone with it
    netns.run(stack.lab.namespace("sbc"), ["ip", "link", "delete", "eth1"], check=True)  # as after a crash halfway
    subprocess.run(["ip", "netns", "delete", stack.lab.namespace("nat")], check=True)
    stack.lab.down()
    stack.lab.down()
    assert namespaces() == []
    assert not stack.lab.directory.exists()
