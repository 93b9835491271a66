"""Families: one function, and by `each` as many nodes as there are combinations of its values."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from qmtl.parsing import codes
from qmtl.parsing.literals import note_repeated_keys, parameter_text
from qmtl.parsing.report import Report

MAX_NODES = 10_000
MAX_LABEL = 120
_EACH = 'Write `@each(length=[10, 50])`, or `@each([{"length": 10}, {"length": 50}])`.'
_TEXT = re.compile(r"[A-Za-z0-9_.+-]{1,32}")
_SCALARS = "None, True, False, a finite number, or up to 32 letters, digits and _ . + -"


@dataclass(frozen=True, slots=True)
class Value:
    """A literal parameter: as Python writes it, and as the names of members show it."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a family: the values of the parameters that ``each`` names, in its order."""

    values: Mapping[str, Value]

    @property
    def label(self) -> str:
        """Return what stands between the brackets of the member's name."""
        return ",".join(value.label for value in self.values.values())


def read_members(
    decorator: ast.expr, parameters: Collection[str], room: int, report: Report
) -> list[Member]:
    """Return the members that ``each`` lists or combines; none where it cannot be read.

    Args:
        decorator: The call of ``each``.
        parameters: Names of the function's parameters.
        room: How many nodes the strategy may still have.
        report: Takes what is wrong.
    """
    if not isinstance(decorator, ast.Call) or not (decorator.args or decorator.keywords):
        report.add(codes.ARGUMENTS, decorator, "each() needs the values of a parameter.", _EACH)
        return []
    if decorator.args and (decorator.keywords or len(decorator.args) > 1):
        message = "each() takes either keywords or one list of dicts."
        report.add(codes.ARGUMENTS, decorator, message, _EACH)
        return []
    axes = _listed(decorator.args[0], report) if decorator.args else _crossed(decorator, report)
    if axes is None or not _check_names(axes, parameters, decorator, report):
        return []
    count = (
        math.prod(map(len, axes.values())) if decorator.keywords else len(next(iter(axes.values())))
    )
    if count > room:
        message = f"A strategy has at most {MAX_NODES:,} nodes; the family has more than are left."
        report.add(codes.TOO_MANY, decorator, message)
        return []
    rows = product(*axes.values()) if decorator.keywords else zip(*axes.values(), strict=True)
    members = [Member(dict(zip(axes, row, strict=True))) for row in rows]
    return members if _check_labels(members, decorator, report) else []


Axes = dict[str, list[Value]]


def _crossed(call: ast.Call, report: Report) -> Axes | None:
    """Read the values of each keyword."""
    axes: Axes = {}
    good = True
    for each in call.keywords:
        if each.arg is None:
            report.add(codes.NOT_LITERAL, each.value, "`**` hides what is declared.")
            good = False
        elif values := _values(each.arg, each.value, report):
            axes[each.arg] = values
        else:
            good = False
    return axes if good else None


def _values(name: str, node: ast.expr, report: Report) -> list[Value]:
    if not isinstance(node, ast.List | ast.Tuple):
        _refuse_list(node, f"The values of {name!r} are no list.", report)
        return []
    if not node.elts:
        report.add(codes.MEMBER, node, f"The list of values of {name!r} is empty.")
    values = [_value(each, report) for each in node.elts]
    return [each for each in values if each] if all(values) else []


def _listed(node: ast.expr, report: Report) -> Axes | None:
    """Read a list of dicts as columns, in the order of the first one's keys."""
    if not isinstance(node, ast.List | ast.Tuple) or not node.elts:
        _refuse_list(node, "each() takes a list of dicts with at least one member.", report)
        return None
    rows = [_row(each, report) for each in node.elts]
    first = rows[0]
    if first is None or not all(rows):
        return None
    for row, at in zip(rows, node.elts, strict=True):
        if row is None or row.keys() != first.keys():
            report.add(codes.MEMBER, at, "The members do not name the same parameters.")
            return None
    return {name: [row[name] for row in rows if row] for name in first}


def _row(node: ast.expr, report: Report) -> dict[str, Value] | None:
    if not isinstance(node, ast.Dict) or not node.keys:
        _refuse_list(node, "A member of each() is no dict of values by parameter.", report)
        return None
    note_repeated_keys(node, report)
    row: dict[str, Value] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            report.add(codes.NOT_LITERAL, key or value, "A key is no parameter's name.")
            return None
        read = _value(value, report)
        if read is None:
            return None
        row[key.value] = read
    return row


def _refuse_list(node: ast.expr, message: str, report: Report) -> None:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        report.add(codes.NOT_LITERAL, node, message)
    else:
        report.add(codes.MEMBER, node, message)


def _value(node: ast.expr, report: Report) -> Value | None:
    text = parameter_text(node)
    label = None if text is None else _label(text)
    if text is None or label is None:
        report.add(codes.MEMBER, node, f"A value of each() must be {_SCALARS}.")
        return None
    return Value(text, label)


def _label(text: str) -> str | None:
    value = ast.literal_eval(text)
    if isinstance(value, str):
        return value if _TEXT.fullmatch(value) else None
    return text if value is None or isinstance(value, bool | int | float) else None


def _check_names(
    axes: Axes, parameters: Collection[str], decorator: ast.expr, report: Report
) -> bool:
    good = True
    for name in axes:
        if name == "as_of":
            report.add(codes.RESERVED, decorator, "'as_of' always takes the node's own time.")
            good = False
        elif name not in parameters:
            message = f"The function has no parameter {name!r}."
            report.add(codes.NO_PARAMETER, decorator, message, report.nearest(name, parameters))
            good = False
    return good


def _check_labels(members: Sequence[Member], decorator: ast.expr, report: Report) -> bool:
    labels = [each.label for each in members]
    longest = max(labels, key=len)
    if len(longest) > MAX_LABEL:
        message = f"The name of a member has more than {MAX_LABEL} characters in its brackets."
        report.add(codes.MEMBER, decorator, message, "Use fewer parameters or shorter values.")
        return False
    twice = next(_repeated(labels), None)
    if twice is not None:
        message = f"Two members would be called [{twice}]."
        report.add(codes.MEMBER, decorator, message, "Each combination of values stands once.")
        return False
    return True


def _repeated(labels: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for each in labels:
        if each in seen:
            yield each
        seen.add(each)
