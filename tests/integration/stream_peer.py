# SPDX-License-Identifier: BSD-3-Clause
"""A SIP user agent of raw text over TCP: sip.Endpoint with connections instead of datagrams, cut by Content-Length."""

import select
import socket
import threading

import netns
from sip import Endpoint, Message


class Link:
    """One TCP connection of a peer."""

    def __init__(self, sock):
        self.socket = sock
        self.far = sock.getpeername()[:2]
        self.near = sock.getsockname()[:2]
        self.buffer = b""
        self.line_ends = 0  # CRLFs between messages
        self.is_open = True

    def messages(self, octets):
        """Complete messages, in order; what is left waits for more."""
        self.buffer += octets
        while True:
            while self.buffer.startswith(b"\r\n"):
                self.buffer = self.buffer[2:]
                self.line_ends += 1
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            lengths = [v for n, v in Message(head + end).headers if n == "content-length"]
            assert len(lengths) == 1, f"Content-Length is not there once: {head}"
            if len(rest) < int(lengths[0]):
                return
            raw, self.buffer = head + end + rest[:int(lengths[0])], rest[int(lengths[0]):]
            yield raw


class StreamEndpoint(Endpoint):
    """Listens on host:port; send() uses the connection to there that is open, or makes one."""

    transport = "TCP"
    uri_parameters = ";transport=tcp"

    def __post_init__(self):
        def make():
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
            sock.listen(64)
            return sock

        self.socket = netns.inside(self.namespace, make)
        self.port = self.socket.getsockname()[1]
        self.links = []  # every one there has been, oldest first
        self.inbox, self._seen = [], set()
        self._changed = threading.Condition()
        self._open = True
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _add(self, sock):
        link = Link(sock)
        with self._changed:
            self.links.append(link)
            self._changed.notify_all()
        return link

    def _take(self, link):
        try:
            octets = link.socket.recv(65536)
        except OSError:
            octets = b""
        with self._changed:
            if not octets:
                link.is_open = False
                link.socket.close()
            for raw in link.messages(octets):
                message = Message(raw, link.far)
                message.link = link
                self.received.append(message)
                if raw in self._seen:
                    self.repeats += 1
                else:
                    self._seen.add(raw)
                    self.inbox.append(message)
            self._changed.notify_all()

    def _read(self):
        while self._open:
            open_links = [link for link in self.links if link.is_open]
            ready, _, _ = select.select([self.socket, self._woken, *(link.socket for link in open_links)], [], [])
            if self._woken in ready:
                self._woken.recv(4096)
            if self.socket in ready:
                self._add(self.socket.accept()[0])
            for link in open_links:
                if link.socket in ready:
                    self._take(link)

    def connect(self, to):
        """A new connection to there; what is sent from now on uses the newest."""
        link = self._add(netns.tcp_connect(self.namespace, *to))
        self._wake.send(b"x")
        return link

    def link_to(self, to):
        with self._changed:
            return next((link for link in reversed(self.links) if link.is_open and link.far == tuple(to[:2])), None)

    def send(self, raw, to):
        (self.link_to(to) or self.connect(to)).socket.sendall(raw)

    def hang_up(self, link):
        """Closes a connection, and knows it closed."""
        link.socket.shutdown(socket.SHUT_RDWR)
        self.wait(lambda: not link.is_open, "the end of the connection")

    def wait(self, condition, what, timeout=10.0):
        with self._changed:
            assert self._changed.wait_for(condition, timeout), f"{self.host}: {what}: not within {timeout:g} s"

    def close(self):
        self._open = False
        self._wake.send(b"x")
        self._thread.join()
        for link in self.links:
            link.socket.close()
        for sock in (self.socket, self._wake, self._woken):
            sock.close()
