"""A process that lives under the stack's guard: it ends with this one, and leaves no children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from qmtl.stack import guard

STOP_S = 15.0  # longer than a worker's soft shutdown
ABANDONED_S = 2.0  # between SIGTERM and SIGKILL where this process ended first


class GuardedProcess:
    """A command that is started, signalled and started again, always on the same log file.

    The guard's standard input is the lifeline: where this process ends, however it ends, the guard
    stops the command. Where the command ends, the guard kills what is left of its group.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self._command = list(command)
        self._env = dict(env)
        self._cwd = cwd
        self._log = log
        self._log_start = 0
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid = 0

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._guard is not None

    @property
    def running(self) -> bool:
        """Whether its guard lives, which it does as long as the command."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start the command; what it wrote before is no part of ``output`` any more."""
        self._log.touch()
        self._log_start = self._log.stat().st_size
        options = ["--lock", f"{self._log}.lock", "--log", self._log, "--stop-s", ABANDONED_S]
        self._guard = subprocess.Popen(
            [sys.executable, "-S", "-E", guard.__file__, *map(str, options), "--", *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._cwd,
            env=self._env,
            start_new_session=True,
        )
        with self._guard.stdout as report:
            self.pid = int(report.readline() or 0)
        assert self.pid, f"{self._command[0]} could not be run: {self.output()}"

    def output(self) -> str:
        """Return what it wrote since its latest start."""
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to the command alone, not to its children."""
        if self.running:
            os.kill(self.pid, signum)

    def wait(self, timeout_s: float) -> int:
        """Return the exit code once it and its group are gone."""
        return self._guard.wait(timeout_s)

    def stop(self, timeout_s: float = STOP_S, *, signum: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, SIGKILL it where it stays, and return once it is gone."""
        if self._guard is None:
            return
        self.send(signum)
        try:
            self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.wait(timeout_s)
        self._guard.stdin.close()
