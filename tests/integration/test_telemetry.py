# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's telemetry socket: the same numbers as the API's, asked beside the main thread."""

import json
import socket
import threading

import pytest

CARRIER, PBX = "203.0.113.100", "10.0.0.5"


@pytest.fixture
def ask(bed):
    path = next(bed.sbc.run_directory.rglob("dpdk_telemetry.v2*"))
    sockets = []

    def connect():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sockets.append(sock)
        sock.settimeout(5)
        sock.connect(str(path))
        sock.recv(16384)
        return sock

    def ask_by(sock, command):
        sock.send(command.encode())
        return json.loads(sock.recv(65536))[command.split(",")[0]]

    first = connect()
    ask = lambda command: ask_by(first, command)  # noqa: E731
    ask.connect, ask.by = connect, ask_by
    yield ask
    for sock in sockets:
        sock.close()


def test_interfaces_are_listed_and_each_tells_its_counters(bed, ask):
    assert ask("/sallyport/interfaces") == ["outside", "inside"]
    outside = ask("/sallyport/interfaces,outside")
    (row,) = (i for i in bed.api.interfaces() if i.name == b"outside")
    assert outside["name"] == "outside" and outside["mtu"] == row.mtu and outside["link_up"] == 1
    assert outside["mac"] == bytes(row.mac).hex(":") and outside["mirror"] == "sp-outside"
    bed.ping(CARRIER, "203.0.113.10")
    assert ask("/sallyport/interfaces,outside")["mirror_in"] > outside["mirror_in"]
    assert not ask("/sallyport/interfaces,nowhere")


def test_realms_are_listed_and_each_tells_its_media(bed, ask):
    assert ask("/sallyport/realms") == ["access", "core"]
    idle = ask("/sallyport/realms,access")
    assert idle["interface"] == "outside" and idle["trusted"] == 0 and idle["pools"] == 2 and idle["ports_used"] == 0
    bed.stream(bed.peer(CARRIER), bed.peer(PBX))
    busy = ask("/sallyport/realms,access")
    assert busy["ports_used"] == busy["streams"] == 1 and busy["ports_total"] == idle["ports_total"] == 2000
    assert ask("/sallyport/realms,core")["trusted"] == 1
    assert not ask("/sallyport/realms,nowhere")


def test_the_borders_tables_tell_how_full_they_are(bed, ask):
    before = ask("/sallyport/border")
    assert before["bans"] == 0 and before["bans_max"] == 1000000
    bed.api.ban("198.18.3.4")
    after = ask("/sallyport/border")
    bed.api.unban("198.18.3.4")
    assert after["bans"] == 1 and ask("/sallyport/border")["bans"] == 0
    assert after["trusts_max"] >= 200000 and after["sources_max"] >= 262144 and after["sources"] <= after["sources_max"]


def test_several_may_ask_at_once(bed, ask):
    wrong = []

    def many(sock):
        for i in range(200):
            name = ("outside", "inside")[i % 2]
            if ask.by(sock, f"/sallyport/interfaces,{name}")["name"] != name:
                wrong.append(name)
            if "bans" not in ask.by(sock, "/sallyport/border"):
                wrong.append("border")

    threads = [threading.Thread(target=many, args=(ask.connect(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
