"""What the client sends: sources, points and plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import MILLISECOND, format_time
from qmtl.models.points import TIME_COLUMN, Points
from qmtl.sdk.files import read_text


def source_text(source: str | Path) -> str:
    """Return the text of a strategy given as its path or as the text itself.

    A text has more than one line; everything else is a path.
    """
    if isinstance(source, str) and "\n" in source:
        return source
    return read_text(source)


def rows_of(points: Points) -> list[dict[str, Any]]:
    """Return points as the rows that the API takes, None where a value is missing."""
    rows: list[dict[str, Any]] = []
    for time_ms, values in zip(points.times_ms.tolist(), points.values.tolist(), strict=True):
        row: dict[str, Any] = {TIME_COLUMN: format_time(time_ms * MILLISECOND)}
        for column, value in zip(points.columns, values, strict=True):
            row[column] = None if value != value else value  # noqa: PLR0124 - only NaN differs
        rows.append(row)
    return rows


def json_body(body: dict[str, Any]) -> bytes:
    """Return a body as strict JSON.

    Raises:
        InvalidRequest: It holds an infinite number or NaN.
    """
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError as error:
        raise InvalidRequest(
            "The request holds an infinite number or NaN, which JSON cannot say.",
            hint="Write None where a value is missing.",
        ) from error


def path_part(text: str) -> str:
    """Return text as one segment of a path."""
    return quote(text, safe="")
