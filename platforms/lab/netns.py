# SPDX-License-Identifier: BSD-3-Clause
"""Sockets and processes inside the lab's network namespaces."""

import ctypes
import os
import socket
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace, function, *args, **kwargs):
    """Calls function(*args) in a thread that has entered the namespace; what it opens stays in there."""
    outcome = {}

    def enter():
        try:
            with open(f"/run/netns/{namespace}") as handle:
                if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                    error = ctypes.get_errno()
                    raise OSError(error, os.strerror(error), namespace)
            outcome["value"] = function(*args, **kwargs)
        except BaseException as error:  # handed to the caller below
            outcome["error"] = error

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def udp_socket(namespace, host, port=0, receive_buffer=0):
    """A UDP socket bound to host:port in the namespace; host decides the family."""

    def make():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, 33, receive_buffer)  # SO_RCVBUFFORCE
        sock.bind((host, port))
        return sock

    return inside(namespace, make)


def tcp_connect(namespace, host, port, timeout=5.0):
    return inside(namespace, socket.create_connection, (host, port), timeout)


def popen(namespace, command, **kwargs):
    """Starts a program in the namespace, in a session of its own: it outlives its starter."""
    return subprocess.Popen(["ip", "netns", "exec", namespace, *command], start_new_session=True, **kwargs)


def run(namespace, command, **kwargs):
    return subprocess.run(["ip", "netns", "exec", namespace, *command], text=True, capture_output=True, **kwargs)


def wait_for(what, condition, deadline=10.0, interval=0.02):
    """Returns condition()'s first true value; TimeoutError naming `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline:g} s")
        time.sleep(interval)
