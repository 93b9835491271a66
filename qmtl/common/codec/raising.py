"""Values from the extensions that ``lowering`` made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from qmtl.common.codec.kinds import DAYS, EPOCH, EPOCH_DAY, EPOCH_UTC, MICROSECONDS, Ext
from qmtl.common.errors import CorruptValue


def raise_columns(body: memoryview) -> object:
    from qmtl.common.codec import columns  # noqa: PLC0415 (plain values pay no NumPy import)

    return columns.read(body)


def _raise_integer(data: memoryview) -> int:
    value = int.from_bytes(data, "big", signed=True)
    if -(2**63) <= value < 2**64:
        raise CorruptValue("An integer of 64 bits stands in a long form.")
    return value


def _raise_tuple(data: memoryview) -> tuple[object, ...]:
    items = msgpack.decode(data)
    if not isinstance(items, list):
        raise CorruptValue("A tuple holds something other than its items.")
    return tuple(items)


def _microseconds(data: memoryview) -> timedelta:
    if len(data) != MICROSECONDS.size:
        raise CorruptValue("A time has the wrong length.")
    return timedelta(microseconds=MICROSECONDS.unpack(data)[0])


def _raise_date(data: memoryview) -> date:
    if len(data) != DAYS.size:
        raise CorruptValue("A date has the wrong length.")
    return EPOCH_DAY + timedelta(days=DAYS.unpack(data)[0])


_RAISE: dict[int, Callable[[memoryview], object]] = {
    Ext.INTEGER: _raise_integer,
    Ext.TUPLE: _raise_tuple,
    Ext.NAIVE_TIME: lambda data: EPOCH + _microseconds(data),
    Ext.UTC_TIME: lambda data: EPOCH_UTC + _microseconds(data),
    Ext.DATE: _raise_date,
    Ext.DURATION: lambda data: timedelta(microseconds=int.from_bytes(data, "big", signed=True)),
    Ext.COLUMNS: raise_columns,
}


def raise_extension(code: int, data: memoryview) -> object:
    """Return the value of an extension that ``lowering`` made."""
    handler = _RAISE.get(code)
    if handler is None:
        raise CorruptValue(f"No kind of value has the extension code {code}.")
    return handler(data)


msgpack = msgspec.msgpack.Decoder(ext_hook=raise_extension)
