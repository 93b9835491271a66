"""Executions that ended long ago are forgotten; what others read of them stays."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from qmtl.common.errors import IdempotencyConflict, UnknownExecution
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import Found, Lookup, Plan
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import ClaimStatus, Held, StartStatus
from tests.support.ledgers import (
    DAY_MS,
    DAY_NS,
    LONG_S,
    NOT_RETAINED_S,
    HandClock,
    LedgerUnderTest,
    attempted,
    claimed,
    failed,
    hand_timed_redis_ledger,
    memory_ledger,
    new_execution,
    place_at,
    plan_of,
    redis_ledger,
    reuse,
    run_shard,
    started,
    succeeded,
)

BIG = b"x" * 100_000  # stands apart from its execution in Redis
LINE = new_execution().line


@pytest.fixture(params=["memory", "redis"])
def subject(request: pytest.FixtureRequest) -> LedgerUnderTest:
    if request.param == "memory":
        return memory_ledger(retention_s=NOT_RETAINED_S)
    return redis_ledger(request.getfixturevalue("settings"), retention_s=NOT_RETAINED_S)


@pytest.fixture(params=["memory", "redis"])
def hand_timed(request: pytest.FixtureRequest) -> LedgerUnderTest:
    if request.param == "memory":
        return memory_ledger(retention_s=NOT_RETAINED_S)
    settings = request.getfixturevalue("settings")
    return hand_timed_redis_ledger(settings, HandClock(), retention_s=NOT_RETAINED_S)


def mirror(subject: LedgerUnderTest) -> None:
    """Let everything be mirrored that was committed."""
    while entries := subject.outbox.read("m", limit=100, wait_s=0.0, idle_s=LONG_S):
        subject.outbox.acknowledge(entries)
    subject.outbox.trim()


def forget(subject: LedgerUnderTest, *, retention_s: float = 0.0, limit: int = 100) -> int:
    """Let everything be mirrored, then forget what ended."""
    mirror(subject)
    return subject.ledger.forget(retention_s=retention_s, limit=limit)


def ended(ledger: Ledger, *nodes: str, day: int | None = None, keep: int = 1, **fields: Any) -> str:
    """Run an execution of these nodes, with points at a day of its line; return its id."""
    value = fields.pop("value", b"1")
    plan = fields.pop("plan", None) or plan_of([list(nodes)])
    execution_id = started(ledger, plan, **fields)
    token = claimed(ledger, execution_id)
    place = None if day is None else place_at(day, keep=keep)
    commits = [succeeded(n, value, key=f"key-{n}", place=place) for n in nodes]
    ledger.commit(execution_id, 0, 0, token, commits, done=True)
    return execution_id


def reading(execution_id: str, node_id: str = "a") -> Plan:
    """Return a plan of node r, which looks back at a result."""
    found = Found(name="", bucket_ns=DAY_NS, execution_id=execution_id, node_id=node_id, digest="d")
    lookup = Lookup(node_id="r", argument="x", kind="window", found=(found,))
    return replace(plan_of([["r"]]), lookups=(lookup,))


def is_kept(ledger: Ledger, execution_id: str) -> bool:
    try:
        ledger.get("acme", execution_id)
    except UnknownExecution:
        return False
    return True


def has_value(ledger: Ledger, execution_id: str, node_id: str = "a") -> bool:
    return bool(ledger.values(execution_id, [node_id]))


# --- what is forgotten -------------------------------------------------------------------------


def test_nothing_is_left_of_a_forgotten_execution(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = ended(ledger, "a", value=BIG)
    assert forget(subject) == 1
    with pytest.raises(UnknownExecution, match="forgotten"):
        ledger.get("acme", execution_id)
    assert ledger.page("acme", strategy=None, before="", limit=9) == ([], "")
    assert ledger.page("acme", strategy="golden_cross", before="", limit=9) == ([], "")
    assert ledger.plan(execution_id) is None
    assert ledger.records(execution_id) == {}
    assert ledger.shards(execution_id) == []
    assert ledger.inputs(execution_id) == {}
    assert not has_value(ledger, execution_id)
    assert forget(subject) == 0


def test_an_execution_that_has_not_ended_is_kept(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    waiting = new_execution()
    ledger.create(waiting, {})
    running = started(ledger, plan_of([["a"]]))
    again = ended(ledger, "a")
    ledger.reopen(again, attempt=1, clear=["a"], fresh=True)
    assert forget(subject) == 0
    assert all(is_kept(ledger, each) for each in (waiting.id, running, again))


@pytest.mark.parametrize("how", ["fail", "cancel", "start"])
def test_whatever_ended_it_an_execution_is_forgotten(subject: LedgerUnderTest, how: str) -> None:
    ledger, execution = subject.ledger, new_execution()
    ledger.create(execution, {})
    if how == "cancel":
        ledger.cancel(execution.id)
    elif how == "start":
        ledger.start(execution.id, plan_of())
    else:
        ledger.start(execution.id, plan_of([["a"], ["b"]], [["c"]]))
        run_shard(ledger, execution.id, 0, 0, "a")
        ledger.cancel(execution.id)
    assert forget(subject) == 1
    assert not is_kept(ledger, execution.id)


def test_executions_are_kept_for_the_retention(hand_timed: LedgerUnderTest) -> None:
    ledger = hand_timed.ledger
    first = ended(ledger, "a")
    hand_timed.pass_time(5.0)
    second = ended(ledger, "a")
    hand_timed.pass_time(5.0)
    assert forget(hand_timed, retention_s=10.5) == 0
    assert forget(hand_timed, retention_s=10.0) == 1
    assert (is_kept(ledger, first), is_kept(ledger, second)) == (False, True)


def test_those_are_forgotten_first_that_ended_first_and_no_more_than_asked(
    hand_timed: LedgerUnderTest,
) -> None:
    ledger = hand_timed.ledger
    ids = []
    for _ in range(3):
        ids.append(ended(ledger, "a"))
        hand_timed.pass_time(1.0)
    assert forget(hand_timed, limit=2) == 2
    assert [is_kept(ledger, each) for each in ids] == [False, False, True]


def test_what_was_not_mirrored_is_kept(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = ended(ledger, "a")
    assert ledger.forget(retention_s=0.0, limit=9) == 0
    entries = subject.outbox.read("m", limit=9, wait_s=0.0, idle_s=LONG_S)
    assert ledger.forget(retention_s=0.0, limit=9) == 0, "somebody is mirroring it"
    subject.outbox.acknowledge(entries)
    subject.outbox.trim()
    assert ledger.forget(retention_s=0.0, limit=9) == 1
    assert not is_kept(ledger, execution_id)


def test_an_execution_that_is_to_be_settled_is_kept(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    for day in (2, 1):  # an earlier bucket that comes late
        late = ended(
            ledger, "a", day=day, keep=9, ordered=True, bucket_ns=day * DAY_NS, cause=str(day)
        )
    assert ledger.landed(late, skip=0, limit=9) is not None
    forget(subject)
    assert is_kept(ledger, late)
    ledger.settle(late)
    forget(subject)
    assert not is_kept(ledger, late)


def test_a_repair_that_was_broken_off_is_kept_while_its_line_lacks_it(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    repair = new_execution(ordered=True, repairs_ns=DAY_NS)
    ledger.create(repair, {})
    ledger.cancel(repair.id)
    forget(subject)
    assert [each.id for each in ledger.unrepaired(repair.line)] == [repair.id]
    ledger.reopen(repair.id, attempt=1, clear=[], fresh=False)
    ledger.start(repair.id, plan_of())
    assert ledger.unrepaired(repair.line) == []
    forget(subject)
    assert not is_kept(ledger, repair.id)


def test_a_repair_that_nobody_does_is_kept_for_one_more_retention(
    hand_timed: LedgerUnderTest,
) -> None:
    ledger = hand_timed.ledger
    repair = new_execution(ordered=True, repairs_ns=DAY_NS)
    ledger.create(repair, {})
    ledger.cancel(repair.id)
    hand_timed.pass_time(10.0)
    assert forget(hand_timed, retention_s=10.0) == 0
    hand_timed.pass_time(9.0)
    assert forget(hand_timed, retention_s=10.0) == 0
    assert [each.id for each in ledger.unrepaired(repair.line)] == [repair.id]
    hand_timed.pass_time(1.0)
    assert forget(hand_timed, retention_s=10.0) == 1
    assert ledger.unrepaired(repair.line) == []
    assert not is_kept(ledger, repair.id)


def test_a_repair_that_is_broken_off_anew_is_kept_anew(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    repair = new_execution(ordered=True, repairs_ns=DAY_NS)
    ledger.create(repair, {})
    for attempt in (1, 2):
        ledger.cancel(repair.id)
        assert forget(subject) == 0
        assert ledger.reopen(repair.id, attempt=attempt, clear=[], fresh=False)
    ledger.cancel(repair.id)
    assert [forget(subject), forget(subject)] == [0, 1]
    ledger.create(repair, {})
    ledger.start(repair.id, plan_of())
    assert ledger.unrepaired(repair.line) == []


def test_remains_are_looked_at_however_much_is_forgotten_in_the_same_call(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    first = ended(ledger, "a", day=1)
    forget(subject)
    assert has_value(ledger, first)
    heavy = ended(ledger, "a", *(f"n{k}" for k in range(5_001)), day=2)  # keeps one bucket
    assert forget(subject) == 1
    assert has_value(ledger, heavy)
    assert not has_value(ledger, first)


def test_records_that_an_attempt_cleared_are_forgotten_too(settings: Settings) -> None:
    subject = redis_ledger(settings, retention_s=NOT_RETAINED_S)
    execution_id = ended(subject.ledger, "a")
    assert subject.ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    assert subject.ledger.cleared(execution_id, [(1, "a")])
    subject.ledger.cancel(execution_id)
    forget(subject)
    client, key = connect(settings.state_url, timeout_s=5.0), Keys(settings.cell)
    assert list(client.scan_iter(key("exec", "*"))) == []


def test_what_is_cleared_is_let_go_once_the_outbox_has_nothing_of_it(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id, wanted = ended(ledger, "a", "b"), [(1, "a"), (1, "b"), (2, "b")]
    ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    ledger.start(execution_id, plan_of([["b"]], done=["a"]))
    entries = subject.outbox.read("m", limit=9, wait_s=0.0, idle_s=LONG_S)
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, [attempted(failed("b"), 2)], done=True)
    subject.outbox.acknowledge(entries)
    subject.outbox.trim()
    ledger.reopen(execution_id, attempt=2, clear=["b"], fresh=False)
    assert ledger.cleared(execution_id, wanted).keys() == {(1, "b"), (2, "b")}, "one entry is left"
    ledger.cancel(execution_id)
    mirror(subject)
    ledger.reopen(execution_id, attempt=3, clear=["a"], fresh=False)
    assert ledger.cleared(execution_id, wanted) == {}


# --- after it ----------------------------------------------------------------------------------


def test_a_forgotten_execution_can_be_made_again(subject: LedgerUnderTest) -> None:
    ledger, execution = subject.ledger, new_execution()
    for _ in range(2):
        assert ledger.create(execution, {"prices": b"1"})[1]
        ledger.start(execution.id, plan_of([["a"]]))
        run_shard(ledger, execution.id, 0, 0, "a")
        assert ledger.values(execution.id, ["a"]) == {"a": b"1"}
        assert forget(subject) == 1


def test_steps_of_a_forgotten_execution_change_nothing(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    token = claimed(ledger, execution_id)
    ledger.cancel(execution_id)
    forget(subject)
    assert ledger.claim(execution_id, 0, 1, lease_s=1.0).status is ClaimStatus.GONE
    assert not ledger.renew(execution_id, 0, 0, token, lease_s=1.0)
    assert ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True) == "REFUSED"
    assert ledger.advance(execution_id, 1) == "STALE"
    assert ledger.start(execution_id, plan_of()).status is StartStatus.STALE
    assert not ledger.reopen(execution_id, attempt=1, clear=[], fresh=False)
    assert not ledger.cancel(execution_id)
    assert ledger.settle(execution_id)
    assert ledger.due(limit=9, again_s=1.0, unclaimed_s=0.0) == []
    assert not is_kept(ledger, execution_id)


def test_a_result_of_a_forgotten_execution_is_not_found_again(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    source = ended(ledger, "a")
    forget(subject)
    assert ledger.records_of([(source, "a")]) == [None]
    execution = new_execution()
    ledger.create(execution, {})
    found = ledger.start(execution.id, plan_of(done=["a"]), [reuse("a", source)])
    assert found.status is StartStatus.LOST


def test_what_an_execution_reused_outlives_where_it_came_from(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    source, execution = ended(ledger, "a", "b", value=BIG), new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of([["c"]], done=["a", "b"]), [reuse(n, source) for n in "ab"])
    assert forget(subject) == 1
    assert ledger.values(execution.id, ["a", "b"]) == {"a": BIG, "b": BIG}


def test_a_mark_of_a_forgotten_execution_holds_nothing(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    ledger.claim(execution_id, 0, 0, lease_s=LONG_S, keys=["key-z"])
    ledger.cancel(execution_id)
    forget(subject)
    other = started(ledger, plan_of([["a"]]))
    held = ledger.claim(other, 0, 0, lease_s=LONG_S, keys=["key-z"]).held
    assert held == Held({}, frozenset())


# --- what histories and plans read -------------------------------------------------------------


@pytest.mark.parametrize("value", [b"1", BIG])
def test_a_value_that_a_point_names_outlives_its_execution(
    subject: LedgerUnderTest, value: bytes
) -> None:
    ledger = subject.ledger
    execution_id = ended(ledger, "a", day=1, value=value)
    assert forget(subject) == 1
    for _ in range(3):
        forget(subject)
    (point,) = ledger.history(LINE, "a", interval_ms=DAY_MS, count=1)
    assert point.execution_id == execution_id
    assert ledger.values(execution_id, ["a"]) == {"a": value}


def test_a_value_goes_once_no_point_names_it_and_nobody_may_have_planned_with_it(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    first = ended(ledger, "a", day=1)
    forget(subject)
    reader = started(ledger, reading(first))
    ended(ledger, "a", day=2, created_ms=1_700_000_000_001)  # keeps one bucket
    for _ in range(3):
        forget(subject)
    assert ledger.history(LINE, "a", interval_ms=DAY_MS, count=9)[0].execution_id != first
    assert has_value(ledger, first), "the reader is there"
    run_shard(ledger, reader, 0, 0, "r")
    forget(subject)
    assert not is_kept(ledger, reader)
    forget(subject)
    assert not has_value(ledger, first)


def test_a_replay_keeps_what_the_plan_that_it_reads_names(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    first = ended(ledger, "a", day=1)
    forget(subject)
    reader = started(ledger, reading(first))
    ended(ledger, "a", day=2)
    forget(subject)  # from here on no point names the first one
    run_shard(ledger, reader, 0, 0, "r")
    later = 1_700_000_000_999
    replay = new_execution(adhoc=True, replays=reader, created_ms=later)
    ledger.create(replay, {})
    second = new_execution(adhoc=True, replays=replay.id, created_ms=later + 1)
    ledger.create(second, {})
    ledger.cancel(replay.id)
    for _ in range(3):
        forget(subject)
    assert not is_kept(ledger, reader)
    assert not is_kept(ledger, replay.id)
    assert has_value(ledger, first)
    ledger.cancel(second.id)
    for _ in range(3):
        forget(subject)
    assert not has_value(ledger, first)


def test_a_replay_counts_as_the_end_of_what_it_replays(hand_timed: LedgerUnderTest) -> None:
    ledger = hand_timed.ledger
    original = ended(ledger, "a")
    hand_timed.pass_time(9.0)
    ledger.create(new_execution(adhoc=True, replays=original), {})
    hand_timed.pass_time(9.0)
    assert forget(hand_timed, retention_s=10.0) == 0
    hand_timed.pass_time(1.0)
    assert forget(hand_timed, retention_s=10.0) == 1


def test_an_id_whose_values_are_read_still_is_not_used_for_another_bucket(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = ended(ledger, "a", day=20)
    forget(subject)
    for other in (
        new_execution(id=execution_id, bucket_ns=21 * DAY_NS),
        new_execution(id=execution_id, environment="staging"),
        new_execution(id=execution_id, adhoc=True),
    ):
        with pytest.raises(IdempotencyConflict):
            ledger.create(other, {})
    assert ledger.values(execution_id, ["a"]) == {"a": b"1"}


def test_the_same_bucket_that_is_made_again_takes_up_what_is_left(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = ended(ledger, "a", day=20)
    forget(subject)
    assert ledger.create(new_execution(id=execution_id), {})[1]
    assert has_value(ledger, execution_id), "its point is there"
    ledger.start(execution_id, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    again = succeeded("a", b"2", place=place_at(20, keep=1))
    ledger.commit(execution_id, 0, 0, token, [again], done=True)
    forget(subject)
    assert not is_kept(ledger, execution_id)
    assert ledger.values(execution_id, ["a"]) == {"a": b"2"}


# --- costs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_costs_stay_while_they_are_asked_for_or_noted(
    request: pytest.FixtureRequest, kind: str
) -> None:
    if kind == "memory":
        subject = memory_ledger(costs_ttl_s=100.0)
    else:
        settings = request.getfixturevalue("settings")
        subject = hand_timed_redis_ledger(settings, HandClock(), costs_ttl_s=100.0)
    ledger = subject.ledger
    ledger.learn("acme", "s", {"asked": 1, "noted": 2, "neither": 3})
    for _ in range(3):
        subject.pass_time(100.0)
        ledger.learn("acme", "s", {"noted": 4})
        assert ledger.outlook("acme", "s", ["asked", "noted"], []).cost_us == [1, 4]
    assert ledger.outlook("acme", "s", ["neither"], []).cost_us == [None]


# --- what Redis holds --------------------------------------------------------------------------


def test_redis_holds_nothing_that_stays_of_forgotten_executions(settings: Settings) -> None:
    subject = redis_ledger(settings, retention_s=NOT_RETAINED_S)
    ledger, key = subject.ledger, Keys(settings.cell)
    client = connect(settings.state_url, timeout_s=5.0)
    shared = ended(ledger, "a", day=1, value=BIG)
    ended(ledger, "b", value=BIG)
    ended(ledger, "a", day=2, value=b"1")
    replay = new_execution(adhoc=True, replays=shared)
    ledger.create(replay, {})
    ledger.cancel(replay.id)
    ended(ledger, "c", day=1, strategy="other")
    for _ in range(3):
        forget(subject)
    lasting = {
        name.decode().removeprefix(key.prefix).partition(":")[0]
        for name in client.scan_iter(key("*"))
        if client.ttl(name) == -1
    }
    assert lasting <= {"hist", "tallies", "open", "outbox", "exec", "remains"}
    left = list(client.scan_iter(key("exec", "*")))
    assert len(left) == 2 * 3, "values, places and remains of the two that points name"


@pytest.mark.parametrize(
    "lacks",
    [("strategy", "place", "line"), ("line",), ("tenant", "doc"), ("tenant", "histories"), ()],
)
def test_an_execution_that_cannot_be_read_keeps_no_other_from_being_forgotten(
    settings: Settings, lacks: tuple[str, ...]
) -> None:
    subject = redis_ledger(settings, retention_s=NOT_RETAINED_S)
    ledger, key = subject.ledger, Keys(settings.cell)
    client = connect(settings.state_url, timeout_s=5.0)
    broken, other = ended(ledger, "a", day=1), ended(ledger, "b")
    if lacks:
        client.hdel(key("exec", broken), *lacks)
    else:
        client.delete(key("exec", broken))
    assert forget(subject) == 2
    assert client.zcard(key("ended")) == 0
    assert not is_kept(ledger, other)
    assert ledger.records(broken) == {}
    assert has_value(ledger, broken), "a point names it"


def test_what_an_earlier_release_did_not_note_is_taken_from_the_document(
    settings: Settings,
) -> None:
    subject = redis_ledger(settings, retention_s=NOT_RETAINED_S)
    ledger, key = subject.ledger, Keys(settings.cell)
    client = connect(settings.state_url, timeout_s=5.0)
    execution_id = ended(ledger, "a", value=BIG)
    client.hdel(key("exec", execution_id), "strategy", "place", "line", "tenant")
    assert forget(subject) == 1
    assert client.zcard(key("execs", "acme")) == 0
    assert client.zcard(key("execs", "acme", "golden_cross")) == 0
    assert list(client.scan_iter(key("exec", "*"))) == []


def test_remains_that_cannot_be_read_keep_no_others(settings: Settings) -> None:
    subject = redis_ledger(settings, retention_s=NOT_RETAINED_S)
    ledger, key = subject.ledger, Keys(settings.cell)
    client = connect(settings.state_url, timeout_s=5.0)
    broken, other = ended(ledger, "a", day=1), ended(ledger, "b", day=1)
    forget(subject)
    client.delete(key("exec", broken, "remains"))
    ended(ledger, "b", day=2)  # keeps one bucket
    for _ in range(2):
        forget(subject)
    assert not has_value(ledger, other, "b")
    assert broken.encode() not in client.zrange(key("remains"), 0, -1)


def test_a_listed_execution_that_is_gone_is_passed_over(settings: Settings) -> None:
    subject = redis_ledger(settings)
    ledger, key = subject.ledger, Keys(settings.cell)
    client = connect(settings.state_url, timeout_s=5.0)
    gone, there = ended(ledger, "a", created_ms=1), ended(ledger, "a", created_ms=2)
    client.delete(key("exec", gone))
    page, _ = ledger.page("acme", strategy=None, before="", limit=9)
    assert [execution.id for execution in page] == [there]
    assert client.zcard(key("execs", "acme")) == 1
