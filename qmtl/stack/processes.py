"""The processes of a Procfile, run by honcho under ``workers.supervise``."""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qmtl.common.errors import NotFound, Unavailable
from qmtl.stack import guard
from qmtl.stack.lifeline import Lifeline
from qmtl.stack.state import Folder, last_lines

# honcho kills what is left five seconds after the first process has ended.
STOP_S = 12.0
LOG_LINES_SHOWN = 15


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process of the Procfile.

    Attributes:
        name: Its entry.
        pid: The supervised command's main process, 0 before its first start.
        starts: How often it was started.
        log: File of its output.
    """

    name: str
    pid: int
    starts: int
    log: Path


def repository_root() -> Path:
    """Return the folder above the package ``workers``.

    Raises:
        NotFound: ``workers`` is not installed.
    """
    spec = importlib.util.find_spec("workers")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound(
            "The package workers is not installed.", hint="Run this from a clone of the repository."
        )
    return Path(next(iter(spec.submodule_search_locations))).resolve().parent


def find_procfile() -> Path:
    """Return the repository's Procfile.

    Raises:
        NotFound: There is none, as in an installation without the repository.
    """
    procfile = repository_root() / "Procfile"
    if not procfile.is_file():
        raise NotFound(
            f"There is no Procfile in {procfile.parent}.",
            hint="Run this from a clone of the repository, installed with 'pip install -e .'.",
        )
    return procfile


class Processes:
    """A honcho that runs, and the lifeline that ends its processes with this one."""

    def __init__(self, procfile: Path, folder: Folder, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._run = folder.path / "run"
        for former in self._run.glob("*.pid"):
            former.unlink()
        # What a killed process leaves behind lies in the data folder, and goes at the next start.
        self._scratch = folder.path / "tmp" / "processes"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        self.names = _entries(procfile)
        self._lifeline = Lifeline(folder.path / "lifeline")
        no_variables = folder.path / "tmp" / "empty.env"  # honcho would read .env otherwise
        no_variables.touch()
        command = [sys.executable, "-m", "honcho", "-e", no_variables, "-f", procfile]
        with folder.log("honcho").open("ab") as log:
            self._honcho = subprocess.Popen(  # noqa: S603 - the command is ours
                [*map(str, command), "-d", str(repository_root()), "--no-colour", "start"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environ) | self._supervision(),
                start_new_session=True,  # so that Ctrl-C in a terminal reaches the owner alone
            )

    def _supervision(self) -> dict[str, str]:
        return {
            "QMTL_LIFELINE": str(self._lifeline.path),
            "QMTL_LOG_DIR": str(self._folder.path / "logs"),
            "QMTL_RUN_DIR": str(self._run),
            "QMTL_PYTHON": sys.executable,
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self._scratch),
        }

    def all(self) -> dict[str, ProcessInfo]:
        """Return the processes by name, as they are now."""
        return {name: self._info(name) for name in self.names}

    def _info(self, name: str) -> ProcessInfo:
        pid = starts = 0
        with suppress(FileNotFoundError, ValueError):
            pid, starts = map(int, (self._run / f"{name}.pid").read_text().split())
        return ProcessInfo(name, pid, starts, self._folder.log(name))

    def check(self) -> None:
        """Do nothing while honcho runs.

        Raises:
            Unavailable: It ended, and so everything did.
        """
        code = self._honcho.poll()
        if code is not None:
            log = self._folder.log("honcho")
            raise Unavailable(
                "processes", f"The processes ended (honcho: exit code {code}).", hint=_show(log)
            )

    def failure(self, name: str, what: str) -> Unavailable:
        """Return an error that says what happened to a process and shows its log's end."""
        return Unavailable(name, f"The process {name} {what}.", hint=_show(self._folder.log(name)))

    def stop(self) -> None:
        """End every process: first asked, then killed; a second call does nothing."""
        self._lifeline.end()
        try:
            self._honcho.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._honcho.kill()
            self._honcho.wait()
        for record in self._run.glob("*.pid"):
            _kill_remains(record)


def _kill_remains(record: Path) -> None:
    """Kill a group that outlived its supervisor; the lock on its pid file tells of it."""
    with record.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with suppress(ValueError):
                guard.kill_group(int(file.read().split(maxsplit=1)[0]))
            _await_unlocked(record)


def _await_unlocked(record: Path, timeout_s: float = 2.0) -> None:
    until = time.monotonic() + timeout_s
    with record.open("r+") as file:
        while time.monotonic() < until:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.05)


def _entries(procfile: Path) -> list[str]:
    lines = procfile.read_text().splitlines()
    return [line.split(":", 1)[0].strip() for line in lines if ":" in line and line[0] != "#"]


def _show(log: Path) -> str:
    shown = "".join(f"\n  {line}" for line in last_lines(log, LOG_LINES_SHOWN)) or " It is empty."
    return f"Its log is {log}.{shown}"
