"""How a child tells its parent what became of its calls."""

from __future__ import annotations

import os
import socket
import threading
import time

from qmtl.sandbox.protocol import Outcomes, Reply, WireOutcome, frame

FLUSH_S = 0.05
FLUSH_OUTCOMES = 200  # the parent takes 1 to 2 us each, so it works while the child computes
FLUSH_BYTES = 256 * 1024  # about what the socket holds


class Reporter:
    """Sends outcomes in batches: when 50 ms passed, when they are many or large, and at the end.

    A thread looks every 50 ms, so that what has ended is known while a long call runs, and so
    that a child whose parent is gone ends in the middle of a call. A parent that does not read
    holds the child up, so that neither keeps more than a few batches.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._items: list[WireOutcome] = []
        self._bytes = 0
        self._sent_at = time.monotonic()
        self._running = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> None:
        self._sent_at = time.monotonic()
        self._running.set()

    def add(self, outcome: WireOutcome) -> None:
        with self._lock:
            self._items.append(outcome)
            self._bytes += _size(outcome)
            if self._bytes > FLUSH_BYTES or len(self._items) >= FLUSH_OUTCOMES:
                self._flush()

    def finish(self) -> None:
        self._running.clear()
        with self._lock:
            self._flush(finished=True)

    def send(self, reply: Reply) -> None:
        self._sock.sendall(frame(reply))

    def _flush(self, *, finished: bool = False) -> None:
        if self._items or finished:
            self.send(Outcomes(self._items, finished))
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


def _size(outcome: WireOutcome) -> int:
    if outcome.value is not None:
        return len(outcome.value) + len(outcome.logs)
    error = outcome.error
    return len(outcome.logs) + (len(error.message) + len(error.traceback) if error else 0)
