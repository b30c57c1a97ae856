# SPDX-License-Identifier: BSD-3-Clause
"""SRTP and SRTCP (RFC 3711, 6188, 7714) by AES and HMAC of python3-cryptography alone, written from the RFCs: what the dataplane sends and
takes is held against it. Media that speaks it."""

import ctypes
import hashlib
import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataplane_api import C, S
from media import Media

# Octets of master key and master salt, of an SRTP tag and of an SRTCP tag (RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14.3).
SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (16, 14, 10, 10),
    "AES_CM_128_HMAC_SHA1_32": (16, 14, 4, 10),
    "AES_256_CM_HMAC_SHA1_80": (32, 14, 10, 10),
    "AES_256_CM_HMAC_SHA1_32": (32, 14, 4, 10),
    "AEAD_AES_128_GCM": (16, 12, 16, 16),
    "AEAD_AES_256_GCM": (32, 12, 16, 16),
}
RTP_LABELS, RTCP_LABELS = (0, 1, 2), (3, 4, 5)  # RFC 3711 section 4.3.2: encryption, authentication, salt
WINDOW = 64


class Refused(Exception):
    """Not authentic, or come before."""


def counter_mode(key, iv, data):
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor()
    return cipher.update(data) + cipher.finalize()


def header_length(packet):
    length = 12 + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        length += 4 + 4 * struct.unpack_from("!H", packet, length + 2)[0]
    return length


class Key:
    """A master key: what one sender protects with. mki: b"" = none."""

    def __init__(self, suite, mki=b"", master=None, lifetime=0):
        self.suite, self.mki, self.lifetime = suite, mki, lifetime
        key_length, salt_length, self.tag, self.rtcp_tag = SUITES[suite]
        self.master = master or os.urandom(key_length + salt_length)
        self.aead = suite.startswith("AEAD")
        self.rtp = [self.derive(label, length) for label, length in zip(RTP_LABELS, (key_length, 20, salt_length))]
        self.rtcp = [self.derive(label, length) for label, length in zip(RTCP_LABELS, (key_length, 20, salt_length))]

    def derive(self, label, length):
        """RFC 3711 section 4.3.1 with a derivation rate of 0; a salt of 96 bits has zeros behind it (RFC 7714 section 11)."""
        key_length, salt_length, _, _ = SUITES[self.suite]
        salt = int.from_bytes(self.master[key_length:] + bytes(14 - salt_length), "big")
        return counter_mode(self.master[:key_length], (salt ^ label << 48) << 16, bytes(length))

    def request(self):
        """struct dp_crypto."""
        out = S["dp_crypto"](suite=C[f"DP_SRTP_{self.suite}"], mki_length=len(self.mki), lifetime=self.lifetime)
        ctypes.memmove(out.key, self.master, len(self.master))
        ctypes.memmove(out.mki, self.mki, len(self.mki))
        return out


class Sender:
    """Protects with one key; the rollover counter of each SSRC is its own."""

    def __init__(self, key):
        self.key, self.last, self.rtcp_index = key, {}, 0

    def index(self, packet):
        sequence, ssrc = struct.unpack_from("!2xH4xI", packet)
        roc, highest = self.last.get(ssrc, (0, sequence))
        if sequence < highest and highest - sequence > 0x8000:
            roc += 1
        if sequence >= highest or highest - sequence > 0x8000:
            self.last[ssrc] = roc, sequence
        return roc << 16 | sequence, ssrc

    def protect(self, packet):
        index, ssrc = self.index(packet)
        key, header = self.key, header_length(packet)
        secret, authentication, salt = key.rtp
        if key.aead:
            iv = (ssrc << 48 | index) ^ int.from_bytes(salt, "big")
            return packet[:header] + AESGCM(secret).encrypt(iv.to_bytes(12, "big"), packet[header:], packet[:header]) + key.mki
        iv = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
        out = packet[:header] + counter_mode(secret, iv, packet[header:])
        tag = hmac.new(authentication, out + struct.pack("!I", index >> 16), hashlib.sha1).digest()[: key.tag]
        return out + key.mki + tag

    def protect_rtcp(self, packet):
        key, index = self.key, self.rtcp_index
        self.rtcp_index += 1
        ssrc = struct.unpack_from("!4xI", packet)[0]
        secret, authentication, salt = key.rtcp
        word = struct.pack("!I", 1 << 31 | index)
        if key.aead:
            iv = (ssrc << 48 | index) ^ int.from_bytes(salt, "big")
            return packet[:8] + AESGCM(secret).encrypt(iv.to_bytes(12, "big"), packet[8:], packet[:8] + word) + word + key.mki
        iv = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
        out = packet[:8] + counter_mode(secret, iv, packet[8:]) + word
        return out + key.mki + hmac.new(authentication, out, hashlib.sha1).digest()[: key.rtcp_tag]


class Receiver:
    """Opens with one key."""

    def __init__(self, key):
        self.key, self.last, self.seen = key, {}, set()

    def index(self, packet):
        """RFC 3711 section 3.3.1 and appendix A."""
        sequence, ssrc = struct.unpack_from("!2xH4xI", packet)
        roc, highest = self.last.get(ssrc, (0, sequence))
        guess = roc
        if highest < 0x8000 and sequence - highest > 0x8000 and roc > 0:
            guess = roc - 1
        elif highest >= 0x8000 and highest - 0x8000 > sequence:
            guess = roc + 1
        return guess << 16 | sequence, ssrc

    def without_mki(self, packet, end):
        """(What is in front of the MKI that ends `end` octets before the packet's end, what is behind.)"""
        at = len(packet) - end
        front, mki = packet[: at - len(self.key.mki)], packet[at - len(self.key.mki) : at]
        if mki != self.key.mki:
            raise Refused("MKI")
        return front, packet[at:]

    def unprotect(self, packet):
        index, ssrc = self.index(packet)
        key, header = self.key, header_length(packet)
        secret, authentication, salt = key.rtp
        if key.aead:
            front, _ = self.without_mki(packet, 0)
            iv = (ssrc << 48 | index) ^ int.from_bytes(salt, "big")
            try:
                out = front[:header] + AESGCM(secret).decrypt(iv.to_bytes(12, "big"), front[header:], front[:header])
            except InvalidTag:
                raise Refused("tag") from None
        else:
            front, tag = self.without_mki(packet, key.tag)
            if hmac.new(authentication, front + struct.pack("!I", index >> 16), hashlib.sha1).digest()[: key.tag] != tag:
                raise Refused("tag")
            iv = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
            out = front[:header] + counter_mode(secret, iv, front[header:])
        self.remember((ssrc, index))
        roc, highest = self.last.get(ssrc, (0, index & 0xFFFF))
        if index >= roc << 16 | highest:
            self.last[ssrc] = index >> 16, index & 0xFFFF
        return out

    def unprotect_rtcp(self, packet):
        key = self.key
        secret, authentication, salt = key.rtcp
        front, tag = self.without_mki(packet, 0 if key.aead else key.rtcp_tag)
        word = struct.unpack("!I", front[-4:])[0]
        ssrc, index = struct.unpack_from("!4xI", packet)[0], word & 0x7FFFFFFF
        if not word >> 31:
            raise Refused("not encrypted")
        if key.aead:
            iv = (ssrc << 48 | index) ^ int.from_bytes(salt, "big")
            try:
                out = front[:8] + AESGCM(secret).decrypt(iv.to_bytes(12, "big"), front[8:-4], front[:8] + front[-4:])
            except InvalidTag:
                raise Refused("tag") from None
        else:
            if hmac.new(authentication, front, hashlib.sha1).digest()[: key.rtcp_tag] != tag:
                raise Refused("tag")
            iv = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
            out = front[:8] + counter_mode(secret, iv, front[8:-4])
        self.remember(("rtcp", ssrc, index))
        return out

    def remember(self, what):
        if what in self.seen:
            raise Refused("again")
        self.seen.add(what)


class SecureMedia(Media):
    """An endpoint that protects what it sends and opens what it gets; `sent` and `arrived` are in clear. What it cannot open is
    in `refused`."""

    def __init__(self, namespace, host):
        super().__init__(namespace, host)
        self.refused = []
        self.plain()

    def plain(self):
        self.keys = self.sender = self.receiver = None

    def use(self, *keys):
        """(What it protects with, what is protected for it.)"""
        self.keys, self.sender, self.receiver = keys, Sender(keys[0]), Receiver(keys[1])

    def sides(self):
        """What side() of the API is told."""
        return dict(zip(("crypto_from", "crypto_to"), (key.request() for key in self.keys))) if self.keys else {}

    def lose(self, count):
        """So many packets are sent and never arrive."""
        for _ in range(count):
            packet = self.packet()
            if self.sender:
                self.sender.index(packet)

    def seal(self, packet):
        return self.sender.protect(packet) if self.sender else packet

    def send(self, packet=None):
        packet = packet or self.packet()
        self.raw(self.seal(packet))
        self.sent.append(packet)
        return packet

    def raw(self, octets):
        self.rtp.sendto(octets, self.destination)

    def drain(self):
        count = 0
        while True:
            try:
                packet, source = self.rtp.recvfrom(2048)
            except BlockingIOError:
                return count
            try:
                self.arrived.append((self.receiver.unprotect(packet) if self.receiver else packet, source[:2]))
                count += 1
            except Refused as reason:
                self.refused.append((packet, str(reason)))
