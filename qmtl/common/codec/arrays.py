"""NumPy scalars, arrays, and the columns that they and pandas' objects are made of."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from qmtl.common.codec.buffers import Buffers, Column, Header, pack
from qmtl.common.codec.kinds import Ext
from qmtl.common.codec.lowering import lower
from qmtl.common.codec.refusal import Refused, refuse_type
from qmtl.common.errors import CorruptValue

Array = np.ndarray[Any, np.dtype[Any]]

_INT64_MAX = 2**63 - 1
_TYPES = {
    "bool": np.dtype("?"),
    **{f"int{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"uint{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"float{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    **{f"complex{8 * size}": np.dtype(f"<c{size}") for size in (8, 16)},
    "datetime": np.dtype("<M8[ns]"),
    "timedelta": np.dtype("<m8[ns]"),
}
_NAMES = {(dtype.kind, dtype.itemsize): name for name, dtype in _TYPES.items()}
_NANOSECONDS = {
    "W": 604_800_000_000_000,
    "D": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}


def lower_numpy(value: object) -> object:
    """Return the plain form of a NumPy scalar, or an extension that holds an array.

    Raises:
        Refused: It has none.
    """
    if isinstance(value, np.ndarray) and type(value) is np.ndarray:
        return _lower_array(value)
    if isinstance(value, np.generic):
        return _lower_scalar(value)
    raise refuse_type(value, hint="Convert it with numpy.asarray().")


def _lower_scalar(value: np.generic) -> object:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return _lower_time(value)
    if isinstance(value, np.floating) and value.dtype.itemsize > 8:
        raise refuse_type(value, hint="Convert it with float().")
    if isinstance(value, (np.bool_, np.integer, np.floating, np.str_, np.bytes_)):
        return lower(value.item())
    raise refuse_type(value)


def _lower_time(value: np.datetime64 | np.timedelta64) -> object:
    if np.isnat(value):
        raise Refused("is NaT, which has no encoding.", hint="Return None.")
    unit, _ = np.datetime_data(value.dtype)
    whole = value.astype(f"{value.dtype.kind}8[us]")
    if unit == "generic" or whole != value or type(whole.item()) is int:
        raise refuse_type(value, hint="Only whole microseconds of the years 1 to 9999 are kept.")
    return lower(whole.item())


def _lower_array(values: Array) -> msgspec.msgpack.Ext:
    column, buffers = lower_column(values)
    header = Header(kind="array", columns=[column], shape=list(values.shape))
    return msgspec.msgpack.Ext(Ext.COLUMNS, pack(header, buffers))


def lower_column(values: Array, *, zone: str = "") -> tuple[Column, list[bytes]]:
    """Return the column and buffers of an array, in C order.

    Raises:
        Refused: Its dtype has no encoding.
    """
    name = _NAMES.get((values.dtype.kind, values.dtype.itemsize))
    if name is None:
        raise Refused(
            f"has the dtype {values.dtype}, which has no encoding.",
            hint="Use a list, or a Series for text." if values.dtype.kind in "OSUT" else None,
        )
    if name in {"datetime", "timedelta"}:
        counts, valid = _nanoseconds(values)
        utc = "UTC" if zone else ""
        column = Column(type=name, nulls=valid is not None, zone=utc)  # type: ignore[arg-type]  # one of its literals
        return column, [*lower_bitmap(valid), counts.tobytes()]
    return Column(type=name), [_canonical(values, _TYPES[name]).tobytes()]


def lower_nullable(values: Array, valid: Array) -> tuple[Column, list[bytes]]:
    """Return the column and buffers of numbers or booleans with a mask of pandas' own."""
    column, buffers = lower_column(values)
    mask = None if valid.all() else valid
    column = msgspec.structs.replace(column, nullable=True, nulls=mask is not None)
    return column, [*lower_bitmap(mask), *buffers]


def _canonical(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "b":
        return np.asarray(values.view(np.uint8) != 0)
    flat = np.ascontiguousarray(values, dtype=dtype).reshape(-1)
    if dtype.kind == "c":
        return _one_nan(flat.view(f"<f{dtype.itemsize // 2}"))
    return _one_nan(flat) if dtype.kind == "f" else flat


def _one_nan(values: Array) -> Array:
    missing = np.isnan(values)
    if not missing.any():
        return values
    values = values.copy()
    values[missing] = np.nan
    return values


def _nanoseconds(values: Array) -> tuple[Array, Array | None]:
    """Return times as int64 nanoseconds, zero where missing, and what is not missing."""
    unit, count = np.datetime_data(values.dtype)
    if unit in {"Y", "M"} and values.dtype.kind == "M":
        years = values.astype("<M8[Y]").view("<i8")
        if ((abs(years) > 300) & ~np.isnat(values)).any():
            raise Refused("holds a time outside the years 1678 to 2261.")
        values, unit, count = values.astype("<M8[D]"), "D", 1
    if unit not in _NANOSECONDS:
        raise Refused(f"has times in the unit {unit}, which has no encoding.")
    factor = _NANOSECONDS[unit] * count
    raw = values.astype(values.dtype.newbyteorder("<")).view("<i8")
    bound = _INT64_MAX // factor
    if raw.size and -bound <= raw.min() and raw.max() <= bound:
        return raw * factor, None  # NaT is the least integer, so nothing is missing
    missing = np.isnat(values)
    raw = np.where(missing, 0, raw)
    if ((raw > bound) | (raw < -bound)).any():
        raise Refused("holds a time outside the years 1678 to 2261.")
    return raw * factor, ~missing if missing.any() else None


def lower_bitmap(valid: Array | None) -> list[bytes]:
    """Return the bitmap of what is not missing; none where nothing is."""
    return [] if valid is None else [np.packbits(valid, bitorder="little").tobytes()]


def read_array(header: Header, buffers: Buffers) -> Array:
    """Return the array that a header and its buffers describe.

    Raises:
        CorruptValue: They do not fit together.
    """
    if len(header.columns) != 1:
        raise CorruptValue("An array has one column.")
    values, valid = read_column(header.columns[0], math.prod(header.shape), buffers)
    if header.columns[0].nullable:
        raise CorruptValue("An array has no nullable type.")
    return set_missing_times(values, valid).reshape(header.shape)


def read_column(column: Column, count: int, buffers: Buffers) -> tuple[Array, Array | None]:
    """Return a column's values in native order, writable unless locked, and what is not missing.

    Raises:
        CorruptValue: The buffers do not hold ``count`` values of that type.
    """
    dtype = _column_dtype(column)
    valid = read_bitmap(count, buffers) if column.nulls else None
    data = buffers.take(count * dtype.itemsize)
    if dtype.kind == "b" and count and np.frombuffer(data, np.uint8).max() > 1:
        raise CorruptValue("A boolean is neither 0 nor 1.")
    if buffers.locked and dtype.isnative:
        values = np.frombuffer(bytes(data), dtype)  # a copy, since a body's buffers are unaligned
    else:
        values = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    if dtype.kind in "mM" and np.isnat(values).any():
        raise CorruptValue("A missing time stands outside its bitmap.")
    return values, valid


def _column_dtype(column: Column) -> np.dtype[Any]:
    dtype = _TYPES.get(column.type)
    fits = dtype is not None and (
        (not column.nullable or dtype.kind in "biuf")
        and (not column.nulls or column.nullable or dtype.kind in "mM")
        and (not column.zone or dtype.kind == "M")
    )
    if dtype is None or not fits:
        raise CorruptValue(f"No column is of such a type: {column.type}.")
    return dtype


def read_bitmap(count: int, buffers: Buffers) -> Array:
    """Return which of ``count`` values are not missing."""
    packed = np.frombuffer(buffers.take((count + 7) // 8), np.uint8)
    bits = np.unpackbits(packed, bitorder="little").astype(bool)
    if bits[count:].any():
        raise CorruptValue("The padding of a bitmap is not zero.")
    return bits[:count]


def set_missing_times(values: Array, valid: Array | None) -> Array:
    """Put NaT where a time is missing."""
    if valid is not None:
        values[~valid] = np.array("NaT", values.dtype)
    return values
