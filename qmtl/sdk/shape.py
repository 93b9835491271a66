"""What runs of the same targets do at every bucket alike, planned once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from msgspec.structs import replace

from qmtl.graph.identity import content_key
from qmtl.models.datanode import NodeSpec, SourceInput
from qmtl.models.execution import PlannedNode
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.calls import calls_of
from qmtl.orchestrator.execution.lookups import resolve
from qmtl.orchestrator.execution.planning import Limits, plan_execution, required, window_keys
from qmtl.sandbox.calls import Call


@dataclass(frozen=True, slots=True)
class SourceKey:
    """Names the window of a source that readers of one interval see."""

    variable: str
    interval_ns: int | None

    def __str__(self) -> str:
        return f"source:{self.variable}/{self.interval_ns}"


@dataclass(frozen=True, slots=True)
class Step:
    """One computation of a shape.

    Attributes:
        node: As the planner makes it; its bucket and content key are those of no bucket.
        call: Likewise; its keys are the same at every bucket.
        reads: Each argument, with the key of its value.
        composed: Whether the node may change a parameter, so that each call gets a copy.
        renewed: Whether the call differs from bucket to bucket: it takes its bucket, a seed or such
            a copy.
    """

    node: PlannedNode
    call: Call
    reads: tuple[tuple[str, str], ...]
    composed: bool
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
            params=deepcopy(self.call.params) if self.composed else self.call.params,
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
        nodes = required(spec, targets)
        plan = plan_execution(
            nodes,
            as_of_ns=0,
            windows=dict.fromkeys(window_keys(nodes, 0), ""),
            pins=(),
            slots=1,
            limits=limits,
            lookups=resolve(nodes, [], []),
        )
        steps = tuple(map(_step, plan.nodes, calls_of(plan.nodes)))
        sources = {SourceKey(v, n.interval_ns): None for n in nodes for v in n.sources()}
        intervals = {n.interval_ns: None for n in nodes}
        seeded = any(n.seeded for n in nodes)
        return cls(nodes, steps, tuple(sources), tuple(intervals), seeded)

    def named(self) -> Iterator[tuple[str, int]]:
        """Return every binding in the strategy's order, with the place of its step."""
        places = {step.node.node_id: place for place, step in enumerate(self.steps)}
        return ((node.name, places[node.node_id]) for node in self.nodes)


def _step(node: PlannedNode, call: Call) -> Step:
    windows = {
        i.argument: str(SourceKey(i.variable, node.interval_ns))
        for i in node.inputs
        if isinstance(i, SourceInput)
    }
    inputs = tuple((argument, windows.get(argument, key)) for argument, key in call.inputs)
    reads = inputs + tuple((argument, key) for argument, _, key in call.lookups)
    composed = any(isinstance(value, list | dict | set | tuple) for _, value in call.params)
    renewed = bool(call.as_of_ns) or node.seeded or composed
    return Step(node, replace(call, inputs=inputs, seed=None), reads, composed, renewed)
