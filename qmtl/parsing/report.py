"""Collects what is wrong with a source text, so that everything is said at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from difflib import get_close_matches

from qmtl.common.errors import Problem, StrategyRejected
from qmtl.parsing.codes import CODES

NEWLINE = re.compile(r"\r\n|\r|\n")  # as Python counts lines
MOST = 100  # problems told; nobody reads more
_NOTED = 1_000  # problems kept, so that hostile text costs no more than its length
_KNOWN = 1_000  # names among which one like another is looked for
_LONGEST = 200  # characters of a name that is looked for


class Report:
    """The problems of one source text.

    Attributes:
        lines: Of the text, as Python counts them.
    """

    def __init__(self, text: str) -> None:
        self.lines = NEWLINE.split(text)
        self._problems: dict[tuple[int, int, str, str], Problem] = {}
        self._searches = 0

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(self, code: str, at: ast.AST | None, message: str, hint: str | None = None) -> None:
        """Note a problem at a node of the syntax tree, or of the module as a whole."""
        if len(self._problems) >= _NOTED:
            return
        line = getattr(at, "lineno", 1)
        offset = getattr(at, "col_offset", 0)
        self.add_at(code, line, self._column(line, offset), message, hint)

    def add_at(
        self, code: str, line: int, column: int, message: str, hint: str | None = None
    ) -> None:
        """Note a problem at a 1-based line and column, in characters."""
        mend = CODES[code].mend if hint is None else hint
        problem = Problem(code, message, max(line, 1), max(column, 1), mend)
        self._problems.setdefault((problem.line, problem.column, code, message), problem)

    def nearest(self, name: str, known: Collection[str]) -> str | None:
        """Return a hint that names the known name most like one; None where there is none."""
        near = self.near(name, known)
        return None if near is None else f"Did you mean {near!r}?"

    def near(self, name: str, known: Collection[str]) -> str | None:
        """Return the known name most like one; None where there is none.

        None, too, where so much was looked for already that it would not be told.
        """
        self._searches += 1
        if self._searches > MOST or len(known) > _KNOWN or len(name) > _LONGEST:
            return None
        close = get_close_matches(name, sorted(known), n=1)
        return close[0] if close else None

    @property
    def is_full(self) -> bool:
        """Whether as much is wrong as will be told."""
        return len(self._problems) >= MOST

    def size(self, node: ast.stmt) -> int:
        """Return how many characters the lines of a statement have."""
        return sum(map(len, self._of(node)))

    def mentions(self, node: ast.stmt, word: str) -> bool:
        """Tell whether the lines of a statement hold a word anywhere."""
        return any(word in line for line in self._of(node))

    def _of(self, node: ast.stmt) -> list[str]:
        return self.lines[node.lineno - 1 : node.end_lineno]

    def reject(self) -> None:
        """Raise ``StrategyRejected`` with all problems in the text's order, if there are any."""
        if self._problems:
            ordered = sorted(self._problems.items(), key=lambda item: item[0])
            raise StrategyRejected([problem for _, problem in ordered[:MOST]])

    def only(self, code: str, at: ast.AST, message: str) -> StrategyRejected:
        """Return the error for the one problem after which nothing more can be read."""
        line = getattr(at, "lineno", 1)
        return rejection(code, message, line, self._column(line, getattr(at, "col_offset", 0)))

    def _column(self, line: int, offset: int) -> int:
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return len(text.encode()[:offset].decode(errors="ignore")) + 1


def rejection(code: str, message: str, line: int = 1, column: int = 1) -> StrategyRejected:
    """Return the error for the one problem after which nothing more can be read."""
    return StrategyRejected([Problem(code, message, line, column, CODES[code].mend)])
