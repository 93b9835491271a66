"""The DAGs that every system runs, as plain data.

A node names its function and its parents; a root's only parent is the number that a run is given,
which is new in every run. Nothing of a run can therefore be reused, and a lost or swapped edge
changes a value that is checked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tests.bench.engine.functions import FUNCTIONS, MOD, Value, rounds_a_ms

SEED = 20_260_102
CPU_MS = 5.0


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a workload.

    Attributes:
        parents: Names of earlier nodes; a root has none and reads the run's number.
        function: Of ``FUNCTIONS``.
        cost_ms: What ``burn`` takes on the machine that was calibrated; 0 for other functions.
    """

    name: str
    parents: tuple[str, ...]
    function: str = "add"
    cost_ms: float = 0.0

    @property
    def rounds(self) -> int:
        """How many rounds it burns."""
        return round(self.cost_ms * rounds_a_ms())

    def call(self, parents: Sequence[Value], number: int, *, burning: bool = True) -> Value:
        """Return its value; without ``burning`` it is the same, sooner."""
        given = list(parents) if self.parents else [{"v": number}]
        if self.function == "burn":
            return FUNCTIONS["burn"](given, self.rounds if burning else 0)
        return FUNCTIONS[self.function](given)


@dataclass(frozen=True)
class Workload:
    """Nodes in topological order, under a name that is a strategy's name too."""

    name: str
    title: str
    nodes: tuple[Node, ...]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """The nodes by name."""
        return {n.name: n for n in self.nodes}

    @cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """The readers of each node."""
        found: dict[str, list[str]] = {n.name: [] for n in self.nodes}
        for node in self.nodes:
            for parent in node.parents:
                found[parent].append(node.name)
        return {name: tuple(readers) for name, readers in found.items()}

    @cached_property
    def levels(self) -> list[list[str]]:
        """Names by the longest way from a root."""
        depth: dict[str, int] = {}
        found: list[list[str]] = []
        for node in self.nodes:
            at = depth[node.name] = 1 + max((depth[p] for p in node.parents), default=-1)
            if at == len(found):
                found.append([])
            found[at].append(node.name)
        return found

    def run(self, number: int, *, burning: bool = True) -> dict[str, Value]:
        """Return every value by the plain loop."""
        values: dict[str, Value] = {}
        for node in self.nodes:
            parents = [values[p] for p in node.parents]
            values[node.name] = node.call(parents, number, burning=burning)
        return values


class WrongValue(AssertionError):
    """A system came to another value than the plain loop, or to none."""


def check(workload: Workload, number: int, values: dict[str, Value]) -> None:
    """Compare every value with the plain loop's.

    Raises:
        WrongValue: One is wrong, missing or too many; the first is named.
    """
    wanted = workload.run(number, burning=False)
    for name, value in wanted.items():
        if name not in values:
            raise WrongValue(f"{workload.name}: {name} has no value")
        if not same(value, values[name]):
            raise WrongValue(f"{workload.name}: {name} is {values[name]!r:.80}, not {value!r:.80}")
    if len(values) > len(wanted):
        raise WrongValue(f"{workload.name}: {sorted(set(values) - set(wanted))[:3]} are no nodes")


def same(one: Value, other: Any) -> bool:
    """Tell whether two values are equal, arrays included."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def wide(name: str, width: int) -> Workload:
    """One source, ``width`` readers of it, one sink."""
    middle = [f"n{i:05d}" for i in range(width)]
    nodes = [
        Node("first", ()),
        *[Node(m, ("first",)) for m in middle],
        Node("last", tuple(middle)),
    ]
    return Workload(name, f"wide, {len(nodes):,} no-ops", tuple(nodes))


def layered(
    name: str, layers: int, width: int, offsets: Sequence[int], *, cost_ms: float = 0.0
) -> Workload:
    """Layers in which every node reads those of the layer above at some offsets."""
    kind = "burn" if cost_ms else "add"
    nodes = tuple(
        Node(
            f"n{layer:02d}_{at:03d}",
            tuple(f"n{layer - 1:02d}_{(at + o) % width:03d}" for o in offsets) if layer else (),
            kind,
            cost_ms,
        )
        for layer in range(layers)
        for at in range(width)
    )
    what = f"{cost_ms:g} ms each" if cost_ms else f"no-ops, {len(offsets)} parents each"
    return Workload(name, f"{layers} layers of {width}, {what}", nodes)


def chain(name: str, length: int) -> Workload:
    """A node after the other."""
    nodes = [Node(f"n{i:03d}", (f"n{i - 1:03d}",) if i else ()) for i in range(length)]
    return Workload(name, f"chain of {length} no-ops", tuple(nodes))


def small(name: str) -> Workload:
    """Six real nodes on a series of 1,000 prices."""
    nodes = (
        Node("walk", (), "prices"),
        Node("average", ("walk",), "moving_average"),
        Node("risk", ("walk",), "volatility"),
        Node("move", ("walk",), "momentum"),
        Node("side", ("walk", "average", "risk", "move"), "signal"),
        Node("size", ("side", "risk"), "sizing"),
    )
    return Workload(name, "six real nodes, lists of 1,000", nodes)


def skewed(name: str) -> Workload:
    """A few long nodes among many short ones."""
    draw = random.Random(SEED)
    long = set(draw.sample(range(30, 200), 6))
    nodes = [
        Node(
            f"n{i:03d}",
            tuple(sorted({f"n{draw.randrange(max(0, i - 60), i - 10):03d}" for _ in range(2)}))
            if i >= 20
            else (),
            "burn",
            50.0 if i in long else 0.1,
        )
        for i in range(200)
    ]
    return Workload(name, "194 nodes of 0.1 ms, 6 of 50 ms", tuple(nodes))


def scattered(name: str) -> Workload:
    """A random DAG with random costs."""
    draw = random.Random(SEED)
    nodes = []
    for i in range(300):
        count = min(i, draw.choice((0, 1, 1, 2, 2, 3, 5))) if i > 5 else 0
        nearest = max(0, i - draw.choice((10, 60, 300)))
        parents = tuple(sorted({f"n{draw.randrange(nearest, i):03d}" for _ in range(count)}))
        nodes.append(Node(f"n{i:03d}", parents, "burn", round(draw.lognormvariate(-0.5, 1.2), 2)))
    total = sum(n.cost_ms for n in nodes)
    return Workload(name, f"random, 300 nodes, {total:,.0f} ms in all", tuple(nodes))


def frames(name: str) -> Workload:
    """Twenty nodes that hand arrays of 2 MB to each other: four roots, then pairs."""
    nodes = [
        Node(f"n{i:02d}", (f"n{i - 4:02d}", f"n{i - 3:02d}") if i >= 4 else (), "frame")
        for i in range(20)
    ]
    return Workload(name, "20 nodes, arrays of 2 MB", tuple(nodes))


MAKERS: dict[str, Callable[[str], Workload]] = {
    "w1": lambda name: wide(name, 200),
    "w2": lambda name: layered(name, 20, 50, (0, 7, 19)),
    "w3": lambda name: chain(name, 200),
    "w4": lambda name: layered(name, 8, 16, (0, 5), cost_ms=CPU_MS),
    "w5": small,
    "growth": lambda name: layered(name, 20, 500, (0, 7, 19)),
    "skewed": skewed,
    "random": scattered,
    "frames": frames,
    "wide": lambda name: wide(name, 9_998),
}
MADE: dict[str, Workload] = {}


def workload(name: str) -> Workload:
    """Return a workload; each process makes it once."""
    if name not in MADE:
        MADE[name] = MAKERS[name](name)
    return MADE[name]


def number_of(run: int) -> int:
    """Return the number that a run is given: never the same twice."""
    return (run * 7_919 + 17) % MOD
