"""What a name that is no source or node was probably meant to be."""

from __future__ import annotations

import ast

from qmtl.parsing import codes
from qmtl.parsing.declarations import Drafts
from qmtl.parsing.report import Report


def note_unknown(binding: str, at: ast.AST, drafts: Drafts, report: Report) -> None:
    """Note that nothing has this name, with the name most like it."""
    base, bracket, _ = binding.partition("[")
    family = drafts.families.get(base)
    if family is not None and not family:
        return  # it could not be expanded; that was told
    if family and not bracket:
        message = f"`{base}` is a family of {len(family)} nodes, none of which has that name."
        hint = f"Name one of them, such as `{family[0]}`."
        report.add(codes.UNKNOWN_INPUT, at, message, hint)
        return
    near = None if report.is_full else _near(binding, drafts, report)
    message = f"`{_cut(binding)}` is not a source or node"
    message += f"; did you mean `{near}`?" if near else "."
    report.add(codes.UNKNOWN_INPUT, at, message, _hint(binding, drafts))


def _near(binding: str, drafts: Drafts, report: Report) -> str | None:
    """Return a source, a node, or a member of a family whose name is like the one given."""
    base, bracket, rest = binding.partition("[")
    plain = [name for name in drafts.nodes if "[" not in name]
    near = base if base in drafts.families else None
    near = near or report.near(base, {*drafts.sources, *plain, *drafts.families})
    if near is None or near not in drafts.families:
        return near
    members = drafts.families[near]
    same = f"{near}{bracket}{rest}"
    if not members or same in members:
        return same if members else None
    return (report.near(same, members) if bracket else None) or members[0]


def _hint(binding: str, drafts: Drafts) -> str | None:
    if "{" in binding:
        return "`{parameter}` is filled in only for parameters that `each` names."
    base = binding.partition("[")[0]
    members = drafts.families.get(base, ())
    if members:
        some = ", ".join(f"`{name}`" for name in members[:4])
        return f"The family has {some}{', ...' if len(members) > 4 else ''}."
    return None


def _cut(text: str) -> str:
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
