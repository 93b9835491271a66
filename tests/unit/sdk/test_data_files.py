"""Data in files: every format gives the same points, and every fault is named with its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from qmtl.common.errors import DataError, InvalidPoint, MissingData
from qmtl.sdk.data import default_as_of_ns, read_points
from qmtl.sdk.pipeline import Pipeline
from tests.support.registry import make_source

PRICES = make_source("prices")
ROWS = [
    {"ts": "2026-01-02", "close": None},
    {"ts": "2026-01-01", "close": 1.5},
    {"ts": "2026-01-04", "close": 2.5},
]
FRAME = pd.DataFrame(
    {"close": [None, 1.5, 2.5]},
    index=pd.DatetimeIndex([row["ts"] for row in ROWS], tz="UTC", name="ts"),
)


def values(path: Path) -> list[tuple[str, float]]:
    series = read_points(PRICES, path).to_pandas()
    assert isinstance(series, pd.Series)
    return [(str(day)[:10], value) for day, value in series.items()]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


EXPECTED = [("2026-01-01", 1.5), ("2026-01-02", pytest.approx(float("nan"), nan_ok=True)),
            ("2026-01-04", 2.5)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "ts,close\n2026-01-02,\n2026-01-01,1.5\n2026-01-04,2.5\n"),
        ("a.txt", "ts,close,more\n2026-01-02,,1\n2026-01-01,1.5,\n2026-01-04,2.5,x\n"),
        ("a.json", json.dumps(ROWS)),
        ("b.json", json.dumps({"points": ROWS})),
        ("a.jsonl", "\n".join(json.dumps(row) for row in ROWS)),
        ("a.NDJSON", "\n\n".join(json.dumps(row) for row in ROWS) + "\n"),
    ],
)
def test_rows_are_sorted_gaps_allowed_and_missing_values_kept(
    tmp_path: Path, name: str, text: str
) -> None:
    assert values(written(tmp_path / name, text)) == EXPECTED


@pytest.mark.parametrize("as_column", [True, False])
@pytest.mark.parametrize("ending", [".parquet", ".feather", ".arrow"])
def test_tables_hold_their_times_in_a_column_or_in_the_index(
    tmp_path: Path, ending: str, as_column: bool
) -> None:
    pa = pytest.importorskip("pyarrow")
    frame = FRAME.reset_index() if as_column else FRAME.rename_axis(None)
    path = tmp_path / f"a{ending}"
    save(pa, pa.Table.from_pandas(frame), path)
    assert values(path) == EXPECTED


def test_an_arrow_stream_is_read_like_a_file(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pandas(FRAME)
    path = tmp_path / "a.arrow"
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
    assert values(path) == EXPECTED
    assert values_of(table) == EXPECTED


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"ts": ["2026-01-01"], "close": [1.0]}, "Column 'ts' holds .*, not times"),
        ({"ts": pd.to_datetime(["2026-01-01"]), "close": [1.0]}, "no time zone"),
        ({"close": [1.0]}, "no column 'ts'"),
        ({"ts": pd.to_datetime(["2026-01-01"], utc=True), "open": [1.0]}, "no column 'close'"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_what_is_wrong(
    tmp_path: Path, column: dict[str, Any], words: str
) -> None:
    pa = pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    save(pa, pa.Table.from_pandas(pd.DataFrame(column)), path)
    with pytest.raises(InvalidPoint, match=rf"Source 'prices': .*a\.parquet: .*{words}"):
        read_points(PRICES, path)


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow"])
def test_a_table_that_is_none_is_told_by_its_format(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pyarrow")
    path = written(tmp_path / f"a.{ending}", "ts,close\n")
    with pytest.raises(DataError, match=rf"a\.{ending} cannot be read as {ending}: "):
        read_points(PRICES, path)


def test_without_pyarrow_the_way_to_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs the package pyarrow") as raised:
        read_points(PRICES, written(tmp_path / "a.parquet", "PAR1"))
    assert raised.value.hint == "pip install 'qmtl[arrow]'"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "The file is empty"),
        ("a.csv", "time,close\n", "no column 'ts'"),
        ("a.csv", "ts,close\n2026-01-01,1\n2026-01-02,x\n", "Row 2, column 'close': 'x'"),
        ("a.csv", "ts,close\n2026-01-01 09:00:00,1\n", "Row 1, column 'ts'.*is not a time"),
        ("a.csv", "ts,close\n2026-01-02,1\n2026-01-01,1\n2026-01-02,1\n", "Rows 1 and 3 have"),
        ("a.json", "[{]", "It is not JSON"),
        ("a.json", "3", "no list of rows"),
        ("a.json", '[{"ts": "2026-01-01"}]', "Row 1 has no column 'close'"),
        ("a.json", '[{"ts": "2026-01-01", "close": true}]', "Row 1, column 'close': True"),
        ("a.json", "[3]", "Row 1 is no object"),
        ("a.jsonl", '{"ts": "2026-01-01", "close": 1}\n{\n', "Row 2 is not JSON"),
    ],
)
def test_a_fault_is_told_with_source_file_row_and_column(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(InvalidPoint, match=words) as raised:
        read_points(PRICES, written(tmp_path / name, text))
    assert raised.value.detail.startswith(f"Source 'prices': {tmp_path / name}: ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1.0, "x"], "row 2 is 'x'"),
        ([None, True], "row 2 is True"),
        ([True, False], "holds bool, not numbers; row 1 is True"),
        ([1j, 2.0], "row 1 is 1j"),
    ],
)
def test_a_column_without_numbers_is_told_with_its_first_bad_row(
    given: list[object], words: str
) -> None:
    frame = pd.DataFrame({"close": given}, index=FRAME.index[:2])
    with pytest.raises(InvalidPoint, match=words):
        read_points(PRICES, frame)


def test_a_frame_may_hold_its_times_in_a_column() -> None:
    assert values_of(FRAME.reset_index()) == EXPECTED


def values_of(data: Any) -> list[tuple[str, float]]:
    series = read_points(PRICES, data).to_pandas()
    assert isinstance(series, pd.Series)
    return [(str(day)[:10], value) for day, value in series.items()]


def save(pa: Any, table: Any, path: Path) -> None:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        from pyarrow import feather

        feather.write_feather(table, str(path))
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)


def test_a_file_without_rows_is_named_once_its_source_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "ts,close\n")
    points = {"prices": read_points(PRICES, path)}
    with pytest.raises(MissingData, match=r"'prices'.*a\.csv holds no row\."):
        default_as_of_ns([PRICES], points)
    with pytest.raises(MissingData, match=r"'prices'.*a\.csv holds no row\."):
        Pipeline.from_source(READER).execute({"prices": path}, as_of="2026-01-05")


READER = """
from qmtl.sdk import node, source, strategy
strategy("reader", interval="1d")
prices = source(columns=["close"], interval="1d", period=1)

@node
def last(prices):
    return float(prices.iloc[-1])
"""


def test_a_time_that_stands_twice_in_a_file_is_no_matter_of_requests(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "ts,close\n2026-01-02,1\n2026-01-02,2\n")
    with pytest.raises(InvalidPoint, match=r"a\.csv: Rows 1 and 2 have the same time") as raised:
        read_points(PRICES, path)
    assert raised.value.hint == "Keep one of the two rows."
