"""Results that are known by their call key, and who computes those that are not."""

from __future__ import annotations

import pytest

from qmtl.models.execution import ExecutionState, NodeState
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    CommitStatus,
    Held,
    Source,
    Started,
    StartStatus,
)
from tests.support.ledgers import (
    DAY_MS,
    ERROR,
    LedgerUnderTest,
    attempted,
    failed,
    new_execution,
    place_at,
    plan_of,
    reuse,
    started,
    succeeded,
)

SHORT_S = 0.2
LONG_S = 60.0
BIG = b"x" * 100_000  # stands apart from its execution in Redis
NOTHING = Held({}, frozenset())


def computed(ledger: Ledger, *nodes: str, value: bytes = b"1", **fields: object) -> str:
    """Run an execution of these nodes, each known by ``key-`` and its id; return its id."""
    execution_id = started(ledger, plan_of([list(nodes)]), **fields)
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    commits = [succeeded(n, value, key=f"key-{n}", place=place_at(1)) for n in nodes]
    ledger.commit(execution_id, 0, 0, token, commits, done=True)
    return execution_id


def created(ledger: Ledger, **fields: object) -> str:
    execution = new_execution(**fields)
    ledger.create(execution, {})
    return execution.id


def holding(ledger: Ledger, *keys: str, lease_s: float = LONG_S) -> tuple[str, int]:
    """Start an execution of node a whose claim holds these keys; return its id and token."""
    execution_id = started(ledger, plan_of([["a"]]))
    claim = ledger.claim(execution_id, 0, 0, lease_s=lease_s, keys=keys)
    assert claim.held == NOTHING
    return execution_id, claim.token


def held(ledger: Ledger, *keys: str) -> Held:
    """Return what the claim of another execution is told of these keys."""
    execution_id = started(ledger, plan_of([["a"]]))
    return ledger.claim(execution_id, 0, 0, lease_s=LONG_S, keys=keys).held


def sources(ledger: Ledger, *keys: str, tenant: str = "acme") -> list[str | None]:
    """Return the executions that have these results, all by their first attempt."""
    found = ledger.outlook(tenant, "golden_cross", [], keys).sources
    assert all(source is None or source.attempt == 1 for source in found)
    return [None if source is None else source.execution_id for source in found]


# --- outlook -----------------------------------------------------------------------------------


def test_a_result_is_known_by_its_key(ledger: Ledger) -> None:
    execution_id = computed(ledger, "a")
    assert sources(ledger, "key-a", "", "key-b", "key-a") == [
        execution_id,
        None,
        None,
        execution_id,
    ]


def test_the_latest_execution_that_has_a_result_is_named(ledger: Ledger) -> None:
    computed(ledger, "a")
    again = computed(ledger, "a")
    assert sources(ledger, "key-a") == [again]


@pytest.mark.parametrize("noted", [True, False])
def test_a_key_tells_the_attempt_whose_record_it_was_noted_for(ledger: Ledger, noted: bool) -> None:
    execution_id = computed(ledger, "a", "b")
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    ledger.start(execution_id, plan_of([["a"]], done=["b"]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    again = attempted(succeeded("a", key="key-a" if noted else ""), 2)
    ledger.commit(execution_id, 0, 0, token, [again], done=True)
    of_a, of_b = Source(execution_id, 2 if noted else 1), Source(execution_id)
    found = ledger.outlook("acme", "golden_cross", [], ["key-a", "key-b"]).sources
    assert list(found) == [of_a, of_b], "a key of before is not that of the record now"
    assert held(ledger, "key-a", "key-b").known == {"key-a": of_a, "key-b": of_b}
    assert {n: r.attempt for n, r in ledger.records(execution_id).items()} == {"a": 2, "b": 1}


def test_tenants_share_no_results(ledger: Ledger) -> None:
    computed(ledger, "a")
    assert sources(ledger, "key-a", tenant="other") == [None]


def test_a_failed_node_is_not_known_by_its_key(ledger: Ledger) -> None:
    execution_id, token = holding(ledger, "key-a")
    ledger.commit(execution_id, 0, 0, token, [failed("a", key="key-a")], done=True)
    assert sources(ledger, "key-a") == [None]


def test_what_is_being_computed_is_not_known_yet(ledger: Ledger) -> None:
    holding(ledger, "key-a")
    assert sources(ledger, "key-a") == [None]


def test_costs_are_known_once_they_were_noted(ledger: Ledger) -> None:
    ledger.learn("acme", "golden_cross", {"a": 5, "b": 7})
    ledger.learn("acme", "golden_cross", {"b": 8})
    ledger.learn("acme", "golden_cross", {})
    ledger.learn("acme", "other", {"a": 1})
    assert ledger.outlook("acme", "golden_cross", ["b", "x", "a"], []).cost_us == [8, None, 5]
    assert ledger.outlook("stranger", "golden_cross", ["a"], []).cost_us == [None]


def test_an_outlook_on_nothing_is_empty(ledger: Ledger) -> None:
    outlook = ledger.outlook("acme", "golden_cross", [], [])
    assert (list(outlook.sources), list(outlook.cost_us), outlook.slots) == ([], [], 0)


def slots(ledger: Ledger) -> int:
    return ledger.outlook("acme", "golden_cross", [], []).slots


def test_the_slots_of_all_workers_are_added_up_by_what_each_told_last(ledger: Ledger) -> None:
    ledger.offer("nodes@a", 2, lasts_s=LONG_S)
    ledger.offer("nodes@b", 4, lasts_s=LONG_S)
    ledger.offer("nodes@a", 3, lasts_s=LONG_S)
    assert slots(ledger) == 7


def test_a_worker_that_takes_its_offer_back_counts_no_longer(ledger: Ledger) -> None:
    ledger.offer("nodes@a", 2, lasts_s=LONG_S)
    ledger.offer("nodes@b", 4, lasts_s=LONG_S)
    ledger.offer("nodes@b", 0, lasts_s=LONG_S)
    ledger.offer("nodes@c", 0, lasts_s=LONG_S)
    assert slots(ledger) == 2


def test_a_worker_that_tells_nothing_any_more_counts_no_longer(subject: LedgerUnderTest) -> None:
    subject.ledger.offer("nodes@a", 2, lasts_s=LONG_S)
    subject.ledger.offer("nodes@killed", 4, lasts_s=SHORT_S)
    subject.pass_time(2 * SHORT_S)
    assert slots(subject.ledger) == 2
    subject.ledger.offer("nodes@a", 3, lasts_s=LONG_S)
    assert slots(subject.ledger) == 3


# --- reuse in a start --------------------------------------------------------------------------


def test_a_start_commits_what_it_reuses_at_once(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    source = computed(ledger, "a", "b", value=BIG)
    subject.outbox.acknowledge(subject.outbox.read("m", limit=9, wait_s=0.0, idle_s=LONG_S))
    execution_id = created(ledger)
    plan = plan_of([["c"]], done=["a", "b"])
    reused = [reuse(n, source, BIG, key=f"key-{n}", place=place_at(2)) for n in "ab"]
    assert ledger.start(execution_id, plan, reused).status is StartStatus.STARTED
    assert {r.state for r in ledger.records(execution_id).values()} == {NodeState.REUSED}
    assert ledger.values(execution_id, ["a", "b", "c"]) == {"a": BIG, "b": BIG}
    assert ledger.get("acme", execution_id).nodes_done == 2
    points = ledger.history(new_execution().line, "a", interval_ms=DAY_MS, count=1)
    assert [(p.execution_id, p.bucket_ms) for p in points] == [(execution_id, 2 * DAY_MS)]
    (entry,) = subject.outbox.read("m", limit=9, wait_s=0.0, idle_s=LONG_S)
    assert (entry.execution_id, entry.node_ids) == (execution_id, ("a", "b"))
    assert sources(ledger, "key-a") == [execution_id]
    assert ledger.tallies("acme") == {"computed": 2, "reused": 2, "waited": 0}


def test_an_execution_that_reuses_all_ends_with_its_start(ledger: Ledger) -> None:
    first, second = computed(ledger, "a"), computed(ledger, "b")
    execution_id = created(ledger)
    plan = plan_of(done=["a", "b"])
    found = ledger.start(execution_id, plan, [reuse("a", first), reuse("b", second)])
    assert found.status is StartStatus.ENDED
    execution = ledger.get("acme", execution_id)
    assert (execution.state, execution.nodes_done) == (ExecutionState.SUCCEEDED, 2)
    assert ledger.counts()[ExecutionState.PENDING] == 0


def test_a_plan_that_leaves_a_node_without_result_fails_at_its_start(ledger: Ledger) -> None:
    execution_id = created(ledger)
    plan = plan_of(done=["a", "b"])
    assert ledger.start(execution_id, plan, [reuse("a", computed(ledger, "a"))]).status == "ENDED"
    assert ledger.get("acme", execution_id).state is ExecutionState.FAILED


@pytest.mark.parametrize("gone", ["execution", "node"])
def test_a_start_whose_values_are_gone_writes_nothing(subject: LedgerUnderTest, gone: str) -> None:
    ledger = subject.ledger
    source = computed(ledger, "a")
    execution_id = created(ledger)
    backlog = subject.outbox.backlog()
    plan = plan_of(done=["a", "z"])
    reused = [reuse("a", source), reuse("z", "nothing" if gone == "execution" else source)]
    assert ledger.start(execution_id, plan, reused) == Started(StartStatus.LOST)
    assert ledger.get("acme", execution_id).state is ExecutionState.PENDING
    assert ledger.records(execution_id) == {}
    assert ledger.plan(execution_id) is None
    assert subject.outbox.backlog() == backlog


@pytest.mark.parametrize("how", ["cleared", "another", "equal"])
def test_a_start_takes_the_value_that_was_recorded_or_none(ledger: Ledger, how: str) -> None:
    source = computed(ledger, "a", "b")
    ledger.reopen(source, attempt=1, clear=["a"], fresh=True)
    if how != "cleared":
        again = succeeded("a", b"2") if how == "another" else succeeded("a")
        ledger.start(source, plan_of([["a"]], done=["b"]))
        token = ledger.claim(source, 0, 0, lease_s=LONG_S).token
        ledger.commit(source, 0, 0, token, [again], done=True)
    execution_id = created(ledger)
    found = ledger.start(execution_id, plan_of(done=["a", "b"]), [reuse(n, source) for n in "ab"])
    assert found.status is (StartStatus.ENDED if how == "equal" else StartStatus.LOST)


def test_thousands_of_nodes_are_reused_in_one_start(ledger: Ledger) -> None:
    ids = [f"n{i}" for i in range(5_000)]
    source = computed(ledger, *ids)
    execution_id = created(ledger)
    reused = [reuse(n, source, key=f"key-{n}", place=place_at(1)) for n in ids]
    assert ledger.start(execution_id, plan_of(done=ids), reused).status is StartStatus.ENDED
    assert len(ledger.values(execution_id, ids)) == 5_000
    assert set(sources(ledger, *(f"key-{n}" for n in ids))) == {execution_id}


# --- marks -------------------------------------------------------------------------------------


def test_a_key_that_a_living_shard_computes_is_held_elsewhere(ledger: Ledger) -> None:
    holding(ledger, "key-a", "key-b")
    assert held(ledger, "key-b", "key-c") == Held({}, frozenset({"key-b"}))


def test_a_key_with_a_result_is_known_to_who_claims(ledger: Ledger) -> None:
    execution_id = computed(ledger, "a")
    assert held(ledger, "key-a", "key-b") == Held({"key-a": Source(execution_id)}, frozenset())


def test_a_shard_may_hold_its_own_keys_again(ledger: Ledger) -> None:
    execution_id, token = holding(ledger, "key-a")
    assert ledger.hold(execution_id, 0, 0, token, ["key-a", "key-b", ""]) == NOTHING
    assert held(ledger, "key-b").elsewhere == {"key-b"}


def test_a_start_that_claims_a_shard_holds_its_keys(ledger: Ledger) -> None:
    known, execution = computed(ledger, "c"), new_execution()
    holding(ledger, "key-b")
    ledger.create(execution, {})
    keys = ["key-a", "key-b", "key-c", ""]
    found = ledger.start(execution.id, plan_of([["a", "b", "c"]]), lease_s=LONG_S, keys=keys)
    assert found.held == Held({"key-c": Source(known)}, frozenset({"key-b"}))
    assert held(ledger, "key-a").elsewhere == {"key-a"}


def test_a_start_that_claims_nothing_holds_nothing(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    plan = plan_of([["a"], ["b"]])
    assert ledger.start(execution.id, plan, lease_s=LONG_S, keys=["key-a"]).held == NOTHING
    assert held(ledger, "key-a") == NOTHING


def test_tenants_hold_nothing_from_each_other(ledger: Ledger) -> None:
    holding(ledger, "key-a")
    other = started(ledger, plan_of([["a"]]), tenant="other")
    assert ledger.claim(other, 0, 0, lease_s=LONG_S, keys=["key-a"]).held == NOTHING


def test_a_commit_replaces_the_mark_by_the_result(ledger: Ledger) -> None:
    execution_id, token = holding(ledger, "key-a")
    ledger.commit(execution_id, 0, 0, token, [succeeded("a", key="key-a")], done=False)
    assert held(ledger, "key-a") == Held({"key-a": Source(execution_id)}, frozenset())


def test_a_failed_node_frees_its_key(ledger: Ledger) -> None:
    execution_id, token = holding(ledger, "key-a", "key-b")
    ledger.commit(execution_id, 0, 0, token, [failed("a", key="key-a")], done=False)
    assert held(ledger, "key-a", "key-b") == Held({}, frozenset({"key-b"}))


def test_a_done_shard_holds_nothing(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, keys=["key-a"]).token
    ledger.commit(execution_id, 0, 0, token, [], done=True)
    assert held(ledger, "key-a") == NOTHING


def test_a_shard_whose_lease_ran_out_holds_nothing(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    holding(ledger, "key-a", lease_s=SHORT_S)
    subject.pass_time(SHORT_S + 0.05)
    assert held(ledger, "key-a") == NOTHING
    assert held(ledger, "key-a").elsewhere == {"key-a"}, "the one before holds it now"


def test_a_shard_holds_its_keys_as_long_as_its_lease_is_renewed_and_no_longer(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id, token = holding(ledger, "key-a", lease_s=SHORT_S)
    ledger.renew(execution_id, 0, 0, token, lease_s=3 * SHORT_S)
    subject.pass_time(2 * SHORT_S)
    assert held(ledger, "key-a").elsewhere == {"key-a"}
    subject.pass_time(2 * SHORT_S)
    assert held(ledger, "key-a") == NOTHING


def test_a_shard_of_a_later_stage_holds_nothing_before_it_is_claimed(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, keys=["key-a"]).token
    assert ledger.claim(execution_id, 1, 0, lease_s=LONG_S, keys=["key-b"]).held == NOTHING
    ledger.commit(execution_id, 0, 0, token, [], done=True)
    ledger.advance(execution_id, 1)
    assert held(ledger, "key-a", "key-b") == NOTHING


def test_an_attempt_that_begins_anew_holds_nothing_of_the_one_before(ledger: Ledger) -> None:
    execution_id, _ = holding(ledger, "key-a")
    ledger.cancel(execution_id)
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    ledger.start(execution_id, plan_of([["a"]]), lease_s=LONG_S)
    assert held(ledger, "key-a") == NOTHING


def test_a_shard_that_was_claimed_anew_holds_what_its_new_claim_asks_for(ledger: Ledger) -> None:
    execution_id, old = holding(ledger, "key-a", "key-b", lease_s=0.0)
    claim = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, keys=["key-a"])
    assert claim.held == NOTHING
    assert held(ledger, "key-a", "key-b") == Held({}, frozenset({"key-a"}))
    assert ledger.hold(execution_id, 0, 0, old, ["key-c"]) == NOTHING
    assert held(ledger, "key-c") == NOTHING, "an older token marks nothing"


@pytest.mark.parametrize("how", ["fail", "cancel"])
def test_an_execution_that_ended_holds_nothing(ledger: Ledger, how: str) -> None:
    execution_id, _ = holding(ledger, "key-a")
    assert ledger.fail(execution_id, ERROR) if how == "fail" else ledger.cancel(execution_id)
    assert held(ledger, "key-a") == NOTHING


def test_who_took_a_key_over_keeps_it_when_the_one_before_fails(ledger: Ledger) -> None:
    slow, token = holding(ledger, "key-a", lease_s=0.0)
    holding(ledger, "key-a")
    status = ledger.commit(slow, 0, 0, token, [failed("a", key="key-a")], done=True)
    assert status is CommitStatus.ENDED
    assert held(ledger, "key-a").elsewhere == {"key-a"}


def test_what_is_unknown_holds_nothing(ledger: Ledger) -> None:
    assert ledger.hold("nothing", 0, 0, 1, ["key-a"]) == NOTHING
    assert ledger.claim("nothing", 0, 0, lease_s=LONG_S, keys=["key-a"]).held == NOTHING


def test_a_shard_that_was_not_claimed_marks_no_keys(ledger: Ledger) -> None:
    busy, _ = holding(ledger, "key-a")
    assert ledger.claim(busy, 0, 0, lease_s=LONG_S, keys=["key-b"]).held == NOTHING
    assert held(ledger, "key-b") == NOTHING


def test_thousands_of_keys_are_held_by_one_claim(ledger: Ledger) -> None:
    keys = [f"key-{i}" for i in range(5_000)]
    holding(ledger, *keys)
    assert held(ledger, *keys).elsewhere == set(keys)
