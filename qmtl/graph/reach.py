"""What a function rests on inside its module, followed through every helper."""

from __future__ import annotations

from dataclasses import dataclass

from qmtl.graph.canonical import Form, canonical
from qmtl.graph.module import ModuleIndex

# Modules draw random numbers by paths that hold the word, pandas and polars by methods. NumPy is
# not named as a whole: most nodes reach it, and seeding costs more than many a node. SciPy may
# draw anywhere.
_DRAWING_ATTRIBUTES = frozenset({"random", "sample", "shuffle"})
_DRAWING_MODULE = "scipy"
_DROPPED_DECORATORS = frozenset({"node", "each"})


@dataclass(frozen=True, slots=True)
class Reach:
    """A function and all that it reaches, in their canonical forms.

    Attributes:
        function: Digest of the function, nameless.
        helpers: Name and digest of each function, class and constant, sorted by name.
        imports: Each import in one spelling, sorted.
        modules: Top-level modules of these imports, sorted.
        draws_random: Whether random numbers may be drawn, so that generators must be seeded.
    """

    function: str
    helpers: tuple[tuple[str, str], ...]
    imports: tuple[str, ...]
    modules: tuple[str, ...]
    draws_random: bool


@dataclass(frozen=True, slots=True)
class _Part:
    digest: str
    definitions: frozenset[str]
    imports: frozenset[str]
    draws: bool
    keeps_annotations: bool


class Reaches:
    """Answers ``reach`` for the functions of one module, reading each definition once."""

    def __init__(self, index: ModuleIndex) -> None:
        self._index = index
        self._functions: dict[str, _Part] = {}
        self._helpers: dict[str, _Part] = {}
        self._reaches: dict[str, Reach] = {}

    def read(self, name: str, *, is_node: bool) -> None:
        """Read a definition ahead, while its text is at hand: large modules outgrow the caches."""
        if is_node:
            self._functions[name] = self._part(name, nameless=True)
        else:
            self._helper(name)

    def reach(self, function: str) -> Reach:
        """Return what a module-level function rests on; recursion is no special case."""
        if function not in self._reaches:
            self._reaches[function] = self._reach(function)
        return self._reaches[function]

    def _reach(self, function: str) -> Reach:
        first = self._functions.get(function) or self._part(function, nameless=True)
        parts = [first]
        seen: set[str] = set()
        pending = set(first.definitions)
        while pending:
            name = pending.pop()
            seen.add(name)
            parts.append(self._helper(name))
            pending |= parts[-1].definitions - seen
        modules = self._modules(parts)
        return Reach(
            function=first.digest,
            helpers=tuple((name, self._helper(name).digest) for name in sorted(seen)),
            imports=tuple(sorted(self._statements(parts))),
            modules=tuple(sorted(modules)),
            draws_random=_DRAWING_MODULE in modules or any(part.draws for part in parts),
        )

    def _helper(self, name: str) -> _Part:
        if name not in self._helpers:
            self._helpers[name] = self._part(name, nameless=False)
        return self._helpers[name]

    def _part(self, name: str, *, nameless: bool) -> _Part:
        definition = self._index.definitions[name]
        loads = self._index.names(definition).loads
        own = [id(each) for each in loads if nameless and each.id == name]
        form = canonical(
            definition,
            nameless=nameless,
            own=own,
            drop_decorator=lambda d: self._index.language_name(d) in _DROPPED_DECORATORS,
        )
        reached = {each.id for each in loads if id(each) in form.names and id(each) not in own}
        return self._as_part(form, reached)

    def _as_part(self, form: Form, reached: set[str]) -> _Part:
        imports = frozenset(reached & self._index.imports.keys())
        paths = {i.path for name in imports for i in self._index.imports[name]}
        return _Part(
            digest=form.digest,
            definitions=frozenset(reached & self._index.definitions.keys()),
            imports=imports,
            draws=not _DRAWING_ATTRIBUTES.isdisjoint(form.attributes)
            or any("random" in path.split(".") for path in paths),
            keeps_annotations=form.keeps_annotations,
        )

    def _statements(self, parts: list[_Part]) -> set[str]:
        found = {
            each.statement
            for part in parts
            for name in part.imports
            for each in self._index.imports[name]
        }
        if self._index.future_annotations and any(part.keeps_annotations for part in parts):
            found.add("from __future__ import annotations")
        return found

    def _modules(self, parts: list[_Part]) -> set[str]:
        names = {name for part in parts for name in part.imports}
        return {i.module.partition(".")[0] for name in names for i in self._index.imports[name]}
