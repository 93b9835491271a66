"""Identities: of a computation, of a result, of a source text.

All are blake2b-128 in hex over MessagePack of plain lists, whose first member says what they are,
so that no two kinds of identity can meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec

from qmtl.graph.reach import Reach
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    QueryInput,
    QuerySpec,
    SourceInput,
    SourceSpec,
    WindowInput,
)

_SCHEME = 1  # counts changes of what an identity covers


def node_identity(
    reach: Reach,
    *,
    params: Sequence[tuple[str, str]],
    interval_ns: int | None,
    cache: bool,
    inputs: Mapping[str, str],
) -> str:
    """Return the Merkle identity of a computation.

    Args:
        reach: Its function, with the helpers and imports it rests on.
        params: Literal parameters as name and Python literal.
        interval_ns: Width of its buckets.
        cache: False where equal inputs may give unequal results.
        inputs: Each argument's ``input_identity``.
    """
    return _digest(
        "node",
        reach.function,
        reach.helpers,
        reach.imports,
        sorted(params),
        interval_ns,
        cache,
        sorted(inputs.items()),
    )


def source_identity(source: SourceSpec, *, named: bool) -> str:
    """Return the identity of a source as an input.

    Args:
        source: The source as declared.
        named: Whether it names a series of the tenant. A series of the strategy's own counts by
            its variable, so that equal computations of two strategies are one.
    """
    return _digest(
        "source",
        ["name", source.name] if named else ["variable", source.variable],
        source.columns,
        source.interval_ns,
        source.period,
        source.stamp,
    )


def input_identity(
    declared: Input, *, reader: str, nodes: Mapping[str, str], sources: Mapping[str, str]
) -> str:
    """Return the identity of what an argument takes.

    Args:
        declared: The input.
        reader: Binding of the node that reads it; its own id is not known yet, so that a window
            of its own past is marked instead.
        nodes: Node ids by binding.
        sources: ``source_identity`` by variable.
    """
    match declared:
        case NodeInput(binding=binding):
            return nodes[binding]
        case SourceInput(variable=variable):
            return sources[variable]
        case AsOfInput():
            return _digest("as_of")
        case WindowInput(binding=binding, count=count):
            return _digest("window", count, None if binding == reader else nodes[binding])
        case QueryInput(query=query):
            return _query_identity(query)


def _query_identity(query: QuerySpec) -> str:
    return _digest("query", query.all_tags, query.any_tags, query.interval_ns, query.strategy)


def content_key(node_id: str, inputs: Mapping[str, str]) -> str:
    """Return what a result is determined by: the hash of its node id and of each input's key.

    Args:
        node_id: The computation.
        inputs: By argument: a digest of what was pinned or given, ``as_of`` in nanoseconds as
            text, or an input node's content key (its digest where it is ``cache=False``).
    """
    return _digest("content", node_id, sorted(inputs.items()))


def strategy_version(name: str, source_text: str) -> str:
    """Return the version of a strategy: the hash of its name and source text."""
    return _digest("version", name, source_text.encode())


def source_digest(source_text: str) -> str:
    """Return the hash of a source text alone."""
    return _digest("text", source_text.encode())


def _digest(kind: str, *parts: object) -> str:
    encoded = msgspec.msgpack.encode([f"qmtl/{kind}/{_SCHEME}", *parts])
    return blake2b(encoded, digest_size=16).hexdigest()
