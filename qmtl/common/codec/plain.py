"""The entry points of the codec, and the short way for plain values.

An encoded value is one tag byte and a body. Under ``PLAIN`` the body is msgpack with sorted keys,
where what msgpack lacks stands as an extension (``Ext``); under ``COLUMNS`` it is an array, a
series or a frame in the format of ``qmtl.common.codec.buffers``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from types import NoneType

import msgspec

from qmtl.common.codec import lowering, raising
from qmtl.common.codec.kinds import COLUMNS, MAX_DEPTH, PLAIN, Ext
from qmtl.common.codec.refusal import Refused
from qmtl.common.errors import CorruptValue, ValueTooLarge

# What may be a NaN other than the canonical one; infinities and the canonical one are not.
_OTHER_NAN = re.compile(
    rb"\xcb(?=[\x7f\xff][\xf0-\xff])(?!\x7f\xf8\x00{6})(?![\x7f\xff]\xf0\x00{6})"
)
_SCALARS = frozenset({NoneType, bool, int, float, str, bytes})
_MANY = 8  # items of a list from which on one look at all types is faster than one at each
_SHORT = 4096
MALFORMED = (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError)
_encode_plain = lowering.msgpack.encode
_decode_plain = raising.msgpack.decode


def encode(value: object, *, limit_bytes: int | None = None) -> bytes:
    """Return the canonical bytes of a value.

    What is not kept: the order of a dict's keys; NaN payloads; the zone of an aware time (it
    becomes UTC) and a time's ``fold``; NumPy scalars (they become Python's); the unit of NumPy,
    pandas and polars times (nanoseconds); a polars object's chunks; a frame's ``attrs``, an
    index's ``freq``; whether text is held as pandas' ``str``, ``string`` or Python objects, and
    what stands for a missing text; whether equal integer labels are a RangeIndex.

    Args:
        value: None, bool, int, float, str, bytes, datetime, date, timedelta, list, tuple, dict
            with str keys, NumPy scalar or array, pandas Timestamp, Timedelta, Series or
            DataFrame, polars Series or DataFrame. Columns of other than numbers, booleans,
            times and text are refused: categorical, interval, period and sparse ones of pandas,
            nested ones of polars, Python objects.
        limit_bytes: Largest length of the result.

    Raises:
        UnsupportedValue: A part has no encoding; the message names its type and its path.
        ValueTooLarge: The result would be over the limit.
    """
    data = _encode_fast(value) if type(value) in _SCALARS or _is_plain(value) else None
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
        UnsupportedValue: It is of polars, which is not installed.
    """
    if not data:
        raise CorruptValue("An encoded value has at least one byte.")
    # A copy of a few bytes costs less than a view of them.
    body = data[1:] if len(data) < _SHORT else memoryview(data)[1:]
    try:
        return _decode_plain(body) if data[0] == PLAIN else _decode_tagged(data[0], body)
    except MALFORMED as error:
        raise corrupt(error) from error


def corrupt(error: Exception) -> CorruptValue:
    """Return what is raised for bytes that gave one of ``MALFORMED``."""
    return CorruptValue(f"The bytes are not an encoded value: {error}")


def digest(data: bytes) -> str:
    """Return the BLAKE2b-128 of encoded bytes as 32 hex characters."""
    return blake2b(data, digest_size=16).hexdigest()


def _is_plain(value: object, depth: int = 0) -> bool:
    if depth >= MAX_DEPTH:
        return False
    items: Iterable[object]
    if isinstance(value, dict) and type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        items = value.values()
    elif isinstance(value, list) and type(value) is list:
        if len(value) > _MANY and _SCALARS.issuperset(map(type, value)):
            return True
        items = value
    else:
        return False
    for item in items:
        if type(item) not in _SCALARS and not _is_plain(item, depth + 1):
            return False
    return True


def _encode_fast(value: object) -> bytes | None:
    try:
        body = _encode_plain(value)
    except (OverflowError, UnicodeEncodeError):
        return None
    # Looking for one byte takes nanoseconds; most bodies that hold no NaN lack one of these.
    if 0xCB in body and (0x7F in body or 0xFF in body) and _OTHER_NAN.search(body):
        return None
    return b"\x01" + body


def _encode_any(value: object) -> bytes:
    try:
        lowered = lowering.lower(value)
    except Refused as refused:
        raise refused.as_error() from None
    if isinstance(lowered, msgspec.msgpack.Ext) and lowered.code == Ext.COLUMNS:
        return b"\x02" + lowered.data
    return b"\x01" + lowering.msgpack.encode(lowered)


def _decode_tagged(tag: int, body: bytes | memoryview) -> object:
    if tag == COLUMNS:
        return raising.raise_columns(memoryview(body))
    raise CorruptValue(f"No kind of value has the tag {tag}.")
