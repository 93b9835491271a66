"""Warm executors, kept for the strategies that ran last."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from qmtl.sandbox.executor import Executor


@dataclass(frozen=True, slots=True)
class ExecutorKey:
    """What an executor belongs to; nothing is shared between two of them."""

    tenant: str
    version: str
    memory_bytes: int
    value_limit_bytes: int


class ExecutorPool:
    """Keeps idle executors and closes the least recently used one over the limit.

    Threads may share it: each executor is handed to one at a time, and a second one is started
    where the first is in use. It must not be carried over a fork.

    Args:
        limit: Most executors that stay warm.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: list[tuple[ExecutorKey, Executor]] = []  # least recently used first
        self._closed = False

    @contextmanager
    def acquire(
        self,
        tenant: str,
        version: str,
        source_text: str,
        name: str,
        *,
        memory_bytes: int,
        value_limit_bytes: int = 16 * 1024 * 1024,
    ) -> Iterator[Executor]:
        """Lend the executor of a tenant's version; the arguments are those of ``Executor.start``.

        An executor comes back to the pool if its process is alive and nothing was raised.

        Raises:
            SandboxFailure: No process could be started.
        """
        key = ExecutorKey(tenant, version, memory_bytes, value_limit_bytes)
        executor = self._take(key) or Executor.start(
            source_text, name, memory_bytes=memory_bytes, value_limit_bytes=value_limit_bytes
        )
        try:
            yield executor
        except BaseException:
            executor.close()
            raise
        self._give_back(key, executor)

    def expect(self, tenant: str, version: str, values: Mapping[str, bytes]) -> None:
        """Tell the executor that would be lent next for a version what it will probably read.

        Nothing happens where none is idle; see ``Executor.expect``.
        """
        with self._lock:
            for key, executor in reversed(self._idle):
                if (key.tenant, key.version) == (tenant, version):
                    executor.expect(values)
                    return

    def close(self) -> None:
        """End every idle executor; one that is lent ends when it comes back."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for _, executor in idle:
            executor.close()

    def _take(self, key: ExecutorKey) -> Executor | None:
        with self._lock:
            for at in reversed(range(len(self._idle))):
                if self._idle[at][0] == key:
                    return self._idle.pop(at)[1]
        return None

    def _give_back(self, key: ExecutorKey, executor: Executor) -> None:
        surplus: list[Executor] = []
        with self._lock:
            if executor.pid is None or self._closed:
                surplus.append(executor)
            else:
                self._idle.append((key, executor))
            while len(self._idle) > self._limit:
                surplus.append(self._idle.pop(0)[1])
        for each in surplus:
            each.close()
