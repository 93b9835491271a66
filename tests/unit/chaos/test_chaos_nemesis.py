"""The nemesis does the same under the same seed, and hits what it was pointed at."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice

from tests.chaos.nemesis import (
    GAP_S,
    VICTIMS,
    Fault,
    FaultLog,
    Nemesis,
    Target,
    chosen,
    kill,
    schedule,
)


def first(seed: int, count: int = 200) -> list[Fault]:
    return list(islice(schedule(seed), count))


def test_equal_seeds_give_equal_schedules_and_others_do_not():
    assert first(7) == first(7)
    assert first(7) != first(8)


def test_gaps_stay_within_their_bounds_and_every_kind_is_hit():
    faults = first(1)

    assert all(GAP_S[0] <= fault.after_s <= GAP_S[1] for fault in faults)
    assert {fault.victim for fault in faults} == set(VICTIMS)
    assert all(0 <= fault.pick < 1 for fault in faults)


def test_a_pick_falls_on_the_same_target_in_whatever_order_they_are_listed():
    targets = [Target("b", 2), Target("a", 1), Target("c", 3)]

    assert [chosen(targets, pick) for pick in (0.0, 0.5, 0.99)] == [
        Target("a", 1),
        Target("b", 2),
        Target("c", 3),
    ]
    assert chosen(targets[::-1], 0.5) == Target("b", 2)
    assert chosen([], 0.5) is None


def test_a_kill_ends_its_target_and_tells_whether_it_was_there():
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    assert kill(Target("victim", victim.pid))
    assert victim.wait(10) == -9
    assert not kill(Target("victim", victim.pid))


def test_every_fault_is_logged_also_one_that_finds_nobody(tmp_path):
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    there = {"child": [Target("nodes_1/child", victim.pid)]}
    faults = [Fault(0.0, "child", 0.0), Fault(0.0, "redis", 0.0)]
    nemesis = Nemesis(faults, lambda kind: there.get(kind, []), FaultLog(tmp_path / "faults.jsonl"))

    with nemesis:
        assert nemesis.done.wait(10)

    assert victim.wait(10) == -9
    lines = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert [(e["fault"], e["target"], e["pid"]) for e in lines] == [
        ("SIGKILL", "nodes_1/child", victim.pid),
        ("SIGKILL", None, None),
    ]
    assert [e["plan"]["victim"] for e in lines] == ["child", "redis"]
    assert nemesis.log.count == 1


def test_a_nemesis_that_is_stopped_strikes_no_more(tmp_path):
    struck: list[str] = []
    nemesis = Nemesis(
        [Fault(60.0, "redis", 0.0)],
        lambda kind: struck.append(kind) or [],
        FaultLog(tmp_path / "faults.jsonl"),
    )

    with nemesis:
        pass

    assert struck == []
    assert not nemesis.done.is_set()
