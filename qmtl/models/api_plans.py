"""Plans as they stand on the wire: what was estimated, and what it took."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from qmtl.models.api_fields import Time, Wire
from qmtl.models.execution import ExecutionState, NodeState


def milliseconds(attribute: str, *, nullable: bool = False, **options: Any) -> fields.Function:
    """Return a field that tells an attribute in microseconds as milliseconds."""
    types = ["number", "null"] if nullable else "number"

    def read(item: Any) -> float | None:
        value = item
        for name in attribute.split("."):
            value = None if value is None else getattr(value, name)
        return None if value is None else value / 1_000

    return fields.Function(read, metadata={"type": types, **options})


class PlannedNodeView(Wire):
    """A computation of a plan."""

    node_id = fields.String()
    bindings = fields.List(fields.String())
    stage = fields.Integer(
        allow_none=True, metadata={"description": "Null where its result is there already."}
    )
    shard = fields.Integer(allow_none=True)
    cost_ms = milliseconds(
        "cost_us", nullable=True, description="What it took lately; null where that is unknown."
    )
    estimated_ms = milliseconds("estimated_us")
    state = fields.Enum(NodeState, by_value=True, allow_none=True)
    took_ms = milliseconds("took_us", nullable=True)


class ShardPlanView(Wire):
    """Nodes that one worker computes one after the other."""

    shard = fields.Integer()
    nodes = fields.List(fields.String(), metadata={"description": "Node ids, in their order."})
    estimated_ms = milliseconds("estimated_us")
    claims = fields.Function(
        lambda item: None if item.record is None else item.record.claims,
        metadata={"type": ["integer", "null"]},
    )
    runtime = fields.String(
        allow_none=True,
        metadata={"description": "Of a worker that took it, where that is not the plan's."},
    )
    claimed_at = Time("ms", attribute="claimed_ms", allow_none=True)
    done_at = Time("ms", attribute="done_ms", allow_none=True)
    fetch_ms = milliseconds("record.spent.fetch_us", nullable=True)
    execute_ms = milliseconds("record.spent.execute_us", nullable=True)
    commit_ms = milliseconds("record.spent.commit_us", nullable=True)


class StagePlanView(Wire):
    """Shards that may run at the same time; the next stage begins when all of them are done."""

    stage = fields.Integer()
    estimated_ms = milliseconds(
        "estimated_us", description="What its longest shard takes, and to store the results of all."
    )
    took_ms = milliseconds(
        "took_us",
        nullable=True,
        description="From the end of the stage before to the end of its last shard.",
    )
    shards = fields.List(fields.Nested(ShardPlanView))


class TotalsView(Wire):
    """Where the time went, along the shards that ended last."""

    plan_ms = milliseconds(
        "plan_us",
        nullable=True,
        description="From its creation until it was planned; null in a later attempt.",
    )
    queue_ms = milliseconds("queue_us")
    fetch_ms = milliseconds("fetch_us")
    execute_ms = milliseconds("execute_us")
    commit_ms = milliseconds("commit_us")
    other_ms = milliseconds("other_us")


class PlanView(Wire):
    """How an execution is cut into stages and shards."""

    execution_id = fields.Function(
        lambda item: item.execution.id if item.created else None,
        metadata={"type": ["string", "null"], "description": "Null where nothing was created."},
    )
    strategy = fields.String(attribute="execution.strategy")
    version = fields.String(attribute="execution.version")
    environment = fields.String(attribute="execution.environment", allow_none=True)
    as_of = Time("ns", attribute="execution.as_of_ns")
    bucket = Time("ns", attribute="execution.bucket_ns")
    state = fields.Function(
        lambda item: item.execution.state.value if item.created else None,
        metadata={"type": ["string", "null"], "enum": [*[s.value for s in ExecutionState], None]},
    )
    attempt = fields.Integer(attribute="execution.attempt")
    estimated_ms = milliseconds("estimated_us", description="Stages and what lies between them.")
    serial_ms = milliseconds("serial_us", description="The same nodes one after the other.")
    crossing_ms = milliseconds("crossing_us", description="What a stage costs beside its nodes.")
    reused = fields.Integer(metadata={"description": "Nodes whose results are taken over."})
    runtime = fields.String(
        allow_none=True,
        metadata={
            "description": "What it was planned for: Python, architecture, libraries; null where "
            "results of another one stand from an earlier attempt."
        },
    )
    mixed = fields.Boolean(
        metadata={
            "description": "Whether results of several runtimes may stand in it; other executions "
            "do not reuse them."
        }
    )
    before = fields.Integer(
        metadata={"description": "Executions of earlier buckets that a trigger would run first."}
    )
    stages = fields.List(fields.Nested(StagePlanView))
    nodes = fields.List(fields.Nested(PlannedNodeView))
    totals = fields.Nested(TotalsView, allow_none=True)
