"""The checker sees what was lost, stuck, wrong or done twice, and is content with nothing else."""

from __future__ import annotations

import pytest

from tests.chaos.checker import Record, Seen, check, check_topic, percentile

EXPECTED = {"one": {"left": "d1", "right": "d2"}}
ALL = [("one", "L"), ("one", "R")]


def seen(state: str = "SUCCEEDED", left: str | None = "d1", right: str | None = "d2") -> Seen:
    return Seen(state, {"left": left, "right": right}, {"left": "L", "right": "R"})


def test_an_execution_that_came_to_the_loops_values_with_one_commit_a_node_is_well():
    verdict = check(EXPECTED, {"one": seen()}, commits=ALL, runs=ALL)

    assert verdict.holds
    assert (verdict.executions, verdict.results, verdict.run_ratio) == (1, 2, 1.0)
    assert verdict.uncounted == []


def test_what_the_ledger_does_not_know_is_lost():
    assert check(EXPECTED, {}, commits=[], runs=[]).lost == ["one"]
    assert check(EXPECTED, {"one": Seen(None)}, commits=[], runs=[]).lost == ["one"]


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_what_has_not_ended_is_stuck(state):
    verdict = check(EXPECTED, {"one": seen(state, None, None)}, commits=[], runs=[])

    assert verdict.stuck == ["one"]
    assert not verdict.holds


def test_an_execution_that_failed_is_neither_lost_nor_stuck():
    verdict = check(EXPECTED, {"one": seen("FAILED", right=None)}, commits=ALL, runs=ALL)

    assert (verdict.lost, verdict.stuck, verdict.failed) == ([], [], ["one"])


@pytest.mark.parametrize("digest", ["another", None])
def test_a_success_with_another_result_or_none_is_wrong(digest):
    verdict = check(EXPECTED, {"one": seen(right=digest)}, commits=ALL, runs=ALL)

    assert verdict.wrong == ["one:right"]


def test_a_node_that_two_commits_list_is_a_duplicate():
    verdict = check(EXPECTED, {"one": seen()}, commits=[*ALL, ("one", "L")], runs=ALL)

    assert verdict.duplicates == ["one:L"]
    assert not verdict.holds


def test_a_result_that_no_commit_lists_is_told():
    verdict = check(EXPECTED, {"one": seen()}, commits=ALL[:1], runs=ALL)

    assert verdict.uncommitted == ["one:R"]
    assert not verdict.holds


def test_a_call_that_was_made_again_counts_as_a_raw_run_alone():
    verdict = check(EXPECTED, {"one": seen()}, commits=ALL, runs=[*ALL, ("one", "R")])

    assert verdict.holds
    assert (verdict.raw_runs, verdict.unique_runs, verdict.run_ratio) == (3, 2, 1.5)


def test_a_result_that_nobody_was_seen_to_compute_tells_of_broken_counting():
    assert check(EXPECTED, {"one": seen()}, commits=ALL, runs=ALL[:1]).uncounted == ["one:R"]


def test_what_belongs_to_other_executions_does_not_count():
    others = [("two", "L"), ("two", "L")]
    verdict = check(
        EXPECTED, {"one": seen(), "two": seen("RUNNING")}, commits=ALL + others, runs=ALL + others
    )

    assert verdict.holds
    assert verdict.raw_runs == 2


LEFT = Record("one", "left", "id-left", "d1")
RIGHT = Record("one", "right", "id-right", "d2")


def test_a_topic_with_each_result_once_is_well():
    verdict = check_topic(EXPECTED, [LEFT, RIGHT])

    assert (verdict.missing, verdict.wrong, verdict.repeated, verdict.twice) == ([], [], 0, [])


def test_a_result_without_a_record_is_missing():
    assert check_topic(EXPECTED, [LEFT]).missing == ["one:right"]


def test_a_record_that_comes_again_under_its_dedupe_id_is_repeated_but_not_there_twice():
    verdict = check_topic(EXPECTED, [LEFT, RIGHT, LEFT])

    assert (verdict.repeated, verdict.twice) == (1, [])


def test_a_result_under_two_dedupe_ids_is_there_twice():
    verdict = check_topic(EXPECTED, [LEFT, RIGHT, Record("one", "left", "another id", "d1")])

    assert (verdict.repeated, verdict.twice) == (0, ["one:left"])


def test_a_record_with_another_digest_is_wrong():
    assert check_topic(EXPECTED, [Record("one", "left", "id", "d9"), RIGHT]).wrong == ["one:left"]


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([3.0, 1.0, 2.0], 0.99, 3.0),
        ([float(i) for i in range(1, 101)], 0.99, 99.0),
        ([float(i) for i in range(1, 101)], 0.5, 50.0),
        ([7.0], 0.5, 7.0),
    ],
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, share, found):
    assert percentile(values, share) == found
