"""Rounds, rows, targets and phases of the engine bench."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from qmtl.models.execution import Execution, NodeRecord, NodeState
from tests.bench.engine.memory import peak_of
from tests.bench.engine.phases import phases
from tests.bench.engine.rounds import Numbers, Timing, measure
from tests.bench.engine.suite import groups
from tests.bench.engine.systems import Run, dump, load
from tests.bench.engine.targets import Target, faster, figures, memory_figure, ratio, table
from tests.bench.engine.waiting import pause_until
from tests.bench.engine.workloads import Workload, chain
from tests.bench.figures import Figure

DAG = chain("w3", 2)


class Scripted:
    """A system that takes the seconds it is told, one after the other."""

    version = "1"

    def __init__(self, name: str, seconds: list[float], *, wrong: bool = False) -> None:
        self.name = name
        self.seconds = seconds
        self.wrong = wrong
        self.numbers: list[int] = []

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def run(self, workload: Workload, number: int) -> Run:
        self.numbers.append(number)
        values = workload.run(number + 1 if self.wrong else number)
        return Run(self.seconds.pop(0), lambda: values)


def rounds(*systems: Scripted, count: int = 3) -> list[Timing]:
    return measure(
        [(DAG, s) for s in systems],
        rounds=count,
        warm=1,
        numbers=Numbers(),
        draw=random.Random(1),
        say=lambda _: None,
    )


def test_the_warm_run_does_not_count_and_the_median_of_the_others_does():
    (timing,) = rounds(Scripted("one", [9.0, 0.3, 0.1, 0.2]))

    assert timing.seconds == [0.3, 0.1, 0.2]
    assert timing.median_ms == pytest.approx(200)


def test_no_two_runs_have_the_same_input():
    one, two = Scripted("one", [1.0] * 4), Scripted("two", [1.0] * 4)

    rounds(one, two)

    assert len({*one.numbers, *two.numbers}) == 8


def test_a_system_with_a_wrong_value_fails_and_the_others_go_on():
    wrong, right = rounds(Scripted("wrong", [1.0] * 4, wrong=True), Scripted("right", [1.0] * 4))

    assert wrong.failed
    assert "n000 is" in wrong.note
    assert wrong.median_ms is None
    assert len(right.seconds) == 3


def test_a_row_says_what_ran_where_and_how_long():
    timing = Timing("w3", "qmtl", "1.0", 200, [0.002, 0.001, 0.003])

    row = timing.row()

    assert row["suite"] == "engine"
    assert (row["workload"], row["system"], row["version"]) == ("W3", "qmtl", "1.0")
    assert (row["median_ms"], row["runs"], row["nodes"]) == (2.0, 3, 200)


def taken(workload: str, system: str, seconds: float | None, note: str = "") -> Timing:
    return Timing(workload, system, "", 1, [] if seconds is None else [seconds], note)


def test_a_ratio_holds_where_it_is_not_below_its_target():
    found = table([taken("w1", "ray", 0.8), taken("w1", "qmtl", 0.1)])

    assert ratio(faster("w1", "ray", 8), found).holds is True
    assert ratio(faster("w1", "ray", 9), found).holds is False


def test_a_peer_that_is_missing_leaves_its_ratio_open_and_says_why():
    found = table([taken("w1", "ray", None, "not installed"), taken("w1", "qmtl", 0.1)])

    figure = ratio(faster("w1", "ray", 8), found)

    assert (figure.value, figure.holds, figure.note) == (None, None, "not installed")


def test_only_targets_of_workloads_that_were_run_are_shown():
    found = figures(table([taken("w3", "ray", 3.0), taken("w3", "qmtl", 0.1)]))

    assert [f.what for f in found] == ["W3: ray over ours"]


def test_a_target_may_bound_from_both_sides():
    figure = Figure("engine", "it", 2.0, "times", 3.0, least=1.0)

    assert figure.target == ">= 1 <= 3"
    assert figure.holds is True


def test_an_aim_stands_in_the_note():
    found = table([taken("w2", "qmtl", 0.2), taken("w2", "sets", 0.1)])
    target = Target("it", ("w2", "qmtl"), ("w2", "sets"), most=4, aim="the aim is 2")

    assert ratio(target, found).note == "200.00 ms over 100.00 ms; the aim is 2"


def test_the_largest_process_is_what_counts_for_memory():
    figure = memory_figure({"nodes": 90.0, "nodes's children": 410.0})

    assert (figure.value, figure.holds) == (410.0, False)


def test_the_peak_is_read_from_a_status_file():
    assert peak_of("VmPeak:\t  9 kB\nVmHWM:\t    2000 kB\n") == pytest.approx(2.048)
    assert peak_of("Name:\tx\n") is None


def test_growth_runs_beside_the_workload_that_it_is_compared_with():
    assert groups(("w1", "w2", "growth", "throughput")) == [("w1",), ("w2", "growth")]
    assert groups(("growth",)) == [("growth",)]


def test_a_wait_looks_again_after_a_small_share_of_the_time_that_passed():
    now, looks = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def ended() -> bool:
        looks.append(now[0])
        return now[0] >= 0.1

    pause_until(ended, timeout_s=1.0, what="it", clock=lambda: now[0], sleep=sleep)

    assert looks[-1] < 0.103


def test_a_wait_that_does_not_end_says_for_what():
    clock = iter(range(10))

    with pytest.raises(TimeoutError, match="the end: not within 3 s"):
        pause_until(
            lambda: False,
            timeout_s=3.0,
            what="the end",
            clock=lambda: float(next(clock)),
            sleep=lambda _: None,
        )


def test_values_keep_their_type_through_redis():
    import numpy as np

    assert load(dump({"v": 1})) == {"v": 1}
    assert np.array_equal(load(dump(np.arange(3))), np.arange(3))


def execution() -> Execution:
    return Execution(
        id="e", tenant="t", strategy="s", environment=None, version="v", adhoc=False, as_of_ns=0,
        bucket_ns=0, targets=(), cause="manual:1", by="me",
        created_ms=1_000, started_ms=1_004, ended_ms=1_024,
    )  # fmt: skip


def test_the_time_that_no_shard_spent_is_the_queue():
    spent = [SimpleNamespace(fetch_us=4_000, execute_us=20_000, commit_us=6_000)]
    records = [NodeRecord(node_id="n", state=NodeState.SUCCEEDED, duration_ns=16_000_000)]

    found = phases(execution(), records, spent, seconds=0.025, workers=2)

    assert {p.name: p.ms for p in found} == {
        "plan": 4,
        "queue": 5.0,
        "fetch": 2.0,
        "execute": 10.0,
        "commit": 3.0,
        "run": 20,
        "nodes": 8.0,
        "in all": 25.0,
    }


def test_what_no_shard_tells_stays_open():
    found = phases(execution(), [], [], seconds=0.025, workers=2)

    assert {p.name for p in found if p.ms is None} == {"queue", "fetch", "execute", "commit"}
