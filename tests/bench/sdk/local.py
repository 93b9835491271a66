"""A local run's own cost a node, beside the same functions called by hand and in Hamilton."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

from qmtl.sdk import Pipeline
from tests.bench.figures import Figure, interleaved, medians
from tests.bench.layered import NODES, SEEDS, names, parents, records
from tests.bench.sdk import hamilton

RUNS = 15
MOST_US, AIM_US = 30.0, 10.0
Steps = list[tuple[str, Callable[..., Any], list[str]]]


def measure() -> list[Figure]:
    """Return microseconds a node over calling the functions by hand."""
    pipeline = Pipeline.from_source(records(decorated=True))
    steps = by_hand_steps()
    wanted = by_hand(steps)
    assert {name: r.value for name, r in run(pipeline).items()} == wanted
    works: dict[str, Callable[[], object]] = {
        "by hand": lambda: by_hand(steps),
        "local run": lambda: run(pipeline),
    }
    beside = hamilton.runner(records(decorated=False), list(wanted))
    if beside is not None:
        assert beside() == wanted
        works["hamilton"] = beside
    taken = medians(interleaved(works, runs=RUNS, clock=process_time))
    hand = taken["by hand"]
    note = f"by hand {hand * 1e3:.2f} ms, local run {taken['local run'] * 1e3:.1f} ms"
    return [
        Figure(
            "sdk", "local run over calls by hand", cost(taken["local run"], hand), "µs a node",
            MOST_US, f"{note}; the aim is {AIM_US:g}",
        ),
        hamilton_figure(taken.get("hamilton"), hand),
    ]  # fmt: skip


def hamilton_figure(seconds: float | None, hand: float) -> Figure:
    """Return the same of Hamilton's driver, where it is installed."""
    what = "Apache Hamilton's driver over calls by hand"
    if seconds is None:
        return Figure("sdk", what, None, "µs a node", note="not installed: pip install '.[bench]'")
    note = f"{seconds * 1e3:.1f} ms; it encodes, hashes and keeps nothing"
    return Figure("sdk", what, cost(seconds, hand), "µs a node", note=note)


def cost(seconds: float, hand: float) -> float:
    """Return microseconds a node beyond those of the functions."""
    return (seconds - hand) / NODES * 1e6


def run(pipeline: Pipeline) -> Any:
    """Run the nodes: every value is encoded, hashed, and decoded for each reader."""
    return pipeline.execute(as_of="2026-01-02T00:00:00Z")


def by_hand_steps() -> Steps:
    """Return name, function and what it reads, upstream first."""
    namespace: dict[str, Any] = {}
    exec(records(decorated=False), namespace)
    reads = [(f"n{layer}_{place}", parents(layer, place)) for layer, place in names()]
    return [(name, namespace[name], read) for name, read in [*((s, []) for s in SEEDS), *reads]]


def by_hand(steps: Steps) -> dict[str, Any]:
    """Call the functions in topological order."""
    values: dict[str, Any] = {}
    for name, function, read in steps:
        values[name] = function(*[values[each] for each in read])
    return values
