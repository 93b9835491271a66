"""What commits leave in the history of a line."""

from __future__ import annotations

from qmtl.models.execution import (
    HistoryPoint,
)
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import HistoryPlace
from qmtl.orchestrator.execution.pinned import Pinned
from tests.support.ledgers import (
    DAY_MS,
    claimed,
    failed,
    new_execution,
    place_at,
    plan_of,
    run_shard,
    started,
    succeeded,
)


def history_of(ledger: Ledger, node_id: str, count: int = 10) -> list[HistoryPoint]:
    return ledger.history(new_execution().line, node_id, interval_ms=DAY_MS, count=count)


def commit_day(ledger: Ledger, day: int, digest: str, *, keep: int = 9, adhoc: bool = False) -> str:
    execution_id = started(ledger, plan_of([["a"]]), adhoc=adhoc)
    token = claimed(ledger, execution_id)
    node = succeeded("a", digest=digest, place=place_at(day, keep=keep))
    ledger.commit(execution_id, 0, 0, token, [node], done=True)
    return execution_id


def test_results_stand_in_the_history_of_their_line_newest_first(ledger: Ledger) -> None:
    second = commit_day(ledger, 2, "d2")
    first = commit_day(ledger, 1, "d1")
    assert history_of(ledger, "a") == [
        HistoryPoint(bucket_ms=2 * DAY_MS, execution_id=second, digest="d2"),
        HistoryPoint(bucket_ms=1 * DAY_MS, execution_id=first, digest="d1"),
    ]
    assert [p.digest for p in history_of(ledger, "a", count=1)] == ["d2"]
    assert history_of(ledger, "a", count=0) == []


def test_lines_and_intervals_share_no_history(ledger: Ledger) -> None:
    commit_day(ledger, 1, "d1")
    other = new_execution(environment="staging").line
    assert ledger.history(other, "a", interval_ms=DAY_MS, count=10) == []
    assert ledger.history(new_execution().line, "a", interval_ms=DAY_MS // 24, count=10) == []


def test_a_bucket_has_one_point_the_latest_one(ledger: Ledger) -> None:
    commit_day(ledger, 1, "before")
    again = commit_day(ledger, 1, "after")
    (point,) = history_of(ledger, "a")
    assert (point.digest, point.execution_id) == ("after", again)


def test_a_history_keeps_the_latest_buckets(ledger: Ledger) -> None:
    for day in (1, 4, 2, 3):
        commit_day(ledger, day, f"d{day}", keep=2)
    assert [p.digest for p in history_of(ledger, "a")] == ["d4", "d3"]


def test_a_plan_that_keeps_less_drops_nothing_that_another_keeps(ledger: Ledger) -> None:
    for day, keep in ((1, 3), (2, 1), (3, 1), (4, 1)):
        commit_day(ledger, day, f"d{day}", keep=keep)
    assert [p.digest for p in history_of(ledger, "a")] == ["d4", "d3", "d2"]


def test_buckets_before_the_epoch_have_a_history(ledger: Ledger) -> None:
    commit_day(ledger, -3, "long ago")
    assert [p.bucket_ms for p in history_of(ledger, "a")] == [-3 * DAY_MS]


def test_an_adhoc_execution_writes_no_history(ledger: Ledger) -> None:
    execution_id = commit_day(ledger, 1, "d1", adhoc=True)
    assert history_of(ledger, "a") == []
    own = ledger.get("acme", execution_id).line
    assert ledger.history(own, "a", interval_ms=DAY_MS, count=10) == []


def test_a_node_without_a_place_has_no_history(ledger: Ledger) -> None:
    run_shard(ledger, started(ledger, plan_of([["a"]])), 0, 0, "a")
    assert history_of(ledger, "a") == []


def test_a_failed_node_leaves_no_point(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, [failed("a", place=place_at(1))], done=True)
    assert history_of(ledger, "a") == []


def test_one_commit_may_write_places_of_several_intervals(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b", "c"]]))
    token = claimed(ledger, execution_id)
    hourly = HistoryPlace(DAY_MS // 24, 5 * DAY_MS, 9, Pinned())
    places = [place_at(5), hourly, place_at(5)]
    nodes = [succeeded(n, place=p) for n, p in zip("abc", places, strict=True)]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    line = new_execution().line
    assert len(history_of(ledger, "a")) == len(history_of(ledger, "c")) == 1
    assert history_of(ledger, "b") == []
    assert len(ledger.history(line, "b", interval_ms=DAY_MS // 24, count=9)) == 1
