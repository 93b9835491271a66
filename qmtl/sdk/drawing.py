"""Pictures of a strategy: its graph as data, and as text for Mermaid and Graphviz.

Sources, nodes and queries are boxes of three shapes; what a node reads in its own bucket is a
solid edge, what it looks back at is a dashed one. ``qmtl.sdk.drawing_svg`` draws the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from qmtl.common.timeline import format_interval
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    NodeSpec,
    QueryInput,
    QuerySpec,
    SourceInput,
    SourceSpec,
    WindowInput,
)
from qmtl.models.strategy import StrategySpec

BoxKind = Literal["source", "node", "query"]
EdgeKind = Literal["reads", "window"]


@dataclass(frozen=True, slots=True)
class Box:
    """Something that is drawn as a box.

    Attributes:
        key: Unique within the picture.
        label: The source's variable, the node's binding, or ``query``.
        notes: What stands under the label: tags and interval, the series' name, or what is asked.
        node_id: Of a node.
    """

    key: str
    kind: BoxKind
    label: str
    notes: str
    node_id: str | None = None
    interval: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """``reader`` takes ``read`` by ``argument``; of a window, its latest ``count`` results."""

    read: str
    reader: str
    argument: str
    kind: EdgeKind = "reads"
    count: int | None = None

    @property
    def label(self) -> str:
        """Return the argument, and how many results a window takes."""
        return self.argument if self.count is None else f"{self.argument}: {self.count}"


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to draw; make one with ``Picture.of``."""

    strategy: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(cls, spec: StrategySpec) -> Picture:
        """Return the picture of a strategy: sources, then queries, then nodes upstream first."""
        queries = {_query_key(query): query for node in spec.nodes for query in node.queries()}
        boxes = [
            *(_source_box(source) for source in spec.sources),
            *(Box(key, "query", "query", _asked(query)) for key, query in queries.items()),
            *(_node_box(node) for node in spec.nodes),
        ]
        edges = (edge for node in spec.nodes for edge in _edges(node))
        return cls(spec.name, tuple(boxes), tuple(edges))

    def document(self) -> dict[str, Any]:
        """Return the picture as plain JSON: ``strategy``, ``nodes`` and ``edges``."""
        return {
            "strategy": self.strategy,
            "nodes": [_plain(asdict(box)) for box in self.boxes],
            "edges": [_plain(asdict(edge)) for edge in self.edges],
        }


def to_mermaid(picture: Picture) -> str:
    """Return the picture as a Mermaid flowchart, which many Markdown viewers draw."""
    names = {box.key: f"n{i}" for i, box in enumerate(picture.boxes)}
    lines = ["flowchart LR"]
    for box in picture.boxes:
        text = "<br/>".join(_entities(part) for part in (box.label, box.notes) if part)
        left, right = _MERMAID_SHAPES[box.kind]
        lines.append(f'    {names[box.key]}{left}"{text}"{right}:::{box.kind}')
    for edge in picture.edges:
        read, reader = names[edge.read], names[edge.reader]
        if edge.kind == "window":
            lines.append(f'    {read} -. "{_entities(edge.label)}" .-> {reader}')
        else:
            lines.append(f"    {read} --> {reader}")
    lines += [f"    classDef {kind} {style}" for kind, style in _MERMAID_STYLES.items()]
    return "\n".join(lines) + "\n"


def to_dot(picture: Picture) -> str:
    """Return the picture in the DOT language of Graphviz."""
    lines = [
        f"digraph {_quoted(picture.strategy)} {{",
        "    rankdir=LR;",
        '    node [fontname="Helvetica", fontsize=11];',
    ]
    for box in picture.boxes:
        text = "\\n".join(_quoted(part)[1:-1] for part in (box.label, box.notes) if part)
        lines.append(f'    {_quoted(box.key)} [label="{text}", {_DOT_SHAPES[box.kind]}];')
    for edge in picture.edges:
        look = f" [style=dashed, label={_quoted(edge.label)}]" if edge.kind == "window" else ""
        lines.append(f"    {_quoted(edge.read)} -> {_quoted(edge.reader)}{look};")
    return "\n".join([*lines, "}"]) + "\n"


_MERMAID_SHAPES = {"source": ("([", "])"), "node": ("[", "]"), "query": ("{{", "}}")}
_MERMAID_STYLES = {
    "source": "fill:#e7f0fb,stroke:#3b6ea5,color:#12263a",
    "node": "fill:#ffffff,stroke:#5b6673,color:#12263a",
    "query": "fill:#fdf3e0,stroke:#b07818,color:#12263a",
}
_DOT_SHAPES = {
    "source": "shape=box, style=rounded",
    "node": "shape=box",
    "query": "shape=hexagon",
}


def _edges(node: NodeSpec) -> Iterator[Edge]:
    reader = f"node:{node.name}"
    for each in node.inputs:
        read = _read_key(each)
        if read is not None:
            window = isinstance(each, WindowInput)
            kind: EdgeKind = "window" if window else "reads"
            yield Edge(read, reader, each.argument, kind, getattr(each, "count", None))


def _read_key(declared: Input) -> str | None:
    match declared:
        case SourceInput(variable=variable):
            return f"source:{variable}"
        case NodeInput(binding=binding) | WindowInput(binding=binding):
            return f"node:{binding}"
        case QueryInput(query=query):
            return _query_key(query)
        case AsOfInput():
            return None  # the time is nothing that is read from somewhere


def _query_key(query: QuerySpec) -> str:
    return f"query:{_asked(query)}"


def _asked(query: QuerySpec) -> str:
    parts = [
        " and ".join(query.all_tags),
        f"any of {', '.join(query.any_tags)}" if query.any_tags else "",
        "" if query.interval_ns is None else f"every {format_interval(query.interval_ns)}",
        f"of {query.strategy}" if query.strategy else "",
    ]
    return "; ".join(part for part in parts if part) or "everything"


def _source_box(source: SourceSpec) -> Box:
    interval = _interval(source.interval_ns)
    notes = f"{source.name}, {interval or 'irregular'}"
    return Box(f"source:{source.variable}", "source", source.variable, notes, interval=interval)


def _node_box(node: NodeSpec) -> Box:
    interval = _interval(node.interval_ns)
    return Box(
        key=f"node:{node.name}",
        kind="node",
        label=node.name,
        notes=", ".join(node.tags),
        node_id=node.node_id,
        interval=interval,
        tags=node.tags,
    )


def _interval(interval_ns: int | None) -> str | None:
    return None if interval_ns is None else format_interval(interval_ns)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


def _entities(text: str) -> str:
    return (
        text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
