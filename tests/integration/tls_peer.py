# SPDX-License-Identifier: BSD-3-Clause
"""A SIP user agent of raw text over TLS: stream_peer.StreamEndpoint with Python's ssl around each connection."""

import socket
import ssl

import netns
from pki import Pki
from stream_peer import StreamEndpoint


def server_side(issued, ca=None):
    """What a peer that listens shows: `issued` of pki; with `ca` it wants certificates of clients, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_side(ca=None, issued=None, minimum=None, maximum=None, ciphers=None):
    """What a peer that connects does: believes `ca` (None: anybody), shows `issued`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if issued:
        context.load_cert_chain(issued.certificate, issued.key)
    if ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version = minimum or ssl.TLSVersion.TLSv1_2
    context.maximum_version = maximum or ssl.TLSVersion.MAXIMUM_SUPPORTED
    return context


class TlsEndpoint(StreamEndpoint):
    """Handshakes take place in the thread that calls connect(), or in that which reads. `server`, `client`: contexts; `name`: SNI."""

    transport = "TLS"
    uri_parameters = ";transport=tls"

    def __init__(self, namespace, host, port=5061, server=None, client=None, name=None):
        self.server, self.client, self.name = server, client or client_side(), name
        super().__init__(namespace, host, port)

    def _add(self, sock):
        accepted = sock.getsockname()[1] == self.port and not isinstance(sock, ssl.SSLSocket)
        if accepted:
            sock.settimeout(5)
            try:
                sock = self.server.wrap_socket(sock, server_side=True)
            except OSError as error:
                self.refused.append(error)
                sock.close()
                return None
            sock.settimeout(None)
        try:
            return super()._add(sock)
        except OSError as error:  # who called us has hung up at once
            self.refused.append(error)
            sock.close()
            return None

    def __post_init__(self):
        self.refused = []  # handshakes of those who called us
        super().__post_init__()

    def _take(self, link):
        super()._take(link)
        while link.is_open and isinstance(link.socket, ssl.SSLSocket) and link.socket.pending():
            super()._take(link)

    def connect(self, to, session=None):
        plain = netns.tcp_connect(self.namespace, *to)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = self._add(self.client.wrap_socket(plain, server_hostname=self.name, session=session))
        self._wake.send(b"x")
        return link


def tls_phone(stack, host="192.168.77.2", **kwargs):
    """A phone behind the NAT that believes the test's authority alone, if it is not told otherwise."""
    kwargs.setdefault("client", client_side(Pki.of_this_run().ca))
    endpoint = TlsEndpoint(stack.lab.namespace("phone"), host, 0, **kwargs)
    stack.closing.append(endpoint)
    return endpoint


def tls_pbx(stack, issued=None, port=5061, **kwargs):
    """The PBX, by TLS, with a certificate for its address."""
    issued = issued or Pki.of_this_run().issue("pbx", ip=["10.0.0.5"])
    kwargs.setdefault("client", client_side(Pki.of_this_run().ca))
    endpoint = TlsEndpoint(stack.lab.namespace("pbx"), "10.0.0.5", port, server=server_side(issued), **kwargs)
    stack.closing.append(endpoint)
    return endpoint
