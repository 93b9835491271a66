"""Small series for tests, with the faults that real data have: gaps, repeats, late points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import format_time, parse_interval
from qmtl.sdk.times import AsOf, nanoseconds

if TYPE_CHECKING:
    import pandas as pd

OHLCV = ("open", "high", "low", "close", "volume")
At = int | str | datetime  # an int is a place, from 0, or negative from the end


@dataclass(frozen=True, slots=True)
class Sample:
    """One point.

    Attributes:
        at_ns: Its time stamp: the start of its interval.
        known_ns: When it was known; the end of its interval unless it came late.
        values: By column; None where missing.
    """

    at_ns: int
    known_ns: int
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Points of one source, immutable: each method returns others.

    They can be given to ``Pipeline.execute`` and ``assert_node`` as the data of a source.
    """

    columns: tuple[str, ...]
    points: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.points)

    def with_gap(self, at: At, count: int = 1) -> Samples:
        """Return the samples without ``count`` points from the one at a place or time on."""
        place = self._place(at)
        if count < 1 or place + count > len(self):
            raise InvalidRequest(f"There are no {count} points from number {place} on.")
        return replace(self, points=self.points[:place] + self.points[place + count :])

    def with_duplicates(self, at: At, count: int = 1) -> Samples:
        """Return the samples with the point at a place or time repeated ``count`` times.

        As the data of a run they are refused, since nobody can know which one is meant.
        """
        place = self._place(at)
        again = (self.points[place],) * count
        return replace(self, points=self.points[: place + 1] + again + self.points[place + 1 :])

    def with_value(self, at: At, *values: float | None) -> Samples:
        """Return the samples with other values (None: missing) at a place or time."""
        place = self._place(at)
        point = replace(self.points[place], values=_checked(values, self.columns))
        return replace(self, points=(*self.points[:place], point, *self.points[place + 1 :]))

    def late(self, at: At, by: str) -> Samples:
        """Return the samples with the point at a place or time known later.

        Its stamp stays. ``known_at`` leaves it out until then, and ``rows`` and ``arrivals`` have
        it after those that were known before.

        Args:
            at: The point.
            by: How much later, such as ``"2d"``.
        """
        place = self._place(at)
        point = self.points[place]
        point = replace(point, known_ns=point.known_ns + parse_interval(by))
        return replace(self, points=(*self.points[:place], point, *self.points[place + 1 :]))

    def known_at(self, moment: AsOf) -> Samples:
        """Return what was known at a moment."""
        limit = nanoseconds(moment)
        return replace(self, points=tuple(p for p in self.points if p.known_ns <= limit))

    def arrivals(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield each moment at which points became known, with their rows, in order of time."""
        for known_ns, points in groupby(self._by_arrival(), key=lambda point: point.known_ns):
            yield format_time(known_ns), [self._row(point) for point in points]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that the API takes, in order of arrival."""
        return [self._row(point) for point in self._by_arrival()]

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame indexed by UTC time, in order of arrival."""
        import pandas as pd  # noqa: PLC0415 - rows need no pandas

        points = self._by_arrival()
        index = pd.to_datetime([point.at_ns for point in points], unit="ns", utc=True)
        values = [point.values for point in points]
        return pd.DataFrame(
            values, index=index.rename("ts"), columns=list(self.columns), dtype="float64"
        )

    def to_csv(self) -> str:
        """Return CSV text, in order of arrival; a missing value is an empty field."""
        lines = [",".join(("ts", *self.columns))]
        for point in self._by_arrival():
            fields = ("" if value is None else repr(value) for value in point.values)
            lines.append(",".join((format_time(point.at_ns), *fields)))
        return "\n".join(lines) + "\n"

    def _by_arrival(self) -> list[Sample]:
        return sorted(self.points, key=lambda point: point.known_ns)

    def _row(self, point: Sample) -> dict[str, Any]:
        values = zip(self.columns, point.values, strict=True)
        return {"ts": format_time(point.at_ns), **dict(values)}

    def _place(self, at: At) -> int:
        if isinstance(at, int) and -len(self) <= at < len(self):
            return at % len(self)
        if isinstance(at, int):
            raise InvalidRequest(f"There is no point number {at}; there are {len(self)}.")
        wanted = nanoseconds(at)
        for place, point in enumerate(self.points):
            if point.at_ns == wanted:
                return place
        raise InvalidRequest(f"No point is stamped {format_time(wanted)}.")


def series(
    start: AsOf, interval: str, values: Sequence[float | None], *, column: str = "close"
) -> Samples:
    """Return samples of one column, evenly spaced.

    Args:
        start: Stamp of the first.
        interval: Between them, such as ``"1d"``.
        values: In order of time; None where one is missing.
        column: Its name.
    """
    return _spaced(start, interval, [(value,) for value in values], (column,))


def ohlcv(
    start: AsOf,
    interval: str,
    closes: Sequence[float],
    *,
    spread: float = 0.01,
    volume: float = 1_000.0,
) -> Samples:
    """Return bars with the columns open, high, low, close and volume.

    Args:
        start: Stamp of the first bar.
        interval: Of the bars, such as ``"1h"``.
        closes: A bar opens at the close before it, the first at its own.
        spread: How far high and low lie beyond open and close, as a fraction of them.
        volume: Of every bar.
    """
    bars = []
    for before, close in zip([*closes[:1], *closes], closes, strict=False):
        high, low = max(before, close) * (1 + spread), min(before, close) * (1 - spread)
        bars.append((before, high, low, close, volume))
    return _spaced(start, interval, bars, OHLCV)


def _spaced(
    start: AsOf,
    interval: str,
    rows: Sequence[tuple[float | None, ...]],
    columns: tuple[str, ...],
) -> Samples:
    first, step = nanoseconds(start), parse_interval(interval)
    points = (
        Sample(first + i * step, first + (i + 1) * step, _checked(values, columns))
        for i, values in enumerate(rows)
    )
    return Samples(columns, tuple(points))


def _checked(
    values: tuple[float | None, ...], columns: tuple[str, ...]
) -> tuple[float | None, ...]:
    if len(values) != len(columns):
        raise InvalidRequest(f"{len(values)} values are given for the columns {columns}.")
    return tuple(None if value is None else float(value) for value in values)
