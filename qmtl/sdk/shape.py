"""What runs of the same targets do at every bucket alike, planned once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from qmtl.graph.identity import content_key
from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import PlannedNode
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution import shape as execution
from qmtl.orchestrator.execution.shape import Limits, SourceKey
from qmtl.sandbox.calls import Call


@dataclass(frozen=True, slots=True)
class Step:
    """One computation of a shape.

    Attributes:
        node: As the planner makes it; its bucket and content key are those of no bucket.
        call: Likewise; its keys are the same at every bucket.
        reads: Each argument, with the key of its value.
        renewed: Whether the call differs from bucket to bucket: it takes its bucket or a seed.
    """

    node: PlannedNode
    call: Call
    reads: tuple[tuple[str, str], ...]
    renewed: bool

    def content_key(self, keys: Mapping[str, str], bucket_ns: int) -> str:
        """Return what the result is determined by, from what determines each value by its key."""
        inputs = {argument: keys[key] for argument, key in self.reads}
        for argument, _ in self.call.as_of_ns:
            inputs[argument] = f"as_of:{bucket_ns}"
        return content_key(self.node.node_id, inputs)

    def call_at(self, bucket_ns: int, key: str) -> Call:
        """Return the call at a bucket, under a content key."""
        if not self.renewed:
            return self.call
        return replace(
            self.call,
            as_of_ns=tuple((argument, bucket_ns) for argument, _ in self.call.as_of_ns),
            seed=int(key[:16], 16) if self.node.seeded else None,
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """Computations in topological order; make one with ``Shape.of``.

    Attributes:
        nodes: The bindings, upstream first.
        sources: Every window that is read.
        seeded: Whether a call needs a seed, which comes from its content key.
    """

    nodes: tuple[NodeSpec, ...]
    steps: tuple[Step, ...]
    sources: tuple[SourceKey, ...]
    intervals: tuple[int | None, ...]
    seeded: bool

    @classmethod
    def of(cls, spec: StrategySpec, targets: Sequence[str], limits: Limits) -> Shape:
        """Plan the targets and what they rest on, as the server does.

        Raises:
            UnknownTarget: A target is no binding of the strategy.
        """
        planned = execution.Shape.of(spec, targets, limits)
        steps = tuple(map(_step, planned.nodes, planned.table.calls))
        intervals = {n.interval_ns: None for n in planned.specs}
        return cls(planned.specs, steps, planned.sources, tuple(intervals), planned.seeded)

    def named(self) -> Iterator[tuple[str, int]]:
        """Return every binding in the strategy's order, with the place of its step."""
        places = {step.node.node_id: place for place, step in enumerate(self.steps)}
        return ((node.name, places[node.node_id]) for node in self.nodes)


def _step(node: PlannedNode, call: Call) -> Step:
    reads = call.inputs + tuple((argument, key) for argument, _, key in call.lookups)
    return Step(node, call, reads, renewed=bool(call.as_of_ns) or node.seeded)
