# SPDX-License-Identifier: BSD-3-Clause
"""Other media in the same call: codecs, video that comes and goes, more streams, fax in place of audio or beside it, late answers."""

import pytest

from change import Parties, directions, no_calls_left, origin, streams, talk
from conftest import SBC_OUT4, Call
from media import check_exactly_once, exchange, open_path
from sip import sdp

GUARD = "guard { untrusted-rate = 1000  untrusted-burst = 1000 }\n"
BY = pytest.mark.parametrize("by", ["caller", "callee"])
AUDIO = b"RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
FAX = b"udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"


def video(port, codec="97 H264/90000"):
    number = codec.split()[0]
    return [f"m=video {port} RTP/AVP {number}", f"a=rtpmap:{codec}", f"a=fmtp:{number} profile-level-id=42e01f", "b=TIAS:256000", "a=content:main"]


def fax(body):
    return body.replace(AUDIO, FAX).replace(b"m=audio", b"m=image")


def parties(stack, by):
    return Parties(Call(stack, stack.phone(), stack.pbx()), by)


def second_stream(stack, p):
    """Media of the asker's and of the other side's second stream."""
    near, far = stack.media("phone", p.call.near.host), stack.media("pbx", p.call.far.host)
    return (near, far) if p.asker is p.a else (far, near)


def opened(*pair):
    """The telephone behind its NAT sends first, whoever has asked."""
    phone, pbx = sorted(pair, key=lambda media: not media.namespace.endswith("-phone"))
    open_path(phone, pbx)


def crosses(first, second):
    opened(first, second)
    exchange([(first, second)], 10)
    check_exactly_once(first, second)
    check_exactly_once(second, first)
    first.forget()
    second.forget()


def end(stack, p):
    talk(p.call)
    p.call.hang_up()
    no_calls_left(stack)


@BY
def test_another_codec(stack, by):
    p = parties(stack, by)
    talk(p.call)
    opus = lambda body: body.replace(b"RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000", b"RTP/AVP 96 8 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1")
    seen, final = p.change(opus(p.sdp(p.asker, 2)), p.sdp(p.asked, 2).replace(b"AVP 0 101\r\na=rtpmap:0 PCMU", b"AVP 8 101\r\na=rtpmap:8 PCMA"))
    assert streams(seen)[0][3] == "96 8 101" and b"a=rtpmap:96 opus/48000/2" in seen.body and b"useinbandfec=1" in seen.body
    assert streams(final)[0][3] == "8 101"
    end(stack, p)


@BY
def test_video_comes_and_goes(stack, by):
    p = parties(stack, by)
    talk(p.call)
    asker2, asked2 = second_stream(stack, p)
    audio_ports = [seen.media()[1] for seen in (p.call.b.invite, p.call.ok)]
    seen, final = p.change(p.sdp(p.asker, 2, extra=video(asker2.port)), p.sdp(p.asked, 2, extra=video(asked2.port)))
    for message in (seen, final):
        assert [s[0] for s in streams(message)] == ["audio", "video"] and all(s[1] for s in streams(message))
        assert b"a=content:main" in message.body and b"b=TIAS:256000" in message.body
        assert message.media()[1] in audio_ports  # audio stays where it is
    asked2.destination, asker2.destination = seen.media(1)[:2], final.media(1)[:2]
    crosses(asker2, asked2)
    talk(p.call)
    # Held alone; then without it: a stream is never taken out of the list (RFC 3264 section 8).
    seen, final = p.change(p.sdp(p.asker, 3, extra=[*video(asker2.port), "a=sendonly"]), p.sdp(p.asked, 3, extra=[*video(asked2.port), "a=recvonly"]))
    assert directions(seen) == ["sendrecv", "sendonly"] and directions(final) == ["sendrecv", "recvonly"]
    seen, final = p.change(p.sdp(p.asker, 4, extra=["m=video 0 RTP/AVP 97"]), p.sdp(p.asked, 4, extra=["m=video 0 RTP/AVP 97"]))
    assert [s[1] == 0 for s in streams(seen)] == [s[1] == 0 for s in streams(final)] == [False, True]
    assert len(stack.sbc.the_call()["media"]) == 1
    talk(p.call)
    # And it may come back in its old place.
    seen, final = p.change(p.sdp(p.asker, 5, extra=video(asker2.port)), p.sdp(p.asked, 5, extra=video(asked2.port)))
    asked2.destination, asker2.destination = seen.media(1)[:2], final.media(1)[:2]
    crosses(asker2, asked2)
    end(stack, p)


@BY
def test_video_that_is_refused_leaves_the_audio(stack, by):
    p = parties(stack, by)
    asker2, _ = second_stream(stack, p)
    _, final = p.change(p.sdp(p.asker, 2, extra=video(asker2.port)), p.sdp(p.asked, 2, extra=["m=video 0 RTP/AVP 97"]))
    assert streams(final)[1][1] == 0
    talk(p.call)
    seen = p.offer(body=p.sdp(p.asker, 3, extra=["m=video 0 RTP/AVP 97", *video(asker2.port)]))
    assert [s[1] == 0 for s in streams(seen)] == [False, True, False]
    p.answer(seen, status=488)
    assert len(stack.sbc.the_call()["media"]) == 1
    end(stack, p)


@BY
def test_more_streams_than_before_and_more_than_there_are_places(stack, by):
    p = parties(stack, by)
    lines = [line for i in range(9) for line in video(31000 + 2 * i, f"{97 + i} H264/90000")]
    seen, final = p.change(p.sdp(p.asker, 2, extra=lines), p.sdp(p.asked, 2, extra=lines))
    assert len(streams(seen)) == len(streams(final)) == 10
    # Eight are relayed; the rest are refused one by one, and the answer has as many lines as the offer.
    assert [s[1] != 0 for s in streams(seen)] == [s[1] != 0 for s in streams(final)] == [True] * 8 + [False] * 2
    end(stack, p)


@BY
def test_fax_in_place_of_audio_and_back(stack, by):
    p = parties(stack, by)
    talk(p.call)
    p.asker_media.forget()
    p.asked_media.forget()
    seen, final = p.change(fax(p.sdp(p.asker, 2)), fax(p.sdp(p.asked, 2)))
    for message in (seen, final):
        assert streams(message)[0][0] == "image" and streams(message)[0][2:] == ("udptl", "t38") and b"a=T38FaxVersion:0" in message.body
    p.asked_media.destination, p.asker_media.destination = seen.media()[:2], final.media()[:2]
    assert [s["kind"] for s in stack.sbc.the_call()["media"]] == ["other"]
    opened(p.asker_media, p.asked_media)
    for i in range(5):
        p.asker_media.send(bytes([0, i]) + b"\x06\x01udptl" * i)
    p.asked_media.wait(5)
    check_exactly_once(p.asker_media, p.asked_media)
    seen, final = p.change(p.sdp(p.asker, 3), p.sdp(p.asked, 3))
    p.asked_media.destination, p.asker_media.destination = seen.media()[:2], final.media()[:2]
    p.asker_media.forget()
    p.asked_media.forget()
    assert [s["kind"] for s in stack.sbc.the_call()["media"]] == ["rtp"]
    end(stack, p)


@BY
def test_while_fax_is_offered_and_after_it_is_refused_the_audio_goes_on(stack, by):
    p = parties(stack, by)
    talk(p.call)
    seen = p.offer(body=fax(p.sdp(p.asker, 2)))
    talk(p.call)
    assert p.answer(seen, status=488).status == 488
    talk(p.call)
    assert [s["kind"] for s in stack.sbc.the_call()["media"]] == ["rtp"]
    end(stack, p)


@BY
def test_fax_beside_audio(stack, by):
    """Some put it into a second line and switch the first one off."""
    p = parties(stack, by)
    asker2, asked2 = second_stream(stack, p)
    image = lambda port: [f"m=image {port} " + FAX.decode().rstrip("\r\n")]
    off = lambda body: body.replace(b"m=audio %d" % p.call.near.port, b"m=audio 0").replace(b"m=audio %d" % p.call.far.port, b"m=audio 0")
    seen, final = p.change(off(p.sdp(p.asker, 2, extra=image(asker2.port))), off(p.sdp(p.asked, 2, extra=image(asked2.port))))
    for message in (seen, final):
        assert [(s[0], s[1] != 0) for s in streams(message)] == [("audio", False), ("image", True)]
    asked2.destination, asker2.destination = seen.media(1)[:2], final.media(1)[:2]
    opened(asker2, asked2)
    for i in range(5):
        asker2.send(bytes([0, i]) + b"\x06\x01udptl" * i)
    asked2.wait(5)
    check_exactly_once(asker2, asked2)
    seen, final = p.change(p.sdp(p.asker, 3, extra=["m=image 0 udptl t38"]), p.sdp(p.asked, 3, extra=["m=image 0 udptl t38"]))
    p.asked_media.destination, p.asker_media.destination = seen.media()[:2], final.media()[:2]
    end(stack, p)


@BY
def test_a_moved_address(stack, by):
    p = parties(stack, by)
    talk(p.call)
    node, host = ("phone", p.call.near.host) if by == "caller" else ("pbx", p.call.far.host)
    moved = stack.media(node, host)
    seen, final = p.change(sdp(host, moved.port, "", 4711 if by == "caller" else 4712, 2), p.sdp(p.asked, 2))
    moved.destination = final.media()[:2]
    if by == "caller":
        p.call.near = moved
    else:
        p.call.far = moved
    assert origin(final)[1] == 1 or final.media() == p.call.ok.media()
    end(stack, p)


def test_the_answer_of_the_first_invite_comes_in_the_ack(stack):
    """Delayed offer: both sides agree on what was said last."""
    phone, pbx = stack.phone(), stack.pbx()
    near, far = stack.media("phone", phone.host), stack.media("pbx", pbx.host)
    a = phone.call((SBC_OUT4, 5060), "1000")
    b = pbx.answerer()
    assert not b.invite.body
    b.reply(b.invite, 200, "OK", sdp(pbx.host, far.port, session=4712))
    ok = a.expect(200)
    near.destination = ok.media()[:2]
    a.ack(ok, sdp(phone.host, near.port, session=4711))
    ack = b.expect("ACK")
    far.destination = ack.media()[:2]
    crosses(near, far)
    a.request("INVITE", sdp(phone.host, near.port, session=4711))
    again = a.expect(lambda m: m.status == 200 and m["cseq"] == a.last["cseq"])
    assert again.body == ok.body  # nothing has changed
    a.ack(again)
    phone.ask((SBC_OUT4, 5060))
    assert pbx.pending(lambda m: m.is_request) == []
    a.request("BYE")
    b.take_bye()
    no_calls_left(stack)
