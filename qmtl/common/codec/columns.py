"""Read a body back: the one entrance for arrays, series and frames."""

from __future__ import annotations

import msgspec

from qmtl.common.codec.arrays import read_array
from qmtl.common.codec.buffers import Header, unpack
from qmtl.common.codec.raising import raise_extension

_decoder = msgspec.msgpack.Decoder(Header, ext_hook=raise_extension)


def read(body: memoryview) -> object:
    """Return the array, series or frame of a body.

    Raises:
        CorruptValue: The body is malformed; NumPy's and pandas' own errors may come too.
    """
    header, buffers = unpack(body, _decoder)
    value: object
    if header.kind == "array":
        value = read_array(header, buffers)
    else:
        from qmtl.common.codec import frame_reading  # noqa: PLC0415 (arrays pay no pandas import)

        value = frame_reading.read_frame(header, buffers)
    buffers.finish()
    return value
