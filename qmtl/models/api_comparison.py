"""Comparisons of executions as they stand on the wire."""

from __future__ import annotations

from marshmallow import fields

from qmtl.models.api_fields import HEX32, Interval, Time, Wire


class ComparisonQuery(Wire):
    """With which execution."""

    other = fields.String(
        required=True,
        data_key="with",
        validate=HEX32,
        metadata={"description": "The id of the other execution."},
    )


class RowChangeView(Wire):
    """A row of a source's window that differs; null where a side has no such row."""

    ts = Time("ms", attribute="ts_ms")
    left = fields.Dict(keys=fields.String(), values=fields.Float(allow_none=True), allow_none=True)
    right = fields.Dict(keys=fields.String(), values=fields.Float(allow_none=True), allow_none=True)


class DataChangeView(Wire):
    """What differs between two windows of a source."""

    differing = fields.Integer(metadata={"description": "How many rows differ."})
    rows = fields.Integer(metadata={"description": "How many rows either of them has."})
    first = fields.List(
        fields.Nested(RowChangeView), metadata={"description": "The first that differ."}
    )


class CauseView(Wire):
    """Why values differ, where nothing above it does."""

    kind = fields.Function(
        lambda item: item.kind.value,
        metadata={
            "type": "string",
            "enum": [
                "code", "parameter", "input", "declaration", "data", "history", "time", "runtime",
                "nondeterminism",
            ],
        },
    )  # fmt: skip
    subject = fields.String()
    message = fields.String()
    interval = Interval(attribute="interval_ns", allow_none=True)
    reaches = fields.List(
        fields.String(),
        metadata={"description": "The bindings whose values differ because of it."},
    )
    data = fields.Nested(DataChangeView, allow_none=True)


class DifferenceView(Wire):
    """A binding with two results."""

    binding = fields.String()
    left = fields.String(metadata={"description": "Digest."})
    right = fields.String(metadata={"description": "Digest."})


class ComparisonView(Wire):
    """What two executions have in common, and why their results differ."""

    left = fields.String(metadata={"description": "The execution of the address."})
    right = fields.String(metadata={"description": "The execution of `with`."})
    compared = fields.Integer(metadata={"description": "Bindings with a result in both."})
    equal = fields.Integer(metadata={"description": "How many of them have the same."})
    first = fields.Nested(
        DifferenceView,
        allow_none=True,
        metadata={"description": "The first in topological order that has not."},
    )
    only_left = fields.List(fields.String())
    only_right = fields.List(fields.String())
    causes = fields.List(fields.Nested(CauseView))
