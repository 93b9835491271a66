"""pandas: times, series, frames and their indexes, made plain."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd

from qmtl.common.codec.arrays import (
    Array,
    lower_column,
    lower_nullable,
)
from qmtl.common.codec.buffers import Column, Header, Labels, pack
from qmtl.common.codec.kinds import Ext
from qmtl.common.codec.lowering import lower
from qmtl.common.codec.refusal import Refused, refuse_type
from qmtl.common.codec.text import lower_text

_NULLABLE = {
    "boolean": "bool",
    **{
        f"{'U' if sign else ''}Int{n}": f"{sign}int{n}"
        for sign in ("", "u")
        for n in (8, 16, 32, 64)
    },
    "Float32": "float32",
    "Float64": "float64",
}
BLOCKS = frozenset({*_NULLABLE.values(), "float16"})  # what a frame holds as one array
INT64 = range(-(2**63), 2**63)


def lower_pandas(value: object) -> object:
    """Return the plain form of a pandas time, or an extension that holds a series or a frame.

    Raises:
        Refused: It has none.
    """
    if value is pd.NaT or value is pd.NA:
        raise Refused(f"is {value}, which has no encoding.", hint="Return None.")
    if isinstance(value, pd.Timestamp):
        return _lower_whole(value, value.nanosecond, "to_pydatetime")
    if isinstance(value, pd.Timedelta):
        return _lower_whole(value, value.nanoseconds, "to_pytimedelta")
    if isinstance(value, pd.Series) and type(value) is pd.Series:
        return _lower_series(value)
    if isinstance(value, pd.DataFrame) and type(value) is pd.DataFrame:
        return _lower_frame(value)
    hint = "Convert it with .to_series() or .tolist()." if isinstance(value, pd.Index) else None
    raise refuse_type(value, hint=hint)


def _lower_whole(value: object, nanoseconds: int, convert: str) -> object:
    if nanoseconds:
        raise Refused("is a pandas time that is not in whole microseconds.")
    try:
        return lower(getattr(value, convert)())
    except (OverflowError, ValueError):
        raise Refused("is a pandas time outside the years 1 to 9999.") from None


def _lower_series(series: pd.Series[Any]) -> msgspec.msgpack.Ext:
    index, buffers = _lower_at(".index", series.index)
    column, more = _lower_values(series)
    name = _lower_label(series.name)
    header = Header(kind="series", columns=[column], shape=[len(series)], index=index, name=name)
    return msgspec.msgpack.Ext(Ext.COLUMNS, pack(header, buffers + more))


def _lower_frame(frame: pd.DataFrame) -> msgspec.msgpack.Ext:
    index, buffers = _lower_at(".index", frame.index)
    labels, more = _lower_at(".columns", frame.columns)
    buffers += more
    columns, more = _lower_columns(frame)
    header = Header(
        kind="frame", columns=columns, shape=list(frame.shape), index=index, labels=labels
    )
    return msgspec.msgpack.Ext(Ext.COLUMNS, pack(header, buffers + more))


def _lower_columns(frame: pd.DataFrame) -> tuple[list[Column], list[bytes]]:
    columns: list[Column] = []
    buffers: list[bytes] = []
    dtypes = set(frame.dtypes)
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    if isinstance(dtype, np.dtype) and dtype.name in BLOCKS:  # cheaper than column by column
        column, more = lower_column(frame.to_numpy().T)
        return [column] * frame.shape[1], more
    for label, series in frame.items():
        try:
            column, more = _lower_values(series)
        except Refused as refused:
            raise refused.inside(f"[{label!r}]") from None
        columns.append(column)
        buffers += more
    return columns, buffers


def _lower_values(values: pd.Series[Any] | pd.Index[Any]) -> tuple[Column, list[bytes]]:
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind == "O":
            return _lower_objects(values.to_numpy(), _missing(values))
        return lower_column(values.to_numpy())
    if isinstance(dtype, pd.DatetimeTZDtype):
        utc = values.to_numpy(dtype=f"datetime64[{dtype.unit}]")
        return lower_column(utc, zone="UTC")
    if isinstance(dtype, pd.StringDtype):
        return lower_text(values.to_numpy(dtype=object).tolist(), _missing(values))
    if str(dtype) in _NULLABLE:
        numbers = values.array.to_numpy(dtype=_NULLABLE[str(dtype)], na_value=0)
        return lower_nullable(numbers, ~_missing(values))
    raise Refused(
        f"has the dtype {dtype}, which has no encoding.",
        hint="Convert it with .astype() to numbers, booleans, times or text.",
    )


def _missing(values: pd.Series[Any] | pd.Index[Any]) -> Array:
    return np.asarray(values.isna(), dtype=bool)


def _lower_objects(values: Array, missing: Array) -> tuple[Column, list[bytes]]:
    for at, (item, gone) in enumerate(zip(values, missing, strict=True)):
        if not (gone or isinstance(item, str)):
            raise Refused(
                f"holds Python objects that are not text, such as a {type(item).__name__}.",
                hint="Convert it with .astype() to numbers, booleans, times or text.",
            ).inside(f".iloc[{at}]")
    return lower_text(values.tolist(), missing)


def _lower_at(step: str, index: pd.Index[Any]) -> tuple[Labels, list[bytes]]:
    try:
        return _lower_index(index)
    except Refused as refused:
        raise refused.inside(step) from None


def _lower_index(index: pd.Index[Any]) -> tuple[Labels, list[bytes]]:
    names = [_lower_label(name) for name in index.names]
    steps = _progression(index)
    if steps is not None:
        return Labels(kind="range", names=names, start=steps[0], step=steps[1]), []
    if isinstance(index, pd.MultiIndex):
        levels = [_lower_values(index.get_level_values(n)) for n in range(index.nlevels)]
        buffers = [buffer for _, each in levels for buffer in each]
        return Labels(kind="levels", names=names, columns=[c for c, _ in levels]), buffers
    try:
        column, buffers = _lower_values(index)
    except Refused:
        if index.dtype != object:
            raise
        return Labels(kind="mixed", names=names, values=[_lower_label(x) for x in index]), []
    return Labels(kind="column", names=names, columns=[column]), buffers


def _lower_label(label: object) -> object:
    try:
        hash(label)
    except TypeError:
        raise refuse_type(label) from None
    return lower(label)


def _progression(index: pd.Index[Any]) -> tuple[int, int] | None:
    """Return first integer and distance where an int64 index is evenly spaced."""
    if isinstance(index, pd.MultiIndex) or index.dtype != np.dtype("int64"):
        return None
    if len(index) == 0:
        return 0, 1
    start = int(index[0])
    if len(index) == 1:
        return start, 1
    step = int(index[1]) - start
    if step == 0 or start + step * len(index) not in INT64:
        return None
    if isinstance(index, pd.RangeIndex):
        return start, step
    steps = np.arange(len(index), dtype=np.int64) * step + start
    return (start, step) if np.array_equal(index.to_numpy(), steps) else None
