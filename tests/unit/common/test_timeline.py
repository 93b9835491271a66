import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import (
    EARLIEST,
    LATEST,
    UNITS,
    floor_bucket,
    format_interval,
    format_time,
    parse_interval,
    parse_time,
)

times = st.integers(EARLIEST, LATEST)
intervals = st.builds(
    lambda n, unit: n * UNITS[unit], st.integers(1, 500), st.sampled_from(sorted(UNITS))
)


@given(intervals)
def test_an_interval_is_read_back_from_its_text(interval_ns: int) -> None:
    assert parse_interval(format_interval(interval_ns)) == interval_ns


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "1.5h", "1y", "1 d", "01d", "1d1h", "1D"])
def test_what_is_no_interval_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InvalidRequest, match="such as '15m' or '1d'"):
        parse_interval(text)


@given(times, intervals)
def test_a_bucket_begins_at_or_before_its_times_and_less_than_an_interval_before(
    at_ns: int, interval_ns: int
) -> None:
    bucket = floor_bucket(at_ns, interval_ns)
    assert 0 <= at_ns - bucket < interval_ns
    assert floor_bucket(bucket, interval_ns) == bucket


def test_a_week_begins_on_monday() -> None:
    sunday, monday = parse_time("2026-11-22"), parse_time("2026-11-23")
    week = parse_interval("1w")
    assert floor_bucket(monday + 5, week) == monday
    assert floor_bucket(sunday, week) == parse_time("2026-11-16")


def test_without_an_interval_a_time_is_its_own_bucket() -> None:
    assert floor_bucket(123_456_789, None) == 123_456_789


@given(times)
def test_a_time_is_read_back_from_its_text(at_ns: int) -> None:
    assert parse_time(format_time(at_ns)) == at_ns


def test_an_offset_is_taken_into_account() -> None:
    assert format_time(parse_time("2026-11-23T01:30:00.25+02:00")) == "2026-11-22T23:30:00.250Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-23T00:00:00",
        "2026-13-01",
        "2026-11-23T00:00:00.1234567890Z",
        "2026-11-23T25:00:00Z",
        "\u0662\u0660\u0662\u0666-11-23",
    ],
)
def test_what_is_no_time_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InvalidRequest, match="RFC 3339"):
        parse_time(text)


@pytest.mark.parametrize("text", ["0001-01-01", "1677-09-21", "2300-01-01T00:00:00Z"])
def test_a_time_that_nanoseconds_cannot_say_is_refused_with_the_years_that_they_can(
    text: str,
) -> None:
    with pytest.raises(InvalidRequest, match=f"'{text}' is outside the years 1678 to 2261"):
        parse_time(text)
