# SPDX-License-Identifier: BSD-3-Clause
"""Calls with SRTP by SDES (RFC 4568) between raw peers: descriptions with a=crypto, what a side was told, and media of both sides."""

import base64
import re

from change import no_calls_left
from conftest import SBC_OUT4
from media import check_exactly_once, exchange, open_path
from sip import sdp
from srtp import SUITES, Key, Receiver, SecureMedia

# The access side prefers SRTP, the PBX has none, the carrier (9...) must have it.
CONFIGURATION = """
guard { untrusted-rate = 1000  untrusted-burst = 1000 }
ip-profile secret { nat = never  latching = fixed  media-security = require  srtp-without-tls = yes
                    crypto-suites = {"AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80"} }
session-agent vault { realm = core  address = "udp:10.0.0.100:5060"  ip-profile = secret }
local-policy to-vault { from-realm = access  to = "^7[0-9]+$"  next-hop = "agent:vault"  priority = 9 }
"""
CM80, CM32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"
PLAIN, VAULT = "1000", "7000"



def phones_prefer_srtp(text):
    """The lab's configuration, with this in it."""
    phone = "media-security = prefer  srtp-without-tls = yes\n  crypto-suites = {" + ", ".join(f'"{s}"' for s in SUITES) + "}"
    text = re.sub(r"log-level = \w+", "log-level = debug", text)  # at its most talkative the log has no key either
    return text.replace("ip-profile phone  {", f"ip-profile phone  {{ {phone} ")


def crypto(key, tag=1, more=""):
    return f"a=crypto:{tag} {key.suite} inline:{base64.b64encode(key.master).decode()}{more}"


def secret(media, keys, protocol="RTP/SAVP", version=1, session=4711, direction="", more=""):
    """A description with a=crypto of these keys."""
    lines = [crypto(key, tag, more) for tag, key in enumerate(keys, 1)]
    return sdp(media.host, media.port, direction, session, version, extra=lines).replace(b"RTP/AVP", protocol.encode())


def told(message):
    """[(tag, Key)] of the a=crypto lines."""
    found = re.findall(rb"^a=crypto:(\d+) (\S+) inline:(\S+)\r?$", message.body, re.M)
    return [(int(tag), Key(suite.decode(), master=base64.b64decode(text))) for tag, suite, text in found]


def protocol(message):
    return re.search(rb"^m=audio \d+ (\S+)", message.body, re.M).group(1).decode()


class SecretCall:
    """Caller at the phone; callee the PBX (plain) or the vault (SRTP). suite: of the caller, None: plain."""

    def __init__(self, stack, suite, number, profile="RTP/SAVP", callee_suite=None, more="", phone=None, callee=None):
        vault = number.startswith("7")
        phone = phone or stack.phone()
        callee = callee or (stack.endpoint("inside", "10.0.0.100") if vault else stack.pbx())
        self.near = SecureMedia(stack.lab.namespace("phone"), phone.host)
        self.far = SecureMedia(stack.lab.namespace("inside" if vault else "pbx"), callee.host)
        stack.closing += [self.near, self.far]
        self.mine = Key(suite) if suite else None
        offer = secret(self.near, [self.mine], profile, more=more) if suite else sdp(self.near.host, self.near.port, session=4711)
        self.a = phone.call((SBC_OUT4, 5060), number, offer)
        self.b = callee.answerer()
        self.offered = told(self.b.invite)
        self.theirs = None
        answer = sdp(self.far.host, self.far.port, session=4712)
        if vault:
            tag, key = next((tag, key) for tag, key in self.offered if key.suite == callee_suite)
            self.theirs = Key(callee_suite)
            answer = secret(self.far, [self.theirs], session=4712).replace(b"crypto:1", f"crypto:{tag}".encode())
            self.far.use(self.theirs, key)
        self.b.reply(self.b.invite, 200, "OK", answer)
        self.answer = answer
        self.ok = self.a.expect(200)
        self.a.ack(self.ok)
        self.b.expect("ACK")
        if suite:
            (_, key), = told(self.ok)
            self.near.use(self.mine, key)
        self.near.destination, self.far.destination = self.ok.media()[:2], self.b.invite.media()[:2]
        phone.ask((SBC_OUT4, 5060))

    def talk(self, count=20):
        open_path(self.near, self.far)
        open_path(self.far, self.near)
        exchange([(self.near, self.far)], count)
        check_exactly_once(self.near, self.far)
        check_exactly_once(self.far, self.near)
        assert not self.near.refused and not self.far.refused

    def hang_up(self, stack):
        self.a.request("BYE")
        self.b.take_bye()
        self.a.expect(lambda m: m.status == 200 and m.method == "BYE")
        no_calls_left(stack)

    def keys(self):
        return [key.master for key in (self.mine, self.theirs) if key] + [
            key.master for media in (self.near, self.far) if media.keys for key in media.keys]


def roll_over(call, media):
    """So many packets have been sent that their sequence numbers begin anew."""
    media.sequence = 0xFFF0
    call.talk(40)
    assert media.sequence < 0x1000


def keeps(dialog, media, offer):
    """Answers a re-INVITE with the key it has. It is told another one to open with."""
    mine, before = media.keys
    tag, ours = next((tag, key) for tag, key in told(offer) if key.suite == mine.suite)
    assert ours.master != before.master
    go_on(media, ours, offer)
    answer = secret(media, [mine], protocol(offer), version=2)
    dialog.reply(offer, 200, "OK", answer.replace(b"crypto:1", f"crypto:{tag}".encode()))


def go_on(media, ours, description):
    media.keys, media.receiver = (media.keys[0], ours), Receiver(ours)
    media.destination = description.media()[:2]
