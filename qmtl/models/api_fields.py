"""Fields of the wire: times, intervals, pairs, and the patterns that names obey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import MILLISECOND, format_interval, format_time, parse_time

HEX32 = validate.Regexp(r"[0-9a-f]{32}\Z", error="Write 32 hexadecimal characters, lower case.")
NAME = validate.Regexp(
    r"[^\W\d][\w.-]{0,127}\Z",
    error="Write a name: a letter, then up to 127 letters, digits, '_', '.' or '-'.",
)
BINDING = validate.Regexp(
    r"[^\W\d]\w{0,127}(\[[^\x00-\x1f\x7f]{1,120}\])?\Z",
    error="Write a node's name, such as 'crossover' or 'sma[10]'.",
)


class Wire(Schema):
    """A JSON object that refuses fields it does not declare."""

    class Meta:
        """Options of marshmallow."""

        unknown = RAISE


class Time(fields.Field[int]):
    """RFC 3339 outside, integer nanoseconds or milliseconds inside."""

    default_error_messages = {"invalid": "Write RFC 3339, such as '2026-11-23T00:00:00Z'."}  # noqa: RUF012 - marshmallow's own shape

    def __init__(self, unit: Literal["ns", "ms"], **options: Any) -> None:
        options.setdefault("metadata", {"examples": ["2026-11-23T00:00:00Z"]})
        super().__init__(**options)
        self._scale = 1 if unit == "ns" else MILLISECOND

    def _serialize(
        self, value: int | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> str | None:
        return None if value is None else format_time(value * self._scale)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if not isinstance(value, str) or len(value) > 64:
            raise self.make_error("invalid")
        try:
            return parse_time(value) // self._scale
        except InvalidRequest as error:
            raise ValidationError(f"{error.detail} {error.hint}") from error


class Interval(fields.Field[int]):
    """``15m``, ``1d``, ``2w`` outside, nanoseconds inside; only written."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {"examples": ["1d"]})
        super().__init__(dump_only=True, **options)

    def _serialize(
        self, value: int | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> str | None:
        return None if value is None else format_interval(value)


class Pairs(fields.Field[dict[str, str]]):
    """A tuple of (name, text) inside, an object outside; only written."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {"additionalProperties": {"type": "string"}})
        super().__init__(dump_only=True, **options)

    def _serialize(
        self, value: Iterable[tuple[str, str]] | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> dict[str, str] | None:
        return None if value is None else dict(value)


class Rows(fields.Field[list[dict[str, Any]]]):
    """Rows of points. Their columns are checked by whoever knows the source, at one pass."""

    default_error_messages = {"invalid": "Write a list of objects, one a point."}  # noqa: RUF012 - marshmallow's own shape

    def __init__(self, **options: Any) -> None:
        options.setdefault(
            "metadata",
            {
                "items": {"type": "object"},
                "examples": [[{"ts": "2026-11-23T00:00:00Z", "close": 101.5}]],
            },
        )
        super().__init__(**options)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise self.make_error("invalid")
        return value


# How each of these fields is described in OpenAPI: (field, type, format).
OPENAPI_TYPES = (
    (Time, "string", "date-time"),
    (Interval, "string", None),
    (Pairs, "object", None),
    (Rows, "array", None),
)
