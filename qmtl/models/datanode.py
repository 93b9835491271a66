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


Input = SourceInput | NodeInput | AsOfInput


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
        max_history: How many of its latest results are kept in its line's history.
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
        return tuple(i.binding for i in self.inputs if isinstance(i, NodeInput))

    def sources(self) -> tuple[str, ...]:
        """Return the variables of the sources that this node reads."""
        return tuple(i.variable for i in self.inputs if isinstance(i, SourceInput))
