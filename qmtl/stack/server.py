"""One server of a stack: how it is started, and when it counts as up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qmtl.common.errors import Unavailable
from qmtl.stack import guard
from qmtl.stack.state import SERVERS_LOCK, Folder, last_lines

PING_TIMEOUT_S = 3.0
BETWEEN_PINGS_S = 0.1
LOG_LINES_SHOWN = 15
LOG_LIMIT_BYTES = 10 * 1024 * 1024
KEPT_VARIABLES = ("HOME", "JAVA_HOME", "LANG", "LC_ALL", "PATH")


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """Everything that starting a server takes.

    Attributes:
        name: Its part in the stack: ``redis``, ``graph`` or ``kafka``.
        product: The server's own name.
        ports: Every port it listens on, by use; ``main`` is that of its protocol.
        command: Program and arguments; no secret stands there, since ``ps`` shows it.
        cwd: Folder it runs in, inside the data folder.
        settings: The variables of ``Settings`` that reach it.
        ping: Asks it over its own protocol; raises Unavailable.
        prepare: Makes its files before each start.
        start_s: Bound on the time from start to first answer.
        stop_s: Time between SIGTERM and SIGKILL.
    """

    name: str
    product: str
    ports: dict[str, int]
    command: tuple[str, ...]
    cwd: Path
    settings: dict[str, str] = field(repr=False)
    ping: Callable[[float], None]
    prepare: Callable[[], None] = lambda: None
    start_s: float = 30.0
    stop_s: float = 10.0

    @property
    def address(self) -> str:
        """``host:port`` of its protocol."""
        return f"127.0.0.1:{self.ports['main']}"


class RunningServer:
    """A server under its guard. The guard's standard input is the lifeline to this process."""

    def __init__(self, plan: ServerPlan, folder: Folder) -> None:
        self.plan = plan
        self.log = folder.log(plan.name)
        self._lock = folder.path / SERVERS_LOCK
        self._tmp = folder.path / "tmp"
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start it under a new guard; returns before it answers.

        Raises:
            Unavailable: The program could not be run at all.
        """
        self.plan.cwd.mkdir(parents=True, exist_ok=True)
        self.plan.prepare()
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - the command is ours
                self._guarded_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.plan.cwd,
                env=self._environment(),
                start_new_session=True,  # so that Ctrl-C in a terminal reaches the owner alone
            )
        assert self._guard.stdout is not None  # noqa: S101 - it was asked for above
        with self._guard.stdout as report:
            self.pid = int(report.readline() or 0)
        if not self.pid:
            self._guard.wait()
            raise self.failure("could not be run")

    def _guarded_command(self) -> list[str]:
        # A file run without site-packages: a guard needs the standard library alone.
        script = [sys.executable, "-S", "-E", guard.__file__]
        options = ["--lock", self._lock, "--log", self.log, "--stop-s", self.plan.stop_s]
        return [*script, *map(str, options), "--", *self.plan.command]

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return kept | {"TMPDIR": str(self._tmp)}

    def is_running(self) -> bool:
        """Tell whether its guard lives, which it does as long as the server."""
        return self._guard is not None and self._guard.poll() is None

    def await_answer(self) -> None:
        """Return as soon as it answers.

        Raises:
            Unavailable: It ended, or did not answer within its bound; the message says why, where
                its log is, and shows the log's last lines.
        """
        until = time.monotonic() + self.plan.start_s
        while True:
            if not self.is_running():
                raise self.failure("ended while it was starting")
            try:
                self.plan.ping(PING_TIMEOUT_S)
            except Unavailable as error:
                if time.monotonic() > until:
                    bound = f"did not answer within {self.plan.start_s:.0f} s: {error.detail}"
                    raise self.failure(bound) from error
            else:
                return
            time.sleep(BETWEEN_PINGS_S)

    def kill(self) -> None:
        """SIGKILL it, with all that it started, and wait until it is gone."""
        if self.pid:
            guard.kill_group(self.pid)
        self._reap(self.plan.stop_s)

    def ask_to_stop(self) -> None:
        """Close the lifeline; the guard sends SIGTERM, and SIGKILL after a bound."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self.ask_to_stop()
        self._reap(self.plan.stop_s + 5.0)

    def sweep(self) -> None:
        """Clear up after a server that ended, or whose guard was killed."""
        self.ask_to_stop()
        if self.pid:
            guard.kill_group(self.pid)
        self.pid = 0

    def _reap(self, timeout_s: float) -> None:
        if self._guard is None:
            return
        try:
            self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired:
            guard.kill_group(self._guard.pid)
            self._guard.wait()
        self.sweep()

    def failure(self, what: str) -> Unavailable:
        """Return an error that says what happened to this server and shows its log's end."""
        lines = last_lines(self.log, LOG_LINES_SHOWN)
        shown = "".join(f"\n  {line}" for line in lines) or " It is empty."
        return Unavailable(
            self.plan.name,
            f"{self.plan.product} ({self.plan.name}) {what}.",
            hint=f"Its log is {self.log}.{shown}",
        )
