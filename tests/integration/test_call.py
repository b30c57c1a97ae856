# SPDX-License-Identifier: BSD-3-Clause
"""The main job: a baresip behind a NAT calls a baresip behind the SBC, each hears the other's melody."""

import pytest

import baresip
import melody
import netns

pytestmark = pytest.mark.parametrize("module_stack", ["packet", "xdp"], indirect=True, scope="module")

PHONE = {4: "192.168.77.2", 6: "fd00:77::2"}
NAT = {4: "203.0.113.2", 6: "2001:db8:1::2"}
SBC = {4: "203.0.113.10", 6: "[2001:db8:1::10]"}
PBX = {4: "10.0.0.5", 6: "fd00:10::5"}
NUMBER = {4: "1000", 6: "6000"}  # the SBC's local-policy takes 6... to the PBX's IPv6 address
SECONDS = 5


@pytest.mark.parametrize("phone_ip, pbx_ip", [(4, 4), (6, 6), (4, 6), (6, 4)], ids=["4-4", "6-6", "4-6", "6-4"])
def test_each_hears_the_others_melody(stack, phone_ip, pbx_ip):
    directory = stack.lab.directory / f"call-{phone_ip}-{pbx_ip}"
    directory.mkdir()
    tunes = {side: melody.compose(side, SECONDS + 4) for side in ("phone", "pbx")}
    for side, notes in tunes.items():
        melody.write(directory / f"{side}.wav", notes)
    start = lambda node, name, user, host, answer: baresip.Baresip(
        stack.lab.namespace(node), directory / name, user, host, f"aufile,{directory}/{name}.wav", answer
    )
    pbx = start("pbx", "pbx", NUMBER[pbx_ip], PBX[pbx_ip], "auto")
    phone = start("phone", "phone", "alice", PHONE[phone_ip], "manual")
    try:
        phone.command("dial", f"sip:{NUMBER[pbx_ip]}@{SBC[phone_ip]}")
        established = phone.wait_event("CALL_ESTABLISHED", "CALL_CLOSED")
        assert established["type"] == "CALL_ESTABLISHED", established

        def described():
            call = stack.sbc.the_call()
            return call if min(d["packets"] for d in stack.sbc.directions(call)) >= 50 * SECONDS else None

        call = netns.wait_for(f"{SECONDS} s of RTP each way", described, SECONDS + 4, interval=0.2)
        phone.command("hangup")
        pbx.wait_event("CALL_CLOSED")
        netns.wait_for("the SBC having forgotten the call", lambda: not stack.sbc.show("calls")["calls"], 5)
    finally:
        phone.stop()
        pbx.stop()

    for who, sent in ((pbx, tunes["phone"]), (phone, tunes["pbx"])):
        heard = melody.hear(melody.read(who.recording()))
        assert melody.longest_match(sent, heard) >= SECONDS / melody.NOTE_SECONDS - 4, f"{who.user} heard {heard} of {sent}"
    from_phone, from_pbx = stack.sbc.directions(call)
    assert NAT[phone_ip] in from_phone["source-address"] and from_phone["source-latched"]
    assert PBX[pbx_ip] in from_pbx["source-address"]
    assert [from_phone["lost"], from_pbx["lost"]] == [0, 0]
    assert [from_phone["wrong-source"], from_pbx["wrong-source"]] == [0, 0]
