from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

from qmtl.common.codec import decode, encode
from qmtl.web.rendering import Renderer, TooLong, type_name


def rendered(value: object, *, rows: int = 10) -> object:
    """Render what a decode gives, as the web does, and make sure that it is strict JSON."""
    result = Renderer(rows=rows).render(decode(encode(value)))
    json.dumps(result, allow_nan=False)
    return result


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -7, 2**60, 1.5, "text", [1, "a"], {"a": {"b": 1}}, [1e308, 1e308], [[], {}]],
    ids=str,
)
def test_what_json_can_say_stands_for_itself(value: object):
    assert rendered(value) == value


def test_a_tuple_reads_as_a_list():
    assert rendered((1, 2)) == [1, 2]


def test_numbers_that_json_lacks_are_marked():
    assert rendered([math.nan, math.inf, -math.inf]) == [
        {"$float": "NaN"},
        {"$float": "Infinity"},
        {"$float": "-Infinity"},
    ]


@pytest.mark.parametrize(
    "value",
    [2**64, -(2**63) - 1, 10**400, 10**5_000, -(10**5_000)],
    ids=lambda v: f"{v.bit_length()} bits",
)
def test_an_integer_over_64_bits_is_text_that_python_reads(value: int):
    shown = rendered(value)
    assert isinstance(shown, dict)
    assert int(shown["$integer"], 0) == value


def test_an_integer_of_millions_of_digits_is_too_long():
    with pytest.raises(TooLong):
        rendered(1 << 100_000_000)


def test_bytes_and_durations_are_marked():
    assert rendered(b"\x00\xff") == {"$bytes": "AP8="}
    assert rendered(timedelta(seconds=1.5)) == {"$microseconds": 1_500_000}


def test_times_are_rfc_3339():
    assert rendered(datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)) == "2026-11-23T01:02:03Z"
    assert rendered(date(2026, 11, 23)) == "2026-11-23"


def test_a_table_shows_its_last_rows_and_how_many_there_are():
    index = pd.date_range("2026-11-20", periods=3, tz="UTC", name="ts")
    frame = pd.DataFrame({"close": [1.0, 2.0, math.nan], "side": ["a", "b", "c"]}, index=index)
    assert rendered(frame, rows=2) == {
        "index": ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"],
        "columns": ["close", "side"],
        "data": [[2.0, "b"], [{"$float": "NaN"}, "c"]],
        "rows_total": 3,
    }


def test_a_series_shows_its_name():
    assert rendered(pd.Series([1, 2, 3], name="close"), rows=1) == {
        "index": [2],
        "name": "close",
        "data": [3],
        "rows_total": 3,
    }


def test_polars_shows_numbered_rows():
    at = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    frame = pl.DataFrame({"at": [at, None], "close": [1.5, math.nan], "took": [timedelta(1)] * 2})
    took = {"$microseconds": 86_400_000_000}
    assert rendered(frame) == {
        "index": [0, 1],
        "columns": ["at", "close", "took"],
        "data": [["2026-11-23T09:30:00Z", 1.5, took], [None, {"$float": "NaN"}, took]],
        "rows_total": 2,
    }
    assert rendered(pl.Series("close", [1, 2, 3]), rows=1) == {
        "index": [2],
        "name": "close",
        "data": [3],
        "rows_total": 3,
    }
    assert type_name(frame) == "polars.DataFrame"


def test_no_rows_can_be_asked_for():
    assert rendered(pd.Series([1.0]), rows=0) == {
        "index": [],
        "name": None,
        "data": [],
        "rows_total": 1,
    }


def test_an_empty_table_is_rendered():
    shown = rendered(pd.DataFrame({"a": pd.Series([], dtype="float64")}))
    assert shown == {"index": [], "columns": ["a"], "data": [], "rows_total": 0}


def test_an_array_shows_its_shape():
    shown = rendered(np.arange(6, dtype=np.int64).reshape(3, 2), rows=2)
    assert shown == {"dtype": "int64", "shape": [3, 2], "data": [[2, 3], [4, 5]], "rows_total": 3}


def test_times_in_an_array_are_rfc_3339_without_a_zone():
    shown = rendered(np.array(["2026-11-23"], dtype="datetime64[ns]"))
    assert isinstance(shown, dict)
    assert shown["data"] == ["2026-11-23T00:00:00"]


@pytest.mark.parametrize("value", [list(range(10)), {"a": "x" * 100}, b"x" * 100, np.zeros(50)])
def test_what_is_over_the_budget_is_not_shown(value: object):
    with pytest.raises(TooLong):
        Renderer(rows=100, cells=5, characters=50).render(value)


def test_types_have_the_names_of_python():
    values = [None, 1.5, pd.Series([1.0]), np.zeros(1)]
    assert [type_name(v) for v in values] == ["None", "float", "Series", "ndarray"]


@pytest.mark.parametrize(
    "value",
    [[], [1.5, 2.0], [1, 2**63], [True, None], (1, 2), [1, 2.0, "a"], [float("nan"), 1.0], [2**70]],
)
def test_a_list_is_rendered_member_by_member_however_it_is_done(value: object) -> None:
    members = [Renderer().render(member) for member in value]  # type: ignore[attr-defined]
    assert Renderer().render(value) == members


@pytest.mark.parametrize("value", [[1.0] * 11, [1] * 11, [None] * 11, ["a"] * 11])
def test_a_long_list_of_one_kind_costs_what_its_members_do(value: object) -> None:
    with pytest.raises(TooLong):
        Renderer(cells=11).render(value)
    Renderer(cells=12).render(value)
