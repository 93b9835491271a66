"""polars series and frames: what went in as polars comes out as polars, and equal bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from qmtl.common.codec import decode, encode
from qmtl.common.errors import CorruptValue, UnsupportedValue

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBERS = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]
SERIES = pl.Series("flag", [True, None, False])
FRAME = pl.DataFrame({"day": [date(2026, 11, 23)], "close": [1.5], "venue": ["XNAS"]})
GOLDEN = json.loads((Path(__file__).parent / "codec_polars_golden.json").read_text())
COLUMNS = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(),
    "truth": st.booleans(),
    "text": st.text(max_size=4),
    "moment": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 (naive)
    "day": st.dates(),
    "span": st.timedeltas(timedelta(-10_000), timedelta(10_000)),
}
SCHEMA = {
    "whole": pl.Int64(),
    "number": pl.Float64(),
    "truth": pl.Boolean(),
    "text": pl.String(),
    "moment": pl.Datetime("ns"),
    "day": pl.Date(),
    "span": pl.Duration("ns"),
}
ROWS = st.lists(st.fixed_dictionaries({n: st.none() | s for n, s in COLUMNS.items()}), max_size=9)


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def series_back(series: pl.Series) -> pl.Series:
    back = decode(encode(series))
    assert isinstance(back, pl.Series)
    return back


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_a_frame_comes_back_with_its_values_and_dtypes(rows: list[dict[str, object]]) -> None:
    frame = frame_of(rows)
    back = decode(encode(frame))
    assert isinstance(back, pl.DataFrame)
    assert_frame_equal(back, frame, check_exact=True)
    assert encode(back) == encode(frame)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(0, 9))
def test_chunks_and_slices_do_not_show_in_the_bytes(
    rows: list[dict[str, object]], cut: int
) -> None:
    frame = frame_of(rows)
    data = encode(frame)
    assert encode(pl.concat([frame[:cut], frame[cut:]], rechunk=False)) == data
    assert encode(pl.concat([frame, frame]).slice(len(frame))) == data
    assert encode(frame.reverse().reverse()) == data


@pytest.mark.parametrize("dtype", [*NUMBERS, pl.Float32, pl.Float64])
def test_numbers_of_every_size_come_back(dtype: type[pl.DataType]) -> None:
    for values in ([1, 2], [1, None], [None, None], []):
        series = pl.Series("n", values, dtype=dtype)
        assert_series_equal(series_back(series), series)


def test_what_stands_under_a_null_does_not_count() -> None:
    numbers = pl.Series("n", [7, 1])
    hidden = numbers.zip_with(pl.Series([False, True]), pl.Series([None, None], dtype=pl.Int64))
    assert encode(hidden) == encode(pl.Series("n", [None, 1]))
    assert encode(hidden) != encode(pl.Series("n", [0, 1]))


def test_nan_is_not_null_and_has_one_form() -> None:
    other_nan = np.array([0x7FF8000000000001], dtype="<u8").view("<f8")
    assert encode(pl.Series("n", other_nan)) == encode(pl.Series("n", [float("nan")]))
    assert series_back(pl.Series([float("nan"), None])).null_count() == 1


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_aware_times_become_nanoseconds_of_utc(unit: str) -> None:
    there = timezone(timedelta(hours=9))
    series = pl.Series("at", [NOON.astimezone(there), None], dtype=pl.Datetime(unit, "Asia/Tokyo"))  # type: ignore[arg-type]  # one of three
    back = series_back(series)
    assert back.dtype == pl.Datetime("ns", "UTC")
    assert back.to_list() == [NOON, None]
    assert encode(back) == encode(series)


def test_naive_times_stay_naive() -> None:
    naive = pl.Series("at", [NOON.replace(tzinfo=None)])
    assert series_back(naive).dtype == pl.Datetime("ns")
    assert encode(naive) != encode(naive.dt.replace_time_zone("UTC"))


def test_names_and_dtypes_and_order_of_columns_show_in_the_bytes() -> None:
    series = pl.Series("a", [1])
    others = [series.alias("b"), series.cast(pl.Int32), series.to_frame()]
    assert len({encode(series), *(encode(each) for each in others)}) == 4
    assert encode(FRAME) != encode(FRAME.select(reversed(FRAME.columns)))


def test_a_frame_without_rows_or_columns_comes_back() -> None:
    for frame in (pl.DataFrame(), FRAME.clear()):
        back = decode(encode({"frame": [frame]}))
        assert_frame_equal(back["frame"][0], frame)  # type: ignore[index]  # a dict


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1]]),
        pl.Series([{"a": 1}]),
        pl.Series(["a"], dtype=pl.Categorical),
        pl.Series([b"a"]),
        pl.Series([None]),
        pl.Series([datetime(9999, 1, 1, tzinfo=UTC)]),
    ],
)
def test_other_columns_are_refused_by_name(values: pl.Series) -> None:
    with pytest.raises(UnsupportedValue, match=r"value\[0\]\['odd'\] h"):
        encode([pl.DataFrame({"fine": [1], "odd": values})])


def test_a_lazy_frame_is_told_to_compute_itself() -> None:
    with pytest.raises(UnsupportedValue, match="collect"):
        encode(FRAME.lazy())


def test_encodings_are_the_golden_bytes_of_the_format() -> None:
    assert encode(SERIES).hex() == GOLDEN["series"]
    assert encode(FRAME).hex() == GOLDEN["frame"]


@pytest.mark.parametrize("value", [SERIES, FRAME])
def test_cut_bytes_are_corrupt(value: object) -> None:
    data = encode(value)
    for bad in (data[:-1], data + b"\0"):
        with pytest.raises(CorruptValue):
            decode(bad)


def test_without_polars_decoding_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "from qmtl.common.codec import decode\n"
        "from qmtl.common.errors import UnsupportedValue\n"
        f"try: decode(bytes.fromhex('{encode(SERIES).hex()}'))\n"
        "except UnsupportedValue as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "qmtl[polars]" in done.stdout


def test_other_values_are_encoded_without_importing_polars() -> None:
    code = (
        "import sys, pandas\nfrom qmtl.common.codec import decode, encode\n"
        "decode(encode(pandas.DataFrame({'a': [1]})))\nprint('polars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
