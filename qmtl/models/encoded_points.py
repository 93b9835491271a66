"""A source's window as the codec writes it, without the pandas object in between."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qmtl.common.codec import encode
from qmtl.common.timeline import MILLISECOND
from qmtl.models.points import Points

_LAST_MS = (2**63 - 1) // MILLISECOND  # that nanoseconds can tell
_FLOAT64 = np.dtype("<f8")


class _Frame(NamedTuple):
    """What encoded windows of one length have in common: all but their times and values."""

    head: bytes
    labels: bytes


def encode_window(points: Points) -> bytes:
    """Return ``encode(points.to_pandas())``, several times as fast."""
    times_ms = points.times_ms
    if not len(points) or not -_LAST_MS <= times_ms[0] <= times_ms[-1] <= _LAST_MS:
        return encode(points.to_pandas())
    frame = _frame(points.columns, len(points))
    times = (times_ms * MILLISECOND).astype("<i8")
    values = points.values.T.astype(_FLOAT64)
    values[np.isnan(values)] = np.nan  # all NaNs are one
    return b"".join([frame.head, times.tobytes(), frame.labels, values.tobytes()])


@lru_cache(maxsize=256)
def _frame(columns: tuple[str, ...], rows: int) -> _Frame:
    zeros = np.zeros((rows, len(columns)))
    data = encode(Points(columns, np.zeros(rows, dtype=np.int64), zeros).to_pandas())
    head = 1 + 4 + int.from_bytes(data[1:5], "little")
    return _Frame(data[:head], data[head + 8 * rows : len(data) - zeros.nbytes])
