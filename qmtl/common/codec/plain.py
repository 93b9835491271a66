"""Plain values as msgpack with sorted keys, and the entry points of the codec.

An encoded value is one tag byte and a body. Under ``PLAIN`` the body is msgpack, where what
msgpack lacks stands as an extension (``Ext``); under ``COLUMNS`` it is an array, a series or a
frame in the format of ``qmtl.common.codec.columns``.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from types import NoneType
from typing import Any, Final

import msgspec

from qmtl.common.codec.refusal import Refused, refuse_type, type_name
from qmtl.common.errors import CorruptValue, ValueTooLarge

PLAIN = 1
COLUMNS = 2
MAX_DEPTH = 64

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (naive times are encoded as naive)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = struct.Struct(">q")
_DAYS = struct.Struct(">i")
_NAN: float = struct.unpack(">d", b"\x7f\xf8" + bytes(6))[0]
# What may be a NaN other than the canonical one; infinities and the canonical one are not.
_OTHER_NAN = re.compile(
    rb"\xcb(?=[\x7f\xff][\xf0-\xff])(?!\x7f\xf8\x00{6})(?![\x7f\xff]\xf0\x00{6})"
)
_SCALARS = frozenset({NoneType, bool, int, float, str, bytes})
_STRINGS = frozenset({str})
_encoder = msgspec.msgpack.Encoder(order="sorted")


class Ext:
    """Codes of msgpack extensions; they are part of the format and never change."""

    INTEGER: Final = 1
    TUPLE: Final = 2
    NAIVE_TIME: Final = 3
    UTC_TIME: Final = 4
    DATE: Final = 5
    DURATION: Final = 6
    COLUMNS: Final = 7


def encode(value: object, *, limit_bytes: int | None = None) -> bytes:
    """Return the canonical bytes of a value.

    What is not kept: the order of a dict's keys; NaN payloads; the zone of an aware time (it
    becomes UTC) and a time's ``fold``; NumPy scalars (they become Python's); the unit of NumPy
    and pandas times (nanoseconds); a frame's ``attrs``, an index's ``freq``; whether text is held
    as pandas' ``str``, ``string`` or Python objects, and what stands for a missing text; whether
    equal integer labels are a RangeIndex.

    Args:
        value: None, bool, int, float, str, bytes, datetime, date, timedelta, list, tuple, dict
            with str keys, NumPy scalar or array, pandas Timestamp, Timedelta, Series or
            DataFrame. Categorical, interval, period and sparse columns are refused, and so are
            columns of Python objects other than text.
        limit_bytes: Largest length of the result.

    Raises:
        UnsupportedValue: A part has no encoding; the message names its type and its path.
        ValueTooLarge: The result would be over the limit.
    """
    data = _encode_fast(value) if _is_plain(value) else None
    if data is None:
        data = _encode_any(value)
    if limit_bytes is not None and len(data) > limit_bytes:
        raise ValueTooLarge(
            f"The value takes {len(data):,} bytes; the limit is {limit_bytes:,}.",
            hint="Return a smaller value, such as the last rows or an aggregate.",
        )
    return data


def decode(data: bytes) -> object:
    """Return a fresh, writable value from what ``encode`` returned.

    Raises:
        CorruptValue: The bytes are not an encoded value.
    """
    if not data:
        raise CorruptValue("An encoded value has at least one byte.")
    try:
        return _decode_body(data[0], memoryview(data)[1:])
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CorruptValue(f"The bytes are not an encoded value: {error}") from error


def digest(data: bytes) -> str:
    """Return the BLAKE2b-128 of encoded bytes as 32 hex characters."""
    return blake2b(data, digest_size=16).hexdigest()


def _is_plain(value: object, depth: int = 0) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    items: Iterable[object]
    if isinstance(value, dict) and kind is dict:
        if not _STRINGS.issuperset(map(type, value)):
            return False
        items = value.values()
    elif isinstance(value, list) and kind is list:
        items = value
    else:
        return False
    if _SCALARS.issuperset(map(type, items)):
        return depth < MAX_DEPTH
    return depth < MAX_DEPTH and all(_is_plain(item, depth + 1) for item in items)


def _encode_fast(value: object) -> bytes | None:
    try:
        body = _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return None
    if (b"\xcb\x7f" in body or b"\xcb\xff" in body) and _OTHER_NAN.search(body):
        return None
    return b"\x01" + body


def _encode_any(value: object) -> bytes:
    try:
        lowered = lower(value)
    except Refused as refused:
        raise refused.as_error() from None
    if isinstance(lowered, msgspec.msgpack.Ext) and lowered.code == Ext.COLUMNS:
        return b"\x02" + lowered.data
    return b"\x01" + _encoder.encode(lowered)


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
        raise refuse_type(value, hint="Convert it with .to_pandas() or .to_dicts().")
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
        count = (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
        return msgspec.msgpack.Ext(Ext.NAIVE_TIME, _MICROSECONDS.pack(count))
    try:
        count = (value.astimezone(UTC) - _EPOCH_UTC) // _MICROSECOND
    except OverflowError:
        raise Refused("is a time that UTC puts outside the years 1 to 9999.") from None
    return msgspec.msgpack.Ext(Ext.UTC_TIME, _MICROSECONDS.pack(count))


def _lower_date(value: date, _depth: int) -> object:
    return msgspec.msgpack.Ext(Ext.DATE, _DAYS.pack((value - _EPOCH_DAY).days))


def _lower_timedelta(value: timedelta, _depth: int) -> object:
    return msgspec.msgpack.Ext(Ext.DURATION, _int_bytes(value // _MICROSECOND))


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
    return msgspec.msgpack.Ext(Ext.TUPLE, _encoder.encode(_lower_items(value, depth)))


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


def _decode_body(tag: int, body: memoryview) -> object:
    if tag == PLAIN:
        return _decoder.decode(body)
    if tag == COLUMNS:
        return _raise_columns(body)
    raise CorruptValue(f"No kind of value has the tag {tag}.")


def _raise_columns(body: memoryview) -> object:
    from qmtl.common.codec import columns  # noqa: PLC0415 (plain values pay no NumPy import)

    return columns.read(body)


def _raise_integer(data: memoryview) -> int:
    value = int.from_bytes(data, "big", signed=True)
    if -(2**63) <= value < 2**64:
        raise CorruptValue("An integer of 64 bits stands in a long form.")
    return value


def _raise_tuple(data: memoryview) -> tuple[object, ...]:
    items = _decoder.decode(data)
    if not isinstance(items, list):
        raise CorruptValue("A tuple holds something other than its items.")
    return tuple(items)


def _microseconds(data: memoryview) -> timedelta:
    if len(data) != _MICROSECONDS.size:
        raise CorruptValue("A time has the wrong length.")
    return timedelta(microseconds=_MICROSECONDS.unpack(data)[0])


def _raise_date(data: memoryview) -> date:
    if len(data) != _DAYS.size:
        raise CorruptValue("A date has the wrong length.")
    return _EPOCH_DAY + timedelta(days=_DAYS.unpack(data)[0])


_RAISE: dict[int, Callable[[memoryview], object]] = {
    Ext.INTEGER: _raise_integer,
    Ext.TUPLE: _raise_tuple,
    Ext.NAIVE_TIME: lambda data: _EPOCH + _microseconds(data),
    Ext.UTC_TIME: lambda data: _EPOCH_UTC + _microseconds(data),
    Ext.DATE: _raise_date,
    Ext.DURATION: lambda data: timedelta(microseconds=int.from_bytes(data, "big", signed=True)),
    Ext.COLUMNS: _raise_columns,
}


def raise_extension(code: int, data: memoryview) -> object:
    """Return the value of an extension that ``lower`` made."""
    handler = _RAISE.get(code)
    if handler is None:
        raise CorruptValue(f"No kind of value has the extension code {code}.")
    return handler(data)


_decoder = msgspec.msgpack.Decoder(ext_hook=raise_extension)
