"""Run a command so that it never outlives its owner.

A guard holds the read end of a *lifeline*, a pipe or FIFO whose write end only the owner holds.
When the owner ends, however it ends, the guard reads end-of-file, stops the command and sweeps up
what is left of its process group. A guard that dies itself takes the command along on Linux
(parent-death signal); elsewhere the owner sweeps.

As a script (``python guard.py --lock FILE --log FILE -- COMMAND``) it runs a server of a stack
once, with its standard input as the lifeline. ``workers.supervise`` uses the same class to run a
process of the Procfile again and again. Only the standard library is imported, so that a guard
starts within some milliseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_AFTER_S = 10.0  # a command that ran this long starts again without delay
TICK_S = 1.0  # the longest sleep; a signal or the lifeline wakes the guard at once


def end_with_parent(signum: int) -> None:
    """Ask the kernel for a signal when the parent dies; does nothing where it cannot."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)


def kill_group(group: int) -> None:
    """SIGKILL what is left of a process group; nothing left is fine."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(group, signal.SIGKILL)


class Guard:
    """One command, its lifeline, and the signals between them.

    Attributes:
        command: Program and arguments.
        lifeline: Descriptor whose end-of-file means stop; None means that only signals do.
        stop_s: Seconds between SIGTERM and SIGKILL.
        respawn: Whether a command that ended by itself is started again.
        output: Descriptor of the command's output; None means the guard's own.
        keep: Descriptors that the command inherits.
        on_start: Called with the command's pid after each start, where given.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        lifeline: int | None,
        stop_s: float,
        respawn: bool = False,
        output: int | None = None,
        keep: Sequence[int] = (),
        on_start: Callable[[int], None] | None = None,
    ) -> None:
        self.command = list(command)
        self.lifeline = lifeline
        self.stop_s = stop_s
        self.respawn = respawn
        self.output = output
        self.keep = tuple(keep)
        self.on_start = on_start
        self._stop_signal: int | None = None
        self._wakeup = -1

    def run(self) -> int:
        """Run the command until it ends for good, and return its exit code.

        The code is 0 where the guard was asked to stop. Main thread only: it installs signal
        handlers.
        """
        self._listen()
        pause_s = FIRST_PAUSE_S
        while not self._asked_to_stop():
            started = time.monotonic()
            code = self._run_once()
            if not self.respawn:
                return 0 if self._stop_signal else code
            steady = time.monotonic() - started > STEADY_AFTER_S
            pause_s = FIRST_PAUSE_S if steady else min(pause_s * 2, LONGEST_PAUSE_S)
            self._pause(pause_s)
        return 0

    def _listen(self) -> None:
        self._wakeup, write = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        if self.lifeline is not None:
            os.set_blocking(self.lifeline, False)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the select below

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self._stop_signal = self._stop_signal or signum

    def _run_once(self) -> int:
        me = os.getpid()

        def tie_to_guard() -> None:
            end_with_parent(signal.SIGKILL)
            if os.getppid() != me:  # the guard died before the line above
                os._exit(1)

        process = subprocess.Popen(  # noqa: S603 - the command is our caller's
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
            pass_fds=self.keep,
            preexec_fn=tie_to_guard,  # noqa: PLW1509 - a guard has one thread
        )
        try:
            if self.on_start is not None:
                self.on_start(process.pid)
            return self._wait(process)
        finally:
            kill_group(process.pid)
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        deadline: float | None = None
        while (code := process.poll()) is None:
            now = time.monotonic()
            if deadline is None and self._asked_to_stop():
                deadline = now + self.stop_s
                # To the main process alone: it knows how to end its own children in order.
                process.send_signal(self._stop_signal or signal.SIGTERM)
            elif deadline is not None and now >= deadline:
                kill_group(process.pid)
                deadline = now + self.stop_s
            self._sleep(TICK_S if deadline is None else max(0.0, deadline - now))
        return code

    def _asked_to_stop(self) -> bool:
        if self._stop_signal is None and self._lifeline_ended():
            self._stop_signal = signal.SIGTERM
        return self._stop_signal is not None

    def _lifeline_ended(self) -> bool:
        if self.lifeline is None:
            return False
        try:
            return os.read(self.lifeline, 4096) == b""
        except BlockingIOError:
            return False

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._asked_to_stop() and (left := until - time.monotonic()) > 0:
            self._sleep(left)

    def _sleep(self, seconds: float) -> None:
        """Sleep until a signal, the lifeline's end, or at most so long."""
        wake: list[int] = [self._wakeup]
        if self.lifeline is not None and self._stop_signal is None:
            wake.append(self.lifeline)  # after its end it would be ready for ever
        select.select(wake, [], [], min(seconds, TICK_S))
        with suppress(BlockingIOError):
            os.read(self._wakeup, 4096)


def main(arguments: Sequence[str] | None = None) -> int:
    """Guard one server: standard input is the lifeline, its pid goes to standard output."""
    parser = argparse.ArgumentParser(prog="guard", description=main.__doc__)
    parser.add_argument("--lock", type=Path, required=True, help="held, shared, while it runs")
    parser.add_argument("--log", type=Path, required=True, help="where its output is appended")
    parser.add_argument("--stop-s", type=float, default=10.0, help="SIGTERM to SIGKILL")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    given = parser.parse_args(arguments)
    lock = os.open(given.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    log = os.open(given.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def report(pid: int) -> None:
        os.write(1, f"{pid}\n".encode())
        os.close(1)

    guard = Guard(
        given.command,
        lifeline=0,
        stop_s=given.stop_s,
        output=log,
        keep=[lock],  # so that the lock tells of a server whose guard was killed
        on_start=report,
    )
    try:
        return guard.run()
    except OSError as error:
        os.write(log, f"{error}\n".encode())
        return 127


if __name__ == "__main__":
    sys.exit(main())
