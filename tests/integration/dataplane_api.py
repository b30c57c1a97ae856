# SPDX-License-Identifier: BSD-3-Clause
"""Client of dataplane.sock: requests, replies and events. The layouts are read from dataplane/api.h and ipc.h themselves, so that they
cannot drift; test_relay_api.py compares what was read with what the compiler says."""

import ctypes
import ipaddress
import os
import pathlib
import re
import select
import socket
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
HEADERS = ("platforms/base/ipc.h", "dataplane/api.h")
SCALARS = {"uint8_t": ctypes.c_uint8, "uint16_t": ctypes.c_uint16, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
           "int16_t": ctypes.c_int16, "int32_t": ctypes.c_int32, "char": ctypes.c_char}


def read_header(text, constants, structs):
    """Enums into `constants`, structs of scalars, arrays and structs into `structs`."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    counters = re.search(r"#define DP_COUNTERS\(X\)(.*?)\n\n", text, re.S)
    if counters:
        names = re.findall(r'X\((\w+), "([\w-]+)"', counters[1])
        constants.update({f"DP_COUNTER_{name}": i for i, (name, _) in enumerate(names)})
        constants["DP_COUNTER_COUNT"] = len(names)
        constants["counters"] = [shown for _, shown in names]
    text = re.sub(r"^#.*(\\\n.*)*$", "", text, flags=re.M)
    for kind, name, body in re.findall(r"(enum|struct)\s*(\w*)\s*\{(.*?)\}\s*;", text, re.S):
        if kind == "enum":
            read_enum(body, constants)
        elif not re.search(r"[*(]", body):
            structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields(body, constants, structs)})


def read_enum(body, constants):
    value = 0
    for item in filter(None, (i.strip() for i in body.split(","))):
        name, _, text = item.partition("=")
        if not re.fullmatch(r"\w+", name.strip()) or "DP_COUNTERS" in name:
            continue
        value = eval(text.strip(), {}, constants) if text else value  # integers, and sums of earlier ones
        constants[name.strip()] = value
        value += 1


def fields(body, constants, structs):
    out = []
    for declaration in filter(None, (d.strip() for d in body.split(";"))):
        base, names = re.fullmatch(r"(struct \w+|\w+)\s+(.*)", declaration, re.S).groups()
        kind = structs[base.split()[1]] if base.startswith("struct") else SCALARS[base]
        for name in names.split(","):
            field, *lengths = re.findall(r"\w+", name)
            whole = kind
            for length in reversed(lengths):
                whole = whole * (int(length) if length.isdigit() else constants[length])
            out.append((field, whole))
    return out


C, S = {}, {}
for _header in HEADERS:
    read_header((REPOSITORY / _header).read_text(), C, S)
COUNTERS = C["counters"]
NAMES = {value: name for name, value in C.items() if name.startswith("DP_COUNTER_")}


class DataplaneError(OSError):
    """The dataplane answered with an error."""


def address(host=None, port=0):
    """struct dp_address; None: family 0."""
    out = S["dp_address"](port=port)
    if host is not None:
        ip = ipaddress.ip_address(host)
        out.family = ip.version
        ctypes.memmove(out.ip, ip.packed, len(ip.packed))
    return out


def host_port(a):
    """(text, port) of a struct dp_address; None for family 0."""
    if a.family == 0:
        return None
    return str(ipaddress.ip_address(bytes(a.ip)[: 4 if a.family == 4 else 16])), a.port


def source_key(source, port=0):
    """struct dp_source_key of "192.0.2.0/24", "192.0.2.1", ("192.0.2.1", 5060); None: all."""
    if source is None:
        return S["dp_source_key"]()
    if isinstance(source, tuple):
        source, port = source
    network = ipaddress.ip_network(source)
    return S["dp_source_key"](address=address(str(network.network_address), port), length=network.prefixlen)


def key_text(key):
    host, port = host_port(key.address)
    if port:
        return host, port
    whole = 32 if key.address.family == 4 else 128
    return host if key.length == whole else f"{host}/{key.length}"


class Api:
    """One connection. `owner`: whose events come, None = nobody's."""

    def __init__(self, path, owner=1, samples=False, timeout=10.0):
        self.timeout = timeout
        self.sequence = 0
        self.replies = {}
        self.events = []  # (type, body)
        self.owner = owner
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        hello = S["ipc_hello"](magic=C["IPC_MAGIC"], api_version=C["DP_API_VERSION"], generation=int.from_bytes(os.urandom(8), "big"),
                               pid=os.getpid(), process=b"test", version=b"0")
        self._send(0, 0, bytes(hello))
        self.hello = None
        while self.hello is None:
            self._receive()
        if owner is not None:
            self.request("DP_SUBSCRIBE", S["dp_subscribe"](owner, C["DP_SUBSCRIBE_SAMPLES"] if samples else 0))

    def close(self):
        self.sock.close()

    # --- frames ---

    def _send(self, kind, sequence, body):
        frame = S["ipc_frame"](length=len(body), type=kind, sequence=sequence)
        self.sock.send(bytes(frame) + body + bytes(-len(body) % 8))

    def _receive(self):
        packet = self.sock.recv(C["IPC_PACKET_MAX"])
        if not packet:
            raise ConnectionError("the dataplane closed the connection")
        at = 0
        while at < len(packet):
            frame = S["ipc_frame"].from_buffer_copy(packet, at)
            at += ctypes.sizeof(frame)
            body = packet[at : at + frame.length]
            at += (frame.length + 7) // 8 * 8
            if frame.type == 0:
                self.hello = S["ipc_hello"].from_buffer_copy(body)
            elif frame.type & C["DP_REPLY"]:
                self.replies[frame.sequence] = (frame.status, body)
            else:
                self.events.append((frame.type, body))

    def ask(self, message, body=b""):
        """Sends; returns the sequence number for answer()."""
        self.sequence += 1
        self._send(C[message] if isinstance(message, str) else message, self.sequence, bytes(body))
        return self.sequence

    def answer(self, sequence):
        while sequence not in self.replies:
            self._receive()
        status, body = self.replies.pop(sequence)
        if status < 0:
            raise DataplaneError(-status, os.strerror(-status))
        return body

    def request(self, message, body=b""):
        return self.answer(self.ask(message, body))

    def has(self, message):
        """Whether this dataplane knows the request at all (an empty body is refused, but not as unknown)."""
        try:
            self.request(message)
        except DataplaneError as error:
            return error.errno != 95  # EOPNOTSUPP
        return True

    def event(self, name, match=lambda event: True, timeout=None):
        """The next event of that name which matches, as its struct; samples come as (struct, octets)."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            for i, (kind, body) in enumerate(self.events):
                if kind == C[name]:
                    event = self._decode(kind, body)
                    if match(event):
                        del self.events[i]
                        return event
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise TimeoutError(f"{name} has not come; there are {[hex(k) for k, _ in self.events]}")
            self._receive()

    def _decode(self, kind, body):
        if kind == C["DP_EVENT_DROP_SAMPLE"]:
            sample = S["dp_sample"].from_buffer_copy(body)
            start = ctypes.sizeof(sample)
            return sample, body[start : start + sample.captured]
        return S["dp_event"].from_buffer_copy(body)

    def take_events(self, name):
        """What has come of that name by now."""
        while select.select([self.sock], [], [], 0)[0]:
            self._receive()
        taken = [self._decode(k, b) for k, b in self.events if k == C[name]]
        self.events = [(k, b) for k, b in self.events if k != C[name]]
        return taken

    # --- sessions ---

    def create(self, request, blob=b""):
        return self._session("DP_SESSION_CREATE", request, blob)

    def update(self, session, request, blob=b""):
        request.session = session
        return self._session("DP_SESSION_UPDATE", request, blob)

    def _session(self, message, request, blob):
        request.blob_length = len(blob)
        return S["dp_session_reply"].from_buffer_copy(self.request(message, bytes(request) + blob))

    def delete(self, session):
        return S["dp_session_info"].from_buffer_copy(self.request("DP_SESSION_DELETE", S["dp_session_id"](session)))

    def get(self, session):
        return S["dp_session_info"].from_buffer_copy(self.request("DP_SESSION_GET", S["dp_session_id"](session)))

    def stats(self):
        return S["dp_stats"].from_buffer_copy(self.request("DP_STATS"))

    def counters(self):
        """{name: value}"""
        return dict(zip(COUNTERS, self.stats().counter))

    def interfaces(self):
        return array(S["dp_interface"], self.request("DP_INTERFACES"))

    # --- the border ---

    def ban(self, *sources, seconds=0, force=False, reason=""):
        """Bans in batches; returns how many were set. Raises on the first that could not be."""
        flags = C["DP_BAN_FORCE"] if force else 0
        bans = [S["dp_ban"](key=s if isinstance(s, S["dp_source_key"]) else source_key(s), expires_us=int(seconds * 1e6), flags=flags,
                            reason=reason.encode()) for s in sources]
        return self._batch("DP_BAN_SET", bans)

    def unban(self, *sources):
        return self._batch("DP_BAN_CLEAR", [s if isinstance(s, S["dp_source_key"]) else source_key(s) for s in sources])

    def trust(self, *sources, seconds=0, rate=0, burst=0):
        return self._batch("DP_TRUST_SET", [S["dp_trust"](key=source_key(s), expires_us=int(seconds * 1e6), rate=rate, burst=burst) for s in sources])

    def distrust(self, *sources):
        return self._batch("DP_TRUST_CLEAR", [source_key(s) for s in sources])

    def _batch(self, message, entries):
        done, asked = 0, []
        for i in range(0, len(entries), C["DP_BATCH_MAX"]):
            asked.append(self.ask(message, b"".join(map(bytes, entries[i : i + C["DP_BATCH_MAX"]]))))
            if len(asked) == 16:  # a few under way, never more than a socket holds
                done += self._done(asked.pop(0))
        return done + sum(map(self._done, asked))

    def _done(self, sequence):
        reply = S["dp_done"].from_buffer_copy(self.answer(sequence))
        if reply.status:
            raise DataplaneError(-reply.status, f"{os.strerror(-reply.status)}: entry {reply.failed}")
        return reply.done

    def table(self, message, struct, within=None, limit=10000):
        """All entries of a paged table."""
        cursor = 0
        while True:
            request = S["dp_table_request"](cursor=cursor, limit=limit, within=source_key(within))
            body = self.request(message, request)
            reply = S["dp_table_reply"].from_buffer_copy(body)
            page = array(S[struct], body[ctypes.sizeof(reply) :])
            assert len(page) == reply.count
            yield from page
            cursor = reply.cursor
            if cursor == 0:
                return

    def bans(self, within=None):
        return list(self.table("DP_BAN_LIST", "dp_ban", within))

    def trusts(self, within=None):
        return list(self.table("DP_TRUST_LIST", "dp_trust", within))

    def realms(self):
        body = self.request("DP_REALMS", S["dp_page_request"](limit=1000))
        reply = S["dp_table_reply"].from_buffer_copy(body)
        rows = array(S["dp_realm"], body[ctypes.sizeof(reply) :])
        assert len(rows) == reply.count and reply.cursor == 0
        return {row.name.decode(): row for row in rows}

    def flows(self, realm="", within=None, limit=1000):
        session = position = 0
        out = []
        while True:
            request = S["dp_flow_request"](session=session, position=position, limit=limit, within=source_key(within), realm=realm.encode())
            body = self.request("DP_FLOW_LIST", request)
            reply = S["dp_flow_reply"].from_buffer_copy(body)
            page = array(S["dp_flow"], body[ctypes.sizeof(reply) :])
            assert len(page) == reply.count
            out += page
            if not reply.more:
                return out
            session, position = reply.session, reply.position

    def top_sources(self, limit=64):
        return array(S["dp_source"], self.request("DP_TOP_SOURCES", S["dp_top_request"](limit=limit)))


def array(struct, body):
    size = ctypes.sizeof(struct)
    assert len(body) % size == 0, f"{len(body)} octets are no array of {struct.__name__}"
    return [struct.from_buffer_copy(body, at) for at in range(0, len(body), size)]


def side(realm, rtp=None, rtcp=None, signalling=None, family=4, latching="LATCH", flags=(), telephone_event=0, rate_limit=0,
         crypto_from=None, crypto_to=None):
    """struct dp_side_request. rtp, rtcp: (host, port); signalling: host; flags: "MUTED", "QUIET", "RTCP_MUX"; crypto: struct dp_crypto."""
    out = S["dp_side_request"](realm=realm.encode(), family=family, latching=C[f"DP_LATCHING_{latching}"],
                               telephone_event=telephone_event, rate_limit=rate_limit)
    out.flags = sum(C[f"DP_SIDE_{flag}"] for flag in flags)
    for name, value in (("rtp", rtp), ("rtcp", rtcp), ("signalling", signalling and (signalling, 0))):
        if value:
            setattr(out, name, address(*value))
    for name, value in (("from", crypto_from), ("to", crypto_to)):
        if value:
            setattr(out, name, value)
    return out


def session(*streams, owner=1):
    """struct dp_session_request of (side, side) or (side, side, kind)."""
    out = S["dp_session_request"](owner=owner, streams=len(streams))
    for i, (near, far, *kind) in enumerate(streams):
        out.stream[i].kind = C[f"DP_MEDIA_{kind[0] if kind else 'RTP'}"]
        out.stream[i].side[0], out.stream[i].side[1] = near, far
    return out
