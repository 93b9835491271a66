"""Arrays, series and frames: equal contents give equal bytes, however they were built."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from qmtl.common.codec import decode, encode
from qmtl.common.errors import UnsupportedValue


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {"open": [1.0, 2.0, 3.0], "close": [1.5, 2.5, np.nan], "volume": [1, 2, 3]},
        index=pd.date_range("2026-01-01", periods=3, name="day", unit="ns"),
    )


def decoded_frame(data: bytes) -> pd.DataFrame:
    value = decode(data)
    assert isinstance(value, pd.DataFrame)
    return value


def test_a_frame_has_the_bytes_of_every_equal_frame() -> None:
    data = encode(frame())
    longer = pd.concat([frame(), frame().iloc[-1:]])
    one_by_one = pd.DataFrame(index=frame().index)
    for name in frame().columns:
        one_by_one[name] = frame()[name].to_numpy()
    strided = pd.DataFrame(np.repeat(frame()[["open", "close"]].to_numpy(), 2, axis=0)[::2])
    strided = strided.set_axis(["open", "close"], axis=1).set_axis(frame().index)
    assert encode(longer.iloc[:3]) == data
    assert encode(one_by_one) == data
    assert encode(strided.assign(volume=[1, 2, 3])) == data
    assert encode(frame()[["volume", "close", "open"]]) != data


def test_an_array_has_the_bytes_of_every_equal_array() -> None:
    array = np.arange(6.0).reshape(2, 3)
    data = encode(array)
    assert encode(np.asfortranarray(array)) == data
    assert encode(np.arange(12.0).reshape(2, 6)[:, ::2] / 2) == data
    assert encode(array.astype(">f8")) == data
    assert encode(array.reshape(3, 2)) != data
    assert encode(array.astype(np.float32)) != data


@pytest.mark.parametrize(
    "array",
    [
        np.array(2.5),
        np.zeros((0, 3), np.uint8),
        np.array([[True], [False]]),
        np.array([1 + 2j]),
        np.array([1.5], np.float16),
        np.array(["2026-01-01", "NaT"], "M8[ns]"),
        np.array([1, "NaT"], "m8[ns]"),
    ],
)
def test_an_array_comes_back_with_its_shape_and_dtype(array: np.ndarray) -> None:  # type: ignore[type-arg]  # any
    back = decode(encode(array))
    assert isinstance(back, np.ndarray)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_times_of_any_unit_become_nanoseconds() -> None:
    for unit in ("Y", "M", "D", "s", "us"):
        assert encode(np.array(["2026-01-01"], f"M8[{unit}]")) == encode(
            np.array(["2026-01-01"], "M8[ns]")
        )


def test_a_frame_of_every_kind_of_column_comes_back() -> None:
    mixed = pd.DataFrame(
        {
            "bool": [True, False],
            "uint8": np.array([1, 2], np.uint8),
            "float32": np.array([1, np.nan], np.float32),
            "nullable": pd.array([1, None], dtype="Int64"),
            "decision": pd.array([True, None], dtype="boolean"),
            "text": ["a", None],
            "naive": pd.to_datetime(["2026-01-01", None]).astype("datetime64[ns]"),
            "utc": pd.to_datetime(["2026-01-01", None], utc=True).astype("datetime64[ns, UTC]"),
            "lag": pd.to_timedelta([1, None]),
        }
    )
    back = decode(encode(mixed))
    assert_frame_equal(back, mixed)  # type: ignore[arg-type]  # a frame


def test_other_zones_become_utc() -> None:
    local = pd.Series(pd.to_datetime(["2026-01-01"]).tz_localize("America/New_York"))
    assert encode(local) == encode(local.dt.tz_convert("UTC"))
    assert encode(local) != encode(local.dt.tz_localize(None))


def test_text_is_one_type_however_pandas_holds_it() -> None:
    data = encode(pd.Series(["a", None]))
    assert encode(pd.Series(["a", None], dtype=object)) == data
    assert encode(pd.Series(["a", np.nan], dtype=object)) == data
    assert encode(pd.Series(["a", pd.NA], dtype="string")) == data
    assert encode(pd.Series(["a", ""])) != data


def test_what_lies_under_a_null_does_not_show() -> None:
    hidden = pd.array([1, 2], dtype="Int64")
    hidden[1] = pd.NA
    assert encode(pd.Series(hidden)) == encode(pd.Series([1, None], dtype="Int64"))


def test_evenly_spaced_integers_are_a_range_however_they_are_held() -> None:
    values = [1.0, 2.0, 3.0]
    data = encode(pd.Series(values))
    assert encode(pd.Series(values, index=pd.Index([0, 1, 2]))) == data
    assert encode(pd.Series(values, index=[2, 1, 0])) == encode(
        pd.Series(values, index=pd.RangeIndex(2, -1, -1))
    )
    assert encode(pd.Series(values, index=[0, 1, 3])) != data


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(3, 9, 2, name="n"),
        pd.Index([0, 5, 6]),
        pd.Index([7, 7, 7]),
        pd.Index([0.5, np.nan, 2]),
        pd.Index(["a", "b", None]),
        pd.Index(["a", 1, (2, "b")], dtype=object),
        pd.Index([date(2026, 1, day) for day in (1, 2, 5)]),
        pd.Index([-(2**63), 0, 2**63 - 1]),
        pd.date_range("2026-01-01", periods=3, tz="UTC", unit="ns", name=("a", 1)),
        pd.to_timedelta([1, 2, 3], unit="ns"),
        pd.MultiIndex.from_product([["x"], [1, 2, 3]], names=["letter", None]),
    ],
)
def test_an_index_comes_back(index: pd.Index) -> None:  # type: ignore[type-arg]  # any
    series = pd.Series([1, 2, 3], index=index, name="s")
    back = decode(encode(series))
    assert_series_equal(back, series, check_freq=False)  # type: ignore[call-overload]  # a series
    transposed = decode(encode(series.to_frame().T))
    assert isinstance(transposed, pd.DataFrame)
    assert_index_equal(transposed.columns, index, exact="equiv", check_freq=False)


def test_a_slice_of_a_multi_index_carries_no_unused_levels() -> None:
    index = pd.MultiIndex.from_product([["x", "y"], [1, 2]])
    part = pd.Series([1, 2, 3, 4], index=index).iloc[:2]
    fresh = pd.Series([1, 2], index=pd.MultiIndex.from_product([["x"], [1, 2]]))
    assert encode(part) == encode(fresh)


def test_two_columns_may_bear_one_label() -> None:
    twice = pd.DataFrame([[1, 2.0]], columns=["a", "a"])
    assert_frame_equal(decode(encode(twice)), twice)  # type: ignore[arg-type]  # a frame


def test_frames_without_rows_or_columns_come_back() -> None:
    for empty in (pd.DataFrame(), frame().iloc[:0], frame()[[]]):
        back = decode(encode(empty))
        assert_frame_equal(back, empty, check_freq=False)  # type: ignore[arg-type]  # a frame


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "uint64", "bool"])
def test_a_frame_of_one_type_has_the_same_bytes_however_it_is_laid_out(dtype: str) -> None:
    block = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    by_columns = pd.DataFrame({name: block[:, n].copy() for n, name in enumerate("abc")})
    layouts = [
        pd.DataFrame(block, columns=list("abc")),
        pd.DataFrame(np.asfortranarray(block), columns=list("abc")),
        pd.DataFrame(block.astype(np.dtype(dtype).newbyteorder(">")), columns=list("abc")),
        pd.DataFrame(np.repeat(block, 2, axis=0)[::2], columns=list("abc")),
    ]
    data = encode(by_columns)
    assert [encode(frame) for frame in layouts] == [data] * len(layouts)
    assert_frame_equal(decoded_frame(data), by_columns)


def test_columns_of_one_type_keep_one_nan_and_the_nullable_ones_their_mask() -> None:
    odd = np.array([0x7FF8_0000_0000_0001], dtype="<u8").view("<f8")
    given = pd.DataFrame({"a": odd, "b": [1.0]})
    assert encode(given) == encode(pd.DataFrame({"a": [np.nan], "b": [1.0]}))
    nullable = pd.DataFrame({"a": [1, None], "b": [None, 2]}, dtype="Int64")
    assert_frame_equal(decoded_frame(encode(nullable)), nullable)


def test_nothing_done_to_a_decoded_frame_is_seen_in_the_next_one() -> None:
    given = pd.DataFrame(
        {"open": [1.0, 2.0], "close": [3.0, 4.0]},
        index=pd.date_range("2024-01-01", periods=2, tz="UTC", unit="ns"),
    )
    data = encode(given)
    first = decoded_frame(data)
    first.columns.name = first.index.name = "changed"
    first.index.freq = "D"  # type: ignore[attr-defined]  # of an index of times
    first.iloc[0, 0] = -1.0
    with suppress(ValueError):  # where pandas lets nobody write there
        first.columns.array[0] = "changed"
    assert_frame_equal(decoded_frame(data), given, check_freq=False)
    assert decoded_frame(data).index.freq is None  # type: ignore[attr-defined]
    assert encode(decoded_frame(data)) == data


def test_the_first_and_last_nanosecond_that_fit_come_back_and_no_other() -> None:
    edges = pd.Series(np.array([-(2**63) + 1, 2**63 - 1], dtype="M8[ns]"))
    assert_series_equal(decode(encode(edges)), edges)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedValue, match="outside the years"):
        encode(pd.Series(np.array(["2262-04-12"], dtype="M8[s]")))
