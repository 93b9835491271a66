"""Executions, their nodes and their results as they stand on the wire."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from qmtl.models.api_fields import BINDING, HEX32, NAME, Duration, Rows, Time, Wire
from qmtl.models.api_registry import ENVIRONMENT
from qmtl.models.execution import EventKind, ExecutionState, NodeState, Priority

MAX_TARGETS = 10_000


class PlanBody(Wire):
    """What is to run: an environment's version, or one by name, which may read its histories."""

    strategy = fields.String(required=True, validate=NAME, metadata={"examples": ["golden_cross"]})
    environment = fields.String(
        allow_none=True,
        validate=ENVIRONMENT,
        metadata={
            "description": "Run the version that is active there; beside a version, read the "
            "histories of this environment and write none.",
            "examples": ["staging"],
        },
    )
    version = fields.String(
        allow_none=True,
        validate=HEX32,
        metadata={"description": "Run this version, on a line of its own."},
    )
    as_of = Time("ns", allow_none=True, metadata={"description": "Now when left out."})
    targets = fields.List(
        fields.String(validate=BINDING),
        validate=validate.Length(max=MAX_TARGETS),
        metadata={"description": "Bindings to compute, with what they rest on; all by default."},
    )
    inputs = fields.Dict(
        keys=fields.String(validate=NAME),
        values=Rows(),
        allow_none=True,
        metadata={"description": "Points by variable, in place of what is stored."},
    )

    @validates_schema
    def _names_something(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("environment") is None and data.get("version") is None:
            raise ValidationError("Name an environment, a version or both.", "environment")


class TriggerBody(PlanBody):
    """What ``trigger_pipeline`` takes."""

    priority = fields.Enum(
        Priority,
        by_value=True,
        load_default=Priority.NORMAL,
        metadata={"description": "Which of two that wait is run first.", "default": "normal"},
    )
    deadline = Duration(
        allow_none=True,
        metadata={
            "description": "How long it may take, from its creation; then it ends as FAILED "
            "(QMTL-407)."
        },
    )


class AttemptBody(Wire):
    """What a further attempt of an execution takes."""

    attempt = fields.Integer(
        allow_none=True,
        strict=True,
        validate=validate.Range(1, 2**31 - 1),
        metadata={
            "description": "The attempt that you have seen; where a later one was made already, "
            "nothing happens, so that the request may be sent again."
        },
    )


class RetryBody(AttemptBody):
    """Which nodes are to be computed again."""

    nodes = fields.List(
        fields.String(validate=BINDING),
        required=True,
        validate=validate.Length(1, MAX_TARGETS),
        metadata={"description": "Bindings; what rests on them is computed again too."},
    )


class ErrorView(Wire):
    """Why a node or an execution failed."""

    code = fields.String()
    message = fields.String()
    traceback = fields.String()


class ExecutionView(Wire):
    """One run of a version's targets at an ``as_of`` time, and how far it is."""

    id = fields.String()
    strategy = fields.String()
    environment = fields.String(allow_none=True)
    version = fields.String()
    adhoc = fields.Boolean(metadata={"description": "Whether its history is its own."})
    state = fields.Enum(ExecutionState, by_value=True)
    as_of = Time("ns", attribute="as_of_ns")
    bucket = Time("ns", attribute="bucket_ns")
    targets = fields.List(fields.String())
    cause = fields.String()
    by = fields.String()
    attempt = fields.Integer()
    priority = fields.Enum(Priority, by_value=True)
    deadline_s = fields.Float(
        attribute="expires_s",
        allow_none=True,
        metadata={"description": "Seconds after its creation at which it ends as FAILED."},
    )
    replays = fields.String(
        allow_none=True, metadata={"description": "The execution whose data it reads again."}
    )
    stage = fields.Integer(metadata={"description": "Stage that runs; -1 before the plan."})
    stages = fields.Integer()
    nodes_total = fields.Integer()
    nodes_done = fields.Integer()
    created_at = Time("ms", attribute="created_ms")
    started_at = Time("ms", attribute="started_ms", allow_none=True)
    ended_at = Time("ms", attribute="ended_ms", allow_none=True)
    error = fields.Nested(ErrorView, allow_none=True)


class EventView(Wire):
    """The data of an event: what happened to an execution, and how far that brought it.

    Only what its kind has is there.
    """

    kind = fields.Enum(EventKind, by_value=True)
    at = Time("ms", attribute="at_ms")
    attempt = fields.Integer()
    nodes_done = fields.Integer(attribute="done")
    nodes_total = fields.Integer(attribute="total")
    stage = fields.Integer(metadata={"description": "`stage`: the one that is open now."})
    stages = fields.Integer(metadata={"description": "`started`, `stage`: how many there are."})
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "`nodes`: how many came to each state."},
    )
    node_ids = fields.List(
        fields.String(),
        attribute="nodes",
        metadata={"description": "`nodes`: which ones; of more than 500 at once the first."},
    )
    state = fields.Enum(
        ExecutionState, by_value=True, metadata={"description": "`ended`: the final state."}
    )
    error_code = fields.String(
        attribute="error",
        metadata={"description": "`ended`: of the error that the whole failed with."},
    )


class NodeRecordView(Wire):
    """A binding of an execution: how far it is, and what it printed."""

    binding = fields.String(attribute="name")
    node_id = fields.String(attribute="record.node_id")
    state = fields.Enum(NodeState, by_value=True, attribute="record.state")
    attempt = fields.Integer(attribute="record.attempt")
    digest = fields.String(attribute="record.digest", allow_none=True)
    size = fields.Integer(attribute="record.size", allow_none=True)
    started_at = Time("ms", attribute="record.started_ms", allow_none=True)
    duration_ms = fields.Function(
        lambda item: duration_ms(item.record.duration_ns),
        metadata={"type": ["number", "null"]},
    )
    error = fields.Nested(ErrorView, attribute="record.error", allow_none=True)
    logs = fields.String(attribute="record.logs")


class NodeRecordsView(Wire):
    """Every binding of an execution."""

    items = fields.List(fields.Nested(NodeRecordView))


class ResultView(Wire):
    """A binding's result; ``value`` is a rendering, the bytes are the truth."""

    binding = fields.String()
    node_id = fields.String()
    state = fields.Enum(NodeState, by_value=True)
    digest = fields.String(allow_none=True)
    size = fields.Integer(allow_none=True, metadata={"description": "Bytes of the value."})
    duration_ms = fields.Float(allow_none=True)
    value_type = fields.String(allow_none=True)
    value = fields.Raw(allow_none=True)
    omitted = fields.Boolean(metadata={"description": "Whether the value is too long to show."})
    error = fields.Nested(ErrorView, allow_none=True)


class ResultsView(Wire):
    """The results of an execution, by binding."""

    execution_id = fields.String()
    state = fields.Enum(ExecutionState, by_value=True)
    items = fields.List(fields.Nested(ResultView))


class TalliesView(Wire):
    """How results of the tenant came about, since the beginning."""

    computed = fields.Integer()
    reused = fields.Integer(metadata={"description": "Taken over when an execution was planned."})
    waited = fields.Integer(
        metadata={"description": "Taken over from an execution that was just computing them."}
    )


def duration_ms(duration_ns: int | None) -> float | None:
    """Return milliseconds with three digits behind the point."""
    return None if duration_ns is None else round(duration_ns / 1e6, 3)
