"""The ledgers in Redis and in memory answer alike, whatever is done to them in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from qmtl.common.settings import Settings
from qmtl.models.datanode import SourceInput
from qmtl.models.execution import Execution, NodeRecord, Pin, Plan
from qmtl.orchestrator.execution.ledger import HistoryRequest, Ledger, NodeCommit
from tests.support.ledgers import (
    DAY_MS,
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

STAGES = st.integers(0, 1)
SHARDS = st.integers(0, 1)
LEASES = st.sampled_from([0.0, 60.0])  # run out at once, or never
PRICES = (SourceInput(argument="p", variable="p"),)
PLANS = st.sampled_from(
    [
        plan_of([["a", "b"], ["c"]], [["d"]]),
        plan_of([["a"]], max_history=1),
        msgspec.structs.replace(
            plan_of([["a"]], inputs=PRICES), pins=(Pin(variable="p", source="p", revision=1),)
        ),
        msgspec.structs.replace(
            plan_of([["a"]], inputs=PRICES), pins=(Pin(variable="p", source="p", revision=2),)
        ),
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
        self.count = 0
        self.id = ""
        self.tokens: dict[tuple[int, int], list[int]] = {}

    def both(self, method: str, *arguments: Any, **options: Any) -> Any:
        expected = answer(self.memory.ledger, method, *arguments, **options)
        found = answer(self.redis.ledger, method, *arguments, **options)
        assert untimed(in_any_order(method, found)) == untimed(in_any_order(method, expected))
        return expected

    def claim(self, stage: int, shard: int, lease_s: float) -> int:
        token: int = self.both("claim", self.id, stage, shard, lease_s=lease_s).token
        if token:
            self.tokens.setdefault((stage, shard), []).append(token)
        return token

    @initialize(plan=PLANS, adhoc=st.booleans())
    def begin_the_first_execution(self, plan: Plan, adhoc: bool) -> None:
        self.begin_an_execution(plan, adhoc)

    @rule(plan=PLANS, adhoc=st.booleans())
    def begin_an_execution(self, plan: Plan, adhoc: bool) -> None:
        self.count += 1
        self.id = f"x{self.count}"
        self.tokens = {}
        self.both("create", new_execution(id=self.id, adhoc=adhoc), {"prices": b"1"})
        self.both("start", self.id, plan)

    @rule()
    def create_without_a_start(self) -> None:
        self.both("create", new_execution(id=f"waiting{self.count}"), {})

    @rule(plan=PLANS)
    def start_again(self, plan: Plan) -> None:
        self.both("start", self.id, plan)

    @rule(stage=STAGES, shard=SHARDS, lease_s=LEASES)
    def claim_a_shard(self, stage: int, shard: int, lease_s: float) -> None:
        self.claim(stage, shard, lease_s)

    @rule(stage=STAGES, shard=SHARDS, lease_s=LEASES, data=st.data())
    def renew_under_some_token(
        self, stage: int, shard: int, lease_s: float, data: st.DataObject
    ) -> None:
        token = data.draw(st.sampled_from([0, *self.tokens.get((stage, shard), [])]))
        self.both("renew", self.id, stage, shard, token, lease_s=lease_s)

    @rule(stage=STAGES, shard=SHARDS, nodes=COMMITS, done=st.booleans(), data=st.data())
    def commit_under_some_token(
        self, stage: int, shard: int, nodes: list[NodeCommit], done: bool, data: st.DataObject
    ) -> None:
        token = data.draw(st.sampled_from([0, *self.tokens.get((stage, shard), [])]))
        self.both("commit", self.id, stage, shard, token, nodes, done=done)

    @rule(lease_s=LEASES, broken=st.booleans(), on=st.booleans())
    def run_a_stage(self, lease_s: float, broken: bool, on: bool) -> None:
        execution = self.memory.ledger.get("acme", self.id)
        plan = self.memory.ledger.plan(self.id)
        if plan is None or execution.stage < 0:
            return
        for shard in range(len(plan.stages[execution.stage])):
            token = self.claim(execution.stage, shard, lease_s)
            ids = [node.node_id for node in plan.shard(execution.stage, shard)]
            nodes = [failed(n) if broken else succeeded(n) for n in ids]
            self.both("commit", self.id, execution.stage, shard, token, nodes, done=True)
        if on:
            self.advance()

    @rule(stage=st.integers(0, 3))
    def advance_to(self, stage: int) -> None:
        self.both("advance", self.id, stage)

    @rule()
    def advance(self) -> None:
        self.both("advance", self.id, self.memory.ledger.get("acme", self.id).stage + 1)

    @rule()
    def fail(self) -> None:
        self.both("fail", self.id, ERROR)

    @rule(unclaimed_s=st.sampled_from([0.0, 1_000.0]))
    def look_for_what_is_due(self, unclaimed_s: float) -> None:
        self.both("due", limit=10, again_s=1_000.0, unclaimed_s=unclaimed_s)

    @invariant()
    def they_look_alike(self) -> None:
        self.both("records", self.id)
        self.both("page", "acme", strategy="golden_cross", before="", limit=10)
        assert self.redis.outbox.backlog() == self.memory.outbox.backlog()

    def teardown(self) -> None:
        self.both("values", self.id, list("abcde"))
        self.both("plan", self.id)
        self.both("inputs", self.id)
        self.both("counts")
        for node_id in "abcde":
            self.both("history", new_execution().line, node_id, count=5)
        requests = [HistoryRequest(n, until, 5) for n in "abcde" for until in (0, 20 * DAY_MS)]
        self.both("histories", [(new_execution().line, wanted) for wanted in requests])
        self.both("values_of", [(self.id, n) for n in "abcde"])


def test_both_ledgers_answer_alike(settings: Settings) -> None:
    class OnRedis(Ledgers):
        redis_settings = settings

    run_state_machine_as_test(
        OnRedis,
        settings=hypothesis_settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
