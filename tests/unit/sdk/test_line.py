"""The line of local runs: what it keeps, and what windows find there."""

from __future__ import annotations

import pytest

from qmtl.sdk.line import Kept, LocalLine


def filled(*buckets: int, line: LocalLine | None = None, max_history: int = 10) -> LocalLine:
    line = LocalLine() if line is None else line
    for bucket in buckets:
        line.add("n", Kept(bucket, f"d{bucket}", b"v"), max_history=max_history)
    return line


def buckets(line: LocalLine, *, until_ns: int | None = None, count: int = 10) -> list[int]:
    return [kept.bucket_ns for kept in line.latest("n", until_ns=until_ns, count=count)]


def test_the_latest_results_come_first() -> None:
    assert buckets(filled(1, 2, 3), count=2) == [3, 2]


def test_nothing_after_the_time_asked_for_is_found() -> None:
    assert buckets(filled(1, 2, 3), until_ns=2) == [2, 1]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_results_are_found_in_the_order_of_buckets_however_they_came(
    order: tuple[int, ...],
) -> None:
    assert buckets(filled(*order)) == [3, 2, 1]


@pytest.mark.parametrize("again", [1, 2, 3])
def test_a_bucket_holds_one_result_the_last_that_was_added(again: int) -> None:
    line = filled(1, 2, 3)
    line.add("n", Kept(again, "new", b"v"), max_history=10)
    assert buckets(line) == [3, 2, 1]
    found = {kept.bucket_ns: kept.digest for kept in line.latest("n", count=10)}
    assert found[again] == "new"


def test_the_oldest_results_over_max_history_are_dropped() -> None:
    assert buckets(filled(1, 2, 3, max_history=2)) == [3, 2]


def test_a_line_that_is_told_what_to_keep_keeps_no_more() -> None:
    line = filled(1, 2, 3, line=LocalLine({"n": 1}))
    line.add("other", Kept(1, "d", b"v"), max_history=10)
    assert buckets(line) == [3]
    assert len(line) == 1
    assert not line.wants("other")
