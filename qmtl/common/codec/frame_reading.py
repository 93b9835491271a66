"""pandas: series, frames and their indexes, read from their plain form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from qmtl.common.codec.arrays import Array, read_column, set_missing_times
from qmtl.common.codec.buffers import Buffers, Column, Header, Labels
from qmtl.common.codec.frames import BLOCKS, INT64
from qmtl.common.codec.text import read_text
from qmtl.common.errors import CorruptValue

_TEXT: Any = (
    pd.StringDtype(na_value=np.nan) if int(pd.__version__.partition(".")[0]) >= 3 else object
)
_SHORT_TEXT = 1024  # bytes
_LOCKED = int(pd.__version__.partition(".")[0]) >= 3  # whether nobody can write into an index


def _freq_is_own() -> bool:
    """Whether a view of an index of times has a ``freq`` of its own: the one part one can set."""
    index = pd.DatetimeIndex(["2000-01-01", "2000-01-02"])
    view: Any = index.view()
    view.freq = "D"
    return index.freq is None


_FREQ_IS_OWN = _freq_is_own()


def read_frame(header: Header, buffers: Buffers) -> pd.Series[Any] | pd.DataFrame:
    """Return the series or frame that a header and its buffers describe.

    Raises:
        CorruptValue: They do not fit together; pandas' own errors may come too.
    """
    if header.index is None or (header.kind == "frame") != (header.labels is not None):
        raise CorruptValue("A series has an index, a frame has labels too.")
    if len(header.shape) != (2 if header.kind == "frame" else 1):
        raise CorruptValue("The shape does not fit the kind of value.")
    rows = header.shape[0]
    index = _read_index(header.index, rows, buffers)
    if header.labels is None:
        if len(header.columns) != 1:
            raise CorruptValue("A series has one column.")
        values = _read_values(header.columns[0], rows, buffers)
        hash(header.name)
        return pd.Series(values, index=index, name=header.name, copy=False)
    if len(header.columns) != header.shape[1]:
        raise CorruptValue("A frame has as many columns as its shape says.")
    labels = _read_index(header.labels, header.shape[1], buffers)
    if _is_block(header.columns):
        block, _ = read_column(header.columns[0], len(labels) * rows, buffers)
        by_column = block.reshape(len(labels), rows)
        return pd.DataFrame(by_column.T, index=index, columns=labels, copy=False)
    values = {n: _read_values(c, rows, buffers) for n, c in enumerate(header.columns)}
    frame = pd.DataFrame(values, index=index, copy=False)
    frame.columns = labels
    return frame


def can_lock(header: Header) -> bool:
    """Whether a series or frame can be read so that nobody can change it for another reader.

    Text and times in columns lie in objects that can be changed in place.
    """
    return (
        _LOCKED
        and _FREQ_IS_OWN
        and all(c.type in BLOCKS and not (c.nulls or c.nullable) for c in header.columns)
        and all(map(_can_lock_labels, (header.index, header.labels)))
    )


def _can_lock_labels(labels: Labels | None) -> bool:
    if labels is None or labels.kind == "range":
        return True
    return labels.kind == "column" and all(
        (c.type in BLOCKS or c.type in {"datetime", "utf8"}) and not (c.nulls or c.nullable)
        for c in labels.columns
    )


def _is_block(columns: Sequence[Column]) -> bool:
    """Return whether columns are plain numbers or booleans, all of one type."""
    return (
        len(columns) > 0
        and columns[0].type in BLOCKS
        and len(set(columns)) == 1
        and not (columns[0].nulls or columns[0].nullable)
    )


def _read_values(column: Column, rows: int, buffers: Buffers) -> Any:
    if column.type == "utf8":
        return _read_text(column, rows, buffers)
    values, valid = read_column(column, rows, buffers)
    if column.nullable:
        return _read_nullable(values, valid)
    values = set_missing_times(values, valid)
    if column.zone:
        return pd.DatetimeIndex(values, tz=column.zone).array
    return values


def _read_text(column: Column, rows: int, buffers: Buffers) -> Any:
    """Return an array of text; what is short, such as the labels of columns, is kept and copied."""
    data = _take_text(column, rows, buffers)
    if len(data) > _SHORT_TEXT:
        return _text_array(column, rows, data)
    return _kept_text_array(column, rows, data).copy()


def _read_text_index(column: Column, rows: int, buffers: Buffers, name: Any) -> pd.Index[Any]:
    """Return an index of text; views of a short one share the table in which pandas looks up."""
    data = _take_text(column, rows, buffers)
    index: pd.Index[Any]
    if not _LOCKED or len(data) > _SHORT_TEXT:
        index = pd.Index(_text_array(column, rows, data), name=name)
        return index
    index = _kept_text_index(column, rows, data).view()
    index.name = name
    return index


def _take_text(column: Column, rows: int, buffers: Buffers) -> bytes:
    size = 4 * rows + column.text_bytes + ((rows + 7) // 8 if column.nulls else 0)
    return bytes(buffers.take(size))


def _text_array(column: Column, rows: int, data: bytes) -> Any:
    texts = read_text(column, rows, Buffers(memoryview(data)))
    return pd.array([np.nan if text is None else text for text in texts], dtype=_TEXT)


_kept_text_array = lru_cache(maxsize=256)(_text_array)


@lru_cache(maxsize=256)
def _kept_text_index(column: Column, rows: int, data: bytes) -> pd.Index[Any]:
    index: pd.Index[Any] = pd.Index(_text_array(column, rows, data))
    return index


def _read_nullable(values: Array, valid: Array | None) -> Any:
    mask = np.zeros(len(values), dtype=bool) if valid is None else ~valid
    if values.dtype.kind == "b":
        return pd.arrays.BooleanArray(values, mask)
    if values.dtype.kind in "iu":
        return pd.arrays.IntegerArray(values, mask)
    return pd.arrays.FloatingArray(values, mask)


def _read_index(labels: Labels, count: int, buffers: Buffers) -> pd.Index[Any]:
    for label in (*labels.names, *labels.values):
        hash(label)
    if labels.kind == "levels":
        levels = [_read_values(column, count, buffers) for column in labels.columns]
        if not len(labels.names) == len(levels) > 0:
            raise CorruptValue("An index has a name for each level.")
        return pd.MultiIndex.from_arrays(levels, names=labels.names)
    if len(labels.names) != 1:
        raise CorruptValue("An index has one name.")
    name = labels.names[0]
    if labels.kind == "range":
        return _read_range(labels, count, name)
    if labels.kind == "mixed":
        if len(labels.values) != count:
            raise CorruptValue("An index has as many labels as its shape says.")
        return pd.Index(labels.values, dtype=object, name=name, tupleize_cols=False)
    if len(labels.columns) != 1:
        raise CorruptValue("An index of this kind has one column.")
    return _read_plain_index(labels.columns[0], count, buffers, name)


def _read_plain_index(column: Column, count: int, buffers: Buffers, name: Any) -> pd.Index[Any]:
    if column.type == "datetime":  # as below, and faster
        times = set_missing_times(*read_column(column, count, buffers))
        if column.zone:  # as integers, which are UTC, they need not be copied
            return pd.DatetimeIndex(times.view("i8"), tz=column.zone, name=name, copy=False)
        return pd.DatetimeIndex(times, name=name, copy=False)
    if column.type == "utf8":
        return _read_text_index(column, count, buffers, name)
    index: pd.Index[Any] = pd.Index(_read_values(column, count, buffers), name=name, copy=False)
    return index


def _read_range(labels: Labels, count: int, name: Any) -> pd.RangeIndex:
    stop = labels.start + labels.step * count
    if not labels.step or labels.start not in INT64 or stop not in INT64:
        raise CorruptValue("A range of integers leaves 64 bits.")
    return pd.RangeIndex(labels.start, stop, labels.step, name=name)
