"""Intervals, buckets and RFC 3339: all arithmetic on time, in integer nanoseconds UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from qmtl.common.errors import InvalidRequest

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
UNITS = {
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 7 * 86_400 * SECOND,
}
WEEK = UNITS["w"]
FIRST_MONDAY = 4 * UNITS["d"]  # the epoch was a Thursday
LATEST = 2**63 - 1 - 2 * WEEK  # so that no floor or ceiling of a time leaves int64
EARLIEST = -LATEST
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_FRACTION = re.compile(r"\.(\d+)")


def parse_interval(text: str) -> int:
    """Return the nanoseconds of an interval such as ``"15m"``, ``"1d"`` or ``"2w"``.

    Raises:
        InvalidRequest: The text is not a whole positive number followed by s, m, h, d or w.
    """
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            f"{text!r} is not an interval.",
            hint="Write a whole number and one of s, m, h, d, w, such as '15m' or '1d'.",
        )
    return int(match[1]) * UNITS[match[2]]


def format_interval(interval_ns: int) -> str:
    """Return the shortest text that ``parse_interval`` reads back as ``interval_ns``."""
    unit = next(u for u in reversed(UNITS) if interval_ns % UNITS[u] == 0)
    return f"{interval_ns // UNITS[unit]}{unit}"


def results_behind(reader_ns: int, read_ns: int) -> int:
    """Return how many buckets of ``read_ns`` may begin between a reader's bucket and its end.

    A node of hours has run up to 24 times since the bucket of the day that looks back at it, and
    may run once more before the next: so many of its results must be kept beyond those wanted.
    """
    return -(-reader_ns // read_ns) + 1


def floor_bucket(at_ns: int, interval_ns: int | None) -> int:
    """Return the bucket of a time: floored to the interval in UTC, weeks to their Monday.

    Without an interval the time stands for itself.
    """
    if interval_ns is None:
        return at_ns
    origin = FIRST_MONDAY if interval_ns % WEEK == 0 else 0
    return at_ns - (at_ns - origin) % interval_ns


def parse_time(text: str) -> int:
    """Return nanoseconds UTC of an RFC 3339 time, or of a bare date (its midnight UTC).

    Raises:
        InvalidRequest: The text is no such time, names no offset, or is outside 1678 to 2261.
    """
    problem = InvalidRequest(
        f"{text!r} is not a time.",
        hint="Write RFC 3339 with an offset, such as '2026-11-23T00:00:00Z', or a date.",
    )
    fraction = _FRACTION.search(text)
    digits = fraction[1] if fraction else ""
    try:
        if len(text) == 10:
            moment = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        else:
            moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
    except ValueError as error:
        raise problem from error
    if moment.tzinfo is None or len(digits) > 9:
        raise problem
    since = moment - _EPOCH
    whole = (since.days * 86_400 + since.seconds) * SECOND
    at_ns = whole + int(digits.ljust(9, "0") if digits else 0)
    if not EARLIEST <= at_ns <= LATEST:
        raise InvalidRequest(f"{text!r} is outside the years 1678 to 2261.")
    return at_ns


def format_time(at_ns: int) -> str:
    """Return RFC 3339 in UTC, with as many fractional digits (0, 3, 6 or 9) as are needed."""
    seconds, rest = divmod(at_ns, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if rest:
        digits = f"{rest:09d}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text += f".{digits}"
    return text + "Z"
