"""polars: series and frames, made plain."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl

from qmtl.common.codec.arrays import Array, lower_bitmap, lower_column
from qmtl.common.codec.buffers import Column, Header, pack
from qmtl.common.codec.kinds import Ext
from qmtl.common.codec.refusal import Refused, refuse_type
from qmtl.common.codec.text import lower_text

NUMBERS = {
    pl.Boolean: "bool",
    pl.Int8: "int8",
    pl.Int16: "int16",
    pl.Int32: "int32",
    pl.Int64: "int64",
    pl.UInt8: "uint8",
    pl.UInt16: "uint16",
    pl.UInt32: "uint32",
    pl.UInt64: "uint64",
    pl.Float32: "float32",
    pl.Float64: "float64",
}
if hasattr(pl, "Float16"):  # younger than the oldest polars that is taken
    NUMBERS[pl.Float16] = "float16"
_NANOSECONDS = {"ms": 1_000_000, "us": 1_000, "ns": 1}
_INT64_MAX = 2**63 - 1
_TIMES = {pl.Datetime: "datetime", pl.Duration: "timedelta"}


def lower_polars(value: object) -> msgspec.msgpack.Ext:
    """Return an extension that holds a series or a frame.

    Raises:
        Refused: It is neither, or a column has no encoding.
    """
    if isinstance(value, pl.Series) and type(value) is pl.Series:
        column, buffers = _lower_values(value)
        header = Header(kind="polars_series", columns=[column], shape=[len(value)], name=value.name)
        return msgspec.msgpack.Ext(Ext.COLUMNS, pack(header, buffers))
    if isinstance(value, pl.DataFrame) and type(value) is pl.DataFrame:
        return _lower_frame(value)
    hint = "Compute it with .collect()." if isinstance(value, pl.LazyFrame) else None
    raise refuse_type(value, hint=hint)


def _lower_frame(frame: pl.DataFrame) -> msgspec.msgpack.Ext:
    if frame.height and not frame.width:
        raise Refused("has rows but no columns.")
    columns: list[Column] = []
    buffers: list[bytes] = []
    for series in frame.iter_columns():
        try:
            column, more = _lower_values(series)
        except Refused as refused:
            raise refused.inside(f"[{series.name!r}]") from None
        columns.append(column)
        buffers += more
    header = Header(
        kind="polars_frame", columns=columns, shape=list(frame.shape), name=frame.columns
    )
    return msgspec.msgpack.Ext(Ext.COLUMNS, pack(header, buffers))


def _lower_values(series: pl.Series) -> tuple[Column, list[bytes]]:
    base = series.dtype.base_type()
    valid = series.is_not_null().to_numpy() if series.null_count() else None
    if base == pl.String:
        missing = np.zeros(len(series), dtype=bool) if valid is None else ~valid
        return lower_text(series.to_list(), missing)
    if base in NUMBERS:
        column, buffers = lower_column(_filled(series, zero=False if base == pl.Boolean else 0))
    elif base == pl.Date:
        days = _filled(series.to_physical(), zero=0)
        column, buffers = Column(type="date"), [days.astype("<i4").tobytes()]
    elif base in _TIMES:
        zone = "UTC" if getattr(series.dtype, "time_zone", None) else ""
        column = Column(type=_TIMES[base], zone=zone)  # type: ignore[arg-type]  # one of its literals
        buffers = [_nanoseconds(series).astype("<i8").tobytes()]
    else:
        raise Refused(
            f"has the dtype {series.dtype}, which has no encoding.",
            hint="Convert it with .cast() to numbers, booleans, times or text.",
        )
    column = msgspec.structs.replace(column, nulls=valid is not None)
    return column, [*lower_bitmap(valid), *buffers]


def _filled(series: pl.Series, *, zero: Any) -> Array:
    return (series.fill_null(zero) if series.null_count() else series).to_numpy()


def _nanoseconds(series: pl.Series) -> Array:
    counts = _filled(series.to_physical(), zero=0)
    factor = _NANOSECONDS[getattr(series.dtype, "time_unit", None) or "us"]
    bound = _INT64_MAX // factor
    if counts.size and not (-bound <= counts.min() and counts.max() <= bound):
        raise Refused("holds a time outside the years 1678 to 2261.")
    return np.asarray(counts * factor)
