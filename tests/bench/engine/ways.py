"""Other ways into the system that runs, each a row of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from qmtl import __version__
from qmtl.models.execution import NodeState
from tests.bench.engine.ours import Qmtl
from tests.bench.engine.systems import Run
from tests.bench.engine.workloads import Workload


class Way:
    """Another way into the same system, under a name of its own."""

    def __init__(self, name: str, run: Callable[[Workload, int], Run]) -> None:
        self.name = name
        self.version = __version__
        self.run = run

    def start(self) -> None:
        """Do nothing: the system runs."""

    def stop(self) -> None:
        """Do nothing: the system is stopped by its owner."""


def reused(qmtl: Qmtl) -> Way:
    """Return the way that runs the latest input again: nothing is left to compute."""

    def run(workload: Workload, _: int) -> Run:
        if workload.name not in qmtl.last:
            qmtl.run(workload, 1)
        latest = qmtl.last[workload.name]
        began = time.perf_counter()
        execution = qmtl.trigger(workload, latest.as_of_ns)
        qmtl.await_end(execution.id)
        seconds = time.perf_counter() - began
        values = partial(qmtl.values, workload, execution.id, {NodeState.REUSED})
        return Run(seconds, values, latest.number)

    return Way("qmtl-reused", run)
