"""Ray as a peer: one machine, two CPUs, a remote call a node, object references as edges."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

from tests.bench.engine.functions import Value
from tests.bench.engine.systems import PROCESSES, Run, installed, worker_environ
from tests.bench.engine.workloads import Workload, workload

STORE_BYTES = 300_000_000


def compute(of: str, name: str, number: int, *parents: Value) -> Value:
    """Compute one node in a worker."""
    return workload(of).by_name[name].call(parents, number)


class Ray:
    """Values stay with their owner or in shared memory."""

    name = "ray"
    version = installed("ray") or ""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._ray: Any = None
        self._compute: Any = None

    def start(self) -> None:
        """Start Ray's own processes."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        os.environ["PYTHONPATH"] = worker_environ()["PYTHONPATH"]
        import ray

        self._ray = ray
        # A short path: Ray puts sockets into it, whose names are bounded.
        self._folder = tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True)
        ray.init(
            num_cpus=PROCESSES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=self._folder.name,
        )
        self._compute = ray.remote(compute)

    def run(self, wanted: Workload, number: int) -> Run:
        """Call every node and wait until this process holds every value."""
        began = time.perf_counter()
        found: dict[str, Any] = {}
        for node in wanted.nodes:
            parents = [found[p] for p in node.parents]
            found[node.name] = self._compute.remote(wanted.name, node.name, number, *parents)
        values = dict(zip(found, self._ray.get(list(found.values())), strict=True))
        return Run(time.perf_counter() - began, lambda: values)

    def stop(self) -> None:
        """End Ray's processes."""
        if self._ray is not None:
            self._ray.shutdown()
        if self._folder is not None:
            self._folder.cleanup()
