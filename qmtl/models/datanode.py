"""What a strategy declares: sources, and nodes with their inputs."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Stamp = Literal["start", "end"]


class SourceSpec(Struct, frozen=True, kw_only=True):
    """A declared external time series.

    Attributes:
        variable: Its name inside the module, and the argument by which nodes ask for it.
        name: Its name among all sources of the tenant.
        columns: Columns that its readers get, in this order; one column is read as a Series.
        interval_ns: Spacing of its points in nanoseconds; None where they are irregular.
        period: How many of its latest visible points a reader gets.
        stamp: Whether a point's time is the start of its interval or the moment it was known.
    """

    variable: str
    name: str
    columns: tuple[str, ...]
    interval_ns: int | None
    period: int
    stamp: Stamp = "start"

    def latest_visible_ns(self, bucket_ns: int) -> int:
        """Return the latest time stamp that a reader at ``bucket_ns`` may see."""
        if self.stamp == "end" or self.interval_ns is None:
            return bucket_ns
        return bucket_ns - self.interval_ns


class SourceInput(Struct, frozen=True, tag="source"):
    """An argument that takes the window of the source bound to ``variable``."""

    argument: str
    variable: str


class NodeInput(Struct, frozen=True, tag="node"):
    """An argument that takes the result of the node bound to ``binding``."""

    argument: str
    binding: str


class AsOfInput(Struct, frozen=True, tag="as_of"):
    """An argument that takes the node's bucket as an aware datetime."""

    argument: str


class WindowInput(Struct, frozen=True, tag="window"):
    """An argument that takes the latest ``count`` results of a node in earlier buckets.

    It is no edge of the DAG, so a node may look back at itself; the node is part of the execution.
    """

    argument: str
    binding: str
    count: int


class QuerySpec(Struct, frozen=True, kw_only=True):
    """Which bindings of other strategies a query stands for; what is empty or None matches all.

    Attributes:
        all_tags: Upper-case tags, sorted, that a binding must all bear.
        any_tags: Upper-case tags, sorted, of which it must bear one.
        interval_ns: The interval it must have.
        strategy: The strategy that must bind it.
    """

    all_tags: tuple[str, ...] = ()
    any_tags: tuple[str, ...] = ()
    interval_ns: int | None = None
    strategy: str | None = None

    def matches(self, strategy: str, node: NodeSpec) -> bool:
        """Whether a node that ``strategy`` binds is meant."""
        return (
            set(self.all_tags) <= set(node.tags)
            and (not self.any_tags or not set(self.any_tags).isdisjoint(node.tags))
            and self.interval_ns in {None, node.interval_ns}
            and self.strategy in {None, strategy}
        )


class QueryInput(Struct, frozen=True, tag="query"):
    """An argument that takes a mapping ``strategy.binding`` -> latest result."""

    argument: str
    query: QuerySpec


Input = SourceInput | NodeInput | AsOfInput | WindowInput | QueryInput


def input_text(given: Input) -> str:
    """Return what an input is called in a sentence."""
    match given:
        case SourceInput(variable=variable):
            return f"source {variable}"
        case NodeInput(binding=binding):
            return f"node {binding}"
        case WindowInput(binding=binding):
            return f"a window of {binding}"
        case QueryInput():
            return "a query"
        case AsOfInput():
            return "the time"


class NodeSpec(Struct, frozen=True, kw_only=True):
    """A node as one strategy binds it.

    Attributes:
        name: The binding: the strategy's own name for the computation.
        node_id: The computation's Merkle identity, 32 hex characters.
        function: Name of the module-level function that computes it.
        inputs: One for each argument that is no literal parameter.
        params: Literal parameters as (name, Python literal), sorted by name. The literal's text is
            kept because it tells 1 from 1.0 and True, and a tuple from a list.
        interval_ns: Width of the node's buckets; None where it runs at the raw ``as_of``.
        tags: Upper-case tags, sorted.
        timeout_s: Limit of one call; None for the server's own.
        retries: How often a call that failed is tried again.
        memory_bytes: Limit of memory; None for the server's own.
        max_history: How many of its latest results are kept in its line's history: as many as
            declared, or what windows need so that they are full at every bucket of their readers.
        publish: A further topic for its results.
        cache: False where equal inputs may give unequal results.
        seeded: Whether it reaches code that draws random numbers.
        line: Line of its definition in the source text.
        code: Its definition as written.
    """

    name: str
    node_id: str
    function: str
    inputs: tuple[Input, ...]
    params: tuple[tuple[str, str], ...]
    interval_ns: int | None
    tags: tuple[str, ...] = ()
    timeout_s: float | None = None
    retries: int = 0
    memory_bytes: int | None = None
    max_history: int = 1_000
    publish: str | None = None
    cache: bool = True
    seeded: bool = False
    line: int = 0
    code: str = ""

    def upstream(self) -> tuple[str, ...]:
        """Return the bindings that this node reads in the same bucket."""
        return tuple([i.binding for i in self.inputs if type(i) is NodeInput])

    def sources(self) -> tuple[str, ...]:
        """Return the variables of the sources that this node reads."""
        return tuple([i.variable for i in self.inputs if type(i) is SourceInput])

    def looks_back_at(self) -> tuple[str, ...]:
        """Return the bindings whose earlier results this node reads, its own among them."""
        return tuple([i.binding for i in self.inputs if type(i) is WindowInput])

    def queries(self) -> tuple[QuerySpec, ...]:
        """Return the queries that this node reads."""
        return tuple([i.query for i in self.inputs if type(i) is QueryInput])
