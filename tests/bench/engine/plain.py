"""The floors without workers: the loop itself, and the loop with its values written to Redis."""

from __future__ import annotations

import platform
import time

import redis

from tests.bench.engine.systems import Run, connect, dump
from tests.bench.engine.workloads import Workload


class InProcess:
    """The plain loop; nothing is kept."""

    name = "in-process"
    version = platform.python_version()

    def start(self) -> None:
        """Do nothing."""

    def run(self, workload: Workload, number: int) -> Run:
        """Call every function in order."""
        began = time.perf_counter()
        values = workload.run(number)
        return Run(time.perf_counter() - began, lambda: values)

    def stop(self) -> None:
        """Do nothing."""


class Sets:
    """The plain loop, then one batch with a SET for every node."""

    name = "sets"
    version = redis.__version__

    def __init__(self, url: str) -> None:
        self._redis = connect(url)

    def start(self) -> None:
        """Connect."""
        self._redis.ping()

    def run(self, workload: Workload, number: int) -> Run:
        """Call every function in order and store the values."""
        began = time.perf_counter()
        values = workload.run(number)
        pipe = self._redis.pipeline(transaction=False)
        for name, value in values.items():
            pipe.set(f"sets:{workload.name}:{name}", dump(value))
        pipe.execute()
        return Run(time.perf_counter() - began, lambda: values)

    def stop(self) -> None:
        """Disconnect."""
        self._redis.close()
