"""Values in few words, and text that is safe to print."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

LIMIT = 60
MEMBERS = 20
DECIMAL_BITS = 14_000  # Python refuses to write decimals of more than 4300 digits


def short(value: object, *, limit: int = LIMIT) -> str:
    """Return a value in one line of at most ``limit`` characters.

    Arrays, series and frames are told by kind and shape, a series with its last value.
    """
    text = _text(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _text(value: object) -> str:
    match value:
        case float():
            return f"{value:.6g}"
        case int() if value.bit_length() > DECIMAL_BITS:
            return f"int of {value.bit_length()} bits"
        case dict():
            return "{" + _some(f"{k}: {_text(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + _some(map(_text, value)) + "]"
        case tuple():
            return "(" + _some(map(_text, value)) + ("," if len(value) == 1 else "") + ")"
    shape = getattr(value, "shape", None)
    return repr(value) if shape is None else _table(value, shape)


def _some(parts: Iterable[str]) -> str:
    first = list(islice(parts, MEMBERS + 1))
    return ", ".join([*first[:MEMBERS], "..."] if len(first) > MEMBERS else first)


def _table(value: Any, shape: tuple[int, ...]) -> str:
    kind = f"{type(value).__name__} {'x'.join(map(str, shape)) or 'scalar'}"
    if len(shape) == 1 and shape[0]:
        last = value.iloc[-1] if hasattr(value, "iloc") else value[-1]
        return f"{kind}, last {_text(last.item() if hasattr(last, 'item') else last)}"
    return kind


def printable(text: str) -> str:
    """Return text without characters that a terminal would act upon."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if character == "\n":
        return character
    return character.encode("unicode_escape").decode("ascii")
