"""What a local run accepts as the data of a source, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qmtl.common.codec import digest, encode
from qmtl.common.errors import DataError, InvalidPoint, InvalidRequest, MissingData
from qmtl.common.timeline import parse_time
from qmtl.models.points import Points
from qmtl.sdk.data import default_as_of_ns, read_inputs, read_points
from tests.support.registry import make_source, make_spec

CSV = "ts,close\n2026-01-02,2.5\n2026-01-01,1.5\n2026-01-03,\n"
ROWS = [
    {"ts": "2026-01-01", "close": 1.5},
    {"ts": "2026-01-02", "close": 2.5},
    {"ts": "2026-01-03", "close": None},
]
INDEX = pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-03"], tz="UTC")
SERIES = pd.Series([1.5, 2.5, np.nan], index=INDEX)
PRICES = make_source("prices")


def digest_of(points: Points) -> str:
    return digest(encode(points.to_pandas()))


def test_csv_rows_series_and_frames_of_the_same_data_have_one_digest(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(CSV)
    forms = [
        file,
        str(file),
        ROWS,
        SERIES,
        SERIES.to_frame("close"),
        SERIES.sample(frac=1, random_state=1),
        SERIES.tz_convert("Asia/Seoul"),
        SERIES.set_axis(INDEX.as_unit("s")),
        read_points(PRICES, ROWS),
    ]
    assert len({digest_of(read_points(PRICES, form)) for form in forms}) == 1


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    file = tmp_path / "excel.csv"
    file.write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    assert len(read_points(PRICES, file)) == 3


def test_columns_come_in_the_order_of_the_declaration_and_others_are_left_out() -> None:
    source = make_source("bars", columns=("close", "open"))
    frame = pd.DataFrame({"open": [1.0], "extra": [0.0], "close": [2.0]}, index=INDEX[:1])
    assert read_points(source, frame).values.tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SERIES.tz_localize(None), "no time zone"),
        (SERIES.reset_index(drop=True), "holds no times"),
        (SERIES.set_axis(INDEX[[0, 1, 1]]), "same time 2026-01-02"),
        (SERIES.set_axis(INDEX.insert(0, pd.NaT)[:3]), "missing time"),
        (SERIES.set_axis(INDEX + pd.Timedelta(1, "us")), "finer than a millisecond"),
        (SERIES.astype(str).to_frame("close"), "not numbers"),
        (SERIES.to_frame("open"), "no column 'close'"),
        (7, "int is no data"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_source(data: object, words: str) -> None:
    with pytest.raises(InvalidPoint, match=words) as raised:
        read_points(PRICES, data)  # type: ignore[arg-type]  # wrong on purpose
    assert raised.value.detail.startswith("Source 'prices': ")
    assert raised.value.hint


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read: No such file"):
        read_points(PRICES, "nowhere.csv")


def test_an_input_that_names_no_source_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidRequest, match="Its sources are prices"):
        read_inputs(make_spec("s", [], [PRICES]), {"price": SERIES})


def test_by_default_a_run_is_at_the_moment_when_the_last_point_is_known() -> None:
    daily = make_source("daily")
    ticks = make_source("ticks", interval_ns=None)
    points = {
        "daily": read_points(daily, ROWS),
        "ticks": read_points(ticks, [{"ts": "2026-01-03T12:00:00Z", "close": 1}]),
    }
    assert default_as_of_ns([daily, ticks], points) == parse_time("2026-01-04")
    assert default_as_of_ns([ticks], points) == parse_time("2026-01-03T12:00:00Z")


def test_without_any_point_there_is_no_default_time() -> None:
    with pytest.raises(MissingData, match=r"'prices'.*--data prices=FILE\.csv"):
        default_as_of_ns([PRICES], {})
