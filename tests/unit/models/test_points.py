"""Reading points from rows and CSV, and seeing them as pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from qmtl.common.errors import InvalidPoint
from qmtl.models.points import Points, points_from_csv, points_from_rows

DAY_MS = 86_400_000


def rows(points: Points) -> list[list[float]]:
    return points.values.tolist()


class TestRows:
    def test_rows_in_any_order_come_out_in_ascending_time(self) -> None:
        points = points_from_rows(
            [
                {"ts": "1970-01-03", "close": 3},
                {"ts": "1970-01-01T00:00:00.001Z", "close": 1.5},
                {"ts": "1970-01-02T01:00:00+01:00", "close": 2},
            ],
            ["close"],
        )
        assert points.times_ms.tolist() == [1, DAY_MS, 2 * DAY_MS]
        assert rows(points) == [[1.5], [2.0], [3.0]]

    def test_columns_stand_in_the_asked_order(self) -> None:
        points = points_from_rows([{"low": 1, "ts": "1970-01-01", "high": 2}], ["high", "low"])

        assert points.columns == ("high", "low")
        assert rows(points) == [[2.0, 1.0]]

    def test_null_is_a_missing_value(self) -> None:
        points = points_from_rows([{"ts": "1970-01-01", "close": None}], ["close"])

        assert math.isnan(points.values[0, 0])

    def test_every_nan_gets_the_same_bytes(self) -> None:
        odd = float(np.frombuffer(b"\x01\0\0\0\0\0\xf8\xff", dtype="<f8")[0])
        points = points_from_rows(
            [{"ts": "1970-01-01", "close": odd}, {"ts": "1970-01-02", "close": None}], ["close"]
        )
        assert points.values[0].tobytes() == points.values[1].tobytes()

    def test_no_rows_are_no_points(self) -> None:
        points = points_from_rows([], ["open", "close"])

        assert len(points) == 0
        assert points.values.shape == (0, 2)

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"ts": "1970-01-01"}, "Row 1 has no column 'close'"),
            ({"close": 1}, "Row 1 has no column 'ts'"),
            ({"ts": "1970-01-01", "close": 1, "x": 2}, "Row 1 has a column 'x'"),
            ({"ts": "1970-01-01", "close": "1"}, "Row 1, column 'close': '1' is not a number"),
            ({"ts": "1970-01-01", "close": True}, "Row 1, column 'close': True is not a number"),
            ({"ts": "1970-01-01", "close": 10**400}, "Row 1, column 'close': .* too large"),
            ({"ts": 5, "close": 1}, "Row 1, column 'ts'"),
            ({"ts": "yesterday", "close": 1}, "Row 1, column 'ts': 'yesterday'"),
            ({"ts": "1970-01-01T00:00:00", "close": 1}, "Row 1, column 'ts'"),
            ({"ts": "1970-01-01T00:00:00.0001Z", "close": 1}, "Row 1, column 'ts'"),
            ([1, 2], "Row 1 is no object"),
            ({"ts": "1970-01-01", "close": "x" * 10**6}, r"^.{1,120}\.\.\. is not a number"),
            ({"ts": "x" * 10**6, "close": 1}, r"^.{1,120}\.\.\. is not a time"),
        ],
    )
    def test_a_row_that_cannot_be_used_is_named(self, row: object, message: str) -> None:
        with pytest.raises(InvalidPoint, match=message):
            points_from_rows([row], ["close"])

    def test_one_time_twice_is_refused_with_both_rows(self) -> None:
        with pytest.raises(InvalidPoint, match=r"Rows 1 and 3 have the same time 1970-01-02T"):
            points_from_rows(
                [
                    {"ts": "1970-01-02", "close": 1},
                    {"ts": "1970-01-01", "close": 2},
                    {"ts": "1970-01-02T00:00:00Z", "close": 3},
                ],
                ["close"],
            )


class TestCsv:
    def test_further_columns_blank_lines_and_order_do_not_matter(self) -> None:
        text = "name, close ,ts\n\nb,2.5,1970-01-02\r\na, 1e3 ,1970-01-01\n"

        points = points_from_csv(text, ["close"])

        assert points.times_ms.tolist() == [0, DAY_MS]
        assert rows(points) == [[1000.0], [2.5]]

    def test_an_empty_field_is_a_missing_value(self) -> None:
        points = points_from_csv("ts,open,close\n1970-01-01,,2\n", ["open", "close"])

        assert math.isnan(points.values[0, 0])
        assert points.values[0, 1] == 2.0

    def test_a_header_alone_is_no_points(self) -> None:
        assert len(points_from_csv("ts,close\n", ["close"])) == 0

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "The CSV has no column 'ts'"),
            ("ts,open\n", "The CSV has no column 'close'"),
            ("ts,close\n1970-01-01,1,2\n", "Row 1 has 3 fields, the header 2"),
            ("ts,close\n1970-01-01,1\n1970-01-02\n", "Row 2 has 1 fields, the header 2"),
            ("ts,close\n1970-01-01,one\n", "Row 1, column 'close': 'one' is not a number"),
            ("ts,close\n1.1.1970,1\n", "Row 1, column 'ts': '1.1.1970'"),
            ("ts,close\n1970-01-01,1_0\n", "Row 1, column 'close': '1_0' is not a number"),
            ("ts,close\n1970-01-01,1e999\n", "Row 1, column 'close': the number is too large"),
            ("ts,close,close\n1970-01-01,1,2\n", "The CSV has the column 'close' twice"),
            ("ts,close\n1970-01-01,1\n1970-01-01,2\n", "Rows 1 and 2 have the same time"),
            ("ts,close\n1970-01-01," + "1" * 200_000, "The CSV cannot be read"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, text: str, message: str) -> None:
        with pytest.raises(InvalidPoint, match=message):
            points_from_csv(text, ["close"])

    def test_rows_and_csv_of_the_same_data_are_equal(self) -> None:
        by_csv = points_from_csv("ts,close\n1970-01-01,0.1\n", ["close"])
        by_rows = points_from_rows([{"ts": "1970-01-01", "close": 0.1}], ["close"])

        assert by_csv.values.tobytes() == by_rows.values.tobytes()
        assert by_csv.times_ms.tobytes() == by_rows.times_ms.tobytes()


class TestSeeing:
    POINTS = points_from_rows(
        [{"ts": f"1970-01-0{d}", "open": d, "close": -d} for d in (1, 2, 3, 4)],
        ["open", "close"],
    )

    def test_a_window_ends_with_its_end_and_counts_back(self) -> None:
        window = self.POINTS.window(until_ms=2 * DAY_MS, period=2)

        assert window.times_ms.tolist() == [DAY_MS, 2 * DAY_MS]
        assert self.POINTS.window(until_ms=2 * DAY_MS - 1, period=1).times_ms.tolist() == [DAY_MS]
        assert len(self.POINTS.window(until_ms=-1, period=2)) == 0
        assert len(self.POINTS.window(until_ms=9 * DAY_MS, period=100)) == 4

    def test_select_takes_columns_in_the_asked_order(self) -> None:
        assert rows(self.POINTS.select(("close",)))[0] == [-1.0]
        assert rows(self.POINTS.select(("close", "open")))[0] == [-1.0, 1.0]
        assert self.POINTS.select(("open", "close")) is self.POINTS

    def test_several_columns_are_a_frame_indexed_by_utc_time(self) -> None:
        frame = self.POINTS.to_pandas()

        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == ["open", "close"]
        assert frame.index.name == "ts"
        assert frame.index.dtype == "datetime64[ns, UTC]"
        assert frame.loc["1970-01-03", "close"] == -3.0

    def test_one_column_is_a_series_of_its_name(self) -> None:
        series = self.POINTS.select(("close",)).to_pandas()

        assert isinstance(series, pd.Series)
        assert series.name == "close"
        assert series.tolist() == [-1.0, -2.0, -3.0, -4.0]

    def test_what_a_reader_changes_stays_with_the_reader(self) -> None:
        frame = self.POINTS.to_pandas()
        frame.loc[:, "close"] = 0.0

        assert self.POINTS.values[0, 1] == -1.0
