"""What planning costs, by the shape of the DAG, and how far plans are from what none can beat."""

from __future__ import annotations

import time

from qmtl.graph.plan import cut
from tests.bench.figures import Figure
from tests.bench.planner.shapes import SHAPES, Graph

TITLE = "Planner: milliseconds of CPU for a cut, the slowest of 2, 8 and 64 slots"
SLOTS = (2, 8, 64)
CROSSING_S = 0.005
RUNS = {1_000: 7, 10_000: 3}  # nodes -> of which the fastest counts
MOST_MS = {1_000: 20.0, 10_000: 300.0}


def measure() -> list[Figure]:
    """Return a figure for every shape and size."""
    return [measured(name, nodes) for nodes in RUNS for name in SHAPES]


def measured(name: str, nodes: int) -> Figure:
    """Return what cutting one shape took."""
    graph = SHAPES[name](nodes)
    taken = {slots: timed(graph, slots, RUNS[nodes]) for slots in SLOTS}
    edges = sum(map(len, graph.upstream))
    ratios = ", ".join(f"{ratio:.2f}" for _, ratio in taken.values())
    return Figure(
        "planner",
        f"{len(graph.upstream):,} nodes, {name}",
        1e3 * max(seconds for seconds, _ in taken.values()),
        "ms",
        most=MOST_MS[nodes],
        note=f"{edges:,} edges; {ratios} times the lower bound",
    )


def timed(graph: Graph, slots: int, runs: int) -> tuple[float, float]:
    """Return the fewest seconds of CPU, and the estimate in times of its lower bound."""
    names, seconds = graph.names, []
    for _ in range(runs):
        began = time.process_time()
        found = cut(names, graph.upstream, graph.cost_s, slots=slots, crossing_s=CROSSING_S)
        seconds.append(time.process_time() - began)
    least_s = max(graph.longest_path_s(), sum(graph.cost_s) / slots) + CROSSING_S
    return min(seconds), found.estimate_s / least_s
