"""Points of a source: arrays of times and numbers, read from rows or CSV, seen as pandas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qmtl.common.errors import InvalidPoint, InvalidRequest
from qmtl.common.timeline import MILLISECOND, format_time, parse_time

if TYPE_CHECKING:
    import pandas as pd

TIME_COLUMN = "ts"
_SHOWN = 60  # characters of a value that a message repeats


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of one source, in ascending time, no time twice.

    Attributes:
        columns: Names of the columns.
        times_ms: Shape (n,), int64 milliseconds UTC.
        values: Shape (n, len(columns)), float64; NaN where a value is missing.
    """

    columns: tuple[str, ...]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times_ms)

    def window(self, *, until_ms: int, period: int) -> Points:
        """Return the last ``period`` points stamped at or before ``until_ms``."""
        end = int(np.searchsorted(self.times_ms, until_ms, side="right"))
        start = max(0, end - period)
        return Points(self.columns, self.times_ms[start:end], self.values[start:end])

    def select(self, columns: tuple[str, ...]) -> Points:
        """Return the same points with these of their columns, in this order."""
        if columns == self.columns:
            return self
        places = [self.columns.index(c) for c in columns]
        return Points(columns, self.times_ms, self.values[:, places])

    def to_pandas(self) -> pd.Series[float] | pd.DataFrame:
        """Return a Series for one column, else a DataFrame, indexed by UTC time."""
        import pandas as pd  # noqa: PLC0415 - only readers of a source pay for pandas

        moments = self.times_ms.astype("datetime64[ms]").astype("datetime64[ns]")
        index = pd.DatetimeIndex(moments, name=TIME_COLUMN).tz_localize("UTC")
        if len(self.columns) == 1:
            return pd.Series(self.values[:, 0].copy(), index=index, name=self.columns[0])
        return pd.DataFrame(self.values.copy(), index=index, columns=list(self.columns))


def points_from_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Points:
    """Read points from rows such as ``{"ts": "2026-11-23", "close": 1.5}``.

    A value is a number, or None where it is missing. Rows may stand in any order.

    Raises:
        InvalidPoint: Names the first row (from 1) and column that cannot be used.
    """
    expected = {TIME_COLUMN, *columns}
    times: list[int] = []
    values: list[list[float]] = []
    for number, row in enumerate(rows, 1):
        _check_columns(number, row, expected)
        times.append(_time(number, row[TIME_COLUMN]))
        values.append([_number(number, c, row[c]) for c in columns])
    return _sorted(times, values, tuple(columns))


def points_from_csv(text: str, columns: Sequence[str]) -> Points:
    """Read points from CSV with a header that names ``ts`` and at least every column.

    An empty field is a missing value; further columns of the file are ignored.

    Raises:
        InvalidPoint: Names the first row (from 1, without the header) and column that is wrong.
    """
    reader = csv.reader(io.StringIO(text))
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [c for c in (TIME_COLUMN, *columns) if c not in header]
        if missing:
            raise InvalidPoint(
                f"The CSV has no column {missing[0]!r}.",
                hint=f"Its header must name {', '.join((TIME_COLUMN, *columns))}.",
            )
        repeated = [c for c in (TIME_COLUMN, *columns) if header.count(c) > 1]
        if repeated:
            raise InvalidPoint(f"The CSV has the column {repeated[0]!r} twice.")
        places = [header.index(c) for c in columns]
        return _sorted(*_csv_rows(reader, len(header), header.index(TIME_COLUMN), places, columns))
    except csv.Error as error:
        raise InvalidPoint(f"The CSV cannot be read: {error}.") from error


def _csv_rows(
    reader: Iterable[list[str]],
    width: int,
    time_place: int,
    places: list[int],
    columns: Sequence[str],
) -> tuple[list[int], list[list[float]], tuple[str, ...]]:
    times: list[int] = []
    values: list[list[float]] = []
    for number, fields in enumerate((f for f in reader if f), 1):
        if len(fields) != width:
            raise InvalidPoint(f"Row {number} has {len(fields)} fields, the header {width}.")
        times.append(_time(number, fields[time_place].strip()))
        values.append(
            [_csv_number(number, c, fields[p]) for c, p in zip(columns, places, strict=True)]
        )
    return times, values, tuple(columns)


def _check_columns(number: int, row: Mapping[str, Any], expected: set[str]) -> None:
    if not isinstance(row, Mapping):
        raise InvalidPoint(f"Row {number} is no object.")
    if row.keys() == expected:
        return
    for name in sorted(expected - row.keys()):
        raise InvalidPoint(
            f"Row {number} has no column {name!r}.", hint="Write null where a value is missing."
        )
    unknown = sorted(row.keys() - expected)[0]
    raise InvalidPoint(
        f"Row {number} has a column {unknown!r} that the source does not declare.",
        hint=f"It declares {', '.join(sorted(expected))}.",
    )


def _time(number: int, text: object) -> int:
    if not isinstance(text, str):
        raise InvalidPoint(f"Row {number}, column 'ts': a time is written as text.")
    if len(text) > _SHOWN:
        raise InvalidPoint(f"Row {number}, column 'ts': {_shown(text)} is not a time.")
    try:
        at_ns = parse_time(text)
    except InvalidRequest as error:
        raise InvalidPoint(f"Row {number}, column 'ts': {error.detail}", hint=error.hint) from error
    if at_ns % MILLISECOND:
        raise InvalidPoint(f"Row {number}, column 'ts': {text!r} is finer than a millisecond.")
    return at_ns // MILLISECOND


def _number(number: int, column: str, value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidPoint(f"Row {number}, column {column!r}: {_shown(value)} is not a number.")
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidPoint(f"Row {number}, column {column!r}: the number is too large.") from error


def _csv_number(number: int, column: str, text: str) -> float:
    stripped = text.strip()
    if not stripped:
        return math.nan
    try:
        if "_" in stripped:  # which float() takes, and no other reader of CSV
            raise ValueError
        value = float(stripped)
    except ValueError as error:
        raise InvalidPoint(
            f"Row {number}, column {column!r}: {_shown(text)} is not a number."
        ) from error
    if math.isinf(value) and any(c.isdigit() for c in stripped):
        raise InvalidPoint(f"Row {number}, column {column!r}: the number is too large.")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _sorted(times: list[int], values: list[list[float]], columns: tuple[str, ...]) -> Points:
    moments = np.array(times, dtype=np.int64)
    table = np.array(values, dtype=np.float64).reshape(len(times), len(columns))
    table[np.isnan(table)] = np.nan  # one NaN, so that equal points have equal bytes
    order = np.argsort(moments, kind="stable")
    moments, table = moments[order], table[order]
    repeated = np.flatnonzero(moments[1:] == moments[:-1])
    if len(repeated):
        first, second = sorted(int(order[repeated[0] + i]) + 1 for i in (0, 1))
        when = format_time(int(moments[repeated[0]]) * MILLISECOND)
        raise InvalidPoint(
            f"Rows {first} and {second} have the same time {when}.",
            hint="Keep one of them; a correction goes to a server in a request of its own.",
        )
    return Points(columns, moments, table)
