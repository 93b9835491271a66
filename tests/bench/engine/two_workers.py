"""The floor with workers: two plain processes on a Redis list of nodes that are ready.

A node costs two round trips: its parents' values, and a script that stores its value, counts its
readers down and hands out the next node. No Celery, no leases, no history, nothing is retried.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import redis

from tests.bench.engine.functions import Value
from tests.bench.engine.systems import (
    PROCESSES,
    TIMEOUT_S,
    Run,
    connect,
    dump,
    load,
    start_module,
    stop_all,
)
from tests.bench.engine.workloads import Workload, workload
from tests.support.celery_cluster.guarded import GuardedProcess

JOBS, UP = "floor:jobs", "floor:up"
END = b""

# KEYS: values, counters, ready, done. ARGV: node, value, its readers.
# Behind the last node every worker is told to leave the run, and the client that it is over.
STEP = f"""
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 3, #ARGV do
  if redis.call('HINCRBY', KEYS[2], ARGV[i], -1) == 0 then
    redis.call('RPUSH', KEYS[3], ARGV[i])
  end
end
if redis.call('HINCRBY', KEYS[2], '', -1) == 0 then
  for i = 1, {PROCESSES} do redis.call('RPUSH', KEYS[3], '') end
  redis.call('RPUSH', KEYS[4], 1)
end
return redis.call('LPOP', KEYS[3])
"""


class TwoWorkers:
    """Two processes that pull ready nodes."""

    name = "two-workers"
    version = redis.__version__

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._redis = connect(url)
        self._workers: list[GuardedProcess] = []

    def start(self) -> None:
        """Start the workers and wait for their word."""
        words = ("tests.bench.engine.two_workers", self._url)
        for i in range(PROCESSES):
            self._workers.append(start_module(self._folder, f"floor{i}", *words))
        for _ in self._workers:
            if self._redis.blpop([UP], timeout=TIMEOUT_S) is None:
                raise TimeoutError("The two workers did not start.")

    def run(self, wanted: Workload, number: int) -> Run:
        """Hand out the roots and wait until the last node is stored."""
        run = uuid.uuid4().hex[:12]
        values, counters, ready, done = keys(run)
        began = time.perf_counter()
        pipe = self._redis.pipeline(transaction=False)
        counts = {n.name: len(n.parents) for n in wanted.nodes if n.parents}
        pipe.hset(counters, mapping={**counts, "": len(wanted.nodes)})
        pipe.rpush(ready, *wanted.levels[0])
        pipe.rpush(JOBS, *[f"{run} {wanted.name} {number}"] * PROCESSES)
        pipe.execute()
        if self._redis.blpop([done], timeout=TIMEOUT_S) is None:
            raise TimeoutError(f"The two workers did not end {wanted.name}.")
        seconds = time.perf_counter() - began
        return Run(seconds, lambda: self._fetch(values, counters))

    def _fetch(self, values: str, counters: str) -> dict[str, Value]:
        found = {k.decode(): load(v) for k, v in self._redis.hgetall(values).items()}
        self._redis.delete(values, counters)
        return found

    def stop(self) -> None:
        """End the workers."""
        stop_all(self._workers)
        self._redis.close()


def keys(run: str) -> list[str]:
    """Return the keys of a run: values, counters, ready nodes, the word that it is over."""
    return [f"floor:{kind}:{run}" for kind in ("values", "counters", "ready", "done")]


def work(url: str) -> None:
    """Take runs, and nodes of each until it is over; never returns."""
    client = connect(url)
    step = client.register_script(STEP)
    client.rpush(UP, 1)
    while True:
        run, name, number = client.blpop([JOBS])[1].decode().split()
        work_on(client, step, run, workload(name), int(number))


def work_on(client: redis.Redis, step, run: str, wanted: Workload, number: int) -> None:
    """Compute nodes of a run until it is over."""
    names = keys(run)
    values, _, ready, _ = names
    taken: bytes | None = None
    while True:
        if taken is None:
            taken = client.blpop([ready])[1]
        if taken == END:
            return
        node = wanted.by_name[taken.decode()]
        parents = [load(v) for v in client.hmget(values, node.parents)] if node.parents else []
        value = dump(node.call(parents, number))
        taken = step(keys=names, args=[node.name, value, *wanted.children[node.name]])


if __name__ == "__main__":
    work(sys.argv[1])
