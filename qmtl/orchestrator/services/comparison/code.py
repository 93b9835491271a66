"""What the functions of a module rest on, part by part, so that an edit can be named."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

from qmtl.graph.module import ModuleIndex
from qmtl.graph.reach import Reach, Reaches


def code_parts(source_text: str, functions: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return for each function its parts and their digests.

    The function itself stands under the empty name, without its defaults, which are parameters;
    then come ``helper NAME`` and ``import STATEMENT``.
    """
    reaches = Reaches(_without_defaults(ModuleIndex.of(ast.parse(source_text))))
    return {name: _parts(reaches.reach(name)) for name in set(functions)}


def _parts(reach: Reach) -> dict[str, str]:
    parts = {"": reach.function}
    parts |= {f"helper {name}": digest for name, digest in reach.helpers}
    return parts | {f"import `{statement}`": "" for statement in reach.imports}


def _without_defaults(index: ModuleIndex) -> ModuleIndex:
    definitions = dict(index.definitions)
    for name, definition in index.definitions.items():
        if isinstance(definition, ast.FunctionDef) and index.declares(definition) == "node":
            bare = deepcopy(definition)
            bare.args.defaults = [ast.Constant(None) for _ in bare.args.defaults]
            bare.args.kw_defaults = [d and ast.Constant(None) for d in bare.args.kw_defaults]
            definitions[name] = bare
    return replace(index, definitions=definitions)
