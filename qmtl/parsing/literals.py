"""Reading the literal arguments of declarations."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qmtl.parsing import codes
from qmtl.parsing.report import Report

_MAX_TEXT = 4_096
_MAX_BITS = 1_024

Read = Callable[[object], object]


class NotUsable(ValueError):
    """A literal's type, form or size is outside what is allowed; the message says what is."""

    def __init__(self, wanted: str, code: str = codes.VALUE) -> None:
        super().__init__(wanted)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signature:
    """What a declaration takes.

    Attributes:
        word: Its name.
        readers: By keyword, what checks and converts the value.
        positional: Keywords that may be given by position.
        required: Keywords that must be given.
        by_tree: Keywords whose value is left as the expression it is, for the caller to read.
        example: A call as one writes it.
    """

    word: str
    readers: Mapping[str, Read]
    positional: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    by_tree: tuple[str, ...] = ()
    example: str = ""

    @property
    def hint(self) -> str:
        """Return what to write instead of a call that cannot be used."""
        return f"Write such as {self.example}."


@dataclass(frozen=True, slots=True)
class Given:
    """An argument as read, with the place where it stands."""

    value: object
    at: ast.expr


def read_call(call: ast.Call, signature: Signature, report: Report) -> dict[str, Given]:
    """Return a declaration's arguments by keyword; what cannot be used is noted and left out."""
    known = {*signature.readers, *signature.by_tree}
    written: dict[str, ast.expr] = dict(zip(signature.positional, call.args, strict=False))
    for extra in call.args[len(signature.positional) :]:
        message = f"{signature.word}() takes its further arguments by keyword."
        report.add(codes.ARGUMENTS, extra, message, signature.hint)
    for each in call.keywords:
        if each.arg is None:
            report.add(codes.NOT_LITERAL, each.value, "`**` hides what is declared.")
        elif each.arg not in known:
            message = f"{signature.word}() has no argument {each.arg!r}."
            near = report.nearest(each.arg, known)
            report.add(codes.ARGUMENTS, each.value, message, near or signature.hint)
        elif each.arg in written:
            message = f"{each.arg!r} is given twice."
            report.add(codes.ARGUMENTS, each.value, message, "Give it once.")
        else:
            written[each.arg] = each.value
    for name in signature.required:
        if name not in written:
            message = f"{signature.word}() needs {name!r}."
            report.add(codes.ARGUMENTS, call, message, signature.hint)
    return {
        name: given
        for name, value in written.items()
        if (given := _read(name, value, signature, report)) is not None
    }


def _read(name: str, node: ast.expr, signature: Signature, report: Report) -> Given | None:
    if name in signature.by_tree:
        return Given(node, node)
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        report.add(codes.NOT_LITERAL, node, f"The argument {name!r} is not a literal.")
        return None
    try:
        return Given(signature.readers[name](value), node)
    except NotUsable as problem:
        message = f"{name!r} of {signature.word}() must be {problem}, not {shown(value)}."
        hint = signature.hint if problem.code == codes.VALUE else None
        report.add(problem.code, node, message, hint)
        return None


def note_repeated_keys(node: ast.Dict, report: Report) -> None:
    """Note a key that stands twice, of which Python would take the last without a word."""
    seen: set[object] = set()
    for key in node.keys:
        if isinstance(key, ast.Constant):
            if key.value in seen:
                message = f"The key {shown(key.value)} stands twice."
                report.add(codes.ARGUMENTS, key, message, "Write it once.")
            seen.add(key.value)


def parameter_text(node: ast.expr) -> str | None:
    """Return a default's Python literal, the same on every Python; None where it is none."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    # ascii: which characters repr() escapes follows the Unicode tables of the Python that asks.
    text = ascii(value) if _is_parameter(value) else ""
    return text if 0 < len(text) <= _MAX_TEXT else None


def _is_parameter(value: object) -> bool:
    match value:
        case None | bool() | str() | bytes():
            return True
        case int():
            return value.bit_length() <= _MAX_BITS
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(map(_is_parameter, value))
        case dict():
            return all(isinstance(k, str) and _is_parameter(v) for k, v in value.items())
        case _:
            return False


def shown(value: object) -> str:
    """Return a literal as it is told in a message."""
    try:
        text = ascii(value)
    except ValueError:  # an integer of more digits than Python converts
        text = "that number"
    return text if len(text) <= 60 else f"{text[:57]}..."
