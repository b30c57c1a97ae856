# SPDX-License-Identifier: BSD-3-Clause
"""/metrics and /healthz: by the grammar of OpenMetrics, true, and served whatever clients and neighbours do."""

import contextlib
import http.client
import json
import re
import signal
import socket

import pytest

import netns
from conftest import Call, Stack
from media import exchange, open_path

PORT = 9464
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{{{LABEL}(?:,{LABEL})*\}})? ([0-9]+(?:\.[0-9]+)?)")
SUFFIX = {"counter": ("_total",), "gauge": ("",), "info": ("_info",), "histogram": ("_bucket", "_count", "_sum"), "stateset": ("",)}


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more = f'metrics {{ listen = "127.0.0.1:{PORT}" }}\n'
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(module_stack):
    try:
        yield module_stack
    finally:
        module_stack.end_test()


def connect(stack, host="127.0.0.1", port=PORT):
    return netns.tcp_connect(stack.lab.namespace("sbc"), host, port, 20.0)


def get(stack, path, method="GET", host="127.0.0.1", port=PORT, body=None, headers=None):
    client = http.client.HTTPConnection(host, port)
    client.sock = connect(stack, host, port)
    with contextlib.closing(client):
        client.request(method, path, body, headers or {})
        response = client.getresponse()
        return response.status, response, response.read().decode("ascii")


def parse(text):
    """Sample name and labels -> value; refuses what OpenMetrics 1.0 does not allow."""
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
    samples, families, name, kind = {}, set(), None, None
    for line in text[: -len("# EOF\n")].splitlines():
        if line.startswith("# "):
            word, of, rest = line[2:].split(" ", 2)
            if word == "HELP":
                assert of not in families, f"{of} comes twice"
                families.add(of)
                name, kind = of, None
            elif word == "TYPE":
                assert of == name and kind is None
                kind = rest
            else:
                assert word == "UNIT" and of == name and name.endswith("_" + rest)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] in [name + suffix for suffix in SUFFIX[kind]], line
        series = match[1] + (match[2] or "")
        assert series not in samples, line
        samples[series] = float(match[3])
    return samples


def scrape(stack, **kwargs):
    status, response, text = get(stack, "/metrics", **kwargs)
    assert status == 200
    assert response.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return parse(text)


def health(stack):
    status, response, text = get(stack, "/healthz")
    assert response.headers["content-type"] == "application/json"
    return status, json.loads(text)


def until(stack, condition):
    return netns.wait_for("the metrics", lambda: (lambda s: s if condition(s) else None)(scrape(stack)), 20, interval=0.2)


def test_a_scrape_says_what_show_says(stack):
    samples = scrape(stack)
    for plane, counters in stack.sbc.counters().items():
        for name in counters:
            series = f'sallyport_{plane}_dropped_packets_total{{reason="{name[5:]}"}}' if name.startswith("drop-") else f"sallyport_{plane}_{name.replace('-', '_')}_total"
            assert series in samples, series
    for process in ("dataplane", "controlplane", "mgmt"):
        assert samples[f'sallyport_up{{process="{process}"}}'] == 1
        assert samples[f'sallyport_process_start_time_seconds{{process="{process}"}}'] > 1e9
    status = stack.sbc.show("status")
    assert samples["sallyport_sessions_max"] == status["sessions-max"] and samples["sallyport_in_service"] == 1
    assert samples["sallyport_media_ports_max"] == status["ports-total"]
    for realm in stack.sbc.show("realms")["realms"]:
        assert samples[f'sallyport_realm_ports_max{{realm="{realm["name"]}"}}'] == realm["ports-total"]
    for interface in ("outside", "inside"):
        assert samples[f'sallyport_interface_up{{interface="{interface}"}}'] == 1
    assert samples["sallyport_registrations"] == 0 and 'sallyport_alarms{severity="major"}' in samples
    assert health(stack) == (200, {"state": "in-service"})


def test_a_call_moves_what_is_measured(stack):
    before = scrape(stack)
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 20)
    during = until(stack, lambda s: s["sallyport_calls"] == 1 and s["sallyport_sessions"] == 1 and s["sallyport_dataplane_media_relayed_total"] >= before["sallyport_dataplane_media_relayed_total"] + 40)
    assert during["sallyport_controlplane_calls_answered_total"] == before["sallyport_controlplane_calls_answered_total"] + 1
    assert during['sallyport_realm_ports_used{realm="access"}'] >= 1
    octets = 'sallyport_interface_receive_bytes_total{interface="outside"}'
    assert during[octets] > before[octets] + 20 * 172
    call.hang_up()
    until(stack, lambda s: s["sallyport_calls"] == 0 and s["sallyport_sessions"] == 0)


def agent(stack, name="pbx"):
    return stack.sbc.show("agents", name)["agents"][0]


def test_calls_are_told_by_agent_and_realm_with_their_quality(stack):
    before = agent(stack)
    assert before["state"] == "unwatched" and before["address"] == "udp:10.0.0.5:5060" and before["realm"] == "core"
    call = Call(stack, stack.phone(), stack.pbx())
    open_path(call.near, call.far)
    exchange([(call.near, call.far)], 60)
    assert agent(stack)["out-now"] == 1 and agent(stack)["out-most"] >= 1
    realms = {r["name"]: r for r in stack.sbc.show("realms")["realms"]}
    assert realms["access"]["in-now"] == 1 and realms["core"]["out-now"] == 1 and realms["access"]["out-now"] == 0
    call.hang_up()
    netns.wait_for("the quality of the call", lambda: agent(stack)["media"] == before["media"] + 1, 10)
    after = agent(stack)
    assert after["out-now"] == 0 and after["in-attempts"] == before["in-attempts"]
    for what in ("attempts", "effective", "answered", "ended"):
        assert after[f"out-{what}"] == before[f"out-{what}"] + 1, what
    assert after["out-asr-percent"] > 0 and after["out-acd-seconds"] > 0 and after["out-post-dial-delay-seconds"] >= 0
    assert after["mos"] > 4 and after["loss-percent"] == 0 and sum(c["count"] for c in after["mos-classes"]) == after["media"]
    assert [q["kind"] for q in stack.sbc.show("quality", "access")["quality"]] == ["realm"]
    samples = scrape(stack)
    assert samples['sallyport_agent_calls_answered_total{agent="pbx",way="out"}'] == after["out-answered"]
    assert samples['sallyport_realm_calls_answered_total{realm="access",way="in"}'] == after["out-answered"]
    assert samples['sallyport_agent_state{agent="pbx",realm="core",sallyport_agent_state="unwatched"}'] == 1
    assert samples['sallyport_agent_media_mos_bucket{agent="pbx",le="+Inf"}'] == after["media"]
    assert 'sallyport_thread_cpu_seconds_total{process="controlplane",thread="shard-0"}' in samples
    assert samples['sallyport_process_resident_memory_bytes{process="controlplane"}'] > 1e6
    for words in (("agents",), ("agents", "pbx"), ("quality",), ("quality", "core"), ("realms",)):
        assert "pbx" in stack.sbc.command("show", *words).stdout or "core" in stack.sbc.command("show", *words).stdout
    threads = netns.wait_for("the load", lambda: [t for t in stack.sbc.show("status")["threads"] if t["percent"] is not None], 10)
    assert {"main", "shard-0", "store", "record"} <= {t["thread"] for t in threads}
    refused = stack.sbc.command("show", "agents", "nobody")
    assert refused.returncode == 1 and "no such session-agent" in refused.stderr


def test_other_methods_and_paths_are_refused(stack):
    status, response, text = get(stack, "/metrics", "HEAD")
    assert status == 200 and text == "" and int(response.headers["content-length"]) > 1000
    for method, body in (("POST", "x" * 50000), ("PUT", "x"), ("DELETE", None), ("OPTIONS", None), ("BREW", None)):
        status, response, _ = get(stack, "/metrics", method, body=body)
        assert status == 405 and response.headers["allow"] == "GET, HEAD", method
    for path in ("/", "/metrics/", "/metrics/../healthz", "/%6detricsx", "/index.html", "/metric", "//metrics"):
        assert get(stack, path)[0] == 404, path
    assert get(stack, "/metrics?x=y")[0] == 200


def test_hostile_requests_are_refused_and_cost_nobody_else(stack):
    status, _, _ = get(stack, "/metrics", headers={"X": "y" * 20000})
    assert status in (413, 431)
    for octets in (b"\x16\x03\x01\x00\xff\x01" + bytes(64) + b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"\r\n" * 4000, b"GET /" + b"a" * 20000):
        with connect(stack) as sock:
            sock.sendall(octets)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(OSError):
                while part := sock.recv(65536):
                    answer += part
            assert b"sallyport_" not in answer
    assert scrape(stack)["sallyport_in_service"] == 1


def ended(sock):
    """The other end has closed it."""
    try:
        return sock.recv(65536, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_slow_clients_are_cut_and_others_served_meanwhile(stack):
    with contextlib.ExitStack() as opened:
        slow = [opened.enter_context(connect(stack)) for _ in range(100)]
        for sock in slow[:50]:
            with contextlib.suppress(OSError):
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
        # What one host may have open is all taken: another one is served.
        assert parse(get_from_elsewhere(stack))["sallyport_in_service"] == 1

        def all_ended():
            for sock in slow[:50]:
                with contextlib.suppress(OSError):
                    sock.send(b"y")  # never silent
            return all(ended(sock) for sock in slow)

        netns.wait_for("the slow ones cut", all_ended, 30, interval=0.2)
    assert scrape(stack)["sallyport_in_service"] == 1


def get_from_elsewhere(stack):
    """From another address of the loopback network."""
    client = http.client.HTTPConnection("127.0.0.1", PORT)
    client.sock = netns.inside(stack.lab.namespace("sbc"), socket.create_connection, ("127.0.0.1", PORT), 20.0, ("127.0.0.2", 0))
    with contextlib.closing(client):
        client.request("GET", "/metrics")
        return client.getresponse().read().decode("ascii")


def test_scrapes_that_come_together_share_one_page(stack):
    with contextlib.ExitStack() as opened:
        socks = [opened.enter_context(connect(stack)) for _ in range(20)]
        for sock in socks:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        pages = []
        for sock in socks:
            answer = b""
            while part := sock.recv(65536):
                answer += part
            pages.append(answer.split(b"\r\n\r\n", 1)[1].decode("ascii"))
    for page in pages:
        parse(page)
    assert len(set(pages)) <= 3


def alarm_rows(stack, daemon):
    """Also while the control plane, which has the others, is away."""
    rows = json.loads(stack.sbc.command("show", "alarms", "--json").stdout)["alarms"]
    return [r for r in rows if (r["alarm"], r["subject"], r["severity"]) == ("process-away", daemon, "critical")]


@pytest.mark.parametrize("daemon, gone, left", [("controlplane", "sallyport_calls", "sallyport_sessions"), ("dataplane", "sallyport_sessions", "sallyport_calls")])
def test_a_neighbour_that_dies_is_down_and_absent_until_it_is_back(stack, daemon, gone, left):
    up = f'sallyport_up{{process="{daemon}"}}'
    stack.sbc.end(daemon, signal.SIGKILL)
    samples = until(stack, lambda s: s[up] == 0)
    assert samples["sallyport_in_service"] == 0
    assert gone not in samples and left in samples and not [s for s in samples if s.startswith(f"sallyport_{daemon}_")]
    status, said = health(stack)
    assert status == 503 and said["state"] == "degraded" and said["reason"] == stack.sbc.show("status")["reason"]
    alarm = f'sallyport_alarm{{alarm="process-away",severity="critical",subject="{daemon}"}}'
    until(stack, lambda s: alarm in s and s['sallyport_alarms{severity="critical"}'] >= 1)
    assert alarm_rows(stack, daemon)
    stack.sbc.start(daemon)
    stack.sbc.wait_ready()
    until(stack, lambda s: alarm not in s)
    assert not alarm_rows(stack, daemon)
    lines = stack.sbc.log_path("mgmt").read_text().splitlines()
    assert [sum(what in line and "alarm=process-away" in line and f"subject={daemon}" in line for line in lines) for what in ("alarm raised", "alarm cleared")] == [1, 1]
    until(stack, lambda s: s[up] == 1 and s["sallyport_in_service"] == 1 and gone in s)
    assert health(stack)[0] == 200


def serves(stack, host, port):
    try:
        return scrape(stack, host=host, port=port)
    except OSError:
        return None


def test_a_commit_moves_it_and_ends_it(stack):
    sbc = stack.sbc
    assert sbc.shell(f"set metrics listen '[::1]:{PORT + 1}'", "commit").returncode == 0
    netns.wait_for("served by IPv6", lambda: serves(stack, "::1", PORT + 1), 10)
    assert serves(stack, "127.0.0.1", PORT) is None
    # An address that is not there (yet) ends what was before, and is served when it is there.
    assert sbc.shell("set metrics listen 192.0.2.77:9464", "commit").returncode == 0
    netns.wait_for("the failure in the log", lambda: "metrics cannot be served" in sbc.log_path("mgmt").read_text(), 10)
    netns.wait_for("the alarm", lambda: "metrics-down" in [a["alarm"] for a in sbc.show("alarms")["alarms"]], 20)
    netns.run(stack.lab.namespace("sbc"), ["ip", "address", "add", "192.0.2.77/32", "dev", "lo"])
    netns.wait_for("served there", lambda: serves(stack, "192.0.2.77", 9464), 10)
    assert sbc.shell("delete metrics listen", "commit").returncode == 0
    netns.wait_for("served nowhere", lambda: serves(stack, "192.0.2.77", 9464) is None, 10)
    assert sbc.shell(f"set metrics listen 127.0.0.1:{PORT}", "commit").returncode == 0
    netns.wait_for("served again", lambda: serves(stack, "127.0.0.1", PORT), 10)
