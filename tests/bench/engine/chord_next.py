"""Plain Celery as a peer: one task a node, and the body of each level's chord starts the next."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import celery

from tests.bench.engine.functions import Value
from tests.bench.engine.systems import (
    PROCESSES,
    TIMEOUT_S,
    Burst,
    Run,
    connect,
    load,
    start_module,
    stop_all,
    worker_environ,
)
from tests.bench.engine.workloads import Workload
from tests.support.celery_cluster.guarded import GuardedProcess


class ChordNext:
    """A Celery worker with two children on a Redis database of its own."""

    name = "chord-next"
    version = celery.__version__

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._redis = connect(url)
        self._worker: list[GuardedProcess] = []

    def start(self) -> None:
        """Start the worker; its first run tells whether it works."""
        os.environ["QMTL_BENCH_REDIS"] = self._url
        words = ["celery", "--quiet", "-A", "tests.bench.engine.chord_app", "worker"]
        options = [f"--concurrency={PROCESSES}", "--pool=prefork", "--loglevel=ERROR"]
        quiet = ["--without-gossip", "--without-mingle", "--hostname=chords@%h"]
        environ = worker_environ(QMTL_BENCH_REDIS=self._url)
        process = start_module(self._folder, "chords", *words, *options, *quiet, environ=environ)
        self._worker.append(process)

    def run(self, workload: Workload, number: int) -> Run:
        """Start the first level and wait until the last node's value is in the hash."""
        ran = self.runs(workload, [number])
        return Run(ran.seconds, ran.values[0])

    def runs(self, workload: Workload, numbers: Sequence[int]) -> Burst:
        """Start several runs at once and wait for them all."""
        from tests.bench.engine.chord_app import done_key, level

        names = [uuid.uuid4().hex[:12] for _ in numbers]
        began = time.perf_counter()
        for name, number in zip(names, numbers, strict=True):
            level.apply_async((name, 0, number, workload.name))
        for name in names:
            if self._redis.blpop([done_key(name)], timeout=TIMEOUT_S) is None:
                raise TimeoutError(f"The chords did not end {workload.name}.")
        seconds = time.perf_counter() - began
        return Burst(seconds, [partial(self.fetch, name) for name in names])

    def fetch(self, run: str) -> dict[str, Value]:
        """Return the values of a run and forget them."""
        from tests.bench.engine.chord_app import values_key

        found = {k.decode(): load(v) for k, v in self._redis.hgetall(values_key(run)).items()}
        self._redis.delete(values_key(run))
        return found

    def stop(self) -> None:
        """End the worker."""
        stop_all(self._worker)
        self._redis.close()
