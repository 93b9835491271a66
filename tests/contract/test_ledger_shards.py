"""Who has a shard, for how long, and how shards went."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from qmtl.models.execution import (
    ShardRecord,
    Spent,
)
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    MOST_GIVEN_BACK,
    Claim,
    ClaimStatus,
    Held,
    Source,
)
from tests.support.ledgers import (
    ERROR,
    LONG_S,
    SHORT_S,
    LedgerUnderTest,
    claimed,
    new_execution,
    plan_of,
    run_shard,
    started,
    succeeded,
)


def test_a_claimed_shard_is_busy_for_others(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    claimed(ledger, execution_id)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S) == Claim(ClaimStatus.BUSY)


def test_one_of_many_that_claim_at_once_gets_the_shard(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(lambda _: ledger.claim(execution_id, 0, 0, lease_s=LONG_S), "12345678")
        )
    assert [claim.status for claim in claims].count(ClaimStatus.RUN) == 1


def test_a_shard_whose_lease_ran_out_is_claimed_under_a_greater_token(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    first = ledger.claim(execution_id, 0, 0, lease_s=SHORT_S)
    subject.pass_time(SHORT_S + 0.05)
    second = ledger.claim(execution_id, 0, 0, lease_s=LONG_S)
    assert second.status is ClaimStatus.RUN
    assert second.token > first.token


def test_tokens_grow_over_all_shards_of_an_execution(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    assert claimed(ledger, execution_id, shard=1) < claimed(ledger, execution_id, shard=0)


def test_a_claim_says_whether_the_shard_was_claimed_before(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"], ["c"]]))
    assert not ledger.claim(execution_id, 0, 0, lease_s=0.0).again
    assert not ledger.claim(execution_id, 0, 1, lease_s=0.0).again
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=False)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).again


def test_a_claim_tells_how_often_the_shard_was_claimed_and_got_no_further(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"], ["c"]]))

    def claim(shard: int) -> Claim:
        return ledger.claim(execution_id, 0, shard, lease_s=0.0)

    assert [claim(0).attempt for _ in range(3)] == [1, 2, 3]
    assert claim(1).attempt == 1, "each shard has a count of its own"
    fourth = claim(0)
    assert fourth.attempt == 4
    ledger.commit(execution_id, 0, 0, fourth.token, [], done=False)
    assert claim(0).attempt == 5, "a commit of no node gets it no further"
    ledger.commit(execution_id, 0, 0, claim(0).token, [succeeded("a")], done=False)
    assert claim(0).attempt == 1


def test_a_claim_that_is_given_back_counts_no_more(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    first = ledger.claim(execution_id, 0, 0, lease_s=0.0)
    ledger.give_back(execution_id, 0, 0, first.token)
    second = ledger.claim(execution_id, 0, 0, lease_s=0.0)
    third = ledger.claim(execution_id, 0, 0, lease_s=LONG_S)
    assert [second.attempt, third.attempt] == [1, 2]
    ledger.give_back(execution_id, 0, 0, second.token)
    assert ledger.shards(execution_id)[0].claims == 1, (
        "also when somebody else has the shard by now"
    )
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S) == Claim(ClaimStatus.BUSY)


def test_a_claim_is_given_back_once(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    ledger.claim(execution_id, 0, 0, lease_s=0.0)
    for _ in range(3):
        ledger.give_back(execution_id, 0, 0, token)
    assert ledger.claim(execution_id, 0, 0, lease_s=0.0).attempt == 2


def test_what_does_not_count_any_more_is_not_given_back(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=False)
    ledger.give_back(execution_id, 0, 0, token)
    ledger.give_back("nothing", 0, 0, token)
    assert ledger.claim(execution_id, 0, 0, lease_s=0.0).attempt == 1


def test_claims_of_a_shard_are_given_back_so_often_and_no_more(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    for _ in range(MOST_GIVEN_BACK + 2):
        for shard in range(2):
            claim = ledger.claim(execution_id, 0, shard, lease_s=0.0)
            if shard == 0:
                ledger.give_back(execution_id, 0, shard, claim.token)
    assert [shard.claims for shard in ledger.shards(execution_id)] == [2, MOST_GIVEN_BACK + 2]
    ledger.give_back(execution_id, 0, 1, claim.token)
    assert ledger.shards(execution_id)[1].claims == MOST_GIVEN_BACK + 1, "each has its own bound"


def test_a_claim_of_an_earlier_attempt_is_not_given_back(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    old = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    ledger.cancel(execution_id)
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    ledger.start(execution_id, plan_of([["a"]]))
    new = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.give_back(execution_id, 0, 0, old)
    assert ledger.shards(execution_id)[0].claims == 1
    ledger.give_back(execution_id, 0, 0, new)
    assert ledger.shards(execution_id)[0].claims == 0


def test_a_shard_tells_the_runtime_that_was_not_planned_for(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]], [["c"]]))
    assert not ledger.claim(execution_id, 0, 0, lease_s=0.0).mixed
    assert not ledger.get("acme", execution_id).mixed
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S, runtime="newer").mixed
    assert ledger.claim(execution_id, 0, 1, lease_s=LONG_S).mixed, "it may read what that one gave"
    assert ledger.get("acme", execution_id).mixed
    assert [shard.runtime for shard in ledger.shards(execution_id)] == ["newer", "", ""]


def test_a_claim_in_a_mixed_execution_neither_marks_nor_finds_results(ledger: Ledger) -> None:
    source = started(ledger, plan_of([["a"]]))
    token = ledger.claim(source, 0, 0, lease_s=LONG_S).token
    ledger.commit(source, 0, 0, token, [succeeded("a", key="key-a")], done=True)
    keys = ["key-a", "key-b"]
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    for shard, runtime in enumerate(["newer", ""]):
        claim = ledger.claim(execution_id, 0, shard, lease_s=LONG_S, keys=keys, runtime=runtime)
        assert claim.held == Held()
    after = ledger.claim(started(ledger, plan_of([["a"]])), 0, 0, lease_s=LONG_S, keys=keys)
    assert after.held == Held({"key-a": Source(source)}, frozenset())


def test_a_done_shard_is_done_for_whoever_claims_it(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S) == Claim(ClaimStatus.DONE)


@pytest.mark.parametrize(("stage", "shard"), [(1, 0), (0, 7), (-1, 0)])
def test_a_shard_that_is_not_of_the_running_stage_is_gone(
    ledger: Ledger, stage: int, shard: int
) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    assert ledger.claim(execution_id, stage, shard, lease_s=LONG_S) == Claim(ClaimStatus.GONE)


def test_a_stage_that_was_left_behind_is_gone(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    ledger.advance(execution_id, 1)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.GONE


def test_shards_of_what_is_not_running_are_gone(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.claim(execution.id, 0, 0, lease_s=LONG_S).status is ClaimStatus.GONE
    assert ledger.claim("nothing", 0, 0, lease_s=LONG_S).status is ClaimStatus.GONE


def test_a_renewed_lease_keeps_the_shard(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=SHORT_S).token
    assert ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    subject.pass_time(SHORT_S + 0.05)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.BUSY


def test_a_lease_that_ran_out_is_renewed_where_nobody_took_the_shard(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    assert ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.BUSY


def test_a_lease_that_somebody_else_took_is_not_renewed(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    old = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    claimed(ledger, execution_id)
    assert not ledger.renew(execution_id, 0, 0, old, lease_s=LONG_S)


def test_no_lease_is_renewed_once_the_execution_ended(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    ledger.fail(execution_id, ERROR)
    assert not ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)


def test_shards_tell_how_they_went(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"], ["c"]], [["d"]]))
    ledger.claim(execution_id, 0, 0, lease_s=0.0)
    claimed(ledger, execution_id, shard=0)
    token = claimed(ledger, execution_id, shard=1)
    spent = Spent(fetch_us=1, execute_us=2, commit_us=3)
    ledger.commit(execution_id, 0, 1, token, [succeeded("b")], done=True, spent=spent)
    twice, done, untouched, later = ledger.shards(execution_id)
    assert (twice.stage, twice.shard, twice.claims, twice.alive) == (0, 0, 2, True)
    assert (done.claims, done.alive, done.spent) == (0, False, spent)
    assert done.claimed_ms is not None
    assert done.done_ms is not None
    assert untouched == ShardRecord(stage=0, shard=2)
    assert later == ShardRecord(stage=1, shard=0)


def test_a_shard_whose_lease_ran_out_is_not_alive(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    ledger.claim(execution_id, 0, 0, lease_s=0.0)
    (shard,) = ledger.shards(execution_id)
    assert shard.claimed_ms is not None
    assert not shard.alive


def test_before_the_start_there_are_no_shards(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.shards(execution.id) == ledger.shards("nothing") == []
