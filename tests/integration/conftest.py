# SPDX-License-Identifier: BSD-3-Clause
"""Labs, SBCs and peers for the tests. Logs of a failed test are kept in BUILD/test-logs."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "platforms" / "lab"))
sys.path.insert(0, str(HERE))

import sbc as sbc_module  # noqa: E402
from media import Media  # noqa: E402
from pki import Pki  # noqa: E402
from sip import Endpoint, sdp  # noqa: E402

# A run of another name may go on beside this one; so may each of pytest-xdist's workers.
LAB = os.environ.get("TEST_LAB", "sptest") + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
LOGS = sbc_module.BUILD / "test-logs"

# What the border drops because there is too much of it. A test of SIP that meets one of them tests something else.
RATES = ("drop-source-rate", "drop-stream-rate", "drop-syn-rate", "drop-class-rate", "drop-link-rate")

SBC_OUT4, SBC_OUT6 = "203.0.113.10", "2001:db8:1::10"
SBC_IN4, SBC_IN6 = "10.0.0.1", "fd00:10::1"


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


@pytest.fixture(scope="session", autouse=True)
def one_suite_at_a_time():
    """The labs' names belong to one run of the tests; a second run waits. At the end nothing of any lab is left."""
    if os.geteuid() != 0:
        yield
        return
    with open(f"/run/sallyport-test-{LAB}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        left = [p.name for p in pathlib.Path("/run/netns").glob(f"{LAB}*")] if os.path.isdir("/run/netns") else []
        left += [str(p) for p in pathlib.Path("/run/sallyport-lab").glob(f"{LAB}*")]
        for name in {n.rsplit("-", 1)[0] for n in left if "/" not in n}:
            sbc_module.Lab(name).down()
        assert not left, f"the tests left {left}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        stack = item.funcargs.get("stack") or item.funcargs.get("bed")
        if stack and stack.lab.directory.exists():
            stack.failed(item.name, report.sections)


class Hugepages:
    """The machine's, of which there is one lot: nobody starts an SBC while a test changes their number."""

    PATH = pathlib.Path("/proc/sys/vm/nr_hugepages")
    LOCK = pathlib.Path("/run/sallyport-test-hugepages.lock")
    changing = False

    @classmethod
    @contextlib.contextmanager
    def stay(cls):
        with open(cls.LOCK, "w") as lock:
            if not cls.changing:
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    @classmethod
    @contextlib.contextmanager
    def change(cls):
        """Yields a function that sets their number and returns what came of it; afterwards it is as before."""
        with open(cls.LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = cls.PATH.read_text().strip()
            cls.changing = True

            def set_to(count):
                cls.PATH.write_text(str(count))
                return int(cls.PATH.read_text())

            try:
                yield set_to
            finally:
                cls.changing = False
                cls.PATH.write_text(before)


class Stack:
    """A lab with an SBC in it, and the peers of one test."""

    def __init__(self, name=LAB):
        self.lab = sbc_module.Lab(name)
        self.lab.up()
        self.sbc = None
        self.kind = None
        self.change = None
        self.more = ""  # appended to every configuration
        self.closing = []

    def start(self, kind="packet", change=None, daemons=()):
        """(Re)starts the SBC. change: function from configuration text to configuration text."""
        if self.sbc:
            self.sbc.stop()
        text = sbc_module.configuration(self.lab, kind)
        change = change or self.change
        if change:
            text = change(text)
        text += self.more
        # A test of SIP sends what a scanner does; those of the guard say that they are.
        if "mode = enforce" not in text:
            text = text.replace("guard {", "guard { mode = watch ", 1) if "guard {" in text else f"{text}\nguard {{ mode = watch }}\n"
        logs = self.lab.directory / "log"
        if logs.exists():
            shutil.rmtree(logs)
        # What another test had registered or banned is none of this one's business.
        shutil.rmtree(self.lab.directory / "data", ignore_errors=True)
        self.kind = kind
        self.sbc = sbc_module.Sbc(self.lab, text, logs)
        with Hugepages.stay():
            self.sbc.start(*daemons)
            if not daemons:
                self.sbc.wait_ready()
        return self.sbc

    def is_fresh(self):
        """All daemons run, and no call of an earlier test is left."""
        daemons = all(d in self.sbc.processes and self.sbc.alive(d) for d in sbc_module.DAEMONS)
        return daemons and self.sbc.command("show", "calls", "--json").stdout.split() == '{"calls": []}'.split()

    def down(self):
        self.end_test()
        try:
            if self.sbc:
                self.sbc.stop()
        finally:
            self.lab.down()

    def end_test(self):
        while self.closing:
            self.closing.pop().close()

    def failed(self, name, sections):
        if self.sbc:
            tail = self.sbc.log_tails()
            sections.append(("SBC logs (whole: build/test-logs)", tail))
            target = LOGS / "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(self.lab.directory, target, ignore=shutil.ignore_patterns("run", "*.sock"))

    # --- peers ---

    def endpoint(self, node, host, port=5060, **kwargs):
        endpoint = Endpoint(self.lab.namespace(node), host, port, **kwargs)
        self.closing.append(endpoint)
        return endpoint

    def media(self, node, host):
        media = Media(self.lab.namespace(node), host)
        self.closing.append(media)
        return media

    def phone(self, version=4, **kwargs):
        return self.endpoint("phone", "192.168.77.2" if version == 4 else "fd00:77::2", **kwargs)

    def pbx(self, version=4, **kwargs):
        return self.endpoint("pbx", "10.0.0.5" if version == 4 else "fd00:10::5", **kwargs)

    def carrier(self, version=4, **kwargs):
        return self.endpoint("outside", "203.0.113.100" if version == 4 else "2001:db8:1::100", **kwargs)


class Call:
    """An answered call between two raw peers, with media on both sides."""

    def __init__(self, stack, caller, callee, number="1000", to=None):
        to = to or (SBC_OUT6 if ":" in caller.host else SBC_OUT4, 5060)
        node = lambda e: e.namespace.rsplit("-", 1)[1]
        self.near = stack.media(node(caller), caller.host)
        self.far = stack.media(node(callee), callee.host)
        self.a = caller.call(to, number, sdp(caller.host, self.near.port))
        self.b = callee.answerer(match=lambda m: number in m.uri)
        self.far.destination = self.b.invite.media()[:2]
        self.b.reply(self.b.invite, 180, "Ringing")
        self.ringing = self.a.expect(180)
        self.b.reply(self.b.invite, 200, "OK", sdp(callee.host, self.far.port))
        self.ok = self.a.expect(200)
        self.near.destination = self.ok.media()[:2]
        self.a.ack(self.ok)
        self.ack = self.b.expect("ACK")
        caller.ask(to)  # the SBC acknowledges on its own: now it has the caller's ACK too

    def hang_up(self, by="caller"):
        first, second = (self.a, self.b) if by == "caller" else (self.b, self.a)
        first.request("BYE")
        second.take_bye()
        first.expect(lambda m: m.status == 200 and m.method == "BYE")


@contextlib.contextmanager
def lab(more, change=None, kind="packet"):
    """A lab whose SBC has `more` behind its configuration, until the end of the block."""
    stack = Stack()
    stack.more, stack.change = more, change or stack.change
    try:
        stack.start(kind)
        yield stack
    finally:
        stack.down()


def survived(stack):
    dead = [d for d in stack.sbc.processes if not stack.sbc.alive(d)]
    assert not dead, f"died: {dead}\n{stack.sbc.log_tails()}"


@pytest.fixture(scope="session")
def pki():
    return Pki.of_this_run()


@pytest.fixture(scope="module", params=["packet"])
def module_stack(request):
    """One lab per module and kind of SBC: "packet", "xdp", "packet, 3 shards"; a module parametrizes it indirectly.
    GUARD in a module is added to its configuration: phones that send more than a stranger may."""
    kind, _, shards = request.param.partition(", ")
    several = (lambda text: f"{text}\nsip-config {{ shards = {shards.split()[0]} }}\n") if shards else None
    with lab(getattr(request.module, "GUARD", ""), several, kind) as stack:
        yield stack


@pytest.fixture
def stack(module_stack, request):
    """The module's lab with a running SBC; peers are closed at the end, and the SBC must have survived the test. FLOODS in a
    module: its tests send too much on purpose."""
    if not module_stack.is_fresh():
        module_stack.start(module_stack.kind)
    yield module_stack
    module_stack.end_test()
    survived(module_stack)
    if module_stack.sbc.processes and not hasattr(request.module, "FLOODS"):
        dropped = {name: n for name, n in module_stack.sbc.counters()["dataplane"].items() if name in RATES and n}
        assert not dropped, f"the border kept packets of this test from SIP: {dropped}; give its module a GUARD"


@pytest.fixture(scope="module", params=["packet", "xdp"])
def module_bed(request):
    """One lab per module and kind of port, with the dataplane alone; BED in a module changes its configuration."""
    from bed import Bed

    bed = Bed()
    try:
        bed.start(request.param, **getattr(request.module, "BED", {}))
        yield bed
    finally:
        bed.down()


@pytest.fixture
def bed(module_bed, request):
    """The module's dataplane without sessions, its counters marked; it must survive the test and have none after it."""
    settings = getattr(request.module, "BED", {})
    if not module_bed.is_fresh(module_bed.kind, settings):
        module_bed.start(module_bed.kind, **settings)
    module_bed.mark()
    yield module_bed
    module_bed.end_test()
    assert module_bed.sbc.alive("dataplane"), f"died:\n{module_bed.sbc.log_tails()}"
