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
_STRINGS = frozenset({str})


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
        body = lowering.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return None
    if (b"\xcb\x7f" in body or b"\xcb\xff" in body) and _OTHER_NAN.search(body):
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


def _decode_body(tag: int, body: memoryview) -> object:
    if tag == PLAIN:
        return raising.msgpack.decode(body)
    if tag == COLUMNS:
        return raising.raise_columns(body)
    raise CorruptValue(f"No kind of value has the tag {tag}.")
