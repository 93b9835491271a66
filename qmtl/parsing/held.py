"""Changes of what the module holds: its constants, classes and functions, and imported modules.

What a call changes there, the next call in the same process would find. Here is found what shows
in the text of one definition; what only shows when it runs is the sandbox's part.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from qmtl.parsing import allowed, codes
from qmtl.parsing.aliases import TYPE, Aliases, Nodes
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report

_CHANGING = (
    allowed.MUTATORS | allowed.POLARS_MUTATORS | allowed.ARRAY_MUTATORS | {"add", "register"}
)


class Held:
    """What of one definition's expressions the module holds.

    Args:
        found: The module.
        loaded: ``id()`` of the definition's names that mean the module's.
        nodes: The definition's nodes by their type.
        report: Takes what is wrong.
    """

    def __init__(
        self, found: Outline, loaded: Collection[int], nodes: Nodes, report: Report
    ) -> None:
        self._found, self._loaded, self._report = found, loaded, report
        self._aliases = Aliases(found, loaded, nodes)

    def target(self, node: ast.Attribute | ast.Subscript) -> None:
        """Note the binding or deletion of a part of what the module holds."""
        root = _root(node)
        if isinstance(root, ast.Name) and id(root) in self._loaded:
            self._tell(node, root.id)
        elif isinstance(root, ast.Call) and self._is_builtin(root.func, "type"):
            self._tell(node, TYPE)
        elif isinstance(root, ast.Name) and (held := self._aliases.of(root)) is not None:
            self._tell(node, root.id, held)

    def augmented(self, node: ast.AugAssign) -> None:
        """Note ``k += [1]`` where ``k`` is a list that the module holds."""
        if isinstance(node.target, ast.Name):
            held = self._aliases.of(node.target)
            whole = not self._aliases.is_part(node.target.id)
            if held is not None and whole and self._is_container(self._aliases.value(held)):
                self._tell(node, node.target.id, held)

    def call(self, node: ast.Call, path: str | None) -> None:
        """Note a call that changes what the module holds."""
        if isinstance(node.func, ast.Attribute) and self._changes(node.func, node.keywords):
            self._tell_of(node.func.value, node.func)
        for changed in self._changed_arguments(node, path):
            self._tell_of(changed, changed)
        for each in node.args:  # as in map(SEEN.append, values)
            changing = isinstance(each, ast.Attribute) and each.attr in allowed.MUTATORS
            if changing and self._holds_container(each):
                self._tell_of(each, each)

    def _changed_arguments(self, node: ast.Call, path: str | None) -> Iterator[ast.expr]:
        """Yield the arguments that a call changes."""
        of_arrays = (path or "").startswith(("numpy.", "scipy."))
        overwrites = path in allowed.CHANGING_PATHS or self._is_builtin(node.func, "next")
        for each in node.keywords:
            word = each.arg or ""
            if word == "out":
                given = each.value.elts if isinstance(each.value, ast.Tuple) else [each.value]
                yield from (e for e in given if of_arrays or self._holds_container(e))
            elif of_arrays and word.startswith("overwrite_"):
                overwrites = overwrites or _is_true(each.value)
            elif path == "numpy.nan_to_num" and word == "copy":
                overwrites = overwrites or not _is_true(each.value)
        if node.args and (overwrites or self._by_method(node, of_arrays)):
            yield node.args[0]

    def _by_method(self, node: ast.Call, of_arrays: bool) -> bool:
        """Tell whether a call such as ``list.append(k, 1)`` changes its first argument."""
        match node.func:
            case ast.Attribute(attr="at"):
                return of_arrays
            case ast.Attribute(attr="shuffle"):
                return self._holds_container(node.args[0])
            case ast.Attribute(attr=method, value=ast.Name(id=name)):
                return name in allowed.CONTAINER_BUILTINS and method in allowed.MUTATORS | {"add"}
            case _:
                return False

    def _holds_container(self, node: ast.expr) -> bool:
        held = self._name(node)
        return held is not None and self._is_container(self._aliases.value(held))

    def _tell_of(self, changed: ast.expr, at: ast.AST) -> None:
        root = _root(changed)
        if not isinstance(root, ast.Name):
            return
        if id(root) in self._loaded:
            if root.id in self._found.names:
                self._tell(at, root.id)
        elif (held := self._aliases.of(root)) is not None:
            self._tell(at, root.id, held)

    def _tell(self, at: ast.AST, name: str, held: ast.Name | None = None) -> None:
        if name == TYPE or (held is not None and self._aliases.is_class(held.id)):
            message = f"`{name}` is a class, which the module holds."
        elif held is not None:
            message = f"{name!r} is {held.id!r} itself, no copy; {held.id!r} belongs to the module."
        else:
            message = f"{name!r} belongs to the module."
        self._report.add(codes.MUTATION, at, message)

    def _changes(self, method: ast.Attribute, keywords: Sequence[ast.keyword]) -> bool:
        """Tell whether a call of this method changes an object that the module holds."""
        in_place = any(k.arg in {"inplace", "in_place"} and _is_true(k.value) for k in keywords)
        if not in_place and method.attr not in _CHANGING:
            return False
        held = self._name(method.value)
        if held is None:
            return False
        definition = self._found.index.definitions.get(held.id)
        match definition:
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                return in_place or self._is_changed_by(method.attr, value)
            case ast.ClassDef():  # a method of the class itself, or of an object that it holds
                if method.value is held:
                    return method.attr == "register"
                return method.attr in allowed.MUTATORS
            case _:
                return False

    def _is_changed_by(self, method: str, value: ast.expr) -> bool:
        if method == "add":  # of a set; that of pandas is a plain sum
            return _is_set(value)
        root = (self._path(value) or "").partition(".")[0]
        if root == "polars":  # most of its methods return new objects
            return method in allowed.POLARS_MUTATORS
        if root == "numpy" and method in allowed.ARRAY_MUTATORS:
            return True
        return method in allowed.MUTATORS

    def _name(self, node: ast.expr) -> ast.Name | None:
        """Return the module's name that an expression begins with, itself or by an alias."""
        root = _root(node)
        if not isinstance(root, ast.Name):
            return None
        return root if id(root) in self._loaded else self._aliases.of(root)

    def _is_container(self, value: ast.expr | None) -> bool:
        """Tell whether a constant is certainly a list, dict, set, deque or array."""
        match value:
            case ast.List() | ast.Dict() | ast.Set():
                return True
            case ast.Call(func=ast.Name(id=name)) if name not in self._found.names:
                return name in allowed.CONTAINER_BUILTINS
            case ast.Call():
                return self._path(value) in allowed.CONTAINER_PATHS
            case _:
                return False

    def _path(self, value: ast.expr) -> str | None:
        return self._found.index.path(value.func) if isinstance(value, ast.Call) else None

    def _is_builtin(self, function: ast.expr, name: str) -> bool:
        return (
            isinstance(function, ast.Name) and function.id == name and id(function) in self._loaded
        )


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _is_set(value: ast.expr) -> bool:
    match value:
        case ast.Set() | ast.Call(func=ast.Name(id="set")):
            return True
        case _:
            return False


def _is_true(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is True
