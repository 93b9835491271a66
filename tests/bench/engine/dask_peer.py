"""Dask distributed as a peer: a local cluster of two one-thread processes, one graph a run."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from tests.bench.engine.functions import Value
from tests.bench.engine.systems import PROCESSES, Run, installed, worker_environ
from tests.bench.engine.workloads import Workload, workload


def compute(of: str, name: str, number: int, *parents: Value) -> Value:
    """Compute one node in a worker."""
    return workload(of).by_name[name].call(parents, number)


class Dask:
    """The scheduler in this process, two workers of their own; values stay in their memory."""

    name = "dask"
    version = installed("distributed") or ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cluster: Any = None
        self._client: Any = None

    def start(self) -> None:
        """Start the cluster."""
        import dask
        from distributed import Client, LocalCluster

        os.environ["PYTHONPATH"] = worker_environ()["PYTHONPATH"]
        dask.config.set({"temporary-directory": str(self._folder / "dask")})
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for the bench
        try:
            self._cluster = LocalCluster(
                n_workers=PROCESSES,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=50,
            )
        finally:
            signal.signal(signal.SIGINT, former)
        self._client = Client(self._cluster)

    def run(self, wanted: Workload, number: int) -> Run:
        """Send the graph and wait until this process holds every value."""
        from dask._task_spec import Task, TaskRef

        run = uuid.uuid4().hex[:12]
        began = time.perf_counter()
        key = {n.name: f"{n.name}-{run}" for n in wanted.nodes}
        graph = {
            key[n.name]: Task(
                key[n.name],
                compute,
                wanted.name,
                n.name,
                number,
                *[TaskRef(key[p]) for p in n.parents],
            )
            for n in wanted.nodes
        }
        found = dict(zip(key, self._client.get(graph, list(key.values())), strict=True))
        return Run(time.perf_counter() - began, lambda: found)

    def stop(self) -> None:
        """End the cluster."""
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
