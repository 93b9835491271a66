"""From whatever was sent to a syntax tree of bounded depth, or one clear problem."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import TypeVar

from qmtl.graph.grammar import children
from qmtl.parsing import codes
from qmtl.parsing.report import NEWLINE, Report, rejection

T = TypeVar("T")
MAX_DEPTH = 150  # levels of the syntax tree; every later walk may recurse that far
_VERSION = (3, 11)
_COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def read_text(source: str | bytes, limit_bytes: int) -> str:
    """Return the source as text.

    Raises:
        StrategyRejected: It is over the limit, is not plain UTF-8, or holds nothing.
    """
    try:
        data = source.encode() if isinstance(source, str) else bytes(source)
        _refuse_large(len(data), limit_bytes)
        text = data.decode()
    except UnicodeEncodeError as error:
        where = _place(str(source), error.start)
        raise rejection(codes.NOT_TEXT, "A character is half a surrogate pair.", *where) from error
    except UnicodeDecodeError as error:
        where = _place(data[: error.start].decode(), None)
        raise rejection(codes.NOT_TEXT, "A byte is not UTF-8.", *where) from error
    _refuse_marks(text)
    if not text.strip():
        raise rejection(codes.EMPTY, "The source is empty.")
    return text


def read_tree(text: str) -> ast.Module:
    """Return the syntax tree of a text.

    Python's own parser bounds brackets, blocks and its stack, and raises beyond them.
    ``shallow_nodes`` bounds the tree.

    Raises:
        StrategyRejected: It is nested too deep, or is not Python.
    """
    tree = _translated(lambda: ast.parse(text, feature_version=_VERSION))
    if not tree.body:
        raise rejection(codes.EMPTY, "The source holds nothing but comments.")
    return tree


def shallow_nodes(statement: ast.stmt, report: Report) -> list[ast.AST]:
    """Return a module-level statement and all below it, outer ones first.

    Raises:
        StrategyRejected: It makes the tree deeper than ``MAX_DEPTH``; nothing else is told.
    """
    found: list[ast.AST] = [statement]
    level: list[ast.AST] = found
    for _ in range(MAX_DEPTH - 1):
        level = [child for node in level for child in children(node)]
        if not level:
            return found
        found += level
    at = next(node for node in reversed(found) if hasattr(node, "lineno"))
    raise report.only(codes.TOO_DEEP, at, "The source is nested too deep here.")


def refuse_uncompilable(tree: ast.Module) -> None:
    """Refuse what only Python's compiler notices, such as ``break`` outside a loop; run nothing.

    Raises:
        StrategyRejected: Python cannot compile the tree.
    """
    _translated(lambda: compile(tree, "<strategy>", "exec", dont_inherit=True))


def _translated(step: Callable[[], T]) -> T:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return step()
        except SyntaxError as error:
            message = f"This is not Python: {error.msg}."
            place = error.lineno or 1, error.offset or 1
            raise rejection(codes.SYNTAX, message, *place) from error
        except (RecursionError, MemoryError) as error:
            raise rejection(codes.TOO_DEEP, "The source is nested too deep.") from error
        except (ValueError, OverflowError) as error:
            raise rejection(codes.SYNTAX, f"This is not Python: {error}.") from error


def _refuse_large(size: int, limit: int) -> None:
    if size > limit:
        raise rejection(codes.TOO_LARGE, f"The source has {size} bytes; the limit is {limit}.")


def _refuse_marks(text: str) -> None:
    if text.startswith("\ufeff"):
        raise rejection(codes.NOT_TEXT, "The source begins with a byte order mark.")
    if "\0" in text:
        where = _place(text, text.index("\0"))
        raise rejection(codes.NOT_TEXT, "The source holds a NUL.", *where)
    for number, line in enumerate(NEWLINE.split(text[:4096])[:2], start=1):
        cookie = _COOKIE.match(line)
        if cookie and cookie[1].lower().replace("_", "-") not in {"utf-8", "utf8"}:
            message = f"The source says that its encoding is {cookie[1]}."
            raise rejection(codes.NOT_TEXT, message, number, cookie.start(1) + 1)


def _place(text: str, at: int | None) -> tuple[int, int]:
    """Return line and column of an index into a text; of its end where there is none."""
    lines = NEWLINE.split(text[:at])
    return len(lines), len(lines[-1]) + 1
