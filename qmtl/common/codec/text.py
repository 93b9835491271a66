"""Columns of text: one logical type, however pandas holds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmtl.common.codec.arrays import Array, read_bitmap
from qmtl.common.codec.buffers import Buffers, Column
from qmtl.common.codec.refusal import Refused
from qmtl.common.errors import CorruptValue


def lower_text(values: Sequence[object], missing: Array) -> tuple[Column, list[bytes]]:
    """Return the column and buffers of strings; what is missing counts as empty.

    Raises:
        Refused: A string holds a lone surrogate.
    """
    encoded = [b"" if gone else _utf8(text) for text, gone in zip(values, missing, strict=True)]
    lengths = np.fromiter(map(len, encoded), dtype="<u4", count=len(encoded))
    text = b"".join(encoded)
    nulls = bool(missing.any())
    bitmap = [np.packbits(~missing, bitorder="little").tobytes()] if nulls else []
    column = Column(type="utf8", nulls=nulls, text_bytes=len(text))
    return column, [*bitmap, lengths.tobytes(), text]


def _utf8(text: object) -> bytes:
    try:
        return str(text).encode()
    except UnicodeEncodeError:
        raise Refused("holds text with a lone surrogate.") from None


def read_text(column: Column, count: int, buffers: Buffers) -> list[str | None]:
    """Return the strings of a column, None where one is missing.

    Raises:
        CorruptValue: The lengths do not add up.
    """
    valid = read_bitmap(count, buffers) if column.nulls else None
    lengths = np.frombuffer(buffers.take(4 * count), "<u4")
    data = bytes(buffers.take(column.text_bytes))
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    if (ends[-1] if ends else 0) != len(data):
        raise CorruptValue("The lengths of a column's strings do not add up.")
    texts: list[str | None] = [
        data[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)
    ]
    if valid is not None:
        texts = [text if held else None for text, held in zip(texts, valid, strict=True)]
    return texts
