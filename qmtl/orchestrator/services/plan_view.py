"""How an execution is cut, what that was estimated to take, and what it took. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from qmtl.models.execution import Execution, NodeRecord, NodeState, Plan, ShardRecord, Spent
from qmtl.orchestrator.execution.planning import stage_us, taken_us


@dataclass(frozen=True, slots=True)
class PlannedNodeView:
    """A computation of a plan.

    Attributes:
        bindings: Its names.
        stage: Where it is computed; None where it is not, because its result is there.
        shard: Likewise.
        cost_us: What it took lately; None where that is unknown.
        estimated_us: What its own code was taken to cost.
        state: What became of it; None in a plan that was not run.
        took_us: What it took; None where it has not run in this execution.
    """

    node_id: str
    bindings: tuple[str, ...]
    stage: int | None
    shard: int | None
    cost_us: int | None
    estimated_us: int
    state: NodeState | None = None
    took_us: int | None = None


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard of a stage.

    Attributes:
        nodes: Their ids, in the order in which they are computed.
        estimated_us: The sum of theirs.
        record: How it went; None in a plan that was not run.
    """

    shard: int
    nodes: tuple[str, ...]
    estimated_us: int
    record: ShardRecord | None = None

    @property
    def runtime(self) -> str | None:
        """Return that of a worker that took it, where it is not the plan's."""
        return None if self.record is None else self.record.runtime or None

    @property
    def claimed_ms(self) -> int | None:
        """Return when it was claimed; None before."""
        return None if self.record is None else self.record.claimed_ms

    @property
    def done_ms(self) -> int | None:
        """Return when it was done; None before."""
        return None if self.record is None else self.record.done_ms


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage.

    Attributes:
        estimated_us: What its longest shard takes, and to store the results of all.
        took_us: From the moment it could begin to the end of its last shard; None before.
    """

    stage: int
    shards: tuple[ShardView, ...]
    estimated_us: int
    took_us: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Where the time of an attempt went, in microseconds, along the shards that ended last.

    Attributes:
        plan_us: From its creation until it was planned, waiting for a worker included; None for a
            later attempt, whose beginning is not kept.
        queue_us: Between the end of a stage and the claim of the next one's shard.
        fetch_us: Reading what is read.
        execute_us: In executors.
        commit_us: Writing while nothing was computed.
        other_us: What is left of the shards' time.
    """

    plan_us: int | None
    queue_us: int
    fetch_us: int
    execute_us: int
    commit_us: int
    other_us: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan, and how it went as far as it was run.

    Attributes:
        execution: As it stands; one that was never created has no state worth showing.
        created: Whether the execution exists.
        estimated_us: The stages one after the other, with what lies between them.
        serial_us: The same nodes in one shard.
        crossing_us: What a stage is taken to cost beside its nodes.
        reused: How many nodes are not computed because their result is there.
        runtime: What it was planned for; None where results of another runtime stand from an
            earlier attempt.
        mixed: Whether results of several runtimes may stand in it; such are not reused.
        before: How many executions of earlier buckets a trigger would run first.
        totals: None before something has run.
    """

    execution: Execution
    created: bool
    nodes: tuple[PlannedNodeView, ...]
    stages: tuple[StageView, ...]
    estimated_us: int
    serial_us: int
    crossing_us: int
    reused: int
    runtime: str | None = None
    mixed: bool = False
    before: int = 0
    totals: Totals | None = None


def view(
    execution: Execution,
    plan: Plan,
    *,
    created: bool,
    records: Mapping[str, NodeRecord],
    shards: Sequence[ShardRecord] = (),
    reused: Collection[str] = (),
    before: int = 0,
) -> PlanView:
    """Return a plan as it is shown.

    Args:
        execution: Whose it is.
        plan: The present one.
        created: Whether the execution exists.
        records: Of its nodes, as far as there are any.
        shards: How its shards went; none where it was not run.
        reused: Ids of nodes whose results would be taken over, where it was not run.
        before: How many executions of earlier buckets would run first.
    """
    costs = [*plan.cost_us, *[0] * (len(plan.nodes) - len(plan.cost_us))]
    estimates = [taken_us(cost) for cost in costs]
    known = {(each.stage, each.shard): each for each in shards}
    stages = tuple(_stages(execution, plan, estimates, known))
    inside = {n: (s.stage, k.shard) for s in stages for k in s.shards for n in k.nodes}
    nodes = tuple(
        _node(node.node_id, node.names, inside.get(node.node_id), cost, estimate, records, reused)
        for node, cost, estimate in zip(plan.nodes, costs, estimates, strict=True)
    )
    open_us = [n.estimated_us for n in nodes if n.stage is not None]
    return PlanView(
        execution=execution,
        created=created,
        nodes=nodes,
        stages=stages,
        estimated_us=sum(s.estimated_us + plan.crossing_us for s in stages),
        serial_us=stage_us([open_us]) + plan.crossing_us if stages else 0,
        crossing_us=plan.crossing_us,
        reused=sum(n.state is NodeState.REUSED for n in nodes),
        runtime=plan.runtime or None,
        mixed=execution.mixed or (bool(plan.nodes) and not plan.keys),
        before=before,
        totals=_totals(execution, stages),
    )


def _node(
    node_id: str,
    names: tuple[str, ...],
    place: tuple[int, int] | None,
    cost: int,
    estimate: int,
    records: Mapping[str, NodeRecord],
    reused: Collection[str],
) -> PlannedNodeView:
    record = records.get(node_id)
    state = record.state if record else NodeState.REUSED if node_id in reused else None
    ran = record is not None and record.duration_ns is not None and state is not NodeState.REUSED
    return PlannedNodeView(
        node_id=node_id,
        bindings=names,
        stage=None if place is None else place[0],
        shard=None if place is None else place[1],
        cost_us=cost or None,
        estimated_us=estimate,
        state=state,
        took_us=(record.duration_ns or 0) // 1_000 if record and ran else None,
    )


def _stages(
    execution: Execution,
    plan: Plan,
    estimates: Sequence[int],
    known: Mapping[tuple[int, int], ShardRecord],
) -> list[StageView]:
    found: list[StageView] = []
    opened_ms = execution.started_ms
    for stage, rows in enumerate(plan.stages):
        shards = tuple(
            ShardView(
                shard=k,
                nodes=tuple(plan.nodes[place].node_id for place in places),
                estimated_us=sum(estimates[place] for place in places),
                record=known.get((stage, k)),
            )
            for k, places in enumerate(rows)
        )
        done_ms = _done_ms(shards)
        took_ms = None if done_ms is None or opened_ms is None else done_ms - opened_ms
        took_us = None if took_ms is None else max(0, took_ms) * 1_000
        estimate = stage_us([[estimates[place] for place in places] for places in rows])
        found.append(StageView(stage, shards, estimate, took_us))
        opened_ms = done_ms
    return found


def _done_ms(shards: Sequence[ShardView]) -> int | None:
    """Return when the last shard was done, None where one is not."""
    times = [shard.done_ms for shard in shards]
    done = [each for each in times if each is not None]
    return max(done) if len(done) == len(times) else None


def _totals(execution: Execution, stages: Sequence[StageView]) -> Totals | None:
    last = [each for stage in stages if (each := _last(stage)) is not None]
    if execution.started_ms is None or not last:
        return None
    opened_ms, queue_ms, run_ms = execution.started_ms, 0, 0
    for record in last:
        claimed_ms = record.claimed_ms or opened_ms
        done_ms = record.done_ms or claimed_ms
        queue_ms += max(0, claimed_ms - opened_ms)
        run_ms += max(0, done_ms - claimed_ms)
        opened_ms = done_ms
    spent = [record.spent or Spent() for record in last]
    fetch, execute, commit = (
        sum(each.fetch_us for each in spent),
        sum(each.execute_us for each in spent),
        sum(each.commit_us for each in spent),
    )
    first = execution.attempt == 1
    return Totals(
        plan_us=max(0, execution.started_ms - execution.created_ms) * 1_000 if first else None,
        queue_us=queue_ms * 1_000,
        fetch_us=fetch,
        execute_us=execute,
        commit_us=commit,
        other_us=max(0, run_ms * 1_000 - fetch - execute - commit),
    )


def _last(stage: StageView) -> ShardRecord | None:
    """Return how the shard of a stage that ended last went, None where none has."""
    records = [shard.record for shard in stage.shards if shard.record is not None]
    ended = [record for record in records if record.done_ms is not None]
    return max(ended, key=lambda record: record.done_ms or 0, default=None)
