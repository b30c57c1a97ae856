# SPDX-License-Identifier: BSD-3-Clause
"""The API's layouts as these tests read them are those the compiler makes; what the dataplane refuses, it refuses with its reason."""

import ctypes
import errno
import os
import re
import subprocess

import pytest

from bed import CARRIER, CARRIER6, PBX
from dataplane_api import C, COUNTERS, HEADERS, REPOSITORY, S, DataplaneError, session, side


def test_the_layouts_are_those_of_the_compiler(tmp_path):
    lines = [f'#include "{header}"' for header in HEADERS] + ["#include <stddef.h>", "#include <stdio.h>", "int main(void)", "{"]
    for name, struct in S.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for field, _ in struct._fields_:
            lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field}));')
    constants = [name for name in C if re.match("(DP|IPC)_", name)]
    lines += [f'printf("{name} %lld\\n", (long long){name});' for name in constants]
    lines.append("}")
    (tmp_path / "layout.c").write_text("\n".join(lines))
    subprocess.run([os.environ.get("CC", "gcc"), "-I", REPOSITORY, "-o", tmp_path / "layout", tmp_path / "layout.c"], check=True)
    compiled = subprocess.run([tmp_path / "layout"], text=True, capture_output=True, check=True).stdout.splitlines()
    read = []
    for name, struct in S.items():
        read.append(f"{name} {ctypes.sizeof(struct)}")
        read += [f"{name}.{field} {getattr(struct, field).offset} {getattr(struct, field).size}" for field, _ in struct._fields_]
    read += [f"{name} {C[name]}" for name in constants]
    assert read == compiled
    headers = "".join((REPOSITORY / header).read_text() for header in HEADERS)
    assert set(re.findall(r"^struct (dp_\w+) \{", headers, re.M)) == {name for name in S if name.startswith("dp_")}
    assert len(COUNTERS) == C["DP_COUNTER_COUNT"]


def near(**kwargs):
    return side("access", **{"rtp": (CARRIER, 4000), **kwargs})


def far(**kwargs):
    return side("core", **{"rtp": (PBX, 4000), **kwargs})


@pytest.mark.parametrize("request_of, error", [
    (lambda: session((side("nowhere"), far())), errno.ENOENT),
    (lambda: session((near(family=6), far())), errno.EINVAL),
    (lambda: session((near(rtp=("127.0.0.1", 4000)), far())), errno.EINVAL),
    (lambda: session((near(rtp=("224.0.0.1", 4000)), far())), errno.EINVAL),
    (lambda: session((near(rtp=(CARRIER, 0)), far())), errno.EINVAL),
    (lambda: session((near(), far()), owner=C["DP_OWNERS_MAX"]), errno.EINVAL),
], ids=["realm", "family", "loopback", "multicast", "port", "owner"])
def test_a_session_that_cannot_be_is_refused_and_takes_nothing(bed, request_of, error):
    with pytest.raises(DataplaneError) as refused:
        bed.api.create(request_of())
    assert refused.value.errno == error
    stats = bed.api.stats()
    assert (stats.sessions, stats.ports_used) == (0, 0)


def test_an_update_that_is_refused_changes_nothing(bed):
    """All or nothing: the second stream's realm is unknown, the first one's new address is not taken over either."""
    first = session((near(), far()))
    reply = bed.api.create(first)
    before = bytes(bed.api.get(reply.session).stream[0])
    changed = session((near(rtp=(CARRIER, 5000)), far()), (near(), side("nowhere")))
    with pytest.raises(DataplaneError):
        bed.api.update(reply.session, changed)
    assert bytes(bed.api.get(reply.session).stream[0]) == before
    assert bed.api.stats().ports_used == 2
    bed.api.delete(reply.session)
    assert bed.api.stats().ports_used == 0


def test_an_address_of_each_family_comes_from_the_pool_of_that_family(bed):
    reply = bed.api.create(session((near(), far()), (near(rtp=(CARRIER6, 4000), family=6), far())))
    assert [reply.local[i][0].family for i in (0, 1)] == [4, 6] and reply.local[1][1].family == 4
    bed.api.delete(reply.session)
