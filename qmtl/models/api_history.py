"""Histories as they stand on the wire."""

from __future__ import annotations

from marshmallow import fields, validate

from qmtl.models.api_fields import BINDING, HEX32, Interval, Time, Wire
from qmtl.models.api_orchestrator import ErrorView
from qmtl.models.api_registry import ENVIRONMENT
from qmtl.models.execution import ExecutionState

MOST_POINTS = 1_000


class HistoryQuery(Wire):
    """Which history, and how much of it."""

    environment = fields.String(
        required=True, validate=ENVIRONMENT, metadata={"examples": ["production"]}
    )
    binding = fields.String(required=True, validate=BINDING, metadata={"examples": ["last"]})
    count = fields.Integer(
        load_default=100,
        validate=validate.Range(1, MOST_POINTS),
        metadata={"description": "How many of the latest results are returned at most."},
    )
    start = Time("ns", load_default=None, metadata={"description": "The earliest bucket."})
    end = Time("ns", load_default=None, metadata={"description": "The latest bucket."})


class ReplacedView(Wire):
    """A result that another one replaced at its bucket."""

    digest = fields.String()
    execution_id = fields.String(validate=HEX32)


class BrokenOffView(Wire):
    """A repair that was ended before it ran out."""

    execution_id = fields.String(validate=HEX32, attribute="id")
    state = fields.Enum(ExecutionState, by_value=True)
    error = fields.Nested(ErrorView, allow_none=True)


class PointView(ReplacedView):
    """A node's result at a bucket."""

    bucket = Time("ms", attribute="bucket_ms")
    replaced = fields.List(
        fields.Nested(ReplacedView),
        metadata={"description": "What stood there before with another digest, latest first."},
    )
    stale = fields.Nested(
        BrokenOffView,
        allow_none=True,
        metadata={
            "description": "The repair that was to compute it again and was broken off: it is due "
            "with the next trigger of a later bucket, or by a resume. Null where there is none."
        },
    )


class HistoryView(Wire):
    """The results of a binding of the active version in an environment, newest first."""

    binding = fields.String()
    node_id = fields.String(validate=HEX32)
    interval = Interval(attribute="interval_ns", allow_none=True)
    origin = Time(
        "ns",
        attribute="origin_ns",
        allow_none=True,
        metadata={"description": "The first bucket, where the strategy carries results on."},
    )
    points = fields.List(fields.Nested(PointView))
