"""Clocks that are read by a text: pandas and NumPy take "now" and "today" for a time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from qmtl.parsing import allowed, codes
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report

_READERS = frozenset({"numpy", "pandas"})
# pandas puts a time of day on the day on which it runs.
_DATED = frozenset(
    f"pandas.{name}"
    for name in ["DatetimeIndex", "Timestamp", "bdate_range", "date_range", "to_datetime"]
)
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")
_COMPARING = frozenset({"asof", "searchsorted", "truncate"})
_ORDERS = ast.Lt | ast.LtE | ast.Gt | ast.GtE


def check_texts(call: ast.Call, path: str | None, found: Outline, report: Report) -> None:
    """Note a call that reads the time of the clock because of what a text says."""
    reads = path is not None and path.partition(".")[0] in _READERS
    if not reads and not (isinstance(call.func, ast.Attribute) and call.func.attr in _COMPARING):
        return
    typed = any(each.arg == "dtype" for each in call.keywords)
    inside = typed or path in _DATED or path == "numpy.datetime64"
    for each in [*call.args, *(k.value for k in call.keywords)]:
        for at, text in _texts(each, found) if inside else _text(each):
            if text.lower() in allowed.CLOCK_WORDS:
                report.add(codes.CLOCK, at, f"{text!r} reads a clock.")
            elif path in _DATED and _TIME_OF_DAY.fullmatch(text.strip()):
                message = f"{text!r} has no date, for which pandas takes the day on which it runs."
                report.add(codes.CLOCK, at, message, "Write the date as well, or add a timedelta.")


def check_order(node: ast.Compare, report: Report) -> None:
    """Note ``index > "today"``."""
    sides = [node.left, *node.comparators]
    if not any(isinstance(each, _ORDERS) for each in node.ops):
        return
    for each in sides:
        if isinstance(each, ast.Constant) and str(each.value).lower() in allowed.CLOCK_WORDS:
            report.add(codes.CLOCK, each, f"A comparison with {each.value!r} reads a clock.")


def _text(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node, node.value


def _texts(node: ast.expr, found: Outline) -> Iterator[tuple[ast.expr, str]]:
    """Yield the texts of an argument, also of constants, and in lists and the values of dicts."""
    pending = [node]
    while pending:
        each = pending.pop()
        match each:
            case ast.Constant(value=str(text)):
                yield each, text
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                pending += parts
            case ast.Dict(values=values):
                pending += values
            case ast.IfExp(body=first, orelse=second):
                pending += [first, second]
            case ast.Name(id=name):
                match found.index.definitions.get(name):
                    case ast.Assign(value=ast.Constant(value=str(text))):
                        yield each, text
                    case ast.AnnAssign(value=ast.Constant(value=str(text))):
                        yield each, text
