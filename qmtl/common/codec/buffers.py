"""The layout of arrays, series and frames: a sorted header, then one buffer after the other.

A body is the header's length (4 bytes, little-endian), the header as msgpack with sorted keys,
and the buffers in the order in which the header names their columns, with nothing between them.
A column's buffers are: a validity bitmap (least significant bit first) where something is
missing; its values in little-endian, zero where missing. Text has the lengths of its UTF-8
strings in place of values, and then their bytes.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any, Literal

import msgspec

from qmtl.common.errors import CorruptValue

Count = Annotated[int, msgspec.Meta(ge=0)]
_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder(order="sorted")


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column of a body.

    Attributes:
        type: Logical type: a NumPy name such as ``float64``; ``datetime`` and ``timedelta`` in
            nanoseconds; ``date`` in days since 1970 as int32, of polars; ``utf8``.
        nulls: Whether a validity bitmap comes first.
        nullable: Whether the column is of pandas' nullable type of that name.
        zone: ``UTC`` for aware times.
        text_bytes: Length of all UTF-8 text together.
    """

    type: str
    nulls: bool = False
    nullable: bool = False
    zone: Literal["", "UTC"] = ""
    text_bytes: Count = 0


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An index: a range of integers, one column, several levels, or labels of mixed types.

    Attributes:
        kind: Which of the four.
        names: The index's name, or one for each level.
        start: First integer of a range.
        step: Distance of a range's integers.
        columns: One column, or one for each level.
        values: Labels of mixed types.
    """

    kind: Literal["range", "column", "levels", "mixed"]
    names: list[Any]
    start: int = 0
    step: int = 1
    columns: list[Column] = []
    values: list[Any] = []


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a body holds.

    Attributes:
        kind: Array, series or frame; the latter two of pandas or of polars.
        columns: One for an array or a series.
        shape: Of an array; ``[rows]`` of a series; ``[rows, columns]`` of a frame.
        index: Labels of the rows, of pandas.
        labels: Labels of a frame's columns.
        name: Of a series; the list of all columns' names of a polars frame.
    """

    kind: Literal["array", "series", "frame", "polars_series", "polars_frame"]
    columns: list[Column]
    shape: list[Count]
    index: Labels | None = None
    labels: Labels | None = None
    name: Any = None


class Buffers:
    """A cursor over the buffers of a body.

    Attributes:
        locked: Whether nobody may be able to write into what is read.
    """

    def __init__(self, data: memoryview, *, locked: bool = False) -> None:
        self.locked = locked
        self._data = data
        self._at = 0

    def take(self, size: int) -> memoryview:
        """Return the next ``size`` bytes.

        Raises:
            CorruptValue: So many are not left.
        """
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise CorruptValue("A buffer is shorter than its header says.")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def finish(self) -> None:
        if self._at != len(self._data):
            raise CorruptValue("Bytes follow the last buffer.")


def pack(header: Header, buffers: list[bytes]) -> bytes:
    """Return a body."""
    head = _encoder.encode(header)
    return b"".join([_LENGTH.pack(len(head)), head, *buffers])


def unpack(
    body: memoryview, decoder: msgspec.msgpack.Decoder[Header], *, locked: bool = False
) -> tuple[Header, Buffers]:
    """Return a body's header and a cursor over what follows it.

    Raises:
        CorruptValue: The body is shorter than its header's length says.
    """
    cursor = Buffers(body)
    (length,) = _LENGTH.unpack(cursor.take(_LENGTH.size))
    header = decoder.decode(cursor.take(length))
    return header, Buffers(body[_LENGTH.size + length :], locked=locked)
