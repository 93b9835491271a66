"""Which rows of two windows of a source differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from qmtl.common.codec import decode
from qmtl.orchestrator.services.comparison.model import DataChange, RowChange

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 5
Row = Mapping[str, float | None]


def data_change(left: bytes, right: bytes, *, common_only: bool) -> DataChange:
    """Return which rows of two encoded windows differ, and the first of them.

    Args:
        left: The one window.
        right: The other.
        common_only: Whether rows and columns that one of them has alone count for nothing.
    """
    before, after = _rows(left), _rows(right)
    if common_only:
        before, after = _common(before, after), _common(after, before)
    times = sorted(before.keys() | after.keys())
    differing = [ts_ms for ts_ms in times if before.get(ts_ms) != after.get(ts_ms)]
    first = [RowChange(t, before.get(t), after.get(t)) for t in differing[:MOST_ROWS]]
    return DataChange(differing=len(differing), rows=len(times), first=tuple(first))


def _rows(data: bytes) -> dict[int, Row]:
    table = cast("pd.Series[float] | pd.DataFrame", decode(data))
    frame = cast("pd.DataFrame", table.to_frame() if table.ndim == 1 else table)  # type: ignore[operator]  # both have it
    columns = [str(name) for name in frame.columns]
    times = frame.index.astype("int64") // 1_000_000
    return {
        int(ts_ms): {c: None if v != v else v for c, v in zip(columns, values, strict=True)}  # noqa: PLR0124 - only NaN differs
        for ts_ms, values in zip(times, frame.to_numpy().tolist(), strict=True)
    }


def _common(rows: Mapping[int, Row], others: Mapping[int, Row]) -> dict[int, Row]:
    return {
        ts_ms: {c: v for c, v in row.items() if c in others[ts_ms]}
        for ts_ms, row in rows.items()
        if ts_ms in others
    }
