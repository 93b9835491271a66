"""The ledgers in Redis and in memory answer alike, whatever is done to them in whatever order.

Workers may stop after any call: what they held is left as it is, and others go on. At the end of
each run a reaper and a worker go on until every execution ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    precondition,
    rule,
    run_state_machine_as_test,
)

from qmtl.common.codec import digest
from qmtl.common.errors import Overloaded
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState, Plan, Spent
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    HistoryRequest,
    MostOpen,
    NodeCommit,
    StartStatus,
)
from tests.support.ledgers import (
    DAY_MS,
    DAY_NS,
    ERROR,
    HandClock,
    LedgerUnderTest,
    attempted,
    failed,
    hand_timed_redis_ledger,
    memory_ledger,
    new_execution,
    place_at,
    plan_of,
    reuse,
    succeeded,
    waited_for,
)
from tests.support.servers import unique


def came_to_another(node_id: str, **fields: Any) -> NodeCommit:
    """Return the commit of a node with another result than it has elsewhere."""
    return succeeded(node_id, b"2", **fields)


STAGES = st.integers(0, 1)
SHARDS = st.integers(0, 1)
ATTEMPTS = st.sampled_from([None, None, 1, 2])
LEASES = st.sampled_from([0.0, 5.0, 60.0])
NODES = "abcde"
SHAPES = [
    [[["a", "b"], ["c"]], [["d"]]],
    [[["a"]]],
    [[["a", "b", "c"]], [["d"], ["e"]]],
    [[["b"], ["c"]]],
    [[["a"]], []],
    [],
]
PLACES = [None, *(place_at(d, keep=k, revision=r, of="5") for d, k, r in ((1, 1, 1), (1, 2, 2)))]
PLACES += [place_at(2, keep=1, revision=2, of="5"), place_at(3, keep=1, revision=1, of="7")]
COMMITS = st.lists(
    st.builds(
        lambda make, node_id, keyed, place: make(
            node_id, key=f"key-{node_id}" if keyed else "", place=place
        ),
        st.sampled_from([succeeded, failed, waited_for, came_to_another]),
        st.sampled_from(NODES),
        st.booleans(),
        st.sampled_from(PLACES),
    ),
    max_size=3,
)
KEYS = st.lists(st.sampled_from([f"key-{n}" for n in NODES]), max_size=3)
SPENT = st.sampled_from([None, Spent(fetch_us=1), Spent(execute_us=2)])
MOST_ROUNDS = 100


def answer(ledger: Ledger, method: str, *arguments: Any, **options: Any) -> Any:
    """Return what a method gives, or the kind of error that it raises."""
    try:
        found = getattr(ledger, method)(*arguments, **options)
    except Overloaded as error:
        return type(error)
    if method == "due":  # executions may become due in the same millisecond
        return sorted(found, key=lambda due: due.execution_id)
    return found


class Ledgers(RuleBasedStateMachine):
    """Does the same to both ledgers and compares every answer."""

    redis_settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self.settings = replace(self.redis_settings, cell=unique("cell"))
        self.memory: LedgerUnderTest = memory_ledger()
        self.redis: LedgerUnderTest = hand_timed_redis_ledger(self.settings, HandClock())
        self.shapes: dict[str, Any] = {}
        self.id = ""
        self.tokens: dict[tuple[str, int, int], list[int]] = {}
        self.cleared: Counter[tuple[str, str]] = Counter()

    def both(self, method: str, *arguments: Any, **options: Any) -> Any:
        expected = answer(self.memory.ledger, method, *arguments, **options)
        found = answer(self.redis.ledger, method, *arguments, **options)
        assert found == expected, (method, arguments, options, found, expected)
        return expected

    def get(self, execution_id: str) -> Execution:
        return self.memory.ledger.get("acme", execution_id)

    # --- what planners, workers and reapers do -------------------------------------------------

    def plan_and_start(
        self,
        execution_id: str,
        lease_s: float | None = None,
        keys: Sequence[str] = (),
        *,
        late: bool = False,
        attempt: int | None = None,
    ) -> None:
        execution = self.get(execution_id)
        shape = self.shapes[execution_id]
        ids = [n for stage in shape for shard in stage for n in shard]
        done = list(self.both("records", execution_id))
        outlook = self.both("outlook", "acme", "golden_cross", ids, [f"key-{n}" for n in ids])
        known = dict(zip(ids, outlook.sources, strict=True))
        reused = [
            reuse(n, source.execution_id, key=f"key-{n}", place=place_at(2, keep=1))
            for n, source in known.items()
            if source and not execution.fresh and n not in done
        ]
        turn = self.both("turn", execution_id)
        if turn is not None:
            turn -= late
        found = self.both(
            "start",
            execution_id,
            rest_of(shape, done, reused),
            reused,
            lease_s=lease_s,
            keys=keys,
            turn=turn,
            attempt=attempt,
        )
        if found.status is StartStatus.LOST:  # its source was reopened: compute it all
            found = self.both("start", execution_id, rest_of(shape, done, []), lease_s=lease_s)
        if found.token:
            self.tokens.setdefault((execution_id, 0, 0), []).append(found.token)

    def claim(self, execution_id: str, stage: int, shard: int, **options: Any) -> Claim:
        claim: Claim = self.both("claim", execution_id, stage, shard, **options)
        if claim.token:
            self.tokens.setdefault((execution_id, stage, shard), []).append(claim.token)
        return claim

    def some_token(self, data: st.DataObject, stage: int, shard: int) -> int:
        return data.draw(st.sampled_from([0, *self.tokens.get((self.id, stage, shard), [])]))

    def run_shard(self, execution_id: str, stage: int, shard: int, *, broken: bool = False) -> None:
        plan = self.both("plan", execution_id)
        ids = [node.node_id for node in plan.shard(stage, shard)]
        keys = [f"key-{n}" for n in ids]
        claim = self.claim(execution_id, stage, shard, lease_s=5.0, keys=keys)
        if claim.status is not ClaimStatus.RUN:
            return
        make = failed if broken else succeeded
        attempt = self.get(execution_id).attempt
        nodes = [
            attempted(make(n, key=f"key-{n}", place=place_at(2, keep=2)), attempt) for n in ids
        ]
        status = self.both(
            "commit",
            execution_id,
            stage,
            shard,
            claim.token,
            nodes,
            done=True,
            spent=Spent(commit_us=7),
        )
        assert status is not CommitStatus.REFUSED
        if status is CommitStatus.STAGE_DONE:
            assert self.both("advance", execution_id, stage + 1) in {
                AdvanceStatus.MOVED,
                AdvanceStatus.ENDED,
            }

    # --- rules ---------------------------------------------------------------------------------

    @initialize(shape=st.sampled_from(SHAPES), ordered=st.booleans())
    def begin(self, shape: Any, ordered: bool) -> None:
        self.create(shape, ordered, adhoc=False, day=1, expires_s=None, most_open=None)
        self.plan_and_start(self.id)

    @rule(
        shape=st.sampled_from(SHAPES),
        ordered=st.booleans(),
        adhoc=st.booleans(),
        day=st.integers(-1, 2),
        wanted=st.sampled_from([(), ("a",)]),
        repairs_ns=st.sampled_from([None, None, 0, DAY_NS]),
        expires_s=st.sampled_from([None, None, 8.0]),
        most_open=st.sampled_from([None, MostOpen(3), MostOpen(of_tenant=2)]),
    )
    def create(
        self,
        shape: Any,
        ordered: bool,
        adhoc: bool,
        day: int,
        expires_s: float | None,
        most_open: MostOpen | None,
        wanted: tuple[str, ...] = (),
        repairs_ns: int | None = None,
    ) -> None:
        execution = new_execution(
            id=f"x{len(self.shapes) + 1}",
            ordered=ordered,
            adhoc=adhoc,
            bucket_ns=day * DAY_NS,
            targets=wanted,
            repairs_ns=repairs_ns,
            expires_s=expires_s,
            created_ms=len(self.shapes),
        )
        found = self.both("create", execution, {"prices": b"1"}, most_open=most_open)
        if found is not Overloaded:
            self.shapes[execution.id] = shape
            self.id = execution.id

    @rule()
    def create_again(self) -> None:
        assert not self.both("create", new_execution(id=self.id), {}, most_open=MostOpen(0, 0))[1]

    @rule(data=st.data())
    def turn_to_another(self, data: st.DataObject) -> None:
        self.id = data.draw(st.sampled_from(sorted(self.shapes)))

    @rule(
        lease_s=st.sampled_from([None, 5.0]),
        keys=KEYS,
        late=st.sampled_from([False, False, True]),
        attempt=ATTEMPTS,
    )
    def start(
        self, lease_s: float | None, keys: list[str], late: bool, attempt: int | None
    ) -> None:
        self.plan_and_start(self.id, lease_s, keys, late=late, attempt=attempt)

    @rule(known=st.booleans(), data=st.data())
    def settle(self, known: bool, data: st.DataObject) -> None:
        landed = self.both("landed", self.id, skip=0, limit=10)
        heirs = [None, landed.heir] if known and landed else [None, *self.shapes]
        self.both("settle", self.id, heir=data.draw(st.sampled_from(heirs)))
        self.both("next_of_line", self.id)

    @rule(node_id=st.sampled_from(NODES))
    def start_with_what_is_gone(self, node_id: str) -> None:
        found = self.both("start", self.id, plan_of(done=[node_id]), [reuse(node_id, "nothing")])
        if found.status is StartStatus.ENDED:  # it was there from an earlier attempt
            self.shapes[self.id] = [[[node_id]]]

    @rule(
        stage=STAGES,
        shard=SHARDS,
        lease_s=LEASES,
        keys=KEYS,
        runtime=st.sampled_from(["", "", "newer"]),
        seen=st.sampled_from([None, "latest", "none"]),
    )
    def claim_a_shard(
        self,
        stage: int,
        shard: int,
        lease_s: float,
        keys: list[str],
        runtime: str,
        seen: str | None,
    ) -> None:
        started_ms = None if seen is None else 0
        if seen == "latest":
            started_ms = self.get(self.id).started_ms
        options = {"lease_s": lease_s, "keys": keys, "runtime": runtime}
        self.claim(self.id, stage, shard, **options, started_ms=started_ms)

    @rule(stage=STAGES, shard=SHARDS, data=st.data())
    def give_back(self, stage: int, shard: int, data: st.DataObject) -> None:
        self.both("give_back", self.id, stage, shard, self.some_token(data, stage, shard))

    @rule(stage=STAGES, shard=SHARDS, keys=KEYS, data=st.data())
    def hold(self, stage: int, shard: int, keys: list[str], data: st.DataObject) -> None:
        token = self.some_token(data, stage, shard)
        self.both("hold", self.id, stage, shard, token, keys)

    @rule(stage=STAGES, shard=SHARDS, lease_s=LEASES, data=st.data())
    def renew(self, stage: int, shard: int, lease_s: float, data: st.DataObject) -> None:
        token = self.some_token(data, stage, shard)
        self.both("renew", self.id, stage, shard, token, lease_s=lease_s)

    @rule(
        stage=STAGES, shard=SHARDS, nodes=COMMITS, done=st.booleans(), spent=SPENT, data=st.data()
    )
    def commit(
        self,
        stage: int,
        shard: int,
        nodes: list[NodeCommit],
        done: bool,
        spent: Spent | None,
        data: st.DataObject,
    ) -> None:
        token = self.some_token(data, stage, shard)
        self.both("commit", self.id, stage, shard, token, nodes, done=done, spent=spent)

    @rule(broken=st.booleans())
    def run_a_stage(self, broken: bool) -> None:
        execution = self.get(self.id)
        plan = self.memory.ledger.plan(self.id)
        if plan is not None and execution.state is ExecutionState.RUNNING:
            for shard in range(len(plan.stages[execution.stage])):
                self.run_shard(self.id, execution.stage, shard, broken=broken)

    @rule(stage=st.integers(0, 3))
    def advance_to(self, stage: int) -> None:
        self.both("advance", self.id, stage)

    @rule()
    def advance(self) -> None:
        self.both("advance", self.id, self.get(self.id).stage + 1)

    @rule(how=st.sampled_from(["cancel", "expire"]))
    def end(self, how: str) -> None:
        self.both(how, self.id)
        self.both("next_of_line", self.id)

    @rule(attempt=ATTEMPTS, begun=st.booleans())
    def fail(self, attempt: int | None, begun: bool) -> None:
        self.both("fail", self.id, ERROR, attempt=attempt, begun=begun)
        self.both("next_of_line", self.id)

    @rule(attempt=st.integers(1, 2))
    def note_death(self, attempt: int) -> None:
        self.both("note_death", self.id, attempt=attempt)

    @precondition(lambda self: self.get(self.id).state.ended)
    @rule(clear=st.sets(st.sampled_from(NODES)), fresh=st.booleans(), seen=st.booleans())
    def reopen(self, clear: set[str], fresh: bool, seen: bool) -> None:
        there = self.memory.ledger.records(self.id)
        attempt = self.get(self.id).attempt - (not seen)
        if self.both("reopen", self.id, attempt=attempt, clear=sorted(clear), fresh=fresh):
            self.cleared.update((self.id, n) for n in clear & there.keys())

    @rule(seconds=st.sampled_from([1.0, 6.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        self.memory.pass_time(seconds)
        self.redis.pass_time(seconds)

    @rule()
    def half_the_memo_grows_old(self) -> None:
        self.pass_time(4 * 86_400.0)

    @rule(unclaimed_s=st.sampled_from([0.0, 4.0, 1_000.0]), hold_back=st.booleans())
    def look_for_what_is_due(self, unclaimed_s: float, hold_back: bool) -> None:
        self.both("due", limit=100, again_s=2.0, unclaimed_s=unclaimed_s, hold_back=hold_back)

    @rule(nodes=st.dictionaries(st.sampled_from(NODES), st.integers(0, 9)))
    def learn(self, nodes: dict[str, int]) -> None:
        self.both("learn", "acme", "golden_cross", nodes)

    @rule(worker=st.sampled_from(["a", "b"]), slots=st.integers(0, 3), lasts_s=LEASES)
    def offer(self, worker: str, slots: int, lasts_s: float) -> None:
        self.both("offer", worker, slots, lasts_s=lasts_s)

    @invariant()
    def they_look_alike(self) -> None:
        self.both("records", self.id)
        self.both("shards", self.id)
        self.both("page", "acme", strategy="golden_cross", before="", limit=10)
        assert self.redis.outbox.backlog() == self.memory.outbox.backlog()
        self.they_tell_alike(self.id)

    def they_tell_alike(self, execution_id: str) -> None:
        """Compare events but for their times, which Redis gives them: no hand moves its own, so
        that it keeps events of which memory has let go."""
        expected, found = (
            [
                msgspec.structs.replace(event, id="", at_ms=0)
                for event in subject.ledger.events("acme", execution_id)[1]
            ]
            for subject in (self.memory, self.redis)
        )
        assert found[len(found) - len(expected) :] == expected

    # --- the end -------------------------------------------------------------------------------

    def teardown(self) -> None:
        self.they_read_alike()
        self.drain()
        self.they_read_alike()
        for execution_id in self.shapes:
            assert self.both("get", "acme", execution_id).state.ended
        assert set(self.both("counts").values()) == {0}
        self.each_node_was_committed_once()
        client, key = connect(self.settings.state_url, timeout_s=5.0), Keys(self.settings.cell)
        assert list(client.scan_iter(key("line", "*"))) == []
        assert client.zcard(key("due")) == 0

    def drain(self) -> None:
        """Do what is due, and let leases run out, until every execution ended."""
        for _ in range(MOST_ROUNDS):
            open_ = sum(self.memory.ledger.counts().values())
            self.pass_time(100.0)
            found = self.both("due", limit=100, again_s=1.0, unclaimed_s=0.0)
            if not open_ and not found:
                return
            for due in found:
                self.do(due)
        raise AssertionError(f"{open_} executions never ended.")

    def do(self, due: Due) -> None:
        if due.expired:
            assert self.both("expire", due.execution_id)
        elif self.get(due.execution_id).state.ended:
            heir = self.both("landed", due.execution_id, skip=0, limit=10).heir
            assert self.both("settle", due.execution_id, heir=heir)
        elif due.stage < 0:
            self.plan_and_start(due.execution_id)
        elif not due.shards:
            self.both("advance", due.execution_id, due.stage + 1)
        for shard in due.shards:
            self.run_shard(due.execution_id, due.stage, shard)

    def each_node_was_committed_once(self) -> None:
        """Compare what both outboxes list with what is there and what was cleared."""
        for subject in (self.memory, self.redis):
            entries = subject.outbox.read("m", limit=100_000, wait_s=0.0, idle_s=1e6)
            listed = Counter((entry.execution_id, n) for entry in entries for n in entry.node_ids)
            there = Counter((id_, n) for id_ in self.shapes for n in subject.ledger.records(id_))
            assert listed == there + self.cleared

    def they_read_alike(self) -> None:
        line = new_execution().line
        self.both("counts")
        self.both("tallies", "acme")
        self.both("outlook", "acme", "golden_cross", list(NODES), [f"key-{n}" for n in NODES])
        self.both("origins", line, list(NODES))
        self.both("unrepaired", line)
        self.both("replaced", line, "a", interval_ms=DAY_MS, buckets_ms=[DAY_MS, 2 * DAY_MS])
        for execution_id in self.shapes:
            self.they_tell_alike(execution_id)
            self.both("turn", execution_id)
            self.both("landed", execution_id, skip=0, limit=1)
            self.both("landed", execution_id, skip=1, limit=10)
            self.both("asked", self.get(execution_id), from_ms=0)
            self.both("asked", self.get(execution_id), until_ms=DAY_MS)
            self.both("values", execution_id, list(NODES))
            self.both("plan", execution_id)
            self.both("cleared", execution_id, [(n, x) for n in range(1, 5) for x in NODES])
            self.both("inputs", execution_id)
            self.both("next_of_line", execution_id)
        results = [(id_, n) for id_ in self.shapes for n in NODES]
        recorded = [(*each, digest(value)) for each in results for value in (b"1", b"2")]
        self.both("values_of", recorded)
        self.both("records_of", results)
        self.both("history", line, "a", interval_ms=DAY_MS, count=5)
        bounds = (None, 0, DAY_MS, 2 * DAY_MS)
        requests = [
            HistoryRequest(n, DAY_MS, until, c)
            for n in NODES
            for until in bounds
            for c in (0, 1, 5)
        ]
        self.both("histories", [(line, wanted) for wanted in requests])


def rest_of(shape: Any, done: list[str], reused: list[Any]) -> Plan:
    """Return the plan of what is neither done nor reused."""
    there = {*done, *(each.record.node_id for each in reused)}
    ids = [n for stage in shape for shard in stage for n in shard]
    stages = [[[n for n in shard if n not in there] for shard in stage] for stage in shape]
    if all(n in there for n in ids):
        stages = []
    return plan_of(*stages, done=[n for n in ids if n in there])


def test_both_ledgers_answer_alike(settings: Settings) -> None:
    class OnRedis(Ledgers):
        redis_settings = settings

    run_state_machine_as_test(
        OnRedis,
        settings=hypothesis_settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
