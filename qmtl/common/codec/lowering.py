"""Values as what msgpack knows, with extensions for the rest."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from types import NoneType
from typing import Any

import msgspec

from qmtl.common.codec.kinds import (
    DAYS,
    EPOCH,
    EPOCH_DAY,
    EPOCH_UTC,
    MAX_DEPTH,
    MICROSECOND,
    MICROSECONDS,
    Ext,
)
from qmtl.common.codec.refusal import Refused, refuse_type, type_name

_NAN: float = struct.unpack(">d", b"\x7f\xf8" + bytes(6))[0]
msgpack = msgspec.msgpack.Encoder(order="sorted")


def lower(value: object, depth: int = 0) -> object:
    """Return an equal value of what msgpack knows, with extensions for the rest.

    Raises:
        Refused: A part has no encoding.
    """
    handler = _LOWER.get(type(value))
    return _lower_foreign(value) if handler is None else handler(value, depth)


def _lower_foreign(value: object) -> object:
    library = str(type(value).__module__).partition(".")[0]
    if library == "numpy":
        from qmtl.common.codec import arrays  # noqa: PLC0415 (plain values pay no NumPy import)

        return arrays.lower_numpy(value)
    if library == "pandas":
        from qmtl.common.codec import frames  # noqa: PLC0415 (nor pandas')

        return frames.lower_pandas(value)
    if library == "polars":
        from qmtl.common.codec import polars_lowering  # noqa: PLC0415 (nor polars')

        return polars_lowering.lower_polars(value)
    raise refuse_type(value, hint=_hint(value))


def _hint(value: object) -> str | None:
    for kind in (dict, list, tuple, str, int, float):
        if isinstance(value, kind):
            return f"Convert it with {kind.__name__}()."
    return "Convert it with sorted()." if isinstance(value, (set, frozenset)) else None


def _lower_itself(value: object, _depth: int) -> object:
    return value


def _lower_int(value: int, _depth: int) -> object:
    if -(2**63) <= value < 2**64:
        return value
    return msgspec.msgpack.Ext(Ext.INTEGER, _int_bytes(value))


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _lower_float(value: float, _depth: int) -> float:
    return _NAN if math.isnan(value) else value


def _lower_str(value: str, _depth: int) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"holds a lone surrogate at character {error.start}.") from None
    return value


def _lower_datetime(value: datetime, _depth: int) -> object:
    if value.tzinfo is None or value.utcoffset() is None:
        count = (value.replace(tzinfo=None) - EPOCH) // MICROSECOND
        return msgspec.msgpack.Ext(Ext.NAIVE_TIME, MICROSECONDS.pack(count))
    try:
        count = (value.astimezone(UTC) - EPOCH_UTC) // MICROSECOND
    except OverflowError:
        raise Refused("is a time that UTC puts outside the years 1 to 9999.") from None
    return msgspec.msgpack.Ext(Ext.UTC_TIME, MICROSECONDS.pack(count))


def _lower_date(value: date, _depth: int) -> object:
    return msgspec.msgpack.Ext(Ext.DATE, DAYS.pack((value - EPOCH_DAY).days))


def _lower_timedelta(value: timedelta, _depth: int) -> object:
    return msgspec.msgpack.Ext(Ext.DURATION, _int_bytes(value // MICROSECOND))


def _lower_items(items: Iterable[object], depth: int) -> list[object]:
    if depth >= MAX_DEPTH:
        raise Refused(f"is nested deeper than {MAX_DEPTH} levels.")
    lowered: list[object] = []
    try:
        for item in items:
            lowered.append(lower(item, depth + 1))  # noqa: PERF401 (its length is the path)
    except Refused as refused:
        raise refused.inside(f"[{len(lowered)}]") from None
    return lowered


def _lower_tuple(value: tuple[object, ...], depth: int) -> object:
    return msgspec.msgpack.Ext(Ext.TUPLE, msgpack.encode(_lower_items(value, depth)))


def _lower_dict(value: dict[object, object], depth: int) -> dict[str, object]:
    if depth >= MAX_DEPTH:
        raise Refused(f"is nested deeper than {MAX_DEPTH} levels.")
    lowered = {}
    for key, item in value.items():
        name = _lower_key(key)
        try:
            lowered[name] = lower(item, depth + 1)
        except Refused as refused:
            raise refused.inside(f'["{name}"]') from None
    return lowered


def _lower_key(key: object) -> str:
    if isinstance(key, str) and type_name(key) in {"str", "numpy.str_"}:
        return _lower_str(str(key), 0)
    raise Refused(
        f"has a key of type {type_name(key)}; keys are str.", hint="Convert it with str()."
    )


_LOWER: dict[type, Callable[[Any, int], object]] = {
    NoneType: _lower_itself,
    bool: _lower_itself,
    bytes: _lower_itself,
    int: _lower_int,
    float: _lower_float,
    str: _lower_str,
    list: _lower_items,
    tuple: _lower_tuple,
    dict: _lower_dict,
    datetime: _lower_datetime,
    date: _lower_date,
    timedelta: _lower_timedelta,
}
