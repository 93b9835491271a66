"""What every ledger promises to readers of histories: windows and queries rest on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from qmtl.common.codec import digest
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import HistoryPoint, Line
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import HistoryRequest
from qmtl.orchestrator.execution.redis.ledger import RedisLedger
from tests.support.ledgers import (
    DAY_MS,
    claimed,
    failed,
    new_execution,
    place_at,
    plan_of,
    started,
    succeeded,
)

LINE = new_execution().line
STAGING = new_execution(environment="staging").line
BIG = b"x" * 100_000  # stands apart from its execution in Redis


def commit_day(ledger: Ledger, day: int, node_id: str = "a", **fields: object) -> str:
    """Commit one node at a day, with the digest node and day, and return the execution's id."""
    value = fields.pop("value", b"1")
    assert isinstance(value, bytes)
    execution_id = started(ledger, plan_of([[node_id, "broken"]]), **fields)
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    place = place_at(day)
    done = succeeded(node_id, value, digest=f"{node_id}{day}", place=place)
    nodes = [done, failed("broken", place=place)]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    return execution_id


def up_to(day: int | None, count: int, node_id: str = "a") -> HistoryRequest:
    return HistoryRequest(node_id, DAY_MS, None if day is None else day * DAY_MS, count)


def digests(points: list[HistoryPoint]) -> list[str]:
    return [point.digest for point in points]


def one(ledger: Ledger, line: Line, wanted: HistoryRequest) -> list[str]:
    (points,) = ledger.histories([(line, wanted)])
    return digests(points)


# --- histories ---------------------------------------------------------------------------------


def test_points_are_newest_first_and_the_bound_is_among_them(ledger: Ledger) -> None:
    ids = {day: commit_day(ledger, day) for day in (2, 1, 3)}
    assert ledger.histories([(LINE, up_to(2, 10))]) == [
        [
            HistoryPoint(bucket_ms=2 * DAY_MS, execution_id=ids[2], digest="a2"),
            HistoryPoint(bucket_ms=1 * DAY_MS, execution_id=ids[1], digest="a1"),
        ]
    ]


def test_a_millisecond_before_a_bucket_its_point_is_not_seen(ledger: Ledger) -> None:
    commit_day(ledger, 2)
    just_before = HistoryRequest("a", DAY_MS, 2 * DAY_MS - 1, 10)
    assert one(ledger, LINE, just_before) == []


@pytest.mark.parametrize(("count", "expected"), [(-1, []), (0, []), (1, ["a3"]), (2, ["a3", "a2"])])
def test_no_more_points_come_than_were_asked_for(
    ledger: Ledger, count: int, expected: list[str]
) -> None:
    for day in (1, 2, 3, 4):
        commit_day(ledger, day)
    assert one(ledger, LINE, up_to(3, count)) == expected


def test_the_bound_may_lie_in_a_gap_before_all_points_or_before_the_epoch(ledger: Ledger) -> None:
    for day in (-3, 1, 5):
        commit_day(ledger, day)
    assert one(ledger, LINE, up_to(4, 10)) == ["a1", "a-3"]
    assert one(ledger, LINE, up_to(-3, 10)) == ["a-3"]
    assert one(ledger, LINE, up_to(-4, 10)) == []


def test_without_a_bound_the_latest_points_come(ledger: Ledger) -> None:
    for day in (1, 2, 3):
        commit_day(ledger, day)
    assert one(ledger, LINE, up_to(None, 2)) == ["a3", "a2"]
    assert digests(ledger.history(LINE, "a", interval_ms=DAY_MS, count=2)) == ["a3", "a2"]


def test_each_request_has_its_own_answer_in_the_order_of_the_requests(ledger: Ledger) -> None:
    for day in (1, 2):
        commit_day(ledger, day)
    commit_day(ledger, 1, "b")
    requests = [up_to(9, 9, "b"), up_to(1, 9), up_to(9, 0), up_to(9, 9, "nothing"), up_to(9, 9)]
    found = ledger.histories([(LINE, wanted) for wanted in requests])
    assert [digests(points) for points in found] == [["b1"], ["a1"], [], [], ["a2", "a1"]]


def test_one_reading_may_span_lines_and_none_sees_another(ledger: Ledger) -> None:
    commit_day(ledger, 1)
    commit_day(ledger, 2, environment="staging")
    commit_day(ledger, 3, strategy="other")
    commit_day(ledger, 4, tenant="stranger")
    adhoc = new_execution(adhoc=True).line
    wanted = up_to(9, 9)
    found = ledger.histories([(STAGING, wanted), (adhoc, wanted), (LINE, wanted)])
    assert [digests(points) for points in found] == [["a2"], [], ["a1"]]


def test_buckets_without_the_node_are_passed_over(ledger: Ledger) -> None:
    for day in range(1, 301):
        commit_day(ledger, day, "a" if day % 100 == 0 else "b")
    assert one(ledger, LINE, up_to(299, 5)) == ["a200", "a100"]
    assert one(ledger, LINE, up_to(201, 3, "b")) == ["b201", "b199", "b198"]


def test_nothing_asked_for_is_nothing_found(ledger: Ledger) -> None:
    assert ledger.histories([]) == []
    assert ledger.values_of([]) == []


# --- values ------------------------------------------------------------------------------------


def test_values_of_many_executions_come_in_the_order_asked_for(ledger: Ledger) -> None:
    first = commit_day(ledger, 1, value=b"first")
    second = commit_day(ledger, 2, value=BIG)
    third = commit_day(ledger, 3, value=b"")
    days = [(second, BIG), (third, b""), (first, b"first"), (second, BIG)]
    wanted = [(day, "a", digest(value)) for day, value in days]
    assert ledger.values_of(wanted) == [BIG, b"", b"first", BIG]


def test_what_has_no_value_is_none(ledger: Ledger) -> None:
    known = commit_day(ledger, 1, value=b"1")
    places = [("nothing", "a"), (known, "nothing"), (known, "broken"), (known, "a")]
    wanted = [(*place, digest(b"1")) for place in places]
    assert ledger.values_of(wanted) == [None, None, None, b"1"]


def test_two_executions_may_share_a_large_value(ledger: Ledger) -> None:
    ids = [commit_day(ledger, day, value=BIG) for day in (1, 2)]
    assert ledger.values_of([(id_, "a", digest(BIG)) for id_ in ids]) == [BIG, BIG]


@pytest.mark.parametrize("value", [b"small", BIG])
def test_a_value_of_another_digest_is_none(ledger: Ledger, value: bytes) -> None:
    known = commit_day(ledger, 1, value=value)
    wanted = [(known, "a", digest(v)) for v in (b"another", value, b"x" * 100_001)]
    assert ledger.values_of(wanted) == [None, value, None]


# --- round trips -------------------------------------------------------------------------------


def round_trips(client: redis.Redis, action: Callable[[], object]) -> int:
    """Count how often an action takes a connection; each time is one request and its replies."""
    taken = 0
    take = client.connection_pool.get_connection

    def counted(*arguments: object, **options: object) -> object:
        nonlocal taken
        taken += 1
        return take(*arguments, **options)

    client.connection_pool.get_connection = counted  # type: ignore[method-assign]
    try:
        action()
    finally:
        client.connection_pool.get_connection = take  # type: ignore[method-assign]
    return taken


def test_redis_answers_many_requests_in_one_round_trip_and_large_values_in_two(
    settings: Settings,
) -> None:
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    ledger = RedisLedger(client, Keys(settings.cell))
    ids = [commit_day(ledger, day, value=BIG if day % 2 else b"1") for day in range(6)]
    requests = [(LINE, up_to(day, 3)) for day in range(6)]
    assert round_trips(client, lambda: ledger.histories(requests)) == 1
    wanted = [(i, "a", digest(b"1" if at % 2 == 0 else BIG)) for at, i in enumerate(ids)]
    assert round_trips(client, lambda: ledger.values_of(wanted)) == 2
    assert round_trips(client, lambda: ledger.values_of(wanted[::2])) == 1


def test_redis_answers_a_whole_outcome_in_one_round_trip_and_large_values_in_two(
    settings: Settings,
) -> None:
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    ledger = RedisLedger(client, Keys(settings.cell))
    for value, trips in ((b"1", 1), (BIG, 2)):
        execution_id = started(ledger, plan_of([["a"]]))
        token = claimed(ledger, execution_id)
        ledger.commit(execution_id, 0, 0, token, [succeeded("a", value)], done=True)
        found: list[bytes] = []

        def read(id_: str = execution_id, found: list[bytes] = found) -> None:
            found.append(ledger.outcome("acme", id_, values=True)[3]["a"])

        assert round_trips(client, read) == trips
        assert found == [value]
