"""polars: series and frames, read from their plain form."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl

from qmtl.common.codec.arrays import Array, read_bitmap, read_column
from qmtl.common.codec.buffers import Buffers, Column, Header
from qmtl.common.codec.polars_lowering import NUMBERS
from qmtl.common.codec.text import read_text
from qmtl.common.errors import CorruptValue

_NUMBERS = frozenset(NUMBERS.values())


def read_polars(header: Header, buffers: Buffers) -> pl.Series | pl.DataFrame:
    """Return the series or frame that a header and its buffers describe.

    Raises:
        CorruptValue: They do not fit together.
    """
    if header.index is not None or header.labels is not None:
        raise CorruptValue("A polars value has no index.")
    try:
        if header.kind == "polars_series":
            return _read_series(header, buffers)
        return _read_frame(header, buffers)
    except pl.exceptions.PolarsError as error:
        raise CorruptValue(f"polars cannot hold the value: {error}") from error


def _read_series(header: Header, buffers: Buffers) -> pl.Series:
    if len(header.columns) != 1 or len(header.shape) != 1 or not isinstance(header.name, str):
        raise CorruptValue("A series has one column, one length and a name.")
    return _read_values(header.name, header.columns[0], header.shape[0], buffers)


def _read_frame(header: Header, buffers: Buffers) -> pl.DataFrame:
    names = header.name
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CorruptValue("A frame has a name for each column.")
    if len(header.shape) != 2 or not header.shape[1] == len(header.columns) == len(names):
        raise CorruptValue("A frame has as many columns as its shape says.")
    rows = header.shape[0]
    if rows and not names:
        raise CorruptValue("A frame without columns has no rows.")
    columns = zip(names, header.columns, strict=True)
    return pl.DataFrame([_read_values(name, column, rows, buffers) for name, column in columns])


def _read_values(name: str, column: Column, rows: int, buffers: Buffers) -> pl.Series:
    if column.nullable:
        raise CorruptValue("A polars column has no nullable type.")
    if column.type == "utf8":
        return pl.Series(name, read_text(column, rows, buffers), dtype=pl.String)
    if column.type == "date":
        valid = read_bitmap(rows, buffers) if column.nulls else None
        days = np.frombuffer(buffers.take(4 * rows), "<i4").astype(np.int32)
        return _masked(pl.Series(name, days), valid).cast(pl.Date)
    if column.type in {"datetime", "timedelta"}:
        values, valid = read_column(column, rows, buffers)
        dtype: Any = pl.Duration("ns")
        if column.type == "datetime":
            dtype = pl.Datetime("ns", column.zone or None)
        return _masked(pl.Series(name, values.view(np.int64)), valid).cast(dtype)
    if column.type not in _NUMBERS:
        raise CorruptValue(f"No column of polars is of such a type: {column.type}.")
    nullable = msgspec.structs.replace(column, nullable=column.nulls)
    values, valid = read_column(nullable, rows, buffers)
    return _masked(pl.Series(name, values), valid)


def _masked(series: pl.Series, valid: Array | None) -> pl.Series:
    if valid is None:
        return series
    return series.zip_with(pl.Series(valid), pl.Series([None], dtype=series.dtype))
