"""Formats: a replacement field can reach any attribute by its text."""

from __future__ import annotations

import ast
import re

from qmtl.parsing import codes
from qmtl.parsing.report import Report

_REACH = re.compile(r"\.(?:_|gi_|cr_|ag_|tb_|f_)")


def check_format(node: ast.Attribute, report: Report) -> None:
    """Note ``.format`` on a text that is not literal, or whose fields name private attributes."""
    match node.value:
        case ast.Constant(value=str(text)):
            if _reaches(text):
                message = "The format reaches a private attribute."
                report.add(codes.FORMATTING, node, message)
        case _:
            message = f"`.{node.attr}` is used on no literal text."
            report.add(codes.FORMATTING, node, message)


def _reaches(text: str) -> bool:
    """Tell whether a replacement field may name a private attribute."""
    field = text.find("{")
    return field >= 0 and _REACH.search(text, field) is not None
