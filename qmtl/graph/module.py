"""A strategy module seen as names: what each module-level name is bound to."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from qmtl.graph.scope import ModuleNames, module_names

LANGUAGE = "qmtl.sdk"


@dataclass(frozen=True, slots=True)
class Import:
    """A name that an import binds.

    Attributes:
        local: The name it binds.
        module: The module it names.
        attribute: What it takes from the module; None where it binds a module.
        aliased: Whether ``as`` gives a dotted module a name; without it the root is bound.
    """

    local: str
    module: str
    attribute: str | None = None
    aliased: bool = False

    @property
    def path(self) -> str:
        """Return the dotted path of what the name stands for."""
        if self.attribute is not None:
            return f"{self.module}.{self.attribute}"
        return self.module if self.aliased else self.local

    @property
    def statement(self) -> str:
        """Return the import in one spelling."""
        if self.attribute is not None:
            return f"from {self.module} import {self.attribute} as {self.local}"
        return f"import {self.module} as {self.local}" if self.aliased else f"import {self.module}"


@dataclass(frozen=True, slots=True)
class ModuleIndex:
    """What the names of a module are bound to; make one with ``ModuleIndex.of``.

    Attributes:
        definitions: Functions, classes and constants; no declarations of sources.
        imports: Each import by the name it binds; ``import a.b`` and ``import a.c`` both bind a.
        future_annotations: Whether annotations are kept as text.
    """

    definitions: Mapping[str, ast.stmt]
    imports: Mapping[str, tuple[Import, ...]]
    future_annotations: bool
    _names: dict[int, ModuleNames] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, tree: ast.Module) -> ModuleIndex:
        """Index a module; a statement that binds no single name is passed over."""
        imports: dict[str, tuple[Import, ...]] = {}
        for each in _imports(tree):
            imports[each.local] = (*imports.get(each.local, ()), each)
        future = any(each.path == "__future__.annotations" for each in _imports(tree))
        index = cls({}, imports, future)
        definitions = {
            name: statement
            for statement in tree.body
            if (name := bound_name(statement)) and index.declares(statement) in {None, "node"}
        }
        return cls(definitions, imports, future)

    def names(self, definition: ast.stmt) -> ModuleNames:
        """Return the names of one of its statements that mean the module's."""
        key = id(definition)
        if key not in self._names:
            self._names[key] = module_names(definition)
        return self._names[key]

    def path(self, node: ast.expr, module_level: Collection[int] | None = None) -> str | None:
        """Return the dotted path of an expression such as ``np.random.normal``.

        Args:
            node: A name, or attributes of one.
            module_level: ``id()`` of the Name nodes known to mean module-level names; None where
                the expression stands at module level itself.

        Returns:
            None where the expression does not begin with an imported name.
        """
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imports:
            return None
        if module_level is not None and id(node) not in module_level:
            return None
        return ".".join([self.imports[node.id][0].path, *reversed(attributes)])

    def language_name(self, node: ast.expr) -> str | None:
        """Return ``node``, ``source``… where an expression is, or calls, that word of the SDK."""
        path = self.path(node.func if isinstance(node, ast.Call) else node)
        head, _, word = (path or "").rpartition(".")
        return word if head == LANGUAGE else None

    def declares(self, statement: ast.stmt) -> str | None:
        """Return the word with which a statement declares something, None for all others."""
        if isinstance(statement, ast.FunctionDef):
            words = (self.language_name(d) for d in statement.decorator_list)
            return "node" if "node" in words else None
        value = getattr(statement, "value", None)
        return self.language_name(value) if isinstance(value, ast.Call) else None

    def without_defaults(self) -> ModuleIndex:
        """Return the index with None for every default of a node, which counts as a parameter."""
        definitions = dict(self.definitions)
        for name, definition in self.definitions.items():
            if isinstance(definition, ast.FunctionDef) and self.declares(definition) == "node":
                bare = deepcopy(definition)
                bare.args.defaults = [ast.Constant(None) for _ in bare.args.defaults]
                bare.args.kw_defaults = [d and ast.Constant(None) for d in bare.args.kw_defaults]
                definitions[name] = bare
        return replace(self, definitions=definitions)


def bound_name(statement: ast.stmt) -> str | None:
    """Return the one name that a definition at module level binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return name
        case _:
            return None


def imports_of(statement: ast.stmt) -> Iterator[Import]:
    """Yield what an import statement binds."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            local = alias.asname or alias.name.partition(".")[0]
            yield Import(local, alias.name, aliased=alias.asname not in {None, alias.name})
    elif isinstance(statement, ast.ImportFrom) and statement.module:
        for alias in statement.names:
            yield Import(alias.asname or alias.name, statement.module, alias.name)


def _imports(tree: ast.Module) -> Iterator[Import]:
    for statement in tree.body:
        yield from imports_of(statement)
