"""A backtest of the factor library: its cost a node, and memory, as the buckets grow.

Each length runs in a process of its own, which is told the number of buckets and prints what it
saw. Memory is traced over a few of the factors: a frame left behind at each bucket would stand out
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
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from qmtl.models.datanode import Input, NodeInput, SourceInput
from qmtl.sandbox.evaluate import load_module
from qmtl.sdk import Pipeline
from qmtl.sdk.backtest import Backtest
from qmtl.sdk.data import read_inputs
from tests.bench.figures import Figure
from tests.bench.sdk.factors import PERIOD, START, TEXT, series

FEW, MANY = 200, 1000
SAMPLE = 100  # buckets at which the functions are also called by hand
EVERY = 40  # of how many factors one is traced
KIB = 2**10
DAY = pd.Timedelta(days=1)


def measure() -> list[Figure]:
    """Return cost and memory of many buckets beside those of few."""
    few, many = (child("timed", count) for count in (FEW, MANY))
    traced_few, traced_many = (child("traced", count) for count in (FEW, MANY))
    more = traced_many["kept"] - traced_few["kept"]
    beyond = traced_many["peak"] - traced_few["peak"] - more
    return [
        Figure(
            "sdk", f"backtest, {MANY:,} buckets, over single runs", many["us"] / many["single_us"],
            "times", 1.1, f"{many['us']:.0f} µs a node, {many['single_us']:.0f} in single runs",
        ),
        Figure(
            "sdk", "its cost over calls by hand", many["us"] - many["hand_us"],
            "µs a node", note=f"{many['hand_us']:.0f} by hand; each reader decodes {PERIOD} rows",
        ),
        Figure(
            "sdk", f"its cost a node at {MANY:,} buckets over {FEW}", many["us"] / few["us"],
            "times", 1.1, f"{few['us']:.0f} µs a node at {FEW}",
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

    def sample(self) -> range:
        """Return some of the places at which a bucket's window ends."""
        return self.ends[:: max(1, len(self.ends) // SAMPLE)]

    def run(self, buckets: int) -> Backtest:
        """Walk the first buckets."""
        first, last = (START + DAY * (PERIOD + count) for count in (1, buckets))
        found = self.pipeline.backtest(
            {"prices": self.frame},
            first.to_pydatetime(),
            last.to_pydatetime(),
            targets=self.targets,
        )
        assert not len(found.failed)
        assert len(found.buckets) == buckets
        return found


def timed(buckets: int) -> dict[str, float]:
    """Return microseconds a node: in a backtest, in single runs and by hand."""
    walk = Walk(buckets)
    walk.run(3)  # for warmth
    began = time.process_time()
    walk.run(buckets)
    seconds = time.process_time() - began
    nodes = len(walk.targets)
    return {
        "us": seconds / buckets / nodes * 1e6,
        "single_us": singly(walk) / nodes * 1e6,
        "hand_us": by_hand(walk) / nodes * 1e6,
    }


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


def singly(walk: Walk) -> float:
    """Return the seconds a bucket of runs one by one."""
    pipeline = Pipeline.from_source(TEXT)
    points = read_inputs(pipeline.spec, {"prices": walk.frame})
    pipeline.execute(points)  # for warmth
    sample = walk.sample()
    began = time.process_time()
    for end in sample:
        results = pipeline.execute(points, as_of=(START + DAY * (end + 1)).to_pydatetime())
        assert not results.failed
    return (time.process_time() - began) / len(sample)


def by_hand(walk: Walk) -> float:
    """Return the seconds a bucket of calling every function in order, on the same windows."""
    namespace = load_module(walk.pipeline.source_text, "by_hand")
    steps = [
        (
            node.name,
            partial(namespace[node.function], **{k: literal_eval(v) for k, v in node.params}),
            [(given.argument, read_by(given)) for given in node.inputs],
        )
        for node in walk.pipeline.nodes
    ]
    sample = walk.sample()
    began = time.process_time()
    for end in sample:
        values: dict[str, Any] = {"prices": walk.frame.iloc[end + 1 - PERIOD : end + 1]}
        for name, function, reads in steps:
            values[name] = function(**{argument: values[read] for argument, read in reads})
    return (time.process_time() - began) / len(sample)


def read_by(given: Input) -> str:
    """Return the name of the source or node that an argument reads."""
    match given:
        case SourceInput(variable=name) | NodeInput(binding=name):
            return name
    raise AssertionError(f"a factor reads {given}")


if __name__ == "__main__":
    part = {"timed": timed, "traced": traced}[sys.argv[1]]
    print(json.dumps(part(int(sys.argv[2]))))
