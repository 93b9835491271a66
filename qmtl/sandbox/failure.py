"""An exception of a strategy's code as a record that its author can use."""

from __future__ import annotations

import traceback
from types import FrameType, TracebackType

from qmtl.common.errors import (
    NODE_OUT_OF_MEMORY,
    NODE_RAISED,
    CorruptValue,
    UnsupportedValue,
    ValueTooLarge,
)
from qmtl.sandbox.calls import NodeError
from qmtl.sandbox.capture import clean

TRACEBACK_LIMIT_BYTES = 8 * 1024
MESSAGE_LIMIT = 1_000
FILE_PREFIX = "<strategy "


def describe(error: BaseException) -> NodeError:
    """Return the record of an exception, with the frames of the strategy's source alone.

    Holds for exceptions whose text cannot be had. The frame of a library that raised is named in
    one line.
    """
    if isinstance(error, (UnsupportedValue, ValueTooLarge, CorruptValue)):
        return NodeError(error.code, clean(str(error)))
    code = NODE_OUT_OF_MEMORY if isinstance(error, MemoryError) else NODE_RAISED
    message = _message(error)
    return NodeError(code, message, _middle_out(_own_lines(error.__traceback__, message)))


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 (the strategy's own __str__ may raise anything)
        text = f"(its text could not be had: {type(second).__name__})"
    name = type(error).__name__
    return clean(f"{name}: {text}" if text else name)[:MESSAGE_LIMIT]


def _own_lines(trace: TracebackType | None, message: str) -> str:
    if trace is None:
        return ""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if frame.filename.startswith(FILE_PREFIX)]
    if not own:
        return ""
    lines = [
        "Traceback (most recent call last):\n",
        *traceback.StackSummary.from_list(own).format(),
    ]
    if frames[-1] is not own[-1]:
        lines.append(f"  raised in {_frame_name(_innermost(trace))}\n")
    return clean("".join([*lines, message]))


def _innermost(trace: TracebackType) -> FrameType:
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame


def _frame_name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _middle_out(text: str) -> str:
    data = text.encode()
    if len(data) <= TRACEBACK_LIMIT_BYTES:
        return text
    half = TRACEBACK_LIMIT_BYTES // 2 - 16
    head, tail = data[:half].decode(errors="ignore"), data[-half:].decode(errors="ignore")
    return f"{head}\n[...]\n{tail}"
