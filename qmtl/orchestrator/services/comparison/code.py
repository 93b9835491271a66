"""What the functions of a module rest on, part by part, so that an edit can be named."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from qmtl.graph.module import ModuleIndex
from qmtl.graph.reach import Reach, Reaches


def code_parts(source_text: str, functions: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return for each function its parts and their digests.

    The function itself stands under the empty name, without its defaults, which are parameters;
    then come ``helper NAME`` and ``import STATEMENT``.
    """
    reaches = Reaches(ModuleIndex.of(ast.parse(source_text)).without_defaults())
    return {name: _parts(reaches.reach(name)) for name in set(functions)}


def _parts(reach: Reach) -> dict[str, str]:
    parts = {"": reach.function}
    parts |= {f"helper {name}": digest for name, digest in reach.helpers}
    return parts | {f"import `{statement}`": "" for statement in reach.imports}
