"""What is learnt of costs: enough for the next plan, and nothing that is noise."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmtl.models.execution import ShardRecord
from qmtl.orchestrator.execution.costs import (
    CROSSING,
    CROSSING_US,
    LEAST_CROSSING_US,
    MOST_CROSSING_US,
    crossing_learnt,
    learnt,
)
from tests.support.ledgers import plan_of

PLAN = replace(
    plan_of([["a"], ["b"]], [["c", "costly"]]), cost_us=(900, 0, 10, 10_000), crossing_us=5_000
)


def test_the_first_duration_of_a_node_is_taken_as_it_is() -> None:
    assert learnt(PLAN, {"b": 777}) == {"b": 777}
    assert learnt(PLAN, {"b": 0}) == {"b": 1}


@pytest.mark.parametrize(
    ("took", "known"),
    [(1_100, None), (800, None), (1_900, 1_200), (0, 180)],
    ids=["a little slower", "a little faster", "much slower", "much faster"],
)
def test_a_known_cost_moves_only_for_what_is_more_than_noise(took: int, known: int | None) -> None:
    assert learnt(PLAN, {"a": took}) == ({} if known is None else {"a": known})


@pytest.mark.parametrize(("took", "known"), [(10_400, None), (9_600, None), (9_000, 9_200)])
def test_of_a_costly_node_less_is_noise(took: int, known: int | None) -> None:
    assert learnt(PLAN, {"costly": took}) == ({} if known is None else {"costly": known})


def test_what_a_busy_machine_adds_to_a_tiny_node_is_not_learnt() -> None:
    assert learnt(PLAN, {"c": 90}) == {}


def shards(*waits_ms: int) -> list[ShardRecord]:
    """Return shards of 9 ms, a stage for each wait before the claim of its last one."""
    found = [ShardRecord(stage=0, shard=0, claimed_ms=0, done_ms=1)]
    opened_ms = 0
    for stage, wait_ms in enumerate(waits_ms):
        claimed_ms = opened_ms + wait_ms
        opened_ms = claimed_ms + 9
        found.append(
            ShardRecord(stage=stage, shard=1, claimed_ms=claimed_ms, done_ms=opened_ms),
        )
    return found


def test_a_crossing_is_the_time_until_the_last_shard_of_a_stage_is_claimed() -> None:
    assert crossing_learnt(PLAN, 0, shards(5, 5)) == {}
    assert crossing_learnt(PLAN, 0, shards(15, 15)) == {CROSSING: 8_000}


def test_of_several_crossings_the_lower_median_counts() -> None:
    assert crossing_learnt(PLAN, 0, shards(999, 5)) == {}  # the first started the executors
    three = replace(plan_of([["a"]], [["b"]], [["c"]]), crossing_us=5_000)
    assert crossing_learnt(three, 0, shards(999, 15, 5)) == {CROSSING: 8_000}


def test_a_crossing_is_learnt_within_bounds() -> None:
    fast, slow = crossing_learnt(PLAN, 0, shards(0, 0)), crossing_learnt(PLAN, 0, shards(999, 999))
    assert fast == {CROSSING: 5_000 - round(0.8 * (5_000 - LEAST_CROSSING_US))}
    assert slow == {CROSSING: 5_000 + round(0.3 * (MOST_CROSSING_US - 5_000))}


def test_the_first_crossing_that_is_measured_counts_like_any_other() -> None:
    unmeasured = replace(PLAN, crossing_us=CROSSING_US)
    more = round(0.3 * (15_000 - CROSSING_US))
    assert crossing_learnt(unmeasured, 0, shards(15, 15)) == {CROSSING: CROSSING_US + more}


def test_a_plan_without_chords_teaches_nothing_of_crossings() -> None:
    alone = ShardRecord(stage=0, shard=0, claimed_ms=3, done_ms=4)
    assert crossing_learnt(plan_of([["a"]]), 0, [alone]) == {}
