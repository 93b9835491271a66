"""When two values are equal, and what is said where they are not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

from qmtl.testing.compared import Tolerance, first_difference

WITHIN = Tolerance(rel=1e-9, abs=1e-12)
DAYS = pd.date_range("2026-01-01", periods=2, freq="D", tz="UTC")
SERIES = pd.Series([1.0, 2.0], index=DAYS, name="close")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (0.1 + 0.2, 0.3),
        (1, 1.0),
        (math.nan, math.nan),
        ({"a": [0.1 + 0.2, None]}, {"a": [0.3, None]}),
        ("long", "long"),
        (SERIES, SERIES + 1e-13),
        (SERIES, [1.0, 2.0]),
        (SERIES, SERIES.astype(int)),
        (SERIES.to_frame(), SERIES.to_frame()),
        (np.array([[1.0, math.nan]]), np.array([[1.0, math.nan]])),
        (np.array([1, 2]), [1, 2]),
        (pl.Series("a", [0.1 + 0.2, None, math.nan]), pl.Series("a", [0.3, None, math.nan])),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1.0]})),
    ],
)
def test_equal_within_the_tolerance(actual: object, expected: object) -> None:
    assert first_difference(actual, expected, WITHIN) is None


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (pl.Series([1, 2]), pl.Series([1, 3]), "value[1] is 2, expected 3"),
        (pl.Series("a", [1]), pl.Series("b", [1]), "value.name"),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]}), "value['a'][0] is 1, expected 2"),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]}), "value.columns[0]"),
        (1.0, 1.1, "value is 1.0, expected 1.1"),
        (True, 1, "value is True, expected 1 (it is bool, expected int)"),
        ((1,), [1], "value is (1,), expected [1] (it is tuple, expected list)"),
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}, "value['b']['c'] is 2, expected 3"),
        ({}, {"a": 1}, "value has no key 'a'"),
        ({"a": 1}, {}, "value has the key 'a', which is not expected"),
        ([1, 2], [1], "value has 2 members, expected 1"),
        ([1, 2], [1, 3], "value[1] is 2, expected 3"),
        (SERIES, [1.0, 3.0], "value[1] is 2.0, expected 3.0"),
        (np.zeros((2, 1)), np.zeros((1, 2)), "value has the shape (2, 1), expected (1, 2)"),
        (1.0, SERIES, "(it is float, expected Series)"),
        (SERIES, SERIES.rename("open"), "[left]:  close; [right]: open"),
    ],
)
def test_the_first_difference_is_told_with_its_place(
    actual: object, expected: object, words: str
) -> None:
    told = first_difference(actual, expected, WITHIN)
    assert told is not None
    assert words in told
