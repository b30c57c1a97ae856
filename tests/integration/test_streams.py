# SPDX-License-Identifier: BSD-3-Clause
"""More than one stream in a call, media that is no RTP, and pools that run dry."""

import pytest

import netns
from conftest import SBC_OUT4, Call
from media import check_exactly_once, exchange, open_path, rtp
from sip import sdp
from test_dialog import no_calls_left

# Its phones call faster than a stranger may by default.
GUARD = "\nguard { untrusted-rate = 10000  untrusted-burst = 10000 }\n"
TO_SBC = (SBC_OUT4, 5060)


def two_streams(host, audio, video):
    return sdp(host, audio, extra=[f"m=video {video} RTP/AVP 96", "a=rtpmap:96 H264/90000"])


def answered(stack, offer, answer, phone, pbx):
    """A call with these bodies; returns (a, b, the offer as it arrived, the answer as it arrived)."""
    a = phone.call(TO_SBC, "1000", offer)
    b = pbx.answerer()
    b.reply(b.invite, 200, "OK", answer)
    ok = a.expect(200)
    a.ack(ok)
    b.expect("ACK")
    return a, b, b.invite, ok


def end(stack, a, b):
    a.request("BYE")
    b.take_bye()
    a.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def test_audio_and_video_are_relayed_apart(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near = [stack.media("phone", phone.host) for _ in range(2)]
    far = [stack.media("pbx", pbx.host) for _ in range(2)]
    a, b, offer, ok = answered(stack, two_streams(phone.host, near[0].port, near[1].port),
                               two_streams(pbx.host, far[0].port, far[1].port), phone, pbx)
    for i in range(2):
        near[i].destination, far[i].destination = ok.media(i)[:2], offer.media(i)[:2]
    assert len({m.destination for m in (*near, *far)}) == 4
    for i in range(2):
        open_path(near[i], far[i])
    exchange(list(zip(near, far)), 20)
    for i in range(2):
        check_exactly_once(near[i], far[i])
        check_exactly_once(far[i], near[i])
    shown = stack.sbc.the_call()["media"]
    assert [s["kind"] for s in shown] == ["rtp", "rtp"]
    end(stack, a, b)


def test_video_that_is_refused_stays_refused(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a, b, offer, ok = answered(stack, two_streams(phone.host, near.port, 30010), two_streams(pbx.host, far.port, 0), phone, pbx)
    assert ok.media(1)[1] == 0 and offer.media(1)[1] != 0
    near.destination, far.destination = ok.media(0)[:2], offer.media(0)[:2]
    open_path(near, far)
    exchange([(near, far)], 10)
    check_exactly_once(near, far)
    check_exactly_once(far, near)
    end(stack, a, b)


def test_fax_is_relayed_untouched(stack):
    """T.38 over UDPTL after a re-INVITE; its packets are not RTP."""
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    fax = lambda host, port: sdp(host, port, version=2).replace(
        b"RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n",
        b"udptl t38\r\na=T38FaxVersion:0\r\n").replace(b"m=audio", b"m=image")
    call.b.request("INVITE", fax(call.far.host, call.far.port))
    offer = call.a.expect("INVITE")
    assert b"m=image" in offer.body and b"udptl t38" in offer.body
    call.a.reply(offer, 200, "OK", fax(call.near.host, call.near.port))
    ok = call.b.expect(200)
    call.b.ack(ok)
    call.a.expect("ACK")
    call.near.destination, call.far.destination = offer.media()[:2], ok.media()[:2]
    for near, far in ((call.near, call.far), (call.far, call.near)):
        near.forget()
        far.forget()
        for i in range(10):
            near.send(bytes([0, i]) + b"\x06\x01udptl" * i)
        far.wait(10)
        check_exactly_once(near, far)
    call.hang_up()
    no_calls_left(stack)


def test_floor_control_is_relayed_and_media_over_tcp_is_refused(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near = [stack.media("phone", phone.host) for _ in range(2)]
    far = [stack.media("pbx", pbx.host) for _ in range(2)]
    lines = lambda port: [f"m=application {port} UDP/BFCP *", "a=floorctrl:c-s", "m=message 2855 TCP/MSRP *", "a=accept-types:text/plain"]
    a, b, offer, ok = answered(stack, sdp(phone.host, near[0].port, extra=lines(near[1].port)), sdp(pbx.host, far[0].port, extra=lines(far[1].port)),
                               phone, pbx)
    for message in (offer, ok):
        assert message.media(2)[1] == 0 and b"m=message 0 TCP/MSRP" in message.body and b"a=floorctrl:c-s" in message.body
    for i in range(2):
        near[i].destination, far[i].destination = ok.media(i)[:2], offer.media(i)[:2]
        open_path(near[i], far[i])
    for i in range(10):
        near[1].send(b"\x20\x0b" + bytes([i]) * i)
        far[1].send(b"\x30\x0c" + bytes([i]) * i)
    far[1].wait(10)
    near[1].wait(10)
    check_exactly_once(near[1], far[1])
    check_exactly_once(far[1], near[1])
    assert [s["kind"] for s in stack.sbc.the_call()["media"]] == ["rtp", "other"]
    end(stack, a, b)


def test_who_names_a_bandwidth_gets_no_more(stack):
    """b= in a description limits what is sent to its author, not what its author sends."""
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a, b, offer, ok = answered(stack, sdp(phone.host, near.port), sdp(pbx.host, far.port, extra=["b=AS:64"]), phone, pbx)
    assert b"b=AS:64" in ok.body and b"b=" not in offer.body
    near.destination, far.destination = ok.media()[:2], offer.media()[:2]
    open_path(near, far)
    exchange([(near, far)], 20)  # PCMU at its own pace is within it
    assert [d["policed"] for d in stack.sbc.directions()] == [0, 0]
    for media in (near, far):
        for _ in range(500):  # ten seconds of speech at once
            media.send()
    near.wait(520)
    shown = netns.wait_for("all counted", lambda: [d for d in [stack.sbc.directions()] if d[0]["relayed"] + d[0]["policed"] >= 522], 5)[0]
    assert shown[0]["policed"] > 300 and shown[1]["policed"] == 0
    far.wait(len(near.sent) - shown[0]["policed"])
    assert stack.sbc.counters()["dataplane"]["drop-policed"] >= shown[0]["policed"]
    end(stack, a, b)


def test_digits_are_counted_by_the_number_that_their_receiver_chose(stack):
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a, b, offer, ok = answered(stack, sdp(phone.host, near.port), sdp(pbx.host, far.port).replace(b"101", b"97"), phone, pbx)
    near.destination, far.destination = ok.media()[:2], offer.media()[:2]
    open_path(near, far)
    for media, number, digits in ((near, 97, 3), (far, 101, 2), (near, 101, 5)):
        for digit in range(digits):
            media.timestamp += 800
            for i in range(4):  # RFC 4733: the same timestamp, its last packets with the E bit
                media.sequence = (media.sequence + 1) & 0xFFFF
                event = bytes([digit, 0x8A if i > 1 else 0x0A]) + (160 * (i + 1)).to_bytes(2, "big")
                media.send(rtp(media.sequence, media.timestamp, media.ssrc, event, number, marker=i == 0))
    far.wait(32)
    near.wait(8)
    netns.wait_for("digits counted", lambda: [d["events"] for d in stack.sbc.directions()] == [3, 2], 5)
    end(stack, a, b)


def test_a_pool_that_is_dry_refuses_the_next_call_and_harms_no_other(stack):
    stack.start("packet", change=lambda text: text.replace('"203.0.113.10"    ports = "10000-11999"', '"203.0.113.10"    ports = "10000-10003"'))
    try:
        phone, pbx = stack.phone(), stack.pbx()
        calls = [Call(stack, phone, pbx, f"100{i}") for i in range(2)]
        a = phone.call(TO_SBC, "1002", sdp(phone.host, 30000))
        refusal = a.expect(lambda m: m.status and m.status >= 300)
        a.ack(refusal)
        assert refusal.status in (500, 503, 488, 480)
        assert not pbx.pending(lambda m: "1002" in (m.uri or ""))
        for call in calls:
            open_path(call.near, call.far)
            exchange([(call.near, call.far)], 5)
            check_exactly_once(call.near, call.far)
        calls[0].hang_up()
        netns.wait_for("its ports given back", lambda: stack.sbc.show("status")["sessions"] == 1, 5)
        Call(stack, phone, pbx, "1003").hang_up()
        calls[1].hang_up()
        no_calls_left(stack)
    finally:
        stack.end_test()
        stack.start("packet")


@pytest.mark.parametrize("ports", [(30000, 30001)])
def test_a_thousand_calls_one_after_the_other_leave_nothing(stack, ports):
    """Ports, sessions, transactions and memory come back."""
    phone, pbx = stack.phone(), stack.pbx()

    def memory():
        status = open(f"/proc/{stack.sbc.pid('controlplane')}/status").read()
        return int(status.split("VmRSS:")[1].split()[0])

    used = []
    for i in range(1000):
        a = phone.call(TO_SBC, "1000", sdp(phone.host, ports[0]))
        b = pbx.answerer()
        b.reply(b.invite, 200, "OK", sdp(pbx.host, ports[1]))
        ok = a.expect(200)
        a.ack(ok)
        b.expect("ACK")
        a.request("BYE")
        b.take_bye()
        a.expect(lambda m: m.status == 200 and m.method == "BYE")
        if i in (499, 999):
            used.append(memory())
    no_calls_left(stack)
    assert stack.sbc.show("status")["ports-used"] == 0
    assert used[1] - used[0] < 500 * 20, f"KiB after 500 and 1000 calls: {used}"  # tombstones live 32 s: a little grows
