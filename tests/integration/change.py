# SPDX-License-Identifier: BSD-3-Clause
"""Changes of an established call: an offer of one side, what the other side sees of it, and the checks that hold for every one of them."""

import re

import netns
from sip import sdp


def origin(message):
    """(session, version) of the o= line of a message's description."""
    fields = re.search(rb"^o=(.*?)\r?$", message.body, re.M).group(1).split()
    return fields[1], int(fields[2])


def directions(message):
    return [line[2:] for line in message.body.decode().split("\r\n") if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")]


def streams(message):
    """(type, port, protocol, formats) of each m= line."""
    found = re.findall(rb"^m=(\S+) (\d+) (\S+) ([^\r\n]*)", message.body, re.M)
    return [(kind.decode(), int(port), protocol.decode(), formats.decode()) for kind, port, protocol, formats in found]


class Witness:
    """What one side of a call has seen of the SBC: that its dialog is one, and its descriptions are versions of one session."""

    def __init__(self, dialog, other, first):
        self.dialog, self.other = dialog, other
        self.session, self.version = origin(first)
        self.texts = {self.version: re.sub(rb"^o=.*$", b"", first.body, flags=re.M)}  # by version; self.version is in force
        self.cseq = 0
        self.branches = set()

    def secrets(self):
        """Words of the other side that must not be here."""
        far = self.other
        words = {far.endpoint.host, far.call_id, far.endpoint.agent}
        words |= {re.search(r"tag=([^;>\s]+)", text).group(1) for text in (far.local, far.remote) if "tag=" in text}
        words |= {m.branch for m in far.endpoint.received if m.is_request and m.call_id == far.call_id}
        return words

    def check_hiding(self, message):
        for word in self.secrets():
            assert word.encode() not in message.raw, f"{word} of the other side in:\n{message.raw.decode()}"

    def check_request(self, request):
        """RFC 3261 section 12.2: dialog, CSeq, branch, one Via, Contact."""
        assert request.call_id == self.dialog.call_id
        assert f"tag={request.tag('to')}" in self.dialog.local and f"tag={request.tag('from')}" in self.dialog.remote
        number, method = request["cseq"].split()
        assert method == request.method
        if method != "ACK":
            assert int(number) > self.cseq
            self.cseq = int(number)
        assert request.branch.startswith("z9hG4bK") and request.branch not in self.branches
        self.branches.add(request.branch)
        assert len(request.all("via")) == 1 and int(request["max-forwards"]) <= 70
        assert request["contact"] or method in ("ACK", "BYE", "CANCEL")
        self.check_hiding(request)
        self.check_description(request)

    def check_response(self, response):
        assert response.call_id == self.dialog.call_id and response.tag("to")
        if response.method in ("INVITE", "UPDATE") and response.status < 300:
            assert response["contact"]
        self.check_hiding(response)
        self.check_description(response)

    def check_description(self, message):
        """RFC 3264 section 8: the same session; another version whenever, and only when, the text is another one."""
        if not message.body:
            return
        session, version = origin(message)
        assert session == self.session
        text = re.sub(rb"^o=.*$", b"", message.body, flags=re.M)
        if version in self.texts:
            assert text == self.texts[version], "another description with the same version"
        else:
            assert version > max(self.texts) and text != self.texts[self.version], "another version of the same description"
        self.texts[version], self.version = text, version


class Parties:
    """Both sides of a Call; `by` = "caller" or "callee" is who asks."""

    def __init__(self, call, by="caller"):
        self.call = call
        self.a, self.b = Witness(call.a, call.b, call.ok), Witness(call.b, call.a, call.b.invite)
        self.b.cseq = int(call.b.invite["cseq"].split()[0])
        self.asker, self.asked = (self.a, self.b) if by == "caller" else (self.b, self.a)
        self.asker_media, self.asked_media = (call.near, call.far) if by == "caller" else (call.far, call.near)
        self.before = None  # the version the asked side had when it was offered another

    def offer(self, method="INVITE", body=b"", headers=(), relayed="INVITE"):
        """Sends it, and returns what the other side gets."""
        self.asker.dialog.request(method, body, headers)
        self.before = self.asked.version
        seen = self.asked.dialog.expect(relayed)
        self.asked.check_request(seen)
        return seen

    def answer(self, seen, body=b"", status=200, headers=()):
        """The other side's final response, and what the asker gets; acknowledged on both sides."""
        asker, asked = self.asker.dialog, self.asked.dialog
        asked.reply(seen, status, "", body, headers)
        method = asker.last.method
        final = asker.expect(lambda m: m.status and m.status >= 200 and m.method == method)
        self.asker.check_response(final)
        if final.status >= 300:
            self.asked.version = self.before
        if seen.method == "INVITE" and (status >= 300 or body and seen.body):
            ack = asked.expect("ACK")
            assert ack["cseq"] == seen["cseq"].replace("INVITE", "ACK")
        if method == "INVITE":
            asker.ack(final)
            self.settle()
        return final

    def change(self, offer, answer, method="INVITE", relayed="INVITE"):
        seen = self.offer(method, offer, relayed=relayed)
        return seen, self.answer(seen, answer)

    def settle(self):
        """The SBC has dealt with what the asker sent."""
        self.asker.dialog.endpoint.ask(self.asker.dialog.peer)

    def sdp(self, witness, version, direction="", **kwargs):
        media = self.call.near if witness is self.a else self.call.far
        session = 4711 if witness is self.a else 4712
        return sdp(media.host, media.port, direction, session, version, **kwargs)

    def nothing_relayed(self, *methods):
        self.settle()
        assert self.asked.dialog.endpoint.pending(lambda m: m.is_request and m.method in methods) == []


def no_calls_left(stack):
    netns.wait_for("no call and no media session left", lambda: not stack.sbc.show("calls")["calls"]
                   and stack.sbc.show("status")["sessions"] == 0, 5)


def talk(call, count=10):
    from media import check_exactly_once, exchange, open_path

    open_path(call.near, call.far)
    exchange([(call.near, call.far)], count)
    check_exactly_once(call.near, call.far)
    check_exactly_once(call.far, call.near)
