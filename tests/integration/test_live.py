# SPDX-License-Identifier: BSD-3-Clause
"""Commits while calls talk: nothing of what is established notices, what comes next is as it was committed, and what was removed is used to its
end by those who have it and by nobody else."""

import random
import threading

import pytest

import nat
import netns
from change import no_calls_left, talk
from conftest import SBC_IN4, SBC_OUT4, Call, Stack
from live import Live
from media import check_exactly_once, exchange, open_path
from nat import TO_CORE
from sip import sdp

GUARD = nat.GUARD + """
sip-config { shards = 2 }
registration { per-source-rate = 100  per-aor-rate = 100 }
local-policy to-phones { from-realm = core    to = ".*"        next-hop = "registration"  priority = 20 }
local-policy register  { from-realm = access  to = "^[a-z]+$"  next-hop = "agent:pbx"     priority = 30 }
"""


@pytest.fixture(scope="module")
def module_stack():
    stack = Stack()
    stack.more = GUARD
    stack.change = lambda text: text.replace("ip-profile = phone  allow-anonymous = all",
                                             "ip-profile = phone  registration = cache  allow-anonymous = all")
    try:
        stack.start("packet")
        yield stack
    finally:
        stack.down()


@pytest.fixture
def live(stack):
    """What a test commits is taken back after it."""
    before = stack.sbc.command("show", "configuration").stdout
    session = Live(stack.sbc)
    yield session
    stack.end_test()
    session.commit("load text", before, ".")
    session.check_running()
    session.close()


class Talking:
    """Media of calls, without a pause, while something else is done. Nothing of it may be lost."""

    def __init__(self, *calls):
        self.pairs = [(call.near, call.far) for call in calls]
        self.going = True

    def _talk(self):
        while self.going:
            exchange(self.pairs, 10)

    def __enter__(self):
        for near, far in self.pairs:
            open_path(near, far)
        self.thread = threading.Thread(target=self._talk)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.going = False
        self.thread.join()
        if kind is None:
            for near, far in self.pairs:
                check_exactly_once(near, far)
                check_exactly_once(far, near)


def change_of_media(call, version):
    """Each side changes the session once."""
    for n, (asker, mine, asked, yours) in enumerate([(call.a, call.near, call.b, call.far), (call.b, call.far, call.a, call.near)]):
        asker.request("INVITE", sdp(mine.host, mine.port, version=version + n))
        seen = asked.expect("INVITE")
        asked.reply(seen, 200, "OK", sdp(yours.host, yours.port, version=version + n))
        asker.ack(asker.expect(200))
        asked.expect("ACK")


def ends(stack, *calls):
    """Media, a change by each side, and a BYE from either."""
    for n, call in enumerate(calls):
        change_of_media(call, 2)
        talk(call)
        call.hang_up("caller" if n % 2 else "callee")
    no_calls_left(stack)


def refused(endpoint, number, to=(SBC_OUT4, 5060), caller="alice"):
    """The status that an INVITE gets."""
    dialog = endpoint.call(to, number, sdp(endpoint.host, 4000), caller=caller)
    return dialog.expect(lambda m: m.status and m.status >= 200).status


# Each kind of section: lines that add one, change it, and take it away. None of the calls that talk is meant.
SECTIONS = {
    "ip-profile": (["set ip-profile more nat never", "set ip-profile more headers-pass X-More"],
                   ["set ip-profile more media-security none", "delete ip-profile more headers-pass"], ["delete ip-profile more"]),
    "realm": (["set realm more network-interface inside", "set realm more trust trusted"], ["set realm more dscp-media 10"], ["delete realm more"]),
    "sip-interface": (["set sip-interface more realm core", "set sip-interface more listen udp:10.0.0.1:5070"],
                      ["set sip-interface more listen udp:10.0.0.1:5070 tcp:10.0.0.1:5070", "set sip-interface more allow-anonymous all"],
                      ["delete sip-interface more"]),
    "session-agent": (["set session-agent more realm core", "set session-agent more address udp:10.0.0.66:5060"],
                      ["set session-agent more address udp:10.0.0.67:5060", "set session-agent more max-sessions 3"],
                      ["delete session-agent more"]),
    "session-group": (["set session-group more agents pbx pbx6"], ["set session-group more agents pbx6", "set session-group more strategy round-robin"],
                      ["delete session-group more"]),
    "local-policy": (["set local-policy more to '^77$'", "set local-policy more next-hop agent:pbx", "set local-policy more priority 1"],
                     ["set local-policy more priority 99"], ["delete local-policy more"]),
    "translation": (["set translation more match '^0'", "set translation more replace '9'", "set local-policy from-phones translation more"],
                    ["set translation more replace '8'"], ["delete local-policy from-phones translation", "delete translation more"]),
    "admission": (["set admission more local-policy from-phones", "set admission more match '^5'", "set admission more max-sessions 4"],
                  ["set admission more max-sessions 5"], ["delete admission more"]),
    "access-control": (["set access-control more realm access", "set access-control more source 198.18.0.0/15", "set access-control more action deny"],
                       ["set access-control more source 198.18.0.0/16"], ["delete access-control more"]),
    "steering-pool": (["set steering-pool more realm core", "set steering-pool more address 10.0.0.1", "set steering-pool more ports 30000-30999"],
                      ["set steering-pool more ports 31000-31999"], ["delete steering-pool more"]),
}


def test_every_kind_of_section_comes_changes_and_goes_while_calls_talk(stack, live):
    calls = [Call(stack, stack.phone(), stack.pbx()), Call(stack, stack.phone(6), stack.pbx(6), number="6100")]
    with Talking(*calls):
        for kind, steps in SECTIONS.items():
            for lines in steps:
                live.commit(*lines)
        live.check_running()
    ends(stack, *calls)


def test_what_was_committed_holds_for_the_next_call(stack, live):
    phone, pbx = stack.phone(), stack.pbx()
    before = Call(stack, phone, pbx)
    second = stack.endpoint("pbx", "10.0.0.5", 5062)
    with Talking(before):
        # Where it goes: an address, a policy.
        live.commit("set session-agent pbx address udp:10.0.0.5:5062")
        after = Call(stack, phone, second, number="1001")
        live.commit("set session-agent back realm core", "set session-agent back address udp:10.0.0.5:5060",
                    "set local-policy from-phones next-hop agent:back")
        third = phone.call((SBC_OUT4, 5060), "1002", sdp(phone.host, 4100))
        answering = pbx.answerer(match=lambda m: "1002@" in m.uri)
        answering.reply(answering.invite, 486, "Busy Here")
        third.ack(third.expect(486))
        # What crosses, and what is asked of its media.
        live.commit("set ip-profile trunk headers-pass X-Colour")
        third = phone.call((SBC_OUT4, 5060), "1003", sdp(phone.host, 4100), headers=[("X-Colour", "blue")])
        answering = pbx.answerer(match=lambda m: "1003@" in m.uri)
        assert answering.invite["x-colour"] == "blue"
        answering.reply(answering.invite, 486, "Busy Here")
        third.ack(third.expect(486))
        live.commit("set ip-profile trunk srtp-without-tls yes", "set ip-profile trunk media-security require")
        third = phone.call((SBC_OUT4, 5060), "1004", sdp(phone.host, 4100))
        answering = pbx.answerer(match=lambda m: "1004@" in m.uri)
        assert b"RTP/SAVP" in answering.invite.body and b"a=crypto:" in answering.invite.body
        answering.reply(answering.invite, 486, "Busy Here")
        third.ack(third.expect(486))
        live.commit("delete ip-profile trunk media-security", "set sip-config min-session-timer 1800")
        third = phone.call((SBC_OUT4, 5060), "1005", sdp(phone.host, 4100),
                           headers=[("Supported", "timer"), ("Session-Expires", "600"), ("Min-SE", "90")])
        answer = third.expect(422)
        assert answer["min-se"] == "1800"
        third.ack(answer)
        live.commit("delete sip-config min-session-timer", "set sip-interface access allow-anonymous agents")
        assert refused(phone, "1006") == 403
        live.commit("set sip-interface access allow-anonymous all", "set session-agent back max-sessions 1")
        with_one = Call(stack, phone, pbx, number="1007")
        assert refused(phone, "1008") == 503
        live.check_running()
    with_one.hang_up()
    ends(stack, before, after)


def test_calls_of_what_is_removed_go_on_to_their_end(stack, live):
    phone, pbx = stack.phone(), stack.pbx()
    live.commit("set realm more network-interface inside", "set realm more trust trusted",
                "set steering-pool more realm more", "set steering-pool more address 10.0.0.1", "set steering-pool more ports 30000-30999",
                "set ip-profile more nat never", "set sip-interface more realm more", "set sip-interface more listen udp:10.0.0.1:5070",
                "set sip-interface more ip-profile more", "set sip-interface more allow-anonymous agents",
                "set session-agent more realm more", "set session-agent more address udp:10.0.0.5:5060",
                "set local-policy more from-realm access", "set local-policy more to '^5[0-9]+$'", "set local-policy more next-hop agent:more",
                "set local-policy more priority 1")
    calls = [Call(stack, phone, pbx, number="5001"), Call(stack, phone, pbx, number="5002"), Call(stack, phone, pbx, number="1001")]
    with Talking(*calls):
        live.commit("delete local-policy more")
        live.commit("delete session-agent more")
        assert refused(pbx, "91234", to=(SBC_IN4, 5070), caller="1000") == 403
        live.commit("delete sip-interface more", "delete ip-profile more")
        assert refused(pbx, "91234", to=(SBC_IN4, 5070), caller="1000") in (403, 503)
        live.commit("delete steering-pool more", "delete realm more")
        live.commit("set system location elsewhere")
        # The number is another policy's now.
        next_one = Call(stack, phone, pbx, number="5003")
        live.check_running()
    ends(stack, *calls, next_one)
    # And there is nothing left of it: the same names can be had again.
    live.commit("set realm more network-interface inside", "set session-agent more realm more", "set session-agent more address udp:10.0.0.5:5060")


def test_a_call_that_rings_is_answered_after_its_way_is_gone(stack, live):
    phone, pbx = stack.phone(), stack.pbx()
    a = phone.call((SBC_OUT4, 5060), "1000", sdp(phone.host, 4200))
    b = pbx.answerer()
    b.reply(b.invite, 180, "Ringing")
    a.expect(180)
    live.commit("delete local-policy from-phones", "delete local-policy register", "delete session-agent pbx")
    live.commit("set system location elsewhere")
    b.reply(b.invite, 200, "OK", sdp(pbx.host, 4300))
    a.ack(a.expect(200))
    b.expect("ACK")
    b.request("BYE")
    a.take_bye()
    b.expect(lambda m: m.status == 200 and m.method == "BYE")
    no_calls_left(stack)


def registrations(stack):
    return stack.sbc.show("registrations")["registrations"]


def test_registrations_stay_as_long_as_their_interface_and_their_registrar(stack, live):
    phone, pbx = stack.phone(), stack.pbx()
    registrar = nat.Registrar(pbx)
    alice = nat.registered(stack, registrar, phone)
    for lines in SECTIONS["session-agent"][0], SECTIONS["sip-interface"][0], SECTIONS["realm"][0], SECTIONS["ip-profile"][0]:
        live.commit(*lines)
    # What was written before the others stands behind them: everything has another place.
    text = stack.sbc.command("show", "configuration").stdout
    live.commit("delete session-agent pbx", "delete local-policy from-phones", "delete local-policy register",
                "set session-agent pbx realm core", "set session-agent pbx address udp:10.0.0.5:5060",
                "set local-policy from-phones from-realm access", "set local-policy from-phones to '^[0-9]+$'",
                "set local-policy from-phones next-hop agent:pbx",
                "set local-policy register from-realm access", "set local-policy register to '^[a-z]+$'",
                "set local-policy register next-hop agent:pbx", "set local-policy register priority 30")
    assert stack.sbc.command("show", "configuration").stdout != text
    assert [r["aor"].split("@")[0].removeprefix("sip:") for r in registrations(stack)] == ["alice"]
    call = pbx.call(TO_CORE, alice.contact_user, sdp(pbx.host, 4400), caller="1000")
    ringing = phone.answerer()
    ringing.reply(ringing.invite, 486, "Busy Here")
    call.ack(call.expect(486))
    alice.refresh(None)  # from the cache: it is the same registration
    # Its registrar goes: so does it.
    live.commit("delete local-policy from-phones", "delete local-policy register", "delete session-agent pbx")
    netns.wait_for("the registration being gone", lambda: not registrations(stack), 10)
    alice.registrar = None


def random_change(rng, n):
    """Lines that are valid wherever they meet, and what takes them back."""
    name = f"r{n}"
    return rng.choice([
        ([f"set ip-profile {name} nat never"], [f"delete ip-profile {name}"]),
        ([f"set session-agent {name} realm core", f"set session-agent {name} address udp:10.0.0.{100 + n % 100}:5060"],
         [f"delete session-agent {name}"]),
        ([f"set local-policy {name} to '^8{n}$'", f"set local-policy {name} next-hop agent:pbx", f"set local-policy {name} priority {rng.randrange(20)}"],
         [f"delete local-policy {name}"]),
        ([f"set admission {name} local-policy from-phones", f"set admission {name} match '^{rng.randrange(9)}'",
          f"set admission {name} max-sessions {rng.randrange(50, 90)}"], [f"delete admission {name}"]),
        ([f"set sip-interface {name} realm core", f"set sip-interface {name} listen udp:10.0.0.1:{5100 + n}"], [f"delete sip-interface {name}"]),
        ([f"set session-group {name} agents pbx pbx6"], [f"delete session-group {name}"]),
        ([f"set sip-config t1 {rng.randrange(400, 600)}ms"], ["delete sip-config t1"]),
        ([f"set ip-profile phone headers-pass X-{name}"], ["delete ip-profile phone headers-pass"]),
        ([f"set session-agent pbx max-sessions {rng.randrange(100, 900)}"], ["delete session-agent pbx max-sessions"]),
        ([f"set realm {name} network-interface inside"], [f"delete realm {name}"]),
        ([f"set registration per-source-rate {rng.randrange(50, 90)}"], ["delete registration per-source-rate"]),
    ])


def test_many_commits_one_after_the_other_while_calls_come_and_go(stack, live):
    rng = random.Random(86)
    phone, pbx = stack.phone(), stack.pbx()
    alice = nat.registered(stack, nat.Registrar(pbx), phone)
    talking = [Call(stack, phone, pbx, number=f"10{i:02}") for i in range(4)]
    undo = []
    with Talking(*talking):
        for n in range(50):
            if undo and rng.random() < 0.4:
                live.commit(*undo.pop(rng.randrange(len(undo))))
            else:
                lines, back = random_change(rng, n)
                # What is taken back must still be there.
                if back[0].endswith(f" r{n}"):
                    undo.append(back)
                live.commit(*lines)
            if n % 5 == 0:
                call = Call(stack, phone, pbx, number=f"20{n:02}")
                call.hang_up(rng.choice(["caller", "callee"]))
            if n % 10 == 5:
                alice.refresh(None)
    ends(stack, *talking)
    live.check_running()


def test_calls_of_an_agent_that_comes_back_count_there_again(stack, live):
    phone, pbx = stack.phone(), stack.pbx()
    live.commit("set session-agent pbx max-sessions 2")
    kept = Call(stack, phone, pbx)
    live.commit("set session-group both agents pbx6", "set local-policy from-phones next-hop group:both",
                "set local-policy register next-hop group:both", "delete session-agent pbx")
    live.commit("set session-agent pbx realm core", "set session-agent pbx address udp:10.0.0.5:5060",
                "set session-agent pbx max-sessions 2", "set local-policy from-phones next-hop agent:pbx")
    second = Call(stack, phone, pbx, number="1001")
    assert refused(phone, "1002") == 503
    kept.hang_up()
    third = Call(stack, phone, pbx, number="1003")
    assert refused(phone, "1004") == 503
    second.hang_up()
    third.hang_up("callee")
    no_calls_left(stack)
    live.commit("set session-agent pbx max-sessions 1")
    Call(stack, phone, pbx, number="1005").hang_up()


def test_calls_of_an_admission_that_is_changed_and_moved_go_on_counting(stack, live):
    phone, pbx = stack.phone(), stack.pbx()
    live.commit("set admission one local-policy from-phones", "set admission one match '^1'", "set admission one max-sessions 2")
    first = Call(stack, phone, pbx, number="1001")
    live.commit("set admission before local-policy from-phones", "set admission before match '^2'", "set admission before max-sessions 1",
                "delete admission one", "set admission one local-policy from-phones", "set admission one match '^[13]'",
                "set admission one max-sessions 2")
    second = Call(stack, phone, pbx, number="3001")
    assert refused(phone, "1002") == 503
    live.commit("delete admission one")
    third = Call(stack, phone, pbx, number="1003")
    live.commit("set admission one local-policy from-phones", "set admission one match '^1'", "set admission one max-sessions 2")
    ends(stack, first, second, third)
    again = [Call(stack, phone, pbx, number=f"10{n}0") for n in range(2)]
    assert refused(phone, "1009") == 503
    ends(stack, *again)


def test_a_dropped_packets_interface_is_named_whatever_the_order_of_the_file(stack, live):
    lines = stack.sbc.command("show", "configuration").stdout.splitlines()
    sections = [n for n, line in enumerate(lines) if line.startswith("network-interface")]
    inside = next(n for n in sections if " inside " in lines[n])
    end = next(n for n in range(inside, len(lines)) if lines[n].startswith("}"))
    moved = lines[inside:end + 1] + lines[:inside] + lines[end + 1:]
    live.commit("load text", "\n".join(moved), ".", "set access-control stranger realm access",
                "set access-control stranger source 203.0.113.100/32", "set access-control stranger action deny")
    carrier = stack.carrier()

    def shown():
        carrier.send(b"OPTIONS sip:x SIP/2.0\r\n\r\n", (SBC_OUT4, 5060))
        return stack.sbc.show("block", "203.0.113.100")["packets"]

    netns.wait_for("the packet in show block", shown, 10)
    assert shown()[0]["interface"] == "outside"
