"""Whatever is forgotten in whatever order, nothing that is there refers to a value that is gone.

Both ledgers do the same. What may be read are points of histories, what the plan of an execution
names, and the results of an execution itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from qmtl.common.errors import IdempotencyConflict, UnknownExecution
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState, Found, Lookup, NodeState, Plan
from qmtl.orchestrator.execution.ledger_types import ClaimStatus, Reuse, StartStatus
from tests.support.ledgers import (
    DAY_MS,
    DAY_NS,
    LONG_S,
    NOT_RETAINED_S,
    HandClock,
    LedgerUnderTest,
    failed,
    hand_timed_redis_ledger,
    memory_ledger,
    new_execution,
    place_at,
    plan_of,
    succeeded,
)
from tests.support.servers import unique

NODES = ("a", "b")
DAYS = st.integers(1, 2)
RARELY = st.sampled_from([False, False, False, True])
MOSTLY = st.sampled_from([True, True, True, False])
LINE = new_execution().line
RETENTION_S = 100.0


class Forgetting(RuleBasedStateMachine):
    """Runs, replays, reopens and forgets executions in both ledgers."""

    redis_settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self.settings = replace(self.redis_settings, cell=unique("cell"))
        self.subjects: list[LedgerUnderTest] = [
            memory_ledger(retention_s=NOT_RETAINED_S),
            hand_timed_redis_ledger(self.settings, HandClock(), retention_s=NOT_RETAINED_S),
        ]
        self.client = connect(self.settings.state_url, timeout_s=5.0)
        self.key = Keys(self.settings.cell)
        self.made: list[Execution] = []
        self.values: dict[tuple[str, str], set[bytes]] = {}  # that were ever committed

    def both(self, method: str, *arguments: Any, **options: Any) -> Any:
        found = []
        for subject in self.subjects:
            try:
                found.append(getattr(subject.ledger, method)(*arguments, **options))
            except (UnknownExecution, IdempotencyConflict) as error:
                found.append(type(error))
        assert found[0] == found[1], (method, arguments, found)
        return found[0]

    def there(self) -> list[Execution]:
        found = [self.both("get", "acme", each.id) for each in self.made]
        return [each for each in found if isinstance(each, Execution)]

    def plan_of_now(self, *, done: tuple[str, ...] = ()) -> Plan:
        """Return a plan of both nodes that names all points that are there."""
        found = tuple(
            Found(
                name="",
                bucket_ns=point.bucket_ms * 1_000_000,
                execution_id=point.execution_id,
                node_id=node_id,
                digest=point.digest,
            )
            for node_id in NODES
            for point in self.both("history", LINE, node_id, interval_ms=DAY_MS, count=9)
        )
        lookups = (Lookup(node_id="a", argument="x", kind="window", found=found),)
        rest = [n for n in NODES if n not in done]
        plan = plan_of(*([[rest]] if rest else []), done=done)
        return msgspec.structs.replace(plan, lookups=lookups)

    def commit(self, execution: Execution, data: st.DataObject) -> None:
        """Commit both nodes; what had a result does not fail, since its value would be gone."""
        claim = self.both("claim", execution.id, 0, 0, lease_s=LONG_S)
        if claim.status is not ClaimStatus.RUN:
            return
        nodes = []
        for node_id in NODES:
            fails = [] if (execution.id, node_id) in self.values else ["fails"]
            what = data.draw(st.sampled_from(["small", "small", "large", "large", *fails]))
            keep, day = data.draw(st.integers(1, 2)), execution.bucket_ns // DAY_NS
            place = place_at(day, keep=keep) if data.draw(MOSTLY) else None
            if what == "fails":
                nodes.append(failed(node_id, place=place))
                continue
            value = f"{data.draw(st.integers(0, 1))}".encode() * (1 if what == "small" else 70_000)
            nodes.append(succeeded(node_id, value, key=f"key-{node_id}", place=place))
            self.values.setdefault((execution.id, node_id), set()).add(value)
        self.both("commit", execution.id, 0, 0, claim.token, nodes, done=True)

    # --- rules ---------------------------------------------------------------------------------

    @rule(day=DAYS, adhoc=RARELY, known=st.booleans(), again=RARELY, data=st.data())
    def run(self, day: int, adhoc: bool, known: bool, again: bool, data: st.DataObject) -> None:
        fields: dict[str, Any] = {
            "id": f"x{len(self.made)}",
            "adhoc": adhoc,
            "bucket_ns": day * DAY_NS,
            "created_ms": len(self.made) * 10,
        }
        if again and self.made:
            fields["id"] = data.draw(st.sampled_from(self.made)).id
        execution = new_execution(**fields)
        self.both("create", execution, {"prices": b"1"})
        self.made.append(execution)
        self.start(execution, known, data)

    @rule(data=st.data(), known=st.booleans())
    def go_on(self, known: bool, data: st.DataObject) -> None:
        for execution in self.there():
            self.start(execution, known, data)

    def start(self, execution: Execution, known: bool, data: st.DataObject) -> None:
        execution = self.both("get", "acme", execution.id)
        if not isinstance(execution, Execution) or execution.state is not ExecutionState.PENDING:
            return
        reused = []
        named = self.both("outlook", "acme", "s", [], [f"key-{n}" for n in NODES]).sources
        for node_id, each in zip(NODES, named, strict=True):
            source = "" if each is None else each.execution_id
            record = self.both("records_of", [(source, node_id)])[0]
            if known and record is not None and record.state.has_result:
                taken_over = msgspec.structs.replace(record, state=NodeState.REUSED)
                reused.append(Reuse(taken_over, source, "", None))
                taken = self.values[source, node_id]
                self.values.setdefault((execution.id, node_id), set()).update(taken)
        plan = self.plan_of_now(done=tuple(each.record.node_id for each in reused))
        if execution.replays:
            lent = self.both("plan", execution.replays)
            if lent is None:
                self.both("cancel", execution.id)
                return
            plan = msgspec.structs.replace(plan, lookups=lent.lookups)
        elif execution.attempt > 1 and self.both("plan", execution.id) is not None:
            lookups = self.both("plan", execution.id).lookups
            plan = msgspec.structs.replace(plan, lookups=lookups)
        if self.both("start", execution.id, plan, reused).status is StartStatus.STARTED and (
            data.draw(MOSTLY)
        ):
            self.commit(execution, data)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        for execution in self.there():
            if execution.state is ExecutionState.RUNNING:
                self.commit(execution, data)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.made:
            self.both("cancel", data.draw(st.sampled_from(self.made)).id)

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        over = [each for each in self.there() if each.state.ended]
        if over:
            each = data.draw(st.sampled_from(over))
            self.both("reopen", each.id, attempt=each.attempt, clear=["a"], fresh=True)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        over = [each for each in self.there() if each.state.ended]
        planned = [each for each in over if self.both("plan", each.id) is not None]
        if planned:
            original = data.draw(st.sampled_from(planned))
            replay = new_execution(
                id=f"x{len(self.made)}",
                adhoc=True,
                replays=original.id,
                created_ms=len(self.made) * 10,
            )
            self.both("create", replay, {})
            self.made.append(replay)

    @rule(seconds=st.sampled_from([1.0, RETENTION_S / 2, RETENTION_S]))
    def pass_time(self, seconds: float) -> None:
        for subject in self.subjects:
            subject.pass_time(seconds)

    @rule(
        mirrored=st.sampled_from([True, True, False]),
        kept_s=st.sampled_from([0.0, 0.0, RETENTION_S]),
        limit=st.sampled_from([1, 100]),
    )
    def forget(self, mirrored: bool, kept_s: float, limit: int) -> None:
        for subject in self.subjects if mirrored else ():
            while entries := subject.outbox.read("m", limit=100, wait_s=0.0, idle_s=LONG_S):
                subject.outbox.acknowledge(entries)
            subject.outbox.trim()
        self.both("forget", retention_s=kept_s, limit=limit)

    # --- laws ----------------------------------------------------------------------------------

    @invariant()
    def what_is_there_refers_to_nothing_that_is_gone(self) -> None:
        results = [
            (point.execution_id, node_id)
            for node_id in NODES
            for point in self.both("history", LINE, node_id, interval_ms=DAY_MS, count=9)
        ]
        for execution in self.there():
            plan = self.both("plan", execution.id)
            if plan is None:
                assert execution.stages == 0
                continue
            results += [(f.execution_id, f.node_id) for x in plan.lookups for f in x.found]
            records = self.both("records", execution.id)
            results += [(execution.id, n) for n, r in records.items() if r.state.has_result]
        for execution_id, node_id in set(results):
            value = self.both("values", execution_id, [node_id]).get(node_id)
            assert value in self.values[execution_id, node_id], execution_id

    @invariant()
    def what_is_shared_in_redis_stays_while_it_is_named(self) -> None:
        client, key = self.client, self.key
        named = {key("shape", self.both("plan", e.id).shape) for e in self.there() if e.stages}
        for name in client.scan_iter(key("exec", "*", "values")):
            named |= {key("val", v[1:].decode()) for v in client.hvals(name) if v[:1] == b"r"}
        assert {client.ttl(name) for name in named} <= {-1}

    @invariant()
    def pages_show_what_is_there(self) -> None:
        page, _ = self.both("page", "acme", strategy=None, before="", limit=1_000)
        assert {each.id for each in page} == {each.id for each in self.there()}

    def teardown(self) -> None:
        for execution in self.made:
            self.both("cancel", execution.id)
        for _ in range(4):
            self.pass_time(RETENTION_S)
            self.forget(mirrored=True, kept_s=0.0, limit=1_000)
        assert self.there() == []
        named = {
            point.execution_id
            for node_id in NODES
            for point in self.both("history", LINE, node_id, interval_ms=DAY_MS, count=9)
        }
        client, key = self.client, self.key
        left = {
            name.decode().removeprefix(key("exec", "")).partition(":")[0]
            for name in client.scan_iter(key("exec", "*"))
            if client.ttl(name) == -1
        }
        assert left == named
        uses = {name.decode() for name in client.hgetall(key("uses"))}
        stay = [key(kind, "*") for kind in ("val", "shape")]
        lasting = {
            name.decode().removeprefix(key.prefix)
            for pattern in stay
            for name in client.scan_iter(pattern)
            if client.ttl(name) == -1
        }
        assert lasting == uses
        assert all(name.startswith("val:") for name in uses)
        assert client.zcard(key("ended")) == client.zcard(key("replays", "acme")) == 0


def test_nothing_that_is_there_refers_to_what_is_gone(settings: Settings) -> None:
    class OnRedis(Forgetting):
        redis_settings = settings

    run_state_machine_as_test(
        OnRedis,
        settings=hypothesis_settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
