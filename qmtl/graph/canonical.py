"""The canonical form of a definition: what of its text can change what it computes.

The form is a serialisation of the syntax tree of our own, the same for every Python version:
fields by name, empty ones left out, constants with their type. Comments, formatting and
docstrings are no part of it; nor are plain annotations, save where something may read them: in
classes and in decorated functions.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from qmtl.graph.grammar import BY_TYPE, is_docstring, walk

_MARK = "@"  # no identifier contains it
_PLAIN = (
    ast.Name, ast.Attribute, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.BinOp,
    ast.BitOr, ast.Load,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """A definition's canonical form.

    Attributes:
        text: The serialisation.
        names: ``id()`` of every Name node in it; a name that was left out is not reached.
        attributes: Every attribute name in it, and every text, since ``getattr`` may take one.
        keeps_annotations: Whether annotations are in it.
    """

    text: str
    names: frozenset[int]
    attributes: frozenset[str]
    keeps_annotations: bool

    @property
    def digest(self) -> str:
        """Return the form's blake2b-128 in hex."""
        # A literal may hold lone surrogates, which plain UTF-8 refuses.
        data = self.text.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=16).hexdigest()


def canonical(
    definition: ast.AST,
    *,
    nameless: bool = False,
    own: Collection[int] = (),
    drop_decorator: Callable[[ast.expr], bool] = lambda _: False,
) -> Form:
    """Return the canonical form of a definition.

    It recurses once for each level of the tree: callers bound its depth.

    Args:
        definition: A function, a class, or the assignment of a constant.
        nameless: Whether the definition's own name is replaced by a mark.
        own: ``id()`` of the Name nodes that refer to the definition itself, marked likewise.
        drop_decorator: Which of the definition's own decorators are no part of it.
    """
    writer = _Writer(definition, nameless, frozenset(own), drop_decorator)
    writer.write(definition)
    return Form(
        text="".join(writer.out),
        names=frozenset(writer.names),
        attributes=frozenset(writer.attributes),
        keeps_annotations=writer.kept,
    )


def constant_text(value: object) -> str:
    """Return a text that tells apart any two constants of unlike type or value."""
    match value:
        case int() if not isinstance(value, bool):
            return f"int:{value:x}"
        case float():
            return f"float:{value.hex()}"
        case complex():
            return f"complex:{value.real.hex()},{value.imag.hex()}"
        case str():
            return f"str:{len(value)}:{value}"
        case bytes():
            return f"bytes:{value.hex()}"
        case _:
            return repr(value)  # True, False, None, Ellipsis


class _Writer:
    """One walk over a definition; ``keep`` says whether annotations stay where it stands."""

    def __init__(
        self,
        top: ast.AST,
        nameless: bool,
        own: frozenset[int],
        drop_decorator: Callable[[ast.expr], bool],
    ) -> None:
        self.top, self.nameless, self.own, self.drop_decorator = top, nameless, own, drop_decorator
        self.out: list[str] = []
        self.names: set[int] = set()
        self.attributes: set[str] = set()
        self.keep = False
        self.kept = False

    def write(self, value: object) -> None:
        if isinstance(value, ast.AST):
            special = _SPECIAL.get(type(value))
            if special is None:
                self.fields(value, BY_TYPE[type(value)])
            else:
                special(self, value)
        elif isinstance(value, list):
            self.out.append("[")
            for each in value:
                self.write(each)
                self.out.append(",")
            self.out.append("]")
        else:
            self.out.append(str(value))  # an identifier, a small number, or None in a list

    def fields(self, node: ast.AST, names: Iterable[str], **instead: object) -> None:
        """Write a node, with the values in ``instead`` in place of its own."""
        self.out.append(f"{type(node).__name__}{{")
        for name in names:
            value = instead[name] if name in instead else getattr(node, name)
            if value is None or value == []:
                continue
            self.out.append(f"{name}:")
            self.write(value)
            self.out.append(";")
        self.out.append("}")

    def function(self, node: ast.FunctionDef) -> None:
        top = node is self.top
        decorators = [d for d in node.decorator_list if not (top and self.drop_decorator(d))]
        before, self.keep = self.keep, self.keep or bool(decorators)
        self.fields(
            node,
            BY_TYPE[ast.FunctionDef],
            name=_MARK if top and self.nameless else node.name,
            decorator_list=decorators,
            body=_without_docstring(node.body),
            returns=self.annotation(node.returns),
        )
        self.keep = before

    def klass(self, node: ast.ClassDef) -> None:
        before, self.keep = self.keep, True
        self.fields(node, BY_TYPE[ast.ClassDef], body=_without_docstring(node.body))
        self.keep = before
        self.kept = True

    def arg(self, node: ast.arg) -> None:
        self.fields(node, BY_TYPE[ast.arg], annotation=self.annotation(node.annotation))

    def annotated(self, node: ast.AnnAssign) -> None:
        annotation = self.annotation(node.annotation)
        if annotation is None and node.value is not None:
            assign = ast.Assign(targets=[node.target], value=node.value)
            self.fields(assign, BY_TYPE[ast.Assign])
        else:
            self.fields(node, BY_TYPE[ast.AnnAssign], annotation=annotation)

    def annotation(self, node: ast.expr | None) -> ast.expr | None:
        if node is None or not (self.keep or not _is_plain(node)):
            return None
        self.kept = True
        return node

    def joined(self, node: ast.JoinedStr) -> None:
        parts = _joined_parts(node)
        if all(isinstance(part, str) for part in parts):
            self.out.append(f"Constant{{{constant_text(''.join(map(str, parts)))}}}")
            return
        self.out.append("JoinedStr{")
        for part in parts:
            if isinstance(part, str):
                self.out.append(constant_text(part))
            else:
                spec = part.format_spec if _joined_parts(part.format_spec) else None
                self.fields(part, BY_TYPE[ast.FormattedValue], format_spec=spec)
            self.out.append(";")
        self.out.append("}")

    def constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.attributes.add(node.value)
        self.out.append(f"Constant{{{constant_text(node.value)}}}")

    def name(self, node: ast.Name) -> None:
        self.names.add(id(node))
        self.out.append(f"Name{{{_MARK if id(node) in self.own else node.id}}}")

    def attribute(self, node: ast.Attribute) -> None:
        self.attributes.add(node.attr)
        self.fields(node, BY_TYPE[ast.Attribute])


_SPECIAL: dict[type[ast.AST], Callable[[_Writer, Any], None]] = {
    ast.FunctionDef: _Writer.function,
    ast.ClassDef: _Writer.klass,
    ast.arg: _Writer.arg,
    ast.AnnAssign: _Writer.annotated,
    ast.JoinedStr: _Writer.joined,
    ast.Constant: _Writer.constant,
    ast.Name: _Writer.name,
    ast.Attribute: _Writer.attribute,
}


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    rest = body[1:] if is_docstring(body[0]) else body
    return rest or [ast.Pass()]


def _is_plain(annotation: ast.expr) -> bool:
    """Tell whether evaluating an annotation can do nothing but look something up."""
    return all(isinstance(node, _PLAIN) for node in walk(annotation))


def _joined_parts(node: ast.expr | None) -> list[str | ast.FormattedValue]:
    """Return the texts and values of an f-string; Pythons differ in how they cut the texts."""
    parts: list[str | ast.FormattedValue] = []
    pending: list[ast.expr] = [node] if node is not None else []
    while pending:
        each = pending.pop()
        if isinstance(each, ast.JoinedStr):
            pending.extend(reversed(each.values))
        elif isinstance(each, ast.FormattedValue):
            parts.append(each)
        elif isinstance(each, ast.Constant) and each.value != "":
            if parts and isinstance(parts[-1], str):
                parts[-1] += str(each.value)
            else:
                parts.append(str(each.value))
    return parts
