"""Samples for tests: evenly spaced points, and the faults that can be put into them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qmtl.common.errors import InvalidPoint, InvalidRequest
from qmtl.sdk.data import read_points
from qmtl.testing import Samples, ohlcv, series
from tests.support.registry import make_source

FOUR = series("2026-01-01", "1d", [1.0, 2.0, 3.0, 4.0])


def days(samples: Samples) -> list[str]:
    return [row["ts"][8:10] for row in samples.rows()]


def test_a_series_is_evenly_spaced_and_none_is_a_missing_value() -> None:
    assert series("2026-01-01", "1d", [1, None], column="px").rows() == [
        {"ts": "2026-01-01T00:00:00Z", "px": 1.0},
        {"ts": "2026-01-02T00:00:00Z", "px": None},
    ]


def test_samples_are_data_of_a_source_in_every_form() -> None:
    source = make_source("prices")
    points = read_points(source, FOUR)
    assert points.values[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert read_points(source, FOUR.rows()).times_ms.tolist() == points.times_ms.tolist()


def test_csv_of_samples_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(FOUR.with_value(1, None).to_csv())
    assert read_points(make_source("prices"), file).values[0].tolist() == [1.0]


def test_a_bar_opens_at_the_close_before_it_and_spans_both() -> None:
    first, second = ohlcv("2026-01-01", "1h", [10.0, 20.0], spread=0.1, volume=5.0).rows()
    assert (first["open"], first["close"]) == (10.0, 10.0)
    assert (second["open"], second["close"], second["volume"]) == (10.0, 20.0, 5.0)
    assert (second["high"], second["low"]) == (pytest.approx(22.0), pytest.approx(9.0))


@pytest.mark.parametrize("at", [1, -3, "2026-01-02"])
def test_a_gap_begins_at_a_place_or_a_time(at: int | str) -> None:
    assert days(FOUR.with_gap(at, 2)) == ["01", "04"]


def test_a_repeated_point_is_refused_as_data_with_both_rows() -> None:
    with pytest.raises(InvalidPoint, match="Rows 2 and 3 have the same time 2026-01-02"):
        read_points(make_source("prices"), FOUR.with_duplicates("2026-01-02"))


def test_a_late_point_keeps_its_stamp_and_arrives_after_those_known_before() -> None:
    late = FOUR.late("2026-01-02", by="36h")
    assert days(late) == ["01", "03", "02", "04"]
    assert days(late.known_at("2026-01-04")) == ["01", "03"]
    assert days(late.known_at("2026-01-04T12:00:00Z")) == ["01", "03", "02"]
    assert [moment for moment, _ in late.arrivals()] == [
        "2026-01-02T00:00:00Z",
        "2026-01-04T00:00:00Z",
        "2026-01-04T12:00:00Z",
        "2026-01-05T00:00:00Z",
    ]


def test_the_samples_that_were_asked_stay_as_they_are() -> None:
    FOUR.with_gap(0)
    FOUR.with_value(0, 9.0)
    assert len(FOUR) == 4
    assert FOUR.rows()[0]["close"] == 1.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: FOUR.with_gap(4), "no point number 4; there are 4"),
        (lambda: FOUR.with_gap(3, 2), "no 2 points from number 3"),
        (lambda: FOUR.late("2027-01-01", "1d"), "No point is stamped 2027-01-01"),
        (lambda: FOUR.with_value(0, 1.0, 2.0), "2 values are given"),
    ],
)
def test_what_is_not_there_is_named(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        wrong()
