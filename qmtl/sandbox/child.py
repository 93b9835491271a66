"""The process that runs a strategy's code: ``python -m qmtl.sandbox.child SOCKET PAGE PARENT``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from functools import partial

from qmtl.sandbox.calls import Outcome
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.evaluate import Evaluator, load_module
from qmtl.sandbox.failure import describe
from qmtl.sandbox.limits import MemoryLimit, die_with_parent, import_libraries, limit_files
from qmtl.sandbox.progress import Progress
from qmtl.sandbox.protocol import (
    Finished,
    Load,
    Loaded,
    Outcomes,
    Ready,
    Reply,
    Run,
    frame,
    read_request,
)

FLUSH_S = 0.05
FLUSH_BYTES = 1024 * 1024


class Reporter:
    """Sends outcomes in batches: when 50 ms passed, when they are many bytes, and at the end.

    A thread looks every 50 ms, so that what has ended is known while a long call runs, and so
    that a child whose parent is gone ends in the middle of a call.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._items: list[Outcome] = []
        self._bytes = 0
        self._sent_at = time.monotonic()
        self._running = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> None:
        self._sent_at = time.monotonic()
        self._running.set()

    def add(self, outcome: Outcome) -> None:
        with self._lock:
            self._items.append(outcome)
            self._bytes += len(outcome.value or b"") + len(outcome.logs)
            if self._bytes > FLUSH_BYTES or time.monotonic() - self._sent_at > FLUSH_S:
                self._flush()

    def finish(self) -> None:
        self._running.clear()
        with self._lock:
            self._flush()
            self.send(Finished())

    def send(self, reply: Reply) -> None:
        self._sock.sendall(frame(reply))

    def _flush(self) -> None:
        if self._items:
            self.send(Outcomes(self._items))
        self._items, self._bytes, self._sent_at = [], 0, time.monotonic()

    def _watch(self) -> None:
        while self._running.wait():
            time.sleep(FLUSH_S)
            self._exit_without_parent()
            with self._lock:
                if time.monotonic() - self._sent_at > FLUSH_S:
                    self._flush()

    def _exit_without_parent(self) -> None:
        try:
            ended = not self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if ended:
            os._exit(0)


class Session:
    """One loaded module and the runs that are made on it."""

    def __init__(self, load: Load, reporter: Reporter, progress: Progress) -> None:
        self._reporter = reporter
        self._progress = progress
        import_libraries(load.source_text)
        limit_files()
        self._memory = MemoryLimit(load.memory_bytes)
        self._evaluator = Evaluator({})

    def load(self, load: Load) -> Loaded:
        try:
            with Capture():
                namespace = load_module(load.source_text, load.name)
        except BaseException as error:  # noqa: BLE001 (a module may raise anything, SystemExit too)
            return Loaded(describe(error))
        self._evaluator = Evaluator(namespace, limit_bytes=load.value_limit_bytes)
        return Loaded(None)

    def run(self, run: Run) -> None:
        """Make the calls whose inputs have values; those of a failed call's readers have none."""
        values = dict(run.values)
        self._reporter.begin()
        for position, wire in enumerate(run.calls):
            call = wire.to_call()
            if all(key in values for key in call.needs()):
                self._memory.allow(call.memory_bytes)
                start = partial(self._progress.start, position)
                outcome = self._evaluator.evaluate(call, values, on_attempt=start)
                self._progress.stop()
                if outcome.value is not None:
                    values[outcome.node_id] = outcome.value
                self._reporter.add(outcome)
        self._memory.allow(0)
        self._reporter.finish()


def main(arguments: list[str]) -> None:
    """Serve one parent over the inherited socket until it closes it."""
    socket_fd, page_fd, parent = map(int, arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent:
        die_with_parent(parent)
    os.set_inheritable(socket_fd, False)
    sock = socket.socket(fileno=socket_fd)
    reporter = Reporter(sock)
    progress = Progress.inherited(page_fd)
    session: Session | None = None
    while (request := read_request(sock)) is not None:
        if isinstance(request, Load):
            session = Session(request, reporter, progress)
            reporter.send(Ready())
            reporter.send(session.load(request))
        elif session is not None:
            session.run(request)


if __name__ == "__main__":
    main(sys.argv[1:])
