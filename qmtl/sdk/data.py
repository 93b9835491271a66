"""Data handed to a local run: files, rows and pandas objects, read as points of a source.

Rows may stand in any order and are sorted by time; gaps are allowed; NaN and None are missing
values. What cannot be meant is refused: a time that comes twice, one without a time zone, one
finer than a millisecond, a column that does not hold numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import pandas as pd

from qmtl.common.clock import now_ns
from qmtl.common.errors import InvalidPoint, InvalidRequest, MissingData
from qmtl.common.timeline import MILLISECOND, format_time
from qmtl.models.datanode import SourceSpec
from qmtl.models.points import TIME_COLUMN, Points, points_from_rows
from qmtl.models.strategy import StrategySpec
from qmtl.sdk.data_files import read_file


@runtime_checkable
class Table(Protocol):
    """Anything that becomes a pandas object: an Arrow table, a polars frame, a test's samples."""

    def to_pandas(self) -> Any:
        """Return a DataFrame or a Series."""


Data: TypeAlias = (
    "Points | pd.DataFrame | pd.Series[Any] | Table | list[dict[str, Any]] | str | Path"
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EmptyFile(Points):
    """No points at all, from a file that shall be named once a node reads the source."""

    path: str


_SHOWN = 60  # characters of a value that a message repeats


def read_inputs(spec: StrategySpec, inputs: Mapping[str, Data]) -> dict[str, Points]:
    """Return the points of every source that was given, by variable.

    Raises:
        InvalidRequest: An input names no source of the strategy.
        DataError: A file cannot be read.
        InvalidPoint: The source and what of its data cannot be used.
    """
    known = {s.variable: s for s in spec.sources}
    for variable in inputs:
        if variable not in known:
            raise InvalidRequest(
                f"The strategy has no source {variable!r}.",
                hint=f"Its sources are {', '.join(known)}." if known else "It declares no source.",
            )
    return {variable: read_points(known[variable], data) for variable, data in inputs.items()}


def read_points(source: SourceSpec, data: Data) -> Points:
    """Return data of any accepted form as points with the columns of ``source``.

    Args:
        source: What the strategy declares.
        data: Points; a pandas object whose index, or column ``ts``, holds times with a zone, or
            what becomes one; rows with ``ts``; or the path of a file (CSV, Parquet, Arrow, JSON).

    Raises:
        DataError: A file cannot be read.
        InvalidPoint: The source and what of its data cannot be used.
    """
    try:
        return _read(source, data)
    except InvalidPoint as error:
        detail = f"Source {source.variable!r}: {error.detail}"
        raise InvalidPoint(detail, hint=_local_hint(error.hint)) from error


def _local_hint(hint: str | None) -> str | None:
    """Return a hint for one who runs a strategy here: no request carries the data."""
    if hint is not None and "request of its own" in hint:
        return "Keep one of the two rows."
    return hint


def default_as_of_ns(sources: Iterable[SourceSpec], points: Mapping[str, Points]) -> int:
    """Return the moment at which the last of all points becomes visible.

    Without a source it is now, since nothing else tells the time.

    Raises:
        MissingData: Sources are declared, and none has a point.
    """
    declared = list(sources)
    if not declared:
        return now_ns()
    given = [s for s in declared if len(points.get(s.variable, ()))]
    if not given:
        first = declared[0]
        raise missing_data(first, points=points.get(first.variable))
    return max(_visible_ns(s, points[s.variable]) for s in given)


def missing_data(
    source: SourceSpec, at_ns: int | None = None, *, points: Points | None = None
) -> MissingData:
    """Return the error for a source without data, or with none that is visible at a time."""
    named = f"Source {source.variable!r} ({source.name}) has no point"
    if isinstance(points, EmptyFile):
        return MissingData(
            f"{named}: {points.path} holds no row.",
            hint="Write rows into the file, or name another one.",
        )
    if at_ns is not None:
        return MissingData(
            f"{named} that is visible at {format_time(at_ns)}.",
            hint="Choose a later as_of, or give it earlier data.",
        )
    return MissingData(
        f"{named}.",
        hint=f"Give it data with --data {source.variable}=FILE.csv, "
        f'or inputs={{"{source.variable}": ...}} in Python.',
    )


def _visible_ns(source: SourceSpec, points: Points) -> int:
    last_ns = int(points.times_ms[-1]) * MILLISECOND
    return last_ns + (last_ns - source.latest_visible_ns(last_ns))


def _read(source: SourceSpec, data: Data) -> Points:
    if isinstance(data, str | Path):
        points = read_file(data, source.columns, lambda frame: _from_frame(frame, source.columns))
        if len(points):
            return points
        return EmptyFile(points.columns, points.times_ms, points.values, path=str(data))
    if isinstance(data, Points):
        _require(data.columns, source.columns)
        return data.select(source.columns)
    if isinstance(data, Table):
        data = data.to_pandas()
    if isinstance(data, pd.Series):
        return _from_series(data, source.columns)
    if isinstance(data, pd.DataFrame):
        return _from_frame(data, source.columns)
    if not isinstance(data, list | tuple):
        raise InvalidPoint(
            f"{type(data).__name__} is no data.",
            hint="Give a DataFrame, a Series, rows, Points, or the path of a file.",
        )
    return points_from_rows(data, source.columns)


def _from_series(series: pd.Series[Any], columns: tuple[str, ...]) -> Points:
    if len(columns) != 1:
        raise InvalidPoint(
            f"A Series has one column, the source declares {', '.join(columns)}.",
            hint="Give a DataFrame.",
        )
    return _from_frame(series.to_frame(columns[0]), columns)


def _from_frame(frame: pd.DataFrame, columns: tuple[str, ...]) -> Points:
    _require([str(c) for c in frame.columns], columns)
    times_ms = _times_ms(_index(frame))
    table = np.column_stack([_floats(frame, c) for c in columns])
    table[np.isnan(table)] = np.nan  # one NaN, so that equal data have equal digests
    order = np.argsort(times_ms, kind="stable")
    times_ms, table = times_ms[order], table[order]
    repeated = np.flatnonzero(times_ms[1:] == times_ms[:-1])
    if len(repeated):
        first, second = (int(order[repeated[0] + i]) + 1 for i in (0, 1))
        when = format_time(int(times_ms[repeated[0]]) * MILLISECOND)
        raise InvalidPoint(
            f"Rows {first} and {second} have the same time {when}.",
            hint="Keep one of them, e.g. frame[~frame.index.duplicated(keep='last')].",
        )
    return Points(columns, times_ms, table)


def _index(frame: pd.DataFrame) -> pd.Index[Any]:
    """Return the index, or the column ``ts`` where the index holds no times."""
    if isinstance(frame.index, pd.DatetimeIndex) or list(frame.columns).count(TIME_COLUMN) != 1:
        return frame.index
    times = frame[TIME_COLUMN]
    if not pd.api.types.is_datetime64_any_dtype(times):
        raise InvalidPoint(
            f"Column {TIME_COLUMN!r} holds {times.dtype}, not times.",
            hint=f"Use pd.to_datetime(frame[{TIME_COLUMN!r}], utc=True).",
        )
    return pd.DatetimeIndex(times)


def _require(given: Sequence[str], columns: tuple[str, ...]) -> None:
    for column in columns:
        count = given.count(column)
        if count != 1:
            detail = f"{count} columns named" if count else "no column"
            raise InvalidPoint(
                f"The data have {detail} {column!r}.",
                hint=f"The source declares {', '.join(columns)}.",
            )


def _times_ms(index: pd.Index[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    if not isinstance(index, pd.DatetimeIndex):
        raise InvalidPoint(
            "The index holds no times, and there is no column 'ts'.",
            hint="Use a DatetimeIndex in UTC, e.g. set_index('ts').",
        )
    if index.tz is None:
        raise InvalidPoint(
            "The times have no time zone.", hint="Say which it is, e.g. frame.tz_localize('UTC')."
        )
    if index.hasnans:
        row = int(np.flatnonzero(index.isna())[0]) + 1
        raise InvalidPoint(f"Row {row} has a missing time.", hint="Drop the rows without a time.")
    whole = index.tz_convert("UTC").as_unit("ms")
    finer = np.flatnonzero(np.asarray(whole != index))
    if len(finer):
        raise InvalidPoint(
            f"Row {finer[0] + 1}: the time {index[finer[0]]} is finer than a millisecond.",
            hint="Round the index, e.g. index.floor('ms').",
        )
    return np.array(whole.asi8, dtype=np.int64)


def _floats(frame: pd.DataFrame, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    series = frame[column]
    kinds = pd.api.types
    real = kinds.is_numeric_dtype(series) and not kinds.is_complex_dtype(series)
    if not real or kinds.is_bool_dtype(series):
        raise _not_numbers(series, column)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _not_numbers(series: pd.Series[Any], column: str) -> InvalidPoint:
    """Name the first row whose value is no number, where the column is not at fault as a whole."""
    detail = f"Column {column!r} holds {series.dtype}, not numbers"
    for row, value in enumerate(series.tolist(), 1):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number and value is not None and value is not pd.NA:
            detail += f"; row {row} is {_shown(value)}"
            break
    return InvalidPoint(
        f"{detail}.",
        hint=f"Use pd.to_numeric(frame[{column!r}]), which names what is no number.",
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
