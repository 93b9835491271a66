"""The ledgers in Redis and in memory answer alike, whatever is done to them in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, NodeRecord
from qmtl.orchestrator.execution.ledger import Ledger, NodeCommit
from tests.support.ledgers import (
    ERROR,
    LedgerUnderTest,
    failed,
    memory_ledger,
    new_execution,
    plan_of,
    redis_ledger,
    succeeded,
)
from tests.support.servers import unique

EXECUTIONS = st.sampled_from(["x1", "x2"])
STAGES = st.integers(0, 2)
SHARDS = st.integers(0, 1)
LEASES = st.sampled_from([0.0, 60.0])  # run out at once, or never
PLANS = st.sampled_from(
    [
        plan_of([["a", "b"], ["c"]], [["d"]]),
        plan_of([["a"]], max_history=1),
        plan_of([["a", "b", "c"]], [["d", "e"]], interval_ns=None),
        plan_of(),
    ]
)
COMMITS = st.lists(
    st.sampled_from([make(node_id) for make in (succeeded, failed) for node_id in "abcd"]),
    max_size=3,
)


def untimed(found: Any) -> Any:
    """Leave out the times that a server's own clock gives; keep whether there are any."""
    match found:
        case Execution() | NodeRecord():
            fields = {"started_ms", "ended_ms"} & set(found.__struct_fields__)
            known = {name: 0 for name in fields if getattr(found, name) is not None}
            return msgspec.structs.replace(found, **known)
        case dict():
            return {key: untimed(value) for key, value in found.items()}
        case tuple() | list():
            return [untimed(each) for each in found]
        case _:
            return found


def in_any_order(method: str, found: Any) -> Any:
    """Order what is due: executions may become due in the same millisecond."""
    return sorted(found, key=lambda due: due.execution_id) if method == "due" else found


def answer(ledger: Ledger, method: str, *arguments: Any, **options: Any) -> Any:
    """Return what a method gives, or the kind of error that it raises."""
    try:
        return getattr(ledger, method)(*arguments, **options)
    except ValueError as error:
        return type(error)


class Ledgers(RuleBasedStateMachine):
    """Does the same to both ledgers and compares every answer."""

    redis_settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self.memory: LedgerUnderTest = memory_ledger()
        self.redis: LedgerUnderTest = redis_ledger(
            replace(self.redis_settings, cell=unique("cell"))
        )
        self.tokens = 0

    def both(self, method: str, *arguments: Any, **options: Any) -> Any:
        expected = answer(self.memory.ledger, method, *arguments, **options)
        found = answer(self.redis.ledger, method, *arguments, **options)
        assert untimed(in_any_order(method, found)) == untimed(in_any_order(method, expected))
        return expected

    @rule(id_=EXECUTIONS, adhoc=st.booleans())
    def create(self, id_: str, adhoc: bool) -> None:
        self.both("create", new_execution(id=id_, adhoc=adhoc), {"prices": b"1"})

    @rule(id_=EXECUTIONS, plan=PLANS)
    def start(self, id_: str, plan: Any) -> None:
        self.both("start", id_, plan)

    @rule(id_=EXECUTIONS, stage=STAGES, shard=SHARDS, lease_s=LEASES)
    def claim(self, id_: str, stage: int, shard: int, lease_s: float) -> None:
        claim = self.both("claim", id_, stage, shard, lease_s=lease_s)
        self.tokens = max(self.tokens, claim.token)

    @rule(id_=EXECUTIONS, stage=STAGES, shard=SHARDS, back=st.integers(0, 2), lease_s=LEASES)
    def renew(self, id_: str, stage: int, shard: int, back: int, lease_s: float) -> None:
        self.both("renew", id_, stage, shard, max(0, self.tokens - back), lease_s=lease_s)

    @rule(
        id_=EXECUTIONS,
        stage=STAGES,
        shard=SHARDS,
        back=st.integers(0, 2),
        nodes=COMMITS,
        done=st.booleans(),
    )
    def commit(
        self, id_: str, stage: int, shard: int, back: int, nodes: list[NodeCommit], done: bool
    ) -> None:
        token = max(0, self.tokens - back)
        self.both("commit", id_, stage, shard, token, nodes, done=done)

    @rule(id_=EXECUTIONS, lease_s=LEASES, nodes=COMMITS, data=st.data())
    def run_a_shard(self, id_: str, lease_s: float, nodes: list[NodeCommit], data: Any) -> None:
        """Reach the later stages more often than single steps would."""
        stage, shard = data.draw(STAGES), data.draw(SHARDS)
        claim = self.both("claim", id_, stage, shard, lease_s=lease_s)
        self.tokens = max(self.tokens, claim.token)
        self.both("commit", id_, stage, shard, claim.token, nodes, done=True)
        self.both("advance", id_, stage + 1)

    @rule(id_=EXECUTIONS, stage=st.integers(0, 3))
    def advance(self, id_: str, stage: int) -> None:
        self.both("advance", id_, stage)

    @rule(id_=EXECUTIONS)
    def fail(self, id_: str) -> None:
        self.both("fail", id_, ERROR)

    @rule(unclaimed_s=st.sampled_from([0.0, 1_000.0]))
    def due(self, unclaimed_s: float) -> None:
        self.both("due", limit=10, again_s=1_000.0, unclaimed_s=unclaimed_s)

    @invariant()
    def they_look_alike(self) -> None:
        for id_ in ("x1", "x2"):
            self.both("records", id_)
            self.both("values", id_, list("abcde"))
            self.both("plan", id_)
        self.both("page", "acme", strategy="golden_cross", before="", limit=10)
        self.both("counts")
        for node_id in "ad":
            self.both("history", new_execution().line, node_id, count=5)
        assert self.redis.outbox.backlog() == self.memory.outbox.backlog()


def test_both_ledgers_answer_alike(settings: Settings) -> None:
    class OnRedis(Ledgers):
        redis_settings = settings

    run_state_machine_as_test(
        OnRedis,
        settings=hypothesis_settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
