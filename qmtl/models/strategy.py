"""Strategies, their versions, where they are active, and requests that wait for the registry."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from qmtl.models.datanode import NodeSpec, SourceSpec

ENVIRONMENTS = ("development", "staging", "production")


class StrategySpec(Struct, frozen=True, kw_only=True):
    """What the parser makes of a source text; its nodes stand in topological order."""

    name: str
    interval_ns: int | None
    description: str
    sources: tuple[SourceSpec, ...]
    nodes: tuple[NodeSpec, ...]

    def node(self, name: str) -> NodeSpec | None:
        """Return the node bound to ``name``."""
        return next((n for n in self.nodes if n.name == name), None)

    def source(self, variable: str) -> SourceSpec:
        """Return the source bound to ``variable``, which the parser has made sure of."""
        return next(s for s in self.sources if s.variable == variable)


class StrategyVersion(Struct, frozen=True, kw_only=True):
    """One content of a strategy.

    Attributes:
        version: Hash of name and source text, 32 hex characters.
        source_digest: Hash of the source text alone.
        source_text: The module as it was submitted.
        complete: False while only single nodes of it were registered (``register_node``).
        created_at_ms: When it was first registered.
        created_by: Name of the key that did.
    """

    tenant: str
    version: str
    source_digest: str
    source_text: str
    spec: StrategySpec
    created_at_ms: int
    created_by: str
    complete: bool = True

    @property
    def strategy(self) -> str:
        """Return the strategy's name."""
        return self.spec.name


class StrategySummary(Struct, frozen=True, kw_only=True):
    """A strategy in a list."""

    name: str
    description: str
    versions: int
    latest_version: str
    active: dict[str, str]  # environment -> version


class VersionSummary(Struct, frozen=True, kw_only=True):
    """A version in a list."""

    strategy: str
    version: str
    source_digest: str
    created_at_ms: int
    created_by: str
    description: str
    complete: bool
    nodes: int


class Deployment(Struct, frozen=True, kw_only=True):
    """The active version of a strategy in an environment; ``version`` is None where none is.

    ``operation`` names the request that made it, so that the same request, carried out again,
    changes nothing. ``start_ns`` is where histories of nodes begin that its line does not know;
    None for the first bucket that is triggered.
    """

    tenant: str
    strategy: str
    environment: str
    version: str | None
    since_ms: int
    by: str
    operation: str | None = None
    start_ns: int | None = None


class SourceView(Struct, frozen=True, kw_only=True):
    """A source as the registry knows it: the union of what strategies declare of it."""

    name: str
    columns: tuple[str, ...]
    interval_ns: int | None
    stamp: str
    strategies: tuple[str, ...]


class NodeBinding(Struct, frozen=True, kw_only=True):
    """One name under which a version binds a node."""

    strategy: str
    version: str
    name: str
    tags: tuple[str, ...]


class NodeView(Struct, frozen=True, kw_only=True):
    """A node as the registry knows it, whoever binds it."""

    node_id: str
    code: str
    params: tuple[tuple[str, str], ...]
    interval_ns: int | None
    bindings: tuple[NodeBinding, ...]


class LineageItem(Struct, frozen=True, kw_only=True):
    """A vertex of a lineage: ``id`` is a node id or a source's name, ``kind`` node or source."""

    id: str
    kind: str
    names: tuple[str, ...]
    distance: int


class LineageEdge(Struct, frozen=True, kw_only=True):
    """``reader`` depends on ``read`` through ``argument``."""

    reader: str
    read: str
    argument: str


class Lineage(Struct, frozen=True, kw_only=True):
    """Everything that a node rests on, or that rests on it, up to a distance."""

    node_id: str
    direction: str
    items: tuple[LineageItem, ...]
    edges: tuple[LineageEdge, ...]


class SubmissionState(StrEnum):
    """Where a request to the registry stands."""

    QUEUED = "QUEUED"
    PARSING = "PARSING"
    REGISTERING = "REGISTERING"
    DONE = "DONE"
    REJECTED = "REJECTED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {SubmissionState.DONE, SubmissionState.REJECTED}


class Submission(Struct, frozen=True, kw_only=True):
    """A request that the control worker carries out, and what came of it.

    Attributes:
        operation: ``submit_strategy``, ``register_node``, ``activate_strategy`` or
            ``deactivate_strategy``.
        request: What was asked, as plain JSON.
        result: What it led to, as plain JSON, once DONE.
        problem: A problem document once REJECTED.
    """

    id: str
    tenant: str
    operation: str
    state: SubmissionState
    by: str
    created_ms: int
    request: dict[str, Any]
    ended_ms: int | None = None
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
