"""Fields of the wire: times, intervals, pairs, and the patterns that names obey."""

from __future__ import annotations

import re
from typing import Any, Literal

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import (
    MILLISECOND,
    format_interval,
    format_time,
    parse_interval,
    parse_time,
)

LONGEST_DURATION_S = 366 * 86_400


class Pattern(validate.Regexp):
    """The whole text must match; the pattern is written so that JSON Schema reads it too."""

    def __init__(self, pattern: str, *, error: str) -> None:
        super().__init__(f"^{pattern}$", error=error)
        self._whole = re.compile(pattern)

    def __call__(self, value: str) -> str:  # type: ignore[override]  # names are text alone
        """Return the text that matches."""
        if self._whole.fullmatch(value) is None:
            raise ValidationError(self.error or "")
        return value


HEX32 = Pattern("[0-9a-f]{32}", error="Write 32 hexadecimal characters, lower case.")
NAME = Pattern(
    r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}",
    error="Write a name: a letter, then up to 127 letters, digits, '_', '.' or '-'.",
)
BINDING = Pattern(
    r"[^\s\[\]\x00-\x1f]{1,128}(\[[^\x00-\x1f]{1,120}\])?",
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

    def _serialize(self, value: int | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else format_time(value * self._scale)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not isinstance(value, str) or len(value) > 64:
            raise self.make_error("invalid")
        try:
            return parse_time(value) // self._scale
        except InvalidRequest as error:
            raise ValidationError(str(error)) from error


class Duration(fields.Field[float]):
    """Seconds, or text such as ``30s`` and ``5m`` outside; seconds inside. Only read."""

    default_error_messages = {"invalid": "Write a duration, such as '30s' or '5m', or seconds."}  # noqa: RUF012 - marshmallow's own shape

    def __init__(self, **options: Any) -> None:
        metadata = {"type": ["string", "number"], "examples": ["30s", "5m"]}
        options["metadata"] = metadata | options.get("metadata", {})
        super().__init__(load_only=True, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.make_error("invalid")
        if isinstance(value, str) and len(value) > 64:
            raise self.make_error("invalid")
        try:
            seconds = parse_interval(value) / 1e9 if isinstance(value, str) else float(value)
        except (InvalidRequest, OverflowError) as error:
            raise self.make_error("invalid") from error
        if not MILLISECOND / 1e9 <= seconds <= LONGEST_DURATION_S:
            raise ValidationError("Write a duration between 1 ms and 366 days.")
        return seconds


class Interval(fields.Field[int]):
    """``15m``, ``1d``, ``2w`` outside, nanoseconds inside; only written."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {"examples": ["1d"]})
        super().__init__(dump_only=True, **options)

    def _serialize(self, value: int | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else format_interval(value)


class Pairs(fields.Field[Any]):
    """A tuple of (name, text) inside, an object outside; only written."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {"additionalProperties": {"type": "string"}})
        super().__init__(dump_only=True, **options)

    def _serialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str] | None:
        return None if value is None else dict(value)


class Rows(fields.Field[list[dict[str, Any]]]):
    """Rows of points. Their columns are checked by whoever knows the source, at one pass."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "invalid": "Write a list of objects, one a point.",
        "nested": "Row {number}, column '{column}': write a number, or null where it is missing.",
    }

    def __init__(self, **options: Any) -> None:
        options.setdefault(
            "metadata",
            {
                "items": {"type": "object"},
                "examples": [[{"ts": "2026-11-23T00:00:00Z", "close": 101.5}]],
            },
        )
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise self.make_error("invalid")
        for number, row in enumerate(value, 1):
            for column, cell in row.items():
                if isinstance(cell, list | dict):  # perhaps too deep for anything but refusing it
                    raise self.make_error("nested", number=number, column=column)
        return value


# How each of these fields is described in OpenAPI: (field, type, format).
OPENAPI_TYPES = (
    (Time, "string", "date-time"),
    (Interval, "string", None),
    (Duration, "string", None),
    (Pairs, "object", None),
    (Rows, "array", None),
)
