"""Builders of tiny specifications: names stand for contents, so that a test shows both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from qmtl.models.datanode import NodeInput, NodeSpec, SourceInput, SourceSpec, Stamp
from qmtl.models.strategy import StrategySpec, StrategyVersion

DAY_NS = 86_400 * 1_000_000_000


def id_of(text: str) -> str:
    """Return the 32 hex characters that stand for ``text``: a node of one name is one node."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def make_source(
    name: str = "prices",
    *,
    variable: str | None = None,
    columns: Sequence[str] = ("close",),
    interval_ns: int | None = DAY_NS,
    period: int = 3,
    stamp: Stamp = "start",
) -> SourceSpec:
    return SourceSpec(
        variable=variable or name.replace(".", "_"),
        name=name,
        columns=tuple(columns),
        interval_ns=interval_ns,
        period=period,
        stamp=stamp,
    )


def make_node(
    name: str,
    *,
    reads: Sequence[str] = (),
    sources: Sequence[str] = (),
    tags: Sequence[str] = (),
    node_id: str | None = None,
    params: Mapping[str, str] | None = None,
) -> NodeSpec:
    """Return a node whose arguments bear the names of what they read."""
    return NodeSpec(
        name=name,
        node_id=node_id or id_of(name),
        function=name,
        inputs=(
            *(SourceInput(argument=s, variable=s) for s in sources),
            *(NodeInput(argument=r, binding=r) for r in reads),
        ),
        params=tuple(sorted((params or {}).items())),
        interval_ns=DAY_NS,
        tags=tuple(tags),
        code=f"def {name}(): ...",
    )


def make_spec(
    name: str, nodes: Sequence[NodeSpec], sources: Sequence[SourceSpec] = ()
) -> StrategySpec:
    return StrategySpec(
        name=name,
        interval_ns=DAY_NS,
        description=f"About {name}",
        sources=tuple(sources),
        nodes=tuple(nodes),
    )


def make_version(
    tenant: str,
    spec: StrategySpec,
    *,
    text: str = "v1",
    at_ms: int = 1_000,
    complete: bool = True,
) -> StrategyVersion:
    """Return a version; its id stands for the strategy's name and ``text``."""
    return StrategyVersion(
        tenant=tenant,
        version=id_of(f"{spec.name}/{text}"),
        source_digest=id_of(text),
        source_text=text,
        spec=spec,
        created_at_ms=at_ms,
        created_by="alice",
        complete=complete,
    )


def all_names(version: StrategyVersion) -> list[str]:
    return [n.name for n in version.spec.nodes]
