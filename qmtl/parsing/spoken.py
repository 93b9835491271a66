"""The parts of Python in the words in which one speaks of them."""

from __future__ import annotations

import ast

_WORDS: dict[str, str] = {
    "Assert": "`assert`",
    "AsyncFor": "`async for`",
    "AsyncFunctionDef": "`async def`",
    "AsyncWith": "`async with`",
    "Await": "`await`",
    "Break": "`break`",
    "Continue": "`continue`",
    "Delete": "`del`",
    "DictComp": "A dict comprehension",
    "For": "A `for` loop",
    "GeneratorExp": "A generator expression",
    "Global": "`global`",
    "If": "An `if` statement",
    "ListComp": "A list comprehension",
    "Match": "A `match` statement",
    "NamedExpr": "`:=`",
    "Nonlocal": "`nonlocal`",
    "Pass": "`pass`",
    "Raise": "`raise`",
    "Return": "`return`",
    "SetComp": "A set comprehension",
    "TemplateStr": "A template string",
    "Try": "A `try` statement",
    "TryStar": "`except*`",
    "TypeAlias": "A `type` statement",
    "While": "A `while` loop",
    "With": "A `with` statement",
    "Yield": "`yield`",
    "YieldFrom": "`yield from`",
}


def spoken(node: ast.AST) -> str:
    """Return what a part of a text is called, as the beginning of a sentence."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return "A text by itself"
        case ast.Expr(value=ast.Call() as call):
            return f"A call of `{called(call.func)}`"
        case ast.Expr():
            return "An expression by itself"
        case ast.FunctionDef() | ast.ClassDef():
            return "A definition with type parameters"
        case ast.expr_context() | ast.expr():
            return _WORDS.get(type(node).__name__, "This expression")
        case _:
            return _WORDS.get(type(node).__name__, "This statement")


def called(function: ast.expr) -> str:
    """Return the name of what is called, with dots for what is no name."""
    names: list[str] = []
    while isinstance(function, ast.Attribute):
        names.append(function.attr)
        function = function.value
    names.append(function.id if isinstance(function, ast.Name) else "...")
    text = ".".join(reversed(names))
    return text if len(text) <= 60 else f"{text[:57]}..."
