"""Windows that are encoded without pandas have the bytes that the codec gives them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from qmtl.common.codec import encode
from qmtl.models.encoded_points import encode_window
from qmtl.models.points import Points

OTHER_NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))[0]
VALUES = np.array([[1.5, -0.0, np.nan], [OTHER_NAN, np.inf, 2.5], [0.1, 5e-324, -3.0]])
DAY_MS = 86_400_000


@pytest.mark.parametrize("columns", [("close",), ("open", "close"), ("größe", "a b", "c")])
@pytest.mark.parametrize("times_ms", [[-DAY_MS, 0, DAY_MS], [0, 1, 7_000_000_000_000]])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_window_has_the_bytes_of_its_pandas_object(
    columns: tuple[str, ...], times_ms: list[int], rows: int
) -> None:
    points = Points(columns, np.array(times_ms), VALUES[:, : len(columns)])
    for window in (points.window(until_ms=times_ms[rows - 1], period=rows), points):
        assert encode_window(window) == encode(window.to_pandas())


def test_a_window_without_points_is_encoded_too() -> None:
    points = Points(("close",), np.array([], dtype=np.int64), np.zeros((0, 1)))
    assert encode_window(points) == encode(points.to_pandas())


def test_what_is_encoded_is_left_as_it_was() -> None:
    values = VALUES.copy()
    encode_window(Points(("a", "b", "c"), np.array([1, 2, 3]), values))
    assert values.tobytes() == VALUES.tobytes()
