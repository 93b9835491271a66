"""Read a body back: the one entrance for arrays, series and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from qmtl.common.codec.arrays import read_array
from qmtl.common.codec.buffers import Buffers, Header, unpack
from qmtl.common.codec.raising import raise_extension
from qmtl.common.errors import UnsupportedValue

if TYPE_CHECKING:
    import pandas as pd

_decoder = msgspec.msgpack.Decoder(Header, ext_hook=raise_extension)


def read(body: memoryview) -> object:
    """Return the array, series or frame of a body.

    Raises:
        CorruptValue: The body is malformed; NumPy's and pandas' own errors may come too.
        UnsupportedValue: It is of polars, which is not installed.
    """
    header, buffers = unpack(body, _decoder)
    value: object
    if header.kind == "array":
        value = read_array(header, buffers)
    elif header.kind in {"polars_series", "polars_frame"}:
        value = _read_polars(header, buffers)
    else:
        from qmtl.common.codec import frame_reading  # noqa: PLC0415 (arrays pay no pandas import)

        value = frame_reading.read_frame(header, buffers)
    buffers.finish()
    return value


def read_locked(body: memoryview) -> pd.Series[Any] | pd.DataFrame | None:
    """Return the series or frame of a body in memory that nobody can write to.

    None where it could be changed all the same, as text can; such a value is decoded for each
    reader.

    Raises:
        CorruptValue: As ``read``.
    """
    header, buffers = unpack(body, _decoder, locked=True)
    if header.kind not in {"series", "frame"}:
        return None
    from qmtl.common.codec import frame_reading  # noqa: PLC0415 (arrays pay no pandas import)

    if not frame_reading.can_lock(header):
        return None
    value = frame_reading.read_frame(header, buffers)
    buffers.finish()
    return value


def _read_polars(header: Header, buffers: Buffers) -> object:
    try:
        from qmtl.common.codec import polars_reading  # noqa: PLC0415 (polars is optional)
    except ModuleNotFoundError as error:
        if error.name != "polars":
            raise
        raise UnsupportedValue(
            "The value is of polars, which is not installed.",
            hint="Install it with: pip install 'qmtl[polars]'",
        ) from None
    return polars_reading.read_polars(header, buffers)
