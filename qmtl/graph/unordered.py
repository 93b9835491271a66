"""Which functions go through a set in its own order, as far as their text shows.

The order of a set of texts follows from the seed of their hashes, which differs between processes
unless ``PYTHONHASHSEED`` is fixed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from qmtl.graph.module import ModuleIndex
from qmtl.graph.reach import Reaches

_SETS = frozenset({"set", "frozenset"})
_SET_METHODS = frozenset(
    {"union", "intersection", "difference", "symmetric_difference", "copy"}
)  # give a set where they are called on one
_ORDERED = frozenset({"list", "tuple", "iter", "enumerate", "map", "filter", "zip"})
_ORDERED_METHODS = frozenset({"join", "extend"})
_ORDERLESS = frozenset({"sorted", "set", "frozenset", "len", "min", "max", "sum", "any", "all"})


def functions_in_set_order(index: ModuleIndex, functions: Iterable[str]) -> frozenset[str]:
    """Return those functions of a module that go through a set, themselves or in a helper."""
    going = {name for name, each in index.definitions.items() if _Text(index, each).goes_through()}
    if not going:
        return frozenset()
    reaches = Reaches(index)
    return frozenset(
        name
        for name in set(functions)
        if name in going or any(helper in going for helper, _ in reaches.reach(name).helpers)
    )


class _Text:
    """One definition, and which of its names hold sets."""

    def __init__(self, index: ModuleIndex, definition: ast.stmt) -> None:
        self._index = index
        self._definition = definition
        self._module_level = {id(name) for name in index.names(definition).loads}
        self._sets: set[str] = set()
        given = _bindings(definition)
        grown = True
        while grown:
            found = {n for n, values in given.items() if all(self._is_set(v) for v in values)}
            grown = not found <= self._sets
            self._sets |= found

    def goes_through(self) -> bool:
        """Whether the order of a set can show in what the definition gives."""
        orderless: set[int] = set()  # what is read for something that has no order
        for each in ast.walk(self._definition):  # outer expressions before inner ones
            if isinstance(each, ast.Call) and self._is_orderless(each):
                orderless.update(id(argument) for argument in each.args)
            elif id(each) in orderless:
                orderless.update(id(argument) for argument in getattr(each, "args", ()))
            elif any(self._is_set(read) for read in self._in_order(each)):
                return True
        return False

    def _is_orderless(self, call: ast.Call) -> bool:
        """Whether a call gives the same for any order of what it reads.

        With a key, what is sorted first among equals is what came first. A sum of what a set
        leads to may be one of floats, which the order changes.
        """
        name = self._builtin(call.func)
        if (
            name == "sum"
            and call.args
            and isinstance(call.args[0], ast.GeneratorExp | ast.ListComp)
        ):
            return _counts(call.args[0].elt)
        return name in _ORDERLESS and not any(k.arg == "key" for k in call.keywords)

    def _in_order(self, each: ast.AST) -> Iterator[ast.expr]:
        """Yield what a piece of the text goes through in its order."""
        match each:
            case ast.For(iter=read) | ast.YieldFrom(value=read) | ast.Starred(value=read):
                yield read
            case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
                yield from (generator.iter for generator in each.generators)
            case ast.Assign(targets=[ast.Tuple() | ast.List()], value=read):
                yield read
            case ast.Call(func=ast.Attribute(attr="pop", value=read), args=[]):
                yield read
            case ast.Call(func=ast.Attribute(attr=name)) if name in _ORDERED_METHODS:
                yield from each.args
            case ast.Call() if self._builtin(each.func) in _ORDERED | _ORDERLESS:
                keyed = any(k.arg == "key" for k in each.keywords)
                if keyed or self._builtin(each.func) in _ORDERED:
                    yield from each.args

    def _is_set(self, value: ast.expr | None) -> bool:
        found = False
        match value:
            case ast.Set(elts=elements):
                found = not all(_is_number(element) for element in elements)
            case ast.SetComp():
                found = True
            case ast.Call(func=ast.Attribute(attr=name, value=of)):
                found = name in _SET_METHODS and self._is_set(of)
            case ast.Call(func=function):
                found = self._builtin(function) in _SETS
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                found = self._is_set(left) or self._is_set(value.right)
            case ast.IfExp(body=left, orelse=right):
                found = self._is_set(left) or self._is_set(right)
            case ast.Name(id=name):
                found = name in self._sets or self._is_constant_set(value)
        return found

    def _is_constant_set(self, name: ast.Name) -> bool:
        """Whether a name is that of a set at module level, where that is no other name's value."""
        constant = self._index.definitions.get(name.id)
        if id(name) not in self._module_level or not isinstance(
            constant, ast.Assign | ast.AnnAssign
        ):
            return False
        return not isinstance(constant.value, ast.Name) and self._is_set(constant.value)

    def _builtin(self, function: ast.expr) -> str | None:
        """Return the name of a builtin that nothing in the module hides."""
        if not isinstance(function, ast.Name) or id(function) not in self._module_level:
            return None
        hidden = function.id in self._index.definitions or function.id in self._index.imports
        return None if hidden else function.id


def _bindings(definition: ast.stmt) -> dict[str, list[ast.expr | None]]:
    """Return what each name is bound to inside, None where the text does not tell."""
    found: dict[str, list[ast.expr | None]] = {}
    told: set[int] = set()
    for each in ast.walk(definition):
        match each:
            case ast.Assign(targets=[ast.Name() as target], value=value):
                pass
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                pass
            case ast.NamedExpr(target=target, value=value):
                pass
            case ast.AugAssign(target=ast.Name() as target):
                told.add(id(target))  # what was a set stays one
                continue
            case ast.arg(arg=name):
                found.setdefault(name, []).append(None)
                continue
            case _:
                continue
        told.add(id(target))
        found.setdefault(target.id, []).append(value)
    for each in ast.walk(definition):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and id(each) not in told:
            found.setdefault(each.id, []).append(None)
    return found


def _counts(element: ast.expr) -> bool:
    """Whether an expression gives a whole number, as far as its text shows."""
    match element:
        case ast.Constant(value=int()) | ast.Compare():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in {"len", "int", "bool"}
        case _:
            return False


def _is_number(element: ast.expr) -> bool:
    return isinstance(element, ast.Constant) and isinstance(element.value, int | float)
