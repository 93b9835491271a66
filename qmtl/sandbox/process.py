"""The parent's side of one child process: start it, talk to it, end it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import IO

from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.progress import SIZE, Progress
from qmtl.sandbox.protocol import Reply, ReplyReader, Request, frame

ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # its own reserves a GiB of address space at once
}
SEND_TIMEOUT_S = 30.0
REPLY_SLACK_BYTES = 4 * 1024 * 1024


class ChildDied(Exception):
    """The child closed its socket or could not be written to; never leaves this package."""


class ChildProcess:
    """One exec'd child in a session of its own, with five environment variables.

    It inherits one socket and the page of ``Progress``, and nothing else. On Linux it is killed
    with the parent, however the parent ends; that signal follows the thread that started it, so
    it is asked for only where that is the main thread. Everywhere it ends when the parent's end
    of the socket is closed.
    """

    def __init__(self, *, value_limit_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        page = _new_page()
        with theirs, page:
            self._progress = Progress(page.fileno())
            try:
                self._process = _start(theirs.fileno(), page.fileno())
            except OSError as error:
                ours.close()
                self._progress.close()
                raise SandboxFailure(f"An executor could not be started: {error}") from error
        ours.settimeout(SEND_TIMEOUT_S)
        self._socket = ours
        self._reader = ReplyReader(ours, value_limit_bytes + REPLY_SLACK_BYTES)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def mark(self) -> int:
        """What the child says that it is running; see ``Progress.read``."""
        return self._progress.read()

    def send(self, *requests: Request) -> None:
        """Send requests.

        Raises:
            ChildDied: Nobody reads.
        """
        try:
            for request in requests:
                self._socket.sendall(frame(request))
        except OSError as error:
            raise ChildDied from error

    def receive(self, timeout_s: float) -> list[Reply]:
        """Return the replies that came within a timeout.

        Raises:
            ChildDied: The stream ended before.
            SandboxFailure: A reply is over the cap or malformed.
        """
        if self._reader.ended:
            raise ChildDied
        return self._reader.read(timeout_s)

    def kill(self) -> str:
        """Kill the process and its group, and say how it ended."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self._socket.close()
        self._progress.close()
        return _ending(status)

    def wait_end(self, timeout_s: float) -> None:
        """Give a process whose stream ended the time to leave its status."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)


def _new_page() -> IO[bytes]:
    """Return a file without a name that ``Progress`` maps on both sides."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(bytes(SIZE))
    file.flush()
    return file


def _start(socket_fd: int, page_fd: int) -> subprocess.Popen[bytes]:
    parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
    module = ["-s", "-P", "-m", "qmtl.sandbox.child"]
    return subprocess.Popen(  # noqa: S603 (every word is ours)
        [sys.executable, *module, str(socket_fd), str(page_fd), str(parent)],
        env=ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(socket_fd, page_fd),
        start_new_session=True,
    )


def _ending(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
