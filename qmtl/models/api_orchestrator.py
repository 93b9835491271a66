"""Executions, their nodes and their results as they stand on the wire."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from qmtl.models.api_fields import BINDING, HEX32, NAME, Rows, Time, Wire
from qmtl.models.api_registry import ENVIRONMENT
from qmtl.models.execution import ExecutionState, NodeState

MAX_TARGETS = 10_000


class TriggerBody(Wire):
    """What ``trigger_pipeline`` takes: an environment, or a version by name."""

    strategy = fields.String(required=True, validate=NAME, metadata={"examples": ["golden_cross"]})
    environment = fields.String(
        allow_none=True,
        validate=ENVIRONMENT,
        metadata={"description": "Run the version that is active there.", "examples": ["staging"]},
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
    def _names_one_of_two(self, data: dict[str, Any], **_: Any) -> None:
        if (data.get("environment") is None) == (data.get("version") is None):
            raise ValidationError("Name either an environment or a version.", "environment")


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
    stage = fields.Integer(metadata={"description": "Stage that runs; -1 before the plan."})
    stages = fields.Integer()
    nodes_total = fields.Integer()
    nodes_done = fields.Integer()
    created_at = Time("ms", attribute="created_ms")
    started_at = Time("ms", attribute="started_ms", allow_none=True)
    ended_at = Time("ms", attribute="ended_ms", allow_none=True)
    error = fields.Nested(ErrorView, allow_none=True)


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


def duration_ms(duration_ns: int | None) -> float | None:
    """Return milliseconds with three digits behind the point."""
    return None if duration_ns is None else round(duration_ns / 1e6, 3)
