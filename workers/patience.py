"""A gunicorn worker whose threads do not wait for clients that stall.

gunicorn's own threads read a request without any bound, so that as many stalled connections as
there are threads would stop the process. Here a connection gets a thread only once it has sent
something, and keeps it only while it goes on sending.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # ships no types

READ_S = 10.0  # for a request, beside what its size allows
CROWDED_S = 2.0  # the same while other requests wait for a thread
BYTES_PER_S = 16_384  # slower clients are taken to have stalled
WRITE_S = 30.0  # without a byte taken
SLICE_S = 0.25  # between two looks at whether others wait
FOLLOW_S = 0.003  # that a thread waits for the next request on a connection that it has served


class BoundedSocket(socket.socket):
    """A socket that waits for its client only so long.

    Attributes:
        late: Whether the client was given up; it then looks as if it had gone away.
    """

    late = False
    crowded: Callable[[], bool] = staticmethod(lambda: False)
    _began = 0.0
    _received = 0

    def begin(self, crowded: Callable[[], bool]) -> None:
        """Count from now on, for the next request; ``crowded`` says whether others wait."""
        self.crowded = crowded
        self.late = False
        self._began = time.monotonic()
        self._received = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return what has come; nothing, as at the end, where the client is too slow."""
        left = self._left_s()
        while True:
            self.settimeout(max(0.001, min(left, SLICE_S)))
            try:
                data = super().recv(size, flags)
            except TimeoutError:
                left = self._left_s()
                if left > 0:
                    continue
                self.late = True
                return b""
            finally:
                self.settimeout(None)
            self._received += len(data)
            return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything; a client that takes nothing is given up like one that has gone."""
        rest = memoryview(data).cast("B")
        self.settimeout(WRITE_S)
        try:
            while rest:
                rest = rest[super().send(rest, flags) :]
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client takes nothing") from error
        finally:
            self.settimeout(None)

    def _left_s(self) -> float:
        patience_s = CROWDED_S if self.crowded() else READ_S
        return self._began + patience_s + self._received / BYTES_PER_S - time.monotonic()


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Threads for requests that come; everything else waits in the poller."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = 0  # requests that have no thread yet
        self._counting = threading.Lock()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to the threads, a new one once it has sent something."""
        if conn.initialized or conn.data_ready:
            self._count(1)
            super().enqueue_req(conn)
            return
        conn.sock = BoundedSocket(fileno=conn.sock.detach())
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        ready = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, ready)

    def handle(self, conn: Any) -> Any:
        """Serve the next request of a connection, and those that follow it closely.

        Whoever asks for results as soon as a trigger was answered so meets a thread that runs.
        """
        self._count(-1)
        while True:
            conn.sock.begin(self._crowded)
            kept = super().handle(conn)
            if kept is not True or not self.alive or self._crowded() or not _follows(conn):
                return kept

    def _crowded(self) -> bool:
        return self._waiting > 0

    def _count(self, step: int) -> None:
        with self._counting:
            self._waiting += step


def _follows(conn: Any) -> bool:
    """Wait a moment for the first byte of another request."""
    if conn.parser.unreader.buf.getvalue():
        return False  # it was read already; the poller's thread looks after that
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(FOLLOW_S * 1_000))
