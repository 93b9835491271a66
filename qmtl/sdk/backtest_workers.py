"""Several processes that walk the buckets of a backtest; their owner gets them in order."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Self

import msgspec

import qmtl
from qmtl.common.errors import SandboxFailure
from qmtl.orchestrator.execution.ledger_types import NodeCommit
from qmtl.sandbox.process import ENVIRONMENT
from qmtl.sdk.backtest_worker import Answer, Job, read_frame, write_frame

CHUNK = 32  # buckets; a worker reuses results within one
_answers = msgspec.msgpack.Decoder(Answer)


class Workers:
    """Processes under the environment of a server's executors, so that their digests agree.

    They are started as programs of their own and never import the caller's main module, so a
    notebook or a script without a guard can use them.
    """

    def __init__(self, count: int, jobs: Sequence[Job]) -> None:
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all = [_Worker(jobs) for _ in range(count)]
        for worker in self._all:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)

    def walk(self, times_ns: Sequence[int], place: int = 0) -> Iterator[list[NodeCommit]]:
        """Return what becomes of every step of a job at each time, in the order of times.

        Args:
            times_ns: Its buckets.
            place: Of the job among all.

        Raises:
            SandboxFailure: A process ended before it had answered.
        """
        chunks = iter(_chunks(times_ns, len(self._all)))
        ahead: deque[Future[Answer]] = deque()
        for chunk in islice(chunks, 2 * len(self._all)):
            ahead.append(self._threads.submit(self._ask, place, chunk))
        while ahead:
            answer = ahead.popleft().result()
            for chunk in islice(chunks, 1):
                ahead.append(self._threads.submit(self._ask, place, chunk))
            yield from answer

    def _ask(self, place: int, times_ns: Sequence[int]) -> Answer:
        worker = self._idle.get()
        try:
            return worker.ask(place, times_ns)
        finally:
            self._idle.put(worker)


class _Worker:
    def __init__(self, jobs: Sequence[Job]) -> None:
        home = str(Path(qmtl.__file__).parent.parent)
        paths = os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH", "")) if p)
        theirs, requests = os.pipe()
        answers, ours = os.pipe()
        self._requests, self._answers = os.fdopen(requests, "wb"), os.fdopen(answers, "rb")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "qmtl.sdk.backtest_worker"],
                env={**os.environ, **ENVIRONMENT, "PYTHONPATH": paths},
                stdin=theirs,
                stdout=ours,
            )
        finally:
            os.close(theirs)
            os.close(ours)
        self._jobs: list[Job] | None = list(jobs)

    def ask(self, place: int, times_ns: Sequence[int]) -> Answer:
        try:
            if self._jobs is not None:
                write_frame(self._requests, self._jobs)
                self._jobs = None
            write_frame(self._requests, (place, list(times_ns)))
            body = read_frame(self._answers)
        except (OSError, ValueError):
            body = None
        if body is None:
            raise SandboxFailure(
                f"A process of the backtest ended with status {self._process.wait()}.",
                hint="Its last words are above; with processes=1 the failure shows in this one.",
            )
        return _answers.decode(body)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # what was left to write has no reader
            self._requests.close()
        with suppress(OSError):
            self._answers.close()


def _chunks(times_ns: Sequence[int], count: int) -> Iterable[Sequence[int]]:
    size = max(1, min(CHUNK, -(-len(times_ns) // (4 * count))))
    return (times_ns[i : i + size] for i in range(0, len(times_ns), size))
