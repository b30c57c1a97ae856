# SPDX-License-Identifier: BSD-3-Clause
"""Settings that are wrong, or that this machine cannot fulfil: one line with file and line, exit status 2, nothing left."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

import netns
import sbc as sbc_module
from conftest import Stack

ALL = sbc_module.DAEMONS


@pytest.fixture(scope="module")
def place():
    """A lab without an SBC."""
    stack = Stack()
    yield stack
    stack.down()


def state(stack):
    """Everything a failed start could leave behind."""
    sbc = stack.lab.namespace("sbc")
    links = [(l["ifname"], l["flags"]) for l in json.loads(netns.run(sbc, ["ip", "-j", "link", "show"]).stdout)]
    run = stack.lab.directory / "run"
    return {
        "links": links, "addresses": netns.run(sbc, ["ip", "-br", "address", "show"]).stdout,
        "nftables": netns.run(sbc, ["nft", "list", "ruleset"]).stdout,
        "namespaces": sorted(p.name for p in pathlib.Path("/run/netns").glob(f"{stack.lab.name}*")),
        "run": sorted(p.name for p in run.iterdir() if p.suffix != ".log") if run.exists() else [],
        "xdp": netns.run(sbc, ["ip", "link", "show"]).stdout.count("xdp"),
    }


def refuse(stack, daemon, text, prefix=(), timeout=30):
    """Starts a daemon with this configuration, which has to end with status 2; returns the file and the log's errors."""
    config = stack.lab.directory / "wrong.conf"
    config.write_text(text)
    before = state(stack)
    result = netns.run(stack.lab.namespace("sbc"), [*prefix, str(sbc_module.BUILD / f"sallyport-{daemon}"), "-c", str(config)], timeout=timeout)
    assert result.returncode == 2, result.stderr
    assert state(stack) == before
    errors = [line for line in result.stderr.splitlines() if "ERROR" in line]
    assert errors, result.stderr
    return config, errors


def line_of(text, piece):
    return text[: text.index(piece)].count("\n") + 1


WRONG = {  # name: (what is replaced, by what, words that must be in the error)
    "an unknown name": ("poll =", "pol =", ["pol", "poll"]),
    "an unknown section": ("media-manager ", "media-manger ", ["media-manger", "media-manager"]),
    "a wrong type": ("max-sessions = 2000", 'max-sessions = "many"', ["max-sessions"]),
    "a number out of range": ("max-sessions = 2000", "max-sessions = 0", ["max-sessions", "1"]),
    "an unknown choice": ("latching = latch", "latching = latsch", ["latching", "fixed", "relatch"]),
    "a media address in no interface": ('address = "203.0.113.10"    ports', 'address = "203.0.113.11"    ports', ["203.0.113.11"]),
    "a listen address in no interface": ('"udp:203.0.113.10:5060"', '"udp:203.0.113.99:5060"', ["203.0.113.99"]),
    "a port range upside down": ('ports = "10000-11999" }\nsteering-pool access6', 'ports = "11999-10000" }\nsteering-pool access6', ["11999-10000"]),
    "a port range that is none": ('ports = "20000-21999" }\nsteering-pool core6', 'ports = "twenty" }\nsteering-pool core6', ["twenty"]),
    "overlapping port ranges": ('steering-pool core4 ', 'steering-pool more { realm = access  address = "203.0.113.10"  ports = "11000-12999" }\nsteering-pool core4 ', ["11000", "access4"]),
    "a realm that is not there": ("realm = core    address = \"10.0.0.1\"", "realm = croe    address = \"10.0.0.1\"", ["croe", "core"]),
    "a regular expression that is none": ('to = "^[0-9]+$"', 'to = "^[0-9+$"', ["[0-9+"]),
    "a brace too few": ("steering-pool access4 {", "steering-pool access4 ", []),
    "an address that is none": ('"10.0.0.1/24"', '"10.0.0.256/24"', ["10.0.0.256"]),
}


def base(stack, kind="packet"):
    return sbc_module.configuration(stack.lab, kind).replace("max-sessions = 2000 }", "max-sessions = 2000\n                    poll = adaptive }")


@pytest.mark.parametrize("daemon", ALL)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w)
def test_a_wrong_setting_is_named_with_its_line(place, daemon, wrong):
    old, new, words = WRONG[wrong]
    good = base(place)
    assert good.count(old) >= 1, old
    text = good.replace(old, new, 1)
    config, errors = refuse(place, daemon, text)
    line = line_of(good, old) + (new.split("}")[0].count("\n") if wrong != "overlapping port ranges" else 0)
    assert len(errors) == 1 or wrong == "a brace too few", errors  # after that one, nothing means what it says
    assert f"{config}:{line}:" in errors[0], errors
    for word in words:
        assert word in errors[0]


def test_config_check_says_the_same_without_a_running_system(place):
    for wrong, (old, new, _) in WRONG.items():
        config = place.lab.directory / "wrong.conf"
        config.write_text(base(place).replace(old, new, 1))
        result = subprocess.run([sbc_module.BUILD / "sallyport", "config", "check", config], text=True, capture_output=True, timeout=20)
        assert result.returncode == 2, wrong
        assert f"{config}:" in result.stdout + result.stderr, (wrong, result)
    config.write_text(base(place))
    result = subprocess.run([sbc_module.BUILD / "sallyport", "config", "check", config], text=True, capture_output=True, timeout=20)
    assert result.returncode == 0, result


@pytest.mark.parametrize("daemon", ALL)
def test_a_configuration_file_that_is_not_there(place, daemon):
    result = netns.run(place.lab.namespace("sbc"), [str(sbc_module.BUILD / f"sallyport-{daemon}"), "-c", "/nonexistent/sallyport.conf"], timeout=20)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1 and "/nonexistent/sallyport.conf" in result.stderr


@pytest.mark.parametrize("kind", ["packet", "xdp"])
def test_a_nic_that_is_not_there(place, kind):
    """The second port is missing: the first, already open by then, is given back."""
    text = base(place, kind).replace(f"{kind}:eth2", f"{kind}:eth7")
    config, errors = refuse(place, "dataplane", text)
    assert len(errors) == 1 and f"{config}:{line_of(text, f'{kind}:eth7')}:" in errors[0] and "eth7" in errors[0], errors


def test_a_pci_device_that_is_not_there(place):
    text = base(place).replace("packet:eth2", "pci:0000:ff:1f.7")
    config, errors = refuse(place, "dataplane", text)
    assert len(errors) == 1 and f"{config}:{line_of(text, 'pci:0000')}:" in errors[0], errors


def test_two_interfaces_on_one_nic(place):
    text = base(place).replace("packet:eth2", "packet:eth1")
    config, errors = refuse(place, "dataplane", text)
    assert len(errors) == 1 and f"{config}:" in errors[0] and "eth1" in errors[0], errors


def test_a_user_that_is_not_there(place):
    text = base(place).replace('user = "nobody"', 'user = "nosuchuser"')
    for daemon in ALL:
        config, errors = refuse(place, daemon, text)
        assert len(errors) == 1 and f"{config}:{line_of(text, 'user = ')}:" in errors[0] and "nosuchuser" in errors[0], errors


def test_a_worker_on_a_cpu_that_is_not_there(place):
    text = re.sub(r"workers = \{\d+\}", "workers = {900}", base(place))
    config, errors = refuse(place, "dataplane", text)
    assert len(errors) == 1 and f"{config}:{line_of(text, 'workers')}:" in errors[0] and "900" in errors[0], errors


def test_without_permission(place):
    """Not root and no capabilities: the dataplane says so in a line and leaves nothing but that."""
    config, errors = refuse(place, "dataplane", base(place).replace(str(place.lab.directory / "run"), "/tmp/sallyport-nobody"),
                            prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
    assert len(errors) == 1 and f"{config}:" in errors[0] and ("root" in errors[0] or "permi" in errors[0].lower()), errors
    run = pathlib.Path("/tmp/sallyport-nobody")
    if run.exists():
        assert [p.name for p in run.iterdir() if p.suffix != ".log"] == []
        shutil.rmtree(run)


def test_a_daemon_that_cannot_have_its_run_directory(place):
    text = base(place).replace(f'run-directory = "{place.lab.directory}/run"', 'run-directory = "/proc/nothing/run"')
    for daemon in ALL:
        config, errors = refuse(place, daemon, text)
        assert len(errors) == 1 and f"{config}:{line_of(text, 'run-directory')}:" in errors[0], errors


@pytest.fixture
def hugepages():
    from conftest import Hugepages
    with Hugepages.change() as set_to:
        yield set_to


@pytest.mark.parametrize("kind", ["packet", "xdp"])
def test_with_and_without_hugepages(place, hugepages, kind):
    from conftest import Call
    from media import check_exactly_once, exchange, open_path
    for count in (0, 512):
        if hugepages(count) < count:
            pytest.skip(f"this machine has no room for {count} hugepages")
        place.start(kind)
        try:
            assert place.sbc.show("status")["hugepages"] is (count > 0)
            call = Call(place, place.phone(), place.pbx())
            open_path(call.near, call.far)
            exchange([(call.near, call.far)], 10)
            check_exactly_once(call.near, call.far)
            check_exactly_once(call.far, call.near)
            call.hang_up()
        finally:
            place.end_test()
            place.sbc.stop()
            place.sbc = None


def test_memory_that_is_not_there(place, hugepages):
    hugepages(0)
    text = base(place).replace("max-sessions = 2000", 'max-sessions = 2000  memory = "1048576"')
    config, errors = refuse(place, "dataplane", text)
    assert len(errors) == 1 and f"{config}:{line_of(text, 'memory')}:" in errors[0], errors
