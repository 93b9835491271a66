"""Windows and queries on their way to a node: several encoded values as one.

The parts stay encoded as they are in the ledger, so that packing costs no decoding and every
reader gets values of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from qmtl.common.codec import decode
from qmtl.common.errors import CorruptValue
from qmtl.models.window import Window
from qmtl.sandbox.calls import LookupKind
from qmtl.sandbox.times import as_of_time

_encoder = msgspec.msgpack.Encoder(order="sorted")
_windows = msgspec.msgpack.Decoder(list[tuple[int, bytes]])
_queries = msgspec.msgpack.Decoder(dict[str, bytes])


def pack_window(parts: Sequence[tuple[int, bytes]]) -> bytes:
    """Return (bucket in nanoseconds, encoded value) pairs, oldest first, as one value."""
    return _encoder.encode(parts)


def pack_query(parts: Mapping[str, bytes]) -> bytes:
    """Return encoded values by ``strategy.binding`` as one value."""
    return _encoder.encode(parts)


def unpack(kind: LookupKind, data: bytes) -> Window[Any] | dict[str, Any]:
    """Return what a node's argument takes, each value freshly decoded.

    Raises:
        CorruptValue: The bytes are not what the packing of this kind gives.
    """
    return unpack_window(data) if kind == "window" else unpack_query(data)


def unpack_window(data: bytes) -> Window[Any]:
    """Return the results and buckets of ``pack_window``.

    Raises:
        CorruptValue: The bytes are no packed window, or its buckets do not rise.
    """
    try:
        parts = _windows.decode(data)
        buckets = [as_of_time(bucket_ns) for bucket_ns, _ in parts]
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise CorruptValue(f"The bytes are not a window: {error}") from error
    if any(later <= earlier for earlier, later in pairwise(buckets)):
        raise CorruptValue("The buckets of a window do not rise.")
    return Window([decode(value) for _, value in parts], buckets)


def unpack_query(data: bytes) -> dict[str, Any]:
    """Return the values of ``pack_query``, sorted by name.

    Raises:
        CorruptValue: The bytes are no packed query.
    """
    try:
        parts = _queries.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise CorruptValue(f"The bytes are not a query: {error}") from error
    return {name: decode(parts[name]) for name in sorted(parts)}
