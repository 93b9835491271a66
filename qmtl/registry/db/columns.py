"""Rows of a source in the order of its columns, which only ever grow at their end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qmtl.common.errors import InvalidPoint
from qmtl.models.points import Points

BATCH_LIMIT = 100_000


def grown(stored: Sequence[str], points: Points) -> tuple[str, ...]:
    """Return the stored columns followed by those of ``points`` that are new."""
    return tuple(dict.fromkeys((*stored, *points.columns)))


def rows_in(points: Points, columns: Sequence[str]) -> NDArray[np.float64]:
    """Return the values of ``points`` in these columns, NaN in those that it lacks.

    There is one NaN in them, so that equal rows have equal bytes.
    """
    rows = np.full((len(points), len(columns)), np.nan)
    for place, name in enumerate(points.columns):
        rows[:, columns.index(name)] = points.values[:, place]
    rows[np.isnan(rows)] = np.nan
    return rows


def pick(
    times_ms: NDArray[np.int64],
    rows: NDArray[np.float64],
    stored: Sequence[str],
    columns: tuple[str, ...],
) -> Points:
    """Return points with the wanted columns, NaN in those that were never stored."""
    values = np.full((len(times_ms), len(columns)), np.nan)
    for place, name in enumerate(columns):
        if name in stored:
            values[:, place] = rows[:, stored.index(name)]
    return Points(columns, times_ms, values)


def check_size(points: Points) -> None:
    """Refuse a batch that would hold up everybody else.

    Raises:
        InvalidPoint: It has more points than one append may add.
    """
    if len(points) > BATCH_LIMIT:
        raise InvalidPoint(
            f"The batch has {len(points)} points, over the limit of {BATCH_LIMIT}.",
            hint="Send it in several batches.",
        )
