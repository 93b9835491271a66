"""A backtest of the factor library: its cost a node, and memory, as the buckets grow.

Each part runs in a process of its own, which is told the number of buckets and prints what it saw.
What is compared with a long walk is measured in its pauses, so that both meet the same machine.
Memory is traced over a few of the factors: a frame left behind at each bucket would stand out
beside their small results.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
from ast import literal_eval
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from qmtl.models.datanode import Input, NodeInput, SourceInput
from qmtl.sandbox.evaluate import load_module
from qmtl.sdk import Pipeline
from qmtl.sdk.backtest import Backtest
from qmtl.sdk.data import read_inputs
from qmtl.sdk.execution import Progress
from tests.bench.figures import Figure
from tests.bench.sdk.factors import PERIOD, START, TEXT, series

FEW, MANY = 200, 1000
EACH, SHORT = 50, 10  # after how many buckets a long walk pauses, for how many of other ways
EVERY = 40  # of how many factors one is traced
KIB = 2**10
DAY = pd.Timedelta(days=1)


def measure() -> list[Figure]:
    """Return cost and memory of many buckets beside those of few."""
    us = child("timed", MANY)
    traced_few, traced_many = (child("traced", count) for count in (FEW, MANY))
    more = traced_many["kept"] - traced_few["kept"]
    beyond = traced_many["peak"] - traced_few["peak"] - more
    return [
        Figure(
            "sdk", f"backtest, {MANY:,} buckets, over single runs", us["long"] / us["single"],
            "times", 1.1, f"{us['long']:.0f} µs a node, {us['single']:.0f} in single runs",
        ),
        Figure(
            "sdk", f"its cost a node over backtests of {SHORT}", us["long"] / us["short"],
            "times", 1.1, f"{us['short']:.0f} µs a node in short ones",
        ),
        Figure(
            "sdk", "its cost over calls by hand", us["long"] - us["hand"], "µs a node",
            note=f"{us['hand']:.0f} by hand; each reader gets a copy of {PERIOD} rows",
        ),
        Figure(
            "sdk", f"its memory beyond the results, {FEW} to {MANY:,}", beyond / more * 100,
            "% of the results' growth", 5.0,
            f"{beyond / KIB:,.0f} of {more / KIB:,.0f} KiB, traced over one node in {EVERY}",
        ),
    ]  # fmt: skip


def child(what: str, buckets: int) -> dict[str, float]:
    """Run a part in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, what, str(buckets)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


class Walk:
    """Backtests over a series that is long enough for full windows at every bucket."""

    def __init__(self, buckets: int, every: int = 1) -> None:
        self.pipeline = Pipeline.from_source(TEXT)
        self.targets = [node.name for node in self.pipeline.nodes[::every]]
        self.frame = series(PERIOD + buckets)
        self.ends = range(PERIOD, PERIOD + buckets)

    def run(self, buckets: int, on_progress: Progress | None = None) -> Backtest:
        """Walk the first buckets."""
        first, last = (START + DAY * (PERIOD + count) for count in (1, buckets))
        found = self.pipeline.backtest(
            {"prices": self.frame},
            first.to_pydatetime(),
            last.to_pydatetime(),
            targets=self.targets,
            on_progress=on_progress,
        )
        assert not len(found.failed)
        assert len(found.buckets) == buckets
        return found


def timed(buckets: int) -> dict[str, float]:
    """Return microseconds a node in one long walk, and of other ways, measured in its pauses."""
    walk = Walk(buckets)
    single, functions = Single(walk), ByHand(walk)
    others: dict[str, Callable[[range], object]] = {
        "short": lambda ends: walk.run(len(ends)),
        "single": lambda ends: [single.run(end) for end in ends],
        "hand": lambda ends: [functions.run(end) for end in ends],
    }
    for work in others.values():  # for warmth
        work(walk.ends[:3])
    taken = dict.fromkeys(["long", *others], 0.0)
    began = time.process_time()

    def pause(done: int, _: int) -> None:
        nonlocal began
        taken["long"] += time.process_time() - began
        if done % EACH == 0:
            for name, work in others.items():
                began = time.process_time()
                work(walk.ends[done - SHORT : done])
                taken[name] += time.process_time() - began
        began = time.process_time()

    walk.run(buckets, on_progress=pause)
    nodes, beside = len(walk.targets), buckets // EACH * SHORT
    counts = {name: buckets if name == "long" else beside for name in taken}
    return {name: taken[name] / count / nodes * 1e6 for name, count in counts.items()}


def traced(buckets: int) -> dict[str, float]:
    """Return the bytes that results keep, and the most that were in use at once."""
    walk = Walk(buckets, EVERY)
    walk.run(3)  # for warmth
    gc.collect()
    tracemalloc.start()
    found = walk.run(buckets)
    gc.collect()
    with_results, peak = tracemalloc.get_traced_memory()
    del found
    gc.collect()
    without, _ = tracemalloc.get_traced_memory()
    return {"kept": with_results - without, "peak": peak}


class Single:
    """Runs of single buckets."""

    def __init__(self, walk: Walk) -> None:
        self.pipeline = Pipeline.from_source(TEXT)
        self.points = read_inputs(self.pipeline.spec, {"prices": walk.frame})

    def run(self, end: int) -> None:
        """Run a bucket."""
        as_of = (START + DAY * (end + 1)).to_pydatetime()
        assert not self.pipeline.execute(self.points, as_of=as_of).failed


class ByHand:
    """The functions called in order, on the same windows."""

    def __init__(self, walk: Walk) -> None:
        self.frame = walk.frame
        namespace = load_module(walk.pipeline.source_text, "by_hand")
        self.steps = [
            (
                node.name,
                partial(namespace[node.function], **{k: literal_eval(v) for k, v in node.params}),
                [(given.argument, read_by(given)) for given in node.inputs],
            )
            for node in walk.pipeline.nodes
        ]

    def run(self, end: int) -> None:
        """Call every function."""
        values: dict[str, Any] = {"prices": self.frame.iloc[end + 1 - PERIOD : end + 1]}
        for name, function, reads in self.steps:
            values[name] = function(**{argument: values[read] for argument, read in reads})


def read_by(given: Input) -> str:
    """Return the name of the source or node that an argument reads."""
    match given:
        case SourceInput(variable=name) | NodeInput(binding=name):
            return name
    raise AssertionError(f"a factor reads {given}")


if __name__ == "__main__":
    part = {"timed": timed, "traced": traced}[sys.argv[1]]
    print(json.dumps(part(int(sys.argv[2]))))
