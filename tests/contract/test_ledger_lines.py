"""What ledgers keep of ordered lines: changes that landed behind later buckets, turns, origins."""

from __future__ import annotations

import pytest

from qmtl.common.codec import digest as digest_of
from qmtl.models.execution import Execution, Priority
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    CommitStatus,
    Due,
    Following,
    Landed,
    NodeCommit,
    StartStatus,
)
from tests.support.ledgers import (
    DAY_MS,
    DAY_NS,
    ERROR,
    failed,
    new_execution,
    place_at,
    plan_of,
    succeeded,
)

LONG_S = 60.0
LINE = new_execution().line


def asked(day: int, execution_id: str = "", **fields: object) -> Execution:
    given = {"bucket_ns": day * DAY_NS, "ordered": True, "id": execution_id or f"day{day}"}
    return new_execution(**(given | fields))


def created(ledger: Ledger, day: int, execution_id: str = "", **fields: object) -> str:
    """Create an ordered execution of a day; return its id."""
    return ledger.create(asked(day, execution_id, **fields), {})[0].id


def run(ledger: Ledger, execution_id: str, *nodes: NodeCommit) -> None:
    """Start it, and end it with these nodes."""
    started = ledger.start(execution_id, plan_of([["a", "b"]]))
    assert started.status is StartStatus.STARTED
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    status = ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    assert status is CommitStatus.ENDED


def ran(ledger: Ledger, day: int, execution_id: str = "", digest: str = "first") -> str:
    """Run an ordered execution whose node a has a digest at its day; return its id."""
    execution_id = created(ledger, day, execution_id)
    run(ledger, execution_id, succeeded("a", digest=digest, place=place_at(day)))
    return execution_id


def landed(ledger: Ledger, execution_id: str, *, skip: int = 0, limit: int = 10) -> Landed | None:
    return ledger.landed(execution_id, skip=skip, limit=limit)


def digests(ledger: Ledger, node_id: str = "a") -> dict[int, str]:
    points = ledger.history(LINE, node_id, interval_ms=DAY_MS, count=10)
    return {point.bucket_ms // DAY_MS: point.digest for point in points}


# --- what landed -------------------------------------------------------------------------------


def test_in_order_nothing_is_to_be_settled(ledger: Ledger) -> None:
    for day in (1, 2, 3):
        assert landed(ledger, ran(ledger, day)) is None
    assert ledger.next_of_line("day3") is None


def test_a_change_behind_later_buckets_holds_them_up_until_it_is_settled(ledger: Ledger) -> None:
    for day in (1, 2, 3):
        ran(ledger, day)
    again = ran(ledger, 1, "again", digest="second")
    waiting = created(ledger, 4)
    found = landed(ledger, again)
    assert found == Landed(changed_ms=DAY_MS, ran=("again", "day2", "day3"), heir=waiting)
    assert ledger.next_of_line(waiting) == Following("acme", again)
    assert ledger.start(waiting, plan_of([["a"]])).status is StartStatus.WAIT
    assert ledger.settle(again)
    assert landed(ledger, again) is None
    assert ledger.next_of_line(again) == Following("acme", waiting)
    assert ledger.settle(again), "a repeat does nothing"
    assert ledger.next_of_line(again) == Following("acme", waiting)


def test_what_is_to_be_settled_is_due_at_once_and_an_earlier_bucket_goes_first(
    ledger: Ledger,
) -> None:
    for day in (1, 2, 3):
        ran(ledger, day)
    again = ran(ledger, 2, "again", digest="second")
    assert ledger.due(limit=9, again_s=0.0, unclaimed_s=LONG_S) == [Due("acme", again, -1, ())]
    earlier = ran(ledger, 1, "earlier", digest="second")
    assert landed(ledger, earlier) is None, "the other one compares in its place"
    found = landed(ledger, again)
    assert found == Landed(changed_ms=2 * DAY_MS, ran=("again", "day3"), heir=None)


def test_equal_digests_change_nothing(ledger: Ledger) -> None:
    for day in (1, 2):
        ran(ledger, day)
    assert landed(ledger, ran(ledger, 1, "again")) is None


@pytest.mark.parametrize("how", ["run", "cancel"])
def test_the_next_that_is_to_run_compares_in_the_place_of_one_that_ended(
    ledger: Ledger, how: str
) -> None:
    ran(ledger, 1)
    ran(ledger, 3)
    heir = created(ledger, 2)
    assert landed(ledger, ran(ledger, 1, "again", digest="second")) is None
    if how == "run":
        run(ledger, heir, failed("a"))
    else:
        assert ledger.cancel(heir)
    found = landed(ledger, heir)
    assert found is not None
    assert found.changed_ms == DAY_MS
    assert found.ran[-1] == "day3"


def test_a_repair_compares_although_it_changes_nothing(ledger: Ledger) -> None:
    for day in (1, 2, 3):
        ran(ledger, day)
    repair = created(ledger, 2, "repair", repairs_ns=DAY_NS)
    run(ledger, repair, succeeded("a", digest="first", place=place_at(2)))
    found = landed(ledger, repair)
    assert found == Landed(changed_ms=DAY_MS, ran=("repair", "day3"), heir=None)


def test_an_heir_that_left_the_line_is_not_taken(ledger: Ledger) -> None:
    for day in (1, 2):
        ran(ledger, day)
    again = ran(ledger, 1, "again", digest="second")
    heir = created(ledger, 3)
    ledger.cancel(heir)
    assert not ledger.settle(again, heir=heir)
    assert landed(ledger, again) is not None


def test_a_long_line_is_read_in_parts(ledger: Ledger) -> None:
    for day in range(1, 6):
        ran(ledger, day)
    again = ran(ledger, 1, "again", digest="second")
    parts = [landed(ledger, again, skip=skip, limit=2) for skip in (0, 2, 4, 6)]
    assert [part.ran for part in parts if part] == [
        ("again", "day2"),
        ("day3", "day4"),
        ("day5",),
        (),
    ]


def test_what_ran_last_for_other_targets_and_versions_stands_beside(ledger: Ledger) -> None:
    ran(ledger, 1)
    for name, fields in (("sub", {"targets": ("a",)}), ("new", {"version": "v2"})):
        run(ledger, created(ledger, 2, name, **fields), succeeded("a", place=place_at(2)))
        ledger.settle(name)
    for name in ("old", "last"):
        ledger.settle(ran(ledger, 2, name))
    found = landed(ledger, ran(ledger, 1, "again", digest="second"))
    assert found is not None
    assert sorted(found.ran) == ["again", "last", "new", "sub"]


def test_a_later_attempt_is_compared_with_its_own_bucket_too(ledger: Ledger) -> None:
    first = ran(ledger, 1)
    assert ledger.reopen(first, attempt=1, clear=["a"], fresh=True)
    run(ledger, first, succeeded("a", digest="second", place=place_at(1)))
    assert landed(ledger, first) == Landed(changed_ms=DAY_MS, ran=("day1",), heir=None)


def test_an_execution_that_is_reopened_is_settled_when_it_ends_again(ledger: Ledger) -> None:
    for day in (1, 2):
        ran(ledger, day)
    again = ran(ledger, 1, "again", digest="second")
    assert ledger.reopen(again, attempt=1, clear=["a"], fresh=True)
    assert landed(ledger, again) is None
    assert ledger.cancel(again)
    assert landed(ledger, again) is not None


# --- repairs that were broken off ---------------------------------------------------------------


def broken_off(ledger: Ledger, execution_id: str = "repair", **fields: object) -> str:
    """Create a repair of day 2 and cancel it; return its id."""
    created(ledger, 2, execution_id, repairs_ns=DAY_NS, **fields)
    assert ledger.cancel(execution_id)
    return execution_id


def unrepaired(ledger: Ledger) -> list[str]:
    return [each.id for each in ledger.unrepaired(LINE)]


@pytest.mark.parametrize("how", ["cancel", "fail"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_repair_that_is_broken_off_stays_on_the_list(
    ledger: Ledger, how: str, begun: bool
) -> None:
    for day in (1, 2, 3):
        ran(ledger, day)
    repair = created(ledger, 2, "repair", repairs_ns=DAY_NS)
    if begun:
        ledger.start(repair, plan_of([["a"]]))
    assert ledger.fail(repair, ERROR) if how == "fail" else ledger.cancel(repair)
    (found,) = ledger.unrepaired(LINE)
    assert found == ledger.get("acme", repair)
    assert (found.repairs_ns, found.error) == (DAY_NS, ERROR if how == "fail" else None)


def test_what_is_broken_off_and_repairs_nothing_is_not_listed(ledger: Ledger) -> None:
    ledger.cancel(created(ledger, 2))
    ledger.cancel(created(ledger, 3, repairs_ns=DAY_NS, ordered=False))
    assert unrepaired(ledger) == []


@pytest.mark.parametrize("node", [succeeded("a"), failed("a", place=place_at(2))])
def test_a_repair_that_ran_out_is_not_listed_whatever_its_nodes_came_to(
    ledger: Ledger, node: NodeCommit
) -> None:
    run(ledger, created(ledger, 2, repairs_ns=DAY_NS), node)
    assert unrepaired(ledger) == []


def test_a_resumed_repair_is_off_the_list_until_it_is_broken_off_again(ledger: Ledger) -> None:
    repair = broken_off(ledger)
    assert ledger.reopen(repair, attempt=1, clear=[], fresh=False)
    assert unrepaired(ledger) == []
    ledger.cancel(repair)
    assert unrepaired(ledger) == [repair]
    assert ledger.reopen(repair, attempt=2, clear=[], fresh=False)
    run(ledger, repair, succeeded("a", place=place_at(2)))
    assert unrepaired(ledger) == []


def test_another_run_of_its_bucket_makes_a_repair_good_where_it_runs_all_of_it(
    ledger: Ledger,
) -> None:
    broken_off(ledger, targets=("a", "b"))
    for day, name, targets in ((1, "other day", ()), (2, "part", ("a",)), (2, "rest", ("b", "c"))):
        run(ledger, created(ledger, day, name, targets=targets), succeeded("a"))
        assert unrepaired(ledger) == ["repair"]
    ledger.cancel(created(ledger, 2, "cancelled"))
    assert unrepaired(ledger) == ["repair"]
    run(ledger, created(ledger, 2, "same", targets=("b", "a")), succeeded("a"))
    assert unrepaired(ledger) == []


def test_a_run_of_some_targets_does_not_stand_for_all(ledger: Ledger) -> None:
    broken_off(ledger)
    run(ledger, created(ledger, 2, "part", targets=("a",)), succeeded("a"))
    assert unrepaired(ledger) == ["repair"]
    run(ledger, created(ledger, 2, "all"), succeeded("a"))
    assert unrepaired(ledger) == []


def test_of_two_repairs_of_the_same_that_were_broken_off_the_last_is_listed(
    ledger: Ledger,
) -> None:
    for name in ("one", "two"):
        broken_off(ledger, name)
    assert unrepaired(ledger) == ["two"]
    created(ledger, 1, "earlier", repairs_ns=DAY_NS)
    ledger.cancel("earlier")
    assert unrepaired(ledger) == ["earlier", "two"], "by bucket"


def test_a_later_attempt_of_another_run_makes_no_repair_good(ledger: Ledger) -> None:
    first = ran(ledger, 2)
    repair = broken_off(ledger)
    assert ledger.reopen(first, attempt=1, clear=["a"], fresh=True)
    run(ledger, first, succeeded("a", digest="first", place=place_at(2)))
    assert unrepaired(ledger) == [repair], "it may have read what was there before"
    run(ledger, created(ledger, 2, "another"), succeeded("a", place=place_at(2)))
    assert unrepaired(ledger) == []


@pytest.mark.parametrize("how", ["cancel", "fail"])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("settled", [False, True])
def test_what_takes_the_place_of_a_repair_is_listed_where_it_is_broken_off(
    ledger: Ledger, how: str, begun: bool, settled: bool
) -> None:
    for day in (1, 2):
        ran(ledger, day)
    heir = "" if settled else created(ledger, 2, "heir")
    again = ran(ledger, 1, "again", digest="second")
    if settled:
        heir = created(ledger, 2, "heir")
        assert ledger.settle(again, heir=heir)
    if begun:
        ledger.start(heir, plan_of([["a"]]))
    assert ledger.fail(heir, ERROR) if how == "fail" else ledger.cancel(heir)
    assert ledger.unrepaired(LINE) == [ledger.get("acme", heir)]
    run(ledger, created(ledger, 2, "another"), succeeded("a", place=place_at(2)))
    assert unrepaired(ledger) == []


def test_what_takes_the_place_of_a_repair_and_runs_out_is_not_listed(ledger: Ledger) -> None:
    for day in (1, 2):
        ran(ledger, day)
    heir = created(ledger, 2, "heir")
    ran(ledger, 1, "again", digest="second")
    run(ledger, heir, succeeded("a", digest="second", place=place_at(2)))
    assert unrepaired(ledger) == []


def test_an_heir_at_a_bucket_where_nothing_ran_is_not_listed(ledger: Ledger) -> None:
    for day in (1, 3):
        ran(ledger, day)
    heir = created(ledger, 2)
    ran(ledger, 1, "again", digest="second")
    ledger.cancel(heir)
    assert unrepaired(ledger) == []


# --- turns -------------------------------------------------------------------------------------


def test_a_plan_that_was_made_before_another_left_the_line_is_not_started(ledger: Ledger) -> None:
    first, second = created(ledger, 1), created(ledger, 2)
    assert ledger.turn(second) is None
    turn = ledger.turn(first)
    assert turn is not None
    ran(ledger, 0, "earlier")
    assert ledger.start(first, plan_of([["a"]]), turn=turn).status is StartStatus.WAIT
    now = ledger.turn(first)
    assert now is not None
    assert now > turn
    assert ledger.start(first, plan_of([["a"]]), turn=now).status is StartStatus.STARTED


def test_what_is_not_ordered_always_has_its_turn(ledger: Ledger) -> None:
    execution = ledger.create(asked(1, ordered=False), {})[0]
    assert ledger.turn(execution.id) is not None


def test_what_follows_is_told_with_its_own_priority(ledger: Ledger) -> None:
    first = created(ledger, 1, priority=Priority.LOW)
    created(ledger, 2, "second", priority=Priority.HIGH)
    ledger.cancel(first)
    assert ledger.next_of_line(first) == Following("acme", "second", Priority.HIGH)


# --- what was asked, and since when ------------------------------------------------------------


def test_a_line_knows_at_which_buckets_it_was_asked_for_what(ledger: Ledger) -> None:
    for day in (3, 1, 2):
        created(ledger, day)
    created(ledger, 4, "sub", targets=("a",))
    created(ledger, 5, "other", targets=("b",))
    created(ledger, 6, "new", version="v2")
    ledger.cancel("day2")
    assert ledger.asked(asked(9)) == [DAY_MS, 2 * DAY_MS, 3 * DAY_MS]
    both = ledger.asked(asked(9, targets=("a",)), from_ms=3 * DAY_MS)
    assert both == [3 * DAY_MS, 4 * DAY_MS]
    assert ledger.asked(asked(9), until_ms=DAY_MS) == [DAY_MS]
    assert ledger.asked(asked(9, environment="staging")) == []
    assert ledger.asked(asked(9, ordered=False)) == []


def test_an_ordered_line_knows_where_each_node_began(ledger: Ledger) -> None:
    for day in (5, 6, 3):
        ran(ledger, day, f"x{day}")
    assert ledger.origins(LINE, ["a", "b"]) == [3 * DAY_MS, None]
    assert ledger.origins(LINE, []) == []


# --- points that go ----------------------------------------------------------------------------


def test_in_an_ordered_line_a_node_without_result_loses_its_point(ledger: Ledger) -> None:
    for day in (1, 2):
        ran(ledger, day)
    run(ledger, created(ledger, 1, "again"), failed("a", place=place_at(1)))
    assert digests(ledger) == {2: "first"}
    assert landed(ledger, "again") is not None
    was = ledger.replaced(LINE, "a", interval_ms=DAY_MS, buckets_ms=[2 * DAY_MS, DAY_MS])
    assert [[point.execution_id for point in each] for each in was] == [[], ["day1"]]


def test_a_failure_that_rests_on_older_data_takes_nothing_away(ledger: Ledger) -> None:
    newer, older = (place_at(1, revision=revision, of="5") for revision in (2, 1))
    run(ledger, created(ledger, 1, "new"), succeeded("a", place=newer))
    run(ledger, created(ledger, 1, "old"), failed("a", place=older))
    assert digests(ledger) == {1: digest_of(b"1")}


def test_elsewhere_a_failure_leaves_the_point_as_it_is(ledger: Ledger) -> None:
    for name, node in (("x", succeeded("a", place=place_at(1))), ("y", failed("a"))):
        run(ledger, created(ledger, 1, name, ordered=False), node)
    assert digests(ledger) == {1: digest_of(b"1")}


def test_what_stood_at_a_bucket_before_is_told_latest_first(ledger: Ledger) -> None:
    for name, digest in (("x", "one"), ("y", "two"), ("z", "two"), ("w", "three")):
        execution_id = created(ledger, 1, name)
        run(ledger, execution_id, succeeded("a", digest=digest, place=place_at(1)))
        ledger.settle(execution_id)
    was = ledger.replaced(LINE, "a", interval_ms=DAY_MS, buckets_ms=[DAY_MS])
    assert [(point.digest, point.execution_id) for point in was[0]] == [("two", "z"), ("one", "x")]
