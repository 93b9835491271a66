"""Values in a table's cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qmtl.cli.output import duration
from qmtl.cli.rendering import printable, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        ([10**5_000], "[int of 16610 bits]"),
        (1 / 3, "0.333333"),
        ("long", "'long'"),
        ({"side": "long", "spread": 0.5}, "{side: 'long', spread: 0.5}"),
        ([1, (2.0,)], "[1, (2,)]"),
        (pd.Series([1.0, 2.5]), "Series 2, last 2.5"),
        (pd.DataFrame({"a": [1], "b": [2]}), "DataFrame 1x2"),
        (np.zeros((2, 3)), "ndarray 2x3"),
        (np.array([], dtype=float), "ndarray 0"),
        ("x" * 100, "'" + "x" * 56 + "..."),
    ],
)
def test_a_value_is_told_in_few_words(value: object, text: str) -> None:
    assert short(value) == text


def test_a_long_list_is_cut_before_it_is_written_out() -> None:
    assert short(list(range(10**6)), limit=1_000).endswith("18, 19, ...]")


def test_a_terminal_is_sent_no_control_characters() -> None:
    assert printable("a\x1b[31mb\nc\r") == "a\\x1b[31mb\nc\\r"


@pytest.mark.parametrize(
    ("nanoseconds", "text"), [(None, "-"), (310_000, "0.31 ms"), (12_500_000_000, "12.5 s")]
)
def test_a_duration_has_a_unit_for_people(nanoseconds: int | None, text: str) -> None:
    assert duration(nanoseconds) == text
