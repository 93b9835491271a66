"""Data handed to a local run: CSV files, rows and pandas objects, read as points of a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from qmtl.common.clock import now_ns
from qmtl.common.errors import InvalidPoint, InvalidRequest, MissingData
from qmtl.common.timeline import MILLISECOND, format_time
from qmtl.models.datanode import SourceSpec
from qmtl.models.points import Points, points_from_csv, points_from_rows
from qmtl.models.strategy import StrategySpec
from qmtl.sdk.files import read_text

Data: TypeAlias = "Points | pd.DataFrame | pd.Series[Any] | list[dict[str, Any]] | str | Path"


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
        data: Points, a pandas object with a UTC index, rows with ``ts``, or a path to a CSV file.

    Raises:
        DataError: A file cannot be read.
        InvalidPoint: The source and what of its data cannot be used.
    """
    try:
        return _read(source, data)
    except InvalidPoint as error:
        detail = f"Source {source.variable!r}: {error.detail}"
        raise InvalidPoint(detail, hint=error.hint) from error


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
        raise missing_data(declared[0])
    return max(_visible_ns(s, points[s.variable]) for s in given)


def missing_data(source: SourceSpec, at_ns: int | None = None) -> MissingData:
    """Return the error for a source without data, or with none that is visible at a time."""
    named = f"Source {source.variable!r} ({source.name}) has no point"
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
        return points_from_csv(read_text(data), source.columns)
    if isinstance(data, pd.Series):
        return _from_series(data, source.columns)
    if isinstance(data, pd.DataFrame):
        return _from_frame(data, source.columns)
    if isinstance(data, Points):
        _require(data.columns, source.columns)
        return data.select(source.columns)
    if not isinstance(data, list | tuple):
        raise InvalidPoint(
            f"{type(data).__name__} is no data.",
            hint="Give a DataFrame, a Series, rows, Points, or the path of a CSV file.",
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
    times_ms = _times_ms(frame.index)
    table = np.column_stack([_floats(frame, c) for c in columns])
    table[np.isnan(table)] = np.nan  # one NaN, so that equal data have equal digests
    order = np.argsort(times_ms, kind="stable")
    times_ms, table = times_ms[order], table[order]
    repeated = np.flatnonzero(times_ms[1:] == times_ms[:-1])
    if len(repeated):
        when = format_time(int(times_ms[repeated[0]]) * MILLISECOND)
        raise InvalidPoint(f"Two rows have the same time {when}.", hint="Keep one of them.")
    return Points(columns, times_ms, table)


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
            "The index holds no times.", hint="Use a DatetimeIndex in UTC, e.g. set_index('ts')."
        )
    if index.tz is None:
        raise InvalidPoint(
            "The index has no time zone.", hint="Say which it is, e.g. frame.tz_localize('UTC')."
        )
    if index.hasnans:
        raise InvalidPoint("The index holds a missing time.", hint="Drop the rows without a time.")
    whole = index.tz_convert("UTC").as_unit("ms")
    finer = np.flatnonzero(np.asarray(whole != index))
    if len(finer):
        raise InvalidPoint(
            f"The time {index[finer[0]]} is finer than a millisecond.",
            hint="Round the index, e.g. index.floor('ms').",
        )
    return np.array(whole.asi8, dtype=np.int64)


def _floats(frame: pd.DataFrame, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    series = frame[column]
    kinds = pd.api.types
    if not kinds.is_numeric_dtype(series) or kinds.is_bool_dtype(series):
        raise InvalidPoint(
            f"Column {column!r} holds {series.dtype}, not numbers.", hint="Use .astype(float)."
        )
    return series.to_numpy(dtype=np.float64, na_value=np.nan)
