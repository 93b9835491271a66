"""The part of Python's abstract grammar that strategies are written in, as Python 3.11 has it.

One table serves two ends. What it does not list is outside the language, so that a module means
the same on every Python that QMTL runs on; and identities are computed over the fields it lists,
so that a field that a later Python adds changes no id.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_OPERATORS = [
    *["And", "Or", "Not", "Invert", "UAdd", "USub"],
    *["Add", "Sub", "Mult", "MatMult", "Div", "FloorDiv", "Mod", "Pow"],
    *["LShift", "RShift", "BitOr", "BitXor", "BitAnd"],
    *["Eq", "NotEq", "Lt", "LtE", "Gt", "GtE", "Is", "IsNot", "In", "NotIn"],
]

# Left out of every node: positions, contexts (they follow from where a name stands), comments on
# types, the u of u"text".
FIELDS: dict[str, tuple[str, ...]] = {
    kind: tuple(sorted(fields.split()))
    for kind, fields in {
        "Module": "body",
        # statements
        "FunctionDef": "name args body decorator_list returns",
        "ClassDef": "name bases keywords body decorator_list",
        "Return": "value",
        "Delete": "targets",
        "Assign": "targets value",
        "AugAssign": "target op value",
        "AnnAssign": "target annotation value simple",
        "For": "target iter body orelse",
        "While": "test body orelse",
        "If": "test body orelse",
        "With": "items body",
        "Match": "subject cases",
        "Raise": "exc cause",
        "Try": "body handlers orelse finalbody",
        "Assert": "test msg",
        "Import": "names",
        "ImportFrom": "module names level",
        "Global": "names",
        "Nonlocal": "names",
        "Expr": "value",
        "Pass": "",
        "Break": "",
        "Continue": "",
        # expressions
        "BoolOp": "op values",
        "NamedExpr": "target value",
        "BinOp": "left op right",
        "UnaryOp": "op operand",
        "Lambda": "args body",
        "IfExp": "test body orelse",
        "Dict": "keys values",
        "Set": "elts",
        "ListComp": "elt generators",
        "SetComp": "elt generators",
        "DictComp": "key value generators",
        "GeneratorExp": "elt generators",
        "Yield": "value",
        "YieldFrom": "value",
        "Compare": "left ops comparators",
        "Call": "func args keywords",
        "FormattedValue": "value conversion format_spec",
        "JoinedStr": "values",
        "Constant": "value",
        "Attribute": "value attr",
        "Subscript": "value slice",
        "Starred": "value",
        "Name": "id",
        "List": "elts",
        "Tuple": "elts",
        "Slice": "lower upper step",
        # parts
        "comprehension": "target iter ifs is_async",
        "ExceptHandler": "type name body",
        "arguments": "posonlyargs args vararg kwonlyargs kw_defaults kwarg defaults",
        "arg": "arg annotation",
        "keyword": "arg value",
        "alias": "name asname",
        "withitem": "context_expr optional_vars",
        "match_case": "pattern guard body",
        # patterns
        "MatchValue": "value",
        "MatchSingleton": "value",
        "MatchSequence": "patterns",
        "MatchMapping": "keys patterns rest",
        "MatchClass": "cls patterns kwd_attrs kwd_patterns",
        "MatchStar": "name",
        "MatchAs": "pattern name",
        "MatchOr": "patterns",
        # operators
        **dict.fromkeys(_OPERATORS, ""),
    }.items()
}
BY_TYPE: dict[type[ast.AST], tuple[str, ...]] = {
    getattr(ast, kind): fields for kind, fields in FIELDS.items()
}


# Fields that hold text and numbers alone; every walk is shorter for not looking at them.
_TEXT_FIELDS = {
    *["arg", "asname", "attr", "conversion", "id", "is_async", "kwd_attrs", "level"],
    *["module", "name", "rest", "simple"],
}
_BELOW = {
    kind: tuple(field for field in fields if field not in _TEXT_FIELDS)
    for kind, fields in BY_TYPE.items()
} | {ast.Constant: (), ast.Global: (), ast.Nonlocal: (), ast.alias: ()}


def children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes directly below one; below what the language does not have, all of them."""
    found: list[ast.AST] = []
    for field in _BELOW.get(type(node), node._fields):
        value = getattr(node, field, None)
        if isinstance(value, list):
            found += [each for each in value if isinstance(each, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it, without recursion, in no order one should rely on."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(children(current))


def is_docstring(statement: ast.stmt) -> bool:
    """Tell whether a statement is a bare text."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
