"""What a binding is made of, and the strategy's graph as plain data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from qmtl.common.timeline import format_interval
from qmtl.graph.dag import Dag
from qmtl.graph.identity import input_identity, source_identity
from qmtl.graph.module import ModuleIndex
from qmtl.graph.reach import Reaches
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    NodeSpec,
    QueryInput,
    SourceInput,
    SourceSpec,
    WindowInput,
)
from qmtl.models.strategy import StrategySpec
from qmtl.sdk.history import binding


@dataclass(frozen=True, slots=True)
class ExplainedInput:
    """What an argument takes.

    Attributes:
        kind: ``source``, ``node``, ``window``, ``query`` or ``as_of``.
        reads: The source's variable, the node's binding, or what is asked.
        detail: More of it in words.
        identity: What of it counts for the node's id, 32 hex characters.
    """

    argument: str
    kind: str
    reads: str
    detail: str
    identity: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a binding is; as text, the same for people.

    Attributes:
        code: Its definition as written.
        helpers: What of the module it reaches, each with its text.
        imports: What it rests on outside the module.
        params: Literal parameters as Python literals.
        interval: Width of its buckets; None where it runs at the raw ``as_of``.
        same: Other bindings of the same computation.
        rests_on: Every node above it, those that are looked back at too.
        readers: Nodes that read it in their own bucket, or look back at it.
        reaches: Every node that rests on it, through windows too.
    """

    name: str
    node_id: str
    code: str
    helpers: dict[str, str]
    imports: tuple[str, ...]
    inputs: tuple[ExplainedInput, ...]
    params: dict[str, str]
    interval: str | None
    tags: tuple[str, ...]
    same: tuple[str, ...]
    rests_on: tuple[str, ...]
    readers: tuple[str, ...]
    reaches: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def _repr_html_(self) -> str:
        from qmtl.sdk.display import text_html  # noqa: PLC0415 - only notebooks ask for it

        return text_html(str(self))


def explain(spec: StrategySpec, source_text: str, name: str) -> Explanation:
    """Return what a binding of a strategy is.

    Raises:
        UnknownTarget: The strategy has no such binding.
    """
    node = binding(spec, name)
    index = ModuleIndex.of(ast.parse(source_text))
    reach = Reaches(index).reach(node.function)
    dag = Dag.of({n.name: (*n.upstream(), *_others(n)) for n in spec.nodes})
    readers = tuple(n.name for n in spec.nodes if name in n.upstream() + n.looks_back_at())
    return Explanation(
        name=name,
        node_id=node.node_id,
        code=node.code,
        helpers={h: _text(index.definitions[h], source_text) for h, _ in reach.helpers},
        imports=reach.imports,
        inputs=tuple(_inputs(spec, node)),
        params=dict(node.params),
        interval=_interval(node.interval_ns),
        tags=node.tags,
        same=tuple(n.name for n in spec.nodes if n.node_id == node.node_id and n.name != name),
        rests_on=_ordered(spec, dag.ancestors([name])),
        readers=readers,
        reaches=_ordered(spec, dag.descendants([name])),
    )


def dag_info(spec: StrategySpec) -> dict[str, Any]:
    """Return a strategy's graph as plain data.

    Returns:
        ``strategy``; ``sources`` and ``nodes`` as dicts; ``edges`` as dicts with ``from``, ``to``,
        ``argument`` and ``kind``; ``levels``: bindings by their longest path from a root.
    """
    same_bucket = Dag.of({node.name: node.upstream() for node in spec.nodes})
    return {
        "strategy": spec.name,
        "interval": _interval(spec.interval_ns),
        "description": spec.description,
        "sources": [_source(source) for source in spec.sources],
        "nodes": [_node(node) for node in spec.nodes],
        "edges": [edge for node in spec.nodes for edge in _edges(node)],
        "levels": [list(level) for level in same_bucket.levels()],
    }


def _others(node: NodeSpec) -> tuple[str, ...]:
    return tuple(name for name in node.looks_back_at() if name != node.name)


def _ordered(spec: StrategySpec, names: frozenset[str]) -> tuple[str, ...]:
    return tuple(node.name for node in spec.nodes if node.name in names)


def _interval(interval_ns: int | None) -> str | None:
    return None if interval_ns is None else format_interval(interval_ns)


def _text(definition: ast.stmt, source_text: str) -> str:
    return ast.get_source_segment(source_text, definition) or ast.unparse(definition)


def _inputs(spec: StrategySpec, node: NodeSpec) -> Iterator[ExplainedInput]:
    ids = {n.name: n.node_id for n in spec.nodes}
    sources = {
        s.variable: source_identity(s, named=s.name != f"{spec.name}.{s.variable}")
        for s in spec.sources
    }
    for given in node.inputs:
        reads, detail = _told(spec, given)
        yield ExplainedInput(
            argument=given.argument,
            kind=_kind(given),
            reads=reads,
            detail=detail,
            identity=input_identity(given, reader=node.name, nodes=ids, sources=sources),
        )


def _told(spec: StrategySpec, given: Input) -> tuple[str, str]:
    """Return what an input reads, and more of it in words."""
    match given:
        case SourceInput(variable=variable):
            source = spec.source(variable)
            every = f" of {format_interval(source.interval_ns)}" if source.interval_ns else ""
            columns = ", ".join(source.columns)
            return variable, f"{source.name}: the last {source.period} points{every}; {columns}"
        case NodeInput(binding=name):
            return name, "of the same bucket"
        case WindowInput(binding=name, count=count):
            return name, f"the latest {count} results of earlier buckets"
        case QueryInput(query=query):
            asked = [f"all of {', '.join(query.all_tags)}"] if query.all_tags else []
            asked += [f"any of {', '.join(query.any_tags)}"] if query.any_tags else []
            asked += [format_interval(query.interval_ns)] if query.interval_ns else []
            asked += [f"of {query.strategy}"] if query.strategy else []
            return "; ".join(asked) or "everything", "of other strategies"
        case AsOfInput():
            return "as_of", "the node's bucket"


def _kind(given: Input) -> str:
    return str(given.__struct_config__.tag)


def _lines(it: Explanation) -> Iterator[str]:
    interval = f"every {it.interval}" if it.interval else "at the time of the run"
    tags = f", tagged {', '.join(it.tags)}" if it.tags else ""
    yield f"{it.name} ({it.node_id}) runs {interval}{tags}."
    if it.same:
        yield f"The same computation as {', '.join(it.same)}."
    for given in it.inputs:
        yield f"  {given.argument} <- {given.kind} {given.reads} ({given.detail})"
    for name, literal in it.params.items():
        yield f"  {name} = {literal}"
    yield f"Rests on: {', '.join(it.rests_on) or 'no other node'}"
    yield f"Read by: {', '.join(it.readers) or 'no other node'}"
    further = [name for name in it.reaches if name not in it.readers]
    if further:
        yield f"Through them: {', '.join(further)}"
    yield from ("", it.code)
    for text in it.helpers.values():
        yield from ("", text)
    if it.imports:
        yield from ("", *it.imports)


def _source(source: SourceSpec) -> dict[str, Any]:
    return {
        "variable": source.variable,
        "name": source.name,
        "columns": list(source.columns),
        "interval": _interval(source.interval_ns),
        "period": source.period,
        "stamp": source.stamp,
    }


def _node(node: NodeSpec) -> dict[str, Any]:
    return {
        "name": node.name,
        "node_id": node.node_id,
        "function": node.function,
        "interval": _interval(node.interval_ns),
        "tags": list(node.tags),
        "params": dict(node.params),
    }


def _edges(node: NodeSpec) -> Iterator[dict[str, Any]]:
    for given in node.inputs:
        edge: dict[str, Any] = {"to": node.name, "argument": given.argument, "kind": _kind(given)}
        match given:
            case SourceInput(variable=variable):
                yield {"from": variable, **edge}
            case NodeInput(binding=name):
                yield {"from": name, **edge}
            case WindowInput(binding=name, count=count):
                yield {"from": name, **edge, "count": count}
