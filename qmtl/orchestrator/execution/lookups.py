"""Windows and queries: what a node reads of histories, asked for and resolved.

Pure. The server asks the ledger's histories, a local run those that it keeps itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from qmtl.common.codec import digest
from qmtl.common.timeline import floor_bucket
from qmtl.models.datanode import NodeSpec, QueryInput, WindowInput
from qmtl.models.execution import Found, Lookup
from qmtl.models.strategy import StrategySpec
from qmtl.sandbox.lookups import pack_query, pack_window


@dataclass(frozen=True, slots=True)
class Question:
    """The latest ``count`` results of a node of a strategy's line at buckets up to ``until_ns``.

    Attributes:
        reader: Node id of who asks, for ``argument``.
        name: ``strategy.binding`` in a query; empty in a window.
        interval_ns: Of the node; 0 where it has none, and so no history.
    """

    reader: str
    argument: str
    kind: Literal["window", "query"]
    strategy: str
    name: str
    node_id: str
    interval_ns: int
    until_ns: int
    count: int


def questions(
    nodes: Sequence[NodeSpec], as_of_ns: int, own: StrategySpec, peers: Sequence[StrategySpec]
) -> list[Question]:
    """Return what the windows and queries of nodes ask, one reader's argument after the other.

    Args:
        nodes: What runs; bindings of one node id ask once.
        as_of_ns: The execution's time.
        own: Their strategy.
        peers: The strategies that queries may match; the nodes' own is passed over.
    """
    first = {node.node_id: node for node in reversed(nodes)}
    asked: list[Question] = []
    for node in first.values():
        bucket_ns = floor_bucket(as_of_ns, node.interval_ns)
        for given in node.inputs:
            if isinstance(given, WindowInput):
                asked.append(_of_window(node, given, bucket_ns, own))
            elif isinstance(given, QueryInput):
                asked += _of_query(node, given, bucket_ns, own, peers)
    return asked


def resolve(
    nodes: Sequence[NodeSpec], asked: Sequence[Question], answers: Sequence[Sequence[Found]]
) -> list[Lookup]:
    """Return a lookup for every window and query of nodes.

    Args:
        nodes: As they were given to ``questions``.
        asked: What it returned.
        answers: The results of each question, newest first.
    """
    found: dict[tuple[str, str, Literal["window", "query"]], list[Found]] = {
        (node.node_id, given.argument, "window" if isinstance(given, WindowInput) else "query"): []
        for node in nodes
        for given in node.inputs
        if isinstance(given, WindowInput | QueryInput)
    }
    for question, answer in zip(asked, answers, strict=True):
        found[question.reader, question.argument, question.kind] += reversed(answer)
    return [
        Lookup(node_id=node_id, argument=argument, kind=kind, found=tuple(results))
        for (node_id, argument, kind), results in found.items()
    ]


def lookup_digest(lookup: Lookup) -> str:
    """Return what tells two resolved lookups apart for their reader, 32 hex characters.

    A window shows its buckets, a query the names.
    """
    shown = (
        [f"{f.bucket_ns} {f.digest}" for f in lookup.found]
        if lookup.kind == "window"
        else [f"{f.name} {f.digest}" for f in lookup.found]
    )
    return digest("\n".join([lookup.kind, *shown]).encode())


def packed(lookup: Lookup, values: Sequence[bytes]) -> bytes:
    """Return the value of a lookup for an executor, from the encoded results it found."""
    if lookup.kind == "window":
        return pack_window([(f.bucket_ns, v) for f, v in zip(lookup.found, values, strict=True)])
    return pack_query({f.name: v for f, v in zip(lookup.found, values, strict=True)})


def rests_on_a_query(spec: StrategySpec) -> frozenset[str]:
    """Return the bindings that a query feeds, directly or through others."""
    fed: set[str] = set()
    for node in spec.nodes:  # upstream first; what is looked back at may stand anywhere
        if node.queries() or not fed.isdisjoint(node.upstream()):
            fed.add(node.name)
    readers: Mapping[str, tuple[str, ...]] = {
        n.name: n.upstream() + n.looks_back_at() for n in spec.nodes
    }
    grown = True
    while grown:
        more = {name for name, read in readers.items() if not fed.isdisjoint(read)} - fed
        fed |= more
        grown = bool(more)
    return frozenset(fed)


def _of_window(node: NodeSpec, given: WindowInput, bucket_ns: int, own: StrategySpec) -> Question:
    target = own.node(given.binding)
    return Question(
        reader=node.node_id,
        argument=given.argument,
        kind="window",
        strategy=own.name,
        name="",
        node_id=node.node_id if target is None else target.node_id,
        interval_ns=(node if target is None else target).interval_ns or 0,
        until_ns=bucket_ns - 1,
        count=given.count,
    )


def _of_query(
    node: NodeSpec,
    given: QueryInput,
    bucket_ns: int,
    own: StrategySpec,
    peers: Sequence[StrategySpec],
) -> Iterator[Question]:
    matched = [
        (f"{peer.name}.{other.name}", peer, other)
        for peer in peers
        if peer.name != own.name
        for other in peer.nodes
        if given.query.matches(peer.name, other)
    ]
    late = {peer.name: rests_on_a_query(peer) for _, peer, _ in matched}
    for name, peer, other in sorted(matched, key=lambda m: m[0]):
        # What a query feeds is read of earlier buckets, so that nobody waits in a circle.
        waits = other.name in late[peer.name]
        yield Question(
            reader=node.node_id,
            argument=given.argument,
            kind="query",
            strategy=peer.name,
            name=name,
            node_id=other.node_id,
            interval_ns=other.interval_ns or 0,
            until_ns=bucket_ns - 1 if waits else bucket_ns,
            count=1,
        )
