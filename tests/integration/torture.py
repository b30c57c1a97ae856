# SPDX-License-Identifier: BSD-3-Clause
"""Messages made to break parsers, after the ideas of RFC 4475 and of what SIP servers meet on the open internet.

Every entry is (name, bytes, what is allowed). `{n}` in a text is replaced by something new for each message. Allowed:
"ok" = it is valid and must be answered 200, "bad" = a 4xx or 5xx answer or silence, "silent" = no answer, or statuses."""

import random

SBC = "203.0.113.10"


def request(method="OPTIONS", uri=f"sip:1000@{SBC}", version="SIP/2.0", drop=(), extra=(), body="", line=None, **changed):
    """A correct request, then the damage: headers replaced (call_id="..."), left out or added as raw lines."""
    headers = {
        "Via": "SIP/2.0/UDP 203.0.113.100:5060;branch=z9hG4bK{n};rport", "Max-Forwards": "70",
        "From": f"<sip:torture@{SBC}>;tag=f{{n}}", "To": f"<sip:1000@{SBC}>", "Call-ID": "torture-{n}",
        "CSeq": f"1 {method}", "Contact": "<sip:torture@203.0.113.100>", "Content-Length": str(len(body.encode())),
    }
    for name, value in changed.items():
        headers[{"call_id": "Call-ID", "cseq": "CSeq"}.get(name, name.replace("_", "-").title())] = value
    lines = [line if line is not None else f"{method} {uri} {version}"]
    lines += [f"{k}: {v}" for k, v in headers.items() if k not in drop]
    lines += extra
    return "\r\n".join(lines) + "\r\n\r\n" + body


def response(status_line, **kwargs):
    return request(line=status_line, **kwargs)


TEXTS = [
    # --- valid, however odd ---
    ("headers of every spelling", request(line=f"OPTIONS sip:1000@{SBC} SIP/2.0").replace("Via:", "v  :").replace("From:", "F :")
        .replace("To:", "t:").replace("Call-ID:", "I  :").replace("CSeq: 1 OPTIONS", "cSEQ:\r\n  00001\r\n\tOPTIONS").replace("Contact:", "M:"), "ok"),
    ("folded header lines", request(extra=["Subject: one", " two", "\tthree", "  four"]), "ok"),
    ("every character of a token", request(call_id="w0rd-.!%*_+`'~()<>:\\\"/[]?{{}}-{n}"), "ok"),
    ("escaped characters in the user", request(uri=f"sip:%31000;x=%3B@{SBC}"), "ok"),
    ("quoted pairs in a display name", request(extra=[], **{"from": f'"a \\"quoted\\" \\\\ name" <sip:torture@{SBC}>;tag=f{{n}}'}), "ok"),
    ("a semicolon in a quoted name", request(**{"from": f'"x;tag=wrong" <sip:torture@{SBC}>;tag=f{{n}}'}), "ok"),
    ("unknown headers with odd values", request(extra=["X-Odd: ;;,;\"", "UnknownHeaderWithUnusualValue: ;;,,;;,;"]), "ok"),
    ("no branch, as of RFC 2543", request(via="SIP/2.0/UDP 203.0.113.100:5060"), "any"),
    ("a branch of the cookie alone", request(via="SIP/2.0/UDP 203.0.113.100:5060;branch=z9hG4bK"), "any"),
    ("ten Via", request(extra=[f"Via: SIP/2.0/UDP 192.0.2.{i};branch=z9hG4bKv{i}" for i in range(9)]), "ok"),
    ("UTF-8 in a display name", request(**{"from": f'"\u0417\u0430\u043f\u0430\u0441" <sip:torture@{SBC}>;tag=f{{n}}'}), "ok"),
    # --- invalid start lines ---
    ("version 7.0", request(version="SIP/7.0"), "bad"),
    ("no version", request(line=f"OPTIONS sip:1000@{SBC}"), "bad"),
    ("HTTP", request(line="GET / HTTP/1.1"), "bad"),
    ("blanks around the request URI", request(line=f"OPTIONS  sip:1000@{SBC}  SIP/2.0"), "bad"),
    ("a blank at the end of the line", request(line=f"OPTIONS sip:1000@{SBC} SIP/2.0  "), "bad"),
    ("a blank in the request URI", request(uri=f"sip:1000@{SBC}; lr"), "bad"),
    ("angle brackets around the request URI", request(uri=f"<sip:1000@{SBC}>"), "bad"),
    ("an unknown scheme", request(uri="nobodyknowsthis:total"), "bad"),
    ("a scheme without anything", request(uri="sip:"), "bad"),
    ("a URI with a NUL escaped", request(uri=f"sip:10%0000@{SBC}"), "bad"),
    ("an unending IPv6 literal", request(uri="sip:1000@[2001:db8::1"), "bad"),
    ("a port that is none", request(uri=f"sip:1000@{SBC}:99999"), "any"),
    ("a method of bytes that are no token", request(method="OPT(IONS)"), "bad"),
    ("a method of 4000 letters", request(method="M" * 4000), "bad"),
    # --- invalid headers ---
    ("no Call-ID", request(drop=["Call-ID"]), "bad"),
    ("no From", request(drop=["From"]), "bad"),
    ("no To", request(drop=["To"]), "bad"),
    ("no CSeq", request(drop=["CSeq"]), "bad"),
    ("no Via", request(drop=["Via"]), "bad"),
    ("nothing but the start line", f"OPTIONS sip:1000@{SBC} SIP/2.0\r\n\r\n", "bad"),
    ("CSeq of another method", request(cseq="1 INVITE"), "bad"),
    ("CSeq of an unknown method", request(method="NEWMETHOD", cseq="1 OTHERMETHOD"), "bad"),
    ("CSeq too large", request(cseq="36893488147419103232 OPTIONS"), "bad"),
    ("CSeq negative", request(cseq="-5 OPTIONS"), "bad"),
    ("CSeq without a number", request(cseq="OPTIONS"), "bad"),
    ("Max-Forwards of 300 digits", request(max_forwards="9" * 300), "bad"),
    ("Max-Forwards of letters", request(max_forwards="seventy"), "bad"),
    ("Content-Length beyond the datagram", request(content_length="9999"), "bad"),
    ("Content-Length negative", request(content_length="-999"), "bad"),
    ("Content-Length wrapping 32 bits", request(content_length="4294967301", body="five!"), "bad"),
    ("Content-Length with a sign", request(content_length="+0"), "bad"),
    ("Content-Length twice and different", request(extra=["Content-Length: 5"], body=""), "bad"),
    ("two Call-IDs", request(extra=["Call-ID: another-{n}"]), "bad"),
    ("two From", request(extra=["From: <sip:other@example.com>;tag=other"]), "bad"),
    ("two CSeq", request(extra=["CSeq: 2 OPTIONS"]), "bad"),
    ("From without a tag", request(**{"from": f"<sip:torture@{SBC}>"}), "any"),
    ("To with a quote that does not end", request(to=f'"unended <sip:1000@{SBC}>'), "bad"),
    ("From with a bracket that does not end", request(**{"from": f"<sip:torture@{SBC};tag=f{{n}}"}), "bad"),
    ("To of separators", request(to=";;,;,,"), "bad"),
    ("Via of separators", request(via="SIP/2.0/UDP 192.0.2.15;;,;,,"), "bad"),
    ("Via of another version", request(via="SIP/9.9/UDP 203.0.113.100:5060;branch=z9hG4bK{n}"), "any"),
    ("Via without a host", request(via="SIP/2.0/UDP ;branch=z9hG4bK{n}"), "bad"),
    ("a header without a colon", request(extra=["This is no header"]), "bad"),
    ("a header without a name", request(extra=[": value"]), "bad"),
    ("line feeds alone", request().replace("\r\n", "\n"), "bad"),
    ("carriage returns alone", request().replace("\r\n", "\r"), "bad"),
    ("no empty line at the end", request().rstrip("\r\n"), "bad"),
    ("a NUL in a header", request(extra=["Subject: a\0b"]), "bad"),
    ("control characters in a header", request(extra=["Subject: \x01\x02\x07\x1b[31m"]), "bad"),
    ("a bare CR in a header", request(extra=["Subject: a\rVia: b"]), "bad"),
    # --- too much of it ---
    ("a header of 8000 bytes", request(extra=["Subject: " + "x" * 8000]), "bad"),
    ("a Call-ID of 4000 bytes", request(call_id="x" * 4000), "bad"),
    ("a tag of 4000 bytes", request(**{"from": f"<sip:torture@{SBC}>;tag=" + "x" * 4000}), "bad"),
    ("a URI of 6000 bytes", request(uri="sip:" + "1" * 6000 + "@" + SBC), "any"),
    ("3000 headers", request(extra=["A: b"] * 3000), "bad"),
    ("80 Via headers", request(extra=["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"] * 80), "bad"),
    ("an Allow of 4000 commas", request(extra=["Allow: " + "a," * 4000]), "bad"),
    ("a Contact of 2000 parameters", request(contact="<sip:a@192.0.2.1>" + ";p" * 2000), "bad"),
    ("a header folded 2000 times", request(extra=["Subject: a"] + [" b"] * 2000), "bad"),
    ("15000 bytes in all", request(body="x" * 14500, extra=["Content-Type: text/plain"]), "any"),
    ("60000 bytes in all", request(body="x" * 59000, extra=["Content-Type: text/plain"]), "bad"),
    # --- responses to nothing ---
    ("a response to nothing", response("SIP/2.0 200 OK"), "silent"),
    ("a response of a large code", response("SIP/2.0 4294967301 better not"), "silent"),
    ("a response of code 700", response("SIP/2.0 700 What"), "silent"),
    ("a response without a reason", response("SIP/2.0 200"), "silent"),
    ("a response sent to everybody", response("SIP/2.0 200 OK", via="SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK{n}"), "silent"),
    ("an ACK that is broken", request(method="ACK", drop=["CSeq"]), "silent"),
]

_random = random.Random(4475)
BYTES = [
    ("an empty datagram", b"", "silent"),
    ("a keep-alive", b"\r\n\r\n", "silent"),
    ("blanks", b" " * 1200, "silent"),
    ("noise", bytes(_random.randrange(256) for _ in range(1400)), "silent"),
    ("noise of 60000 bytes", bytes(_random.randrange(256) for _ in range(60000)), "silent"),
    ("NUL bytes", bytes(1000), "silent"),
    ("a STUN request", bytes.fromhex("000100002112a442") + bytes(range(12)), "any"),  # answered, to who may know: test_keep_alive.py
    ("a DNS query", bytes.fromhex("1234010000010000000000000377777707657861") + b"mple\x03com\x00\x00\x01\x00\x01", "silent"),
    ("bytes that are not UTF-8", request(extra=["Subject: \xe9\xff\xfe"]).encode("latin-1"), "any"),
]


def messages():
    """Every message ready to send: (name, bytes, allowed)."""
    number = 0
    for name, text, allowed in [*((n, t.encode(), a) for n, t, a in TEXTS), *BYTES]:
        number += 1
        yield name, text.replace(b"{n}", b"%dt%d" % (number, _random.randrange(10**9))).replace(b"{{", b"{").replace(b"}}", b"}"), allowed


SDP = "v=0\r\no=- 1 1 IN IP4 203.0.113.100\r\ns=-\r\nc=IN IP4 203.0.113.100\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
SDPS = [
    ("no media", SDP[: SDP.index("m=")]),
    ("no version", SDP[5:]),
    ("no origin", SDP.replace("o=- 1 1 IN IP4 203.0.113.100\r\n", "")),
    ("no connection", SDP.replace("c=IN IP4 203.0.113.100\r\n", "")),
    ("ends in the middle of the media line", SDP[: SDP.index(" RTP/AVP")]),
    ("ends with a carriage return", SDP[:-1]),
    ("ends without a line end", SDP[:-2]),
    ("line feeds alone", SDP.replace("\r\n", "\n")),
    ("port 0", SDP.replace("30000", "0")),
    ("port -5", SDP.replace("30000", "-5")),
    ("port 70000", SDP.replace("30000", "70000")),
    ("port of 40 digits", SDP.replace("30000", "3" * 40)),
    ("port range", SDP.replace("30000", "30000/2")),
    ("address 999.1.1.1", SDP.replace("c=IN IP4 203.0.113.100", "c=IN IP4 999.1.1.1")),
    ("address is a name", SDP.replace("c=IN IP4 203.0.113.100", "c=IN IP4 media.example.com")),
    ("address of the wrong family", SDP.replace("c=IN IP4 203.0.113.100", "c=IN IP6 203.0.113.100")),
    ("multicast with ttl", SDP.replace("c=IN IP4 203.0.113.100", "c=IN IP4 224.2.1.1/127/3")),
    ("our own media address", SDP.replace("c=IN IP4 203.0.113.100", "c=IN IP4 203.0.113.10")),
    ("loopback", SDP.replace("c=IN IP4 203.0.113.100", "c=IN IP4 127.0.0.1")),
    ("17 media lines", SDP + SDP[SDP.index("m="):] * 16),
    ("400 attributes", SDP + "a=x\r\n" * 400),
    ("a line of 3000 bytes", SDP + "a=" + "x" * 3000 + "\r\n"),
    ("a NUL", SDP.replace("s=-", "s=a\0b")),
    ("lines out of order", "\r\n".join(sorted(SDP.strip().split("\r\n"))) + "\r\n"),
    ("letters alone", "hello"),
    ("blank lines", "\r\n" * 100),
    ("equals signs", "=\r\n" * 100),
]


def mutations(count, seed):
    """A valid INVITE for nobody, damaged in a random place or three."""
    rng = random.Random(seed)
    for i in range(count):
        body = SDP if rng.random() < 0.5 else ""
        raw = bytearray(
            request("INVITE", uri=f"sip:nobody@{SBC}", to=f"<sip:nobody@{SBC}>", body=body,
                    extra=["Content-Type: application/sdp", "Allow: INVITE, ACK", "Supported: timer"])
            .replace("{n}", f"m{seed}x{i}").encode()
        )
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(raw))
            how = rng.randrange(6)
            if how == 0:
                raw[at] = rng.randrange(256)
            elif how == 1:
                del raw[at : at + rng.randrange(1, 30)]
            elif how == 2:
                raw[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 8)))
            elif how == 3:
                raw[at:at] = raw[at : at + rng.randrange(1, 80)] * rng.randrange(1, 20)
            elif how == 4:
                raw[at:at] = rng.choice([b"\r\n", b",", b";", b'"', b"<", b">", b"%00", b"\r\n\r\n", b"=", b":", b" "]) * rng.randrange(1, 50)
            else:
                del raw[at:]
            if not raw:
                raw = bytearray(b"I")
        yield bytes(raw)
