"""Keep one process of the Procfile alive, and end it with its owner.

``python -m workers.supervise [--fifo PATH] -- COMMAND`` starts the command in a session of its
own, forwards SIGTERM and SIGINT to its main process alone (a signal to the group would kill a
Celery pool's children under it), starts it again when it dies, kills what is left of its group,
and ends when the FIFO reaches end-of-file.

From the environment:
    QMTL_LIFELINE: The FIFO, where ``--fifo`` is not given. Without either, only signals end it.
    QMTL_LOG_DIR: Folder of ``NAME.log`` for the command's output; otherwise it is inherited.
    QMTL_RUN_DIR: Folder of ``NAME.pid``: the command's pid and how often it was started.
    HONCHO_PROCESS_NAME: ``NAME.1``, set by honcho for each entry.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qmtl.stack.guard import Guard, end_with_parent

STOP_S = 4.0  # honcho kills everything five seconds after the first process has ended


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run the command of the arguments until its owner ends or a signal asks for it."""
    parser = argparse.ArgumentParser(prog="python -m workers.supervise")
    parser.add_argument("--fifo", type=Path, default=environ.get("QMTL_LIFELINE") or None)
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    given = parser.parse_args(arguments)
    end_with_parent(signal.SIGTERM)
    name = environ.get("HONCHO_PROCESS_NAME", "command").split(".")[0]
    record, on_start = _record(environ.get("QMTL_RUN_DIR"), name)
    return Guard(
        given.command,
        # Without O_NONBLOCK, opening would wait for ever where the owner is gone already.
        lifeline=os.open(given.fifo, os.O_RDONLY | os.O_NONBLOCK) if given.fifo else None,
        stop_s=STOP_S,
        respawn=True,
        output=_log(environ.get("QMTL_LOG_DIR"), name),
        keep=record,
        on_start=on_start,
    ).run()


def _log(folder: str | None, name: str) -> int | None:
    if not folder:
        return None
    return os.open(Path(folder, f"{name}.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _record(folder: str | None, name: str) -> tuple[list[int], Callable[[int], None] | None]:
    """Return a writer of the pid file, which is locked while the command's group lives."""
    if not folder:
        return [], None
    file = os.open(Path(folder, f"{name}.pid"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_SH)
    starts = 0

    def on_start(pid: int) -> None:
        nonlocal starts
        starts += 1
        text = f"{pid} {starts}\n".encode()
        os.pwrite(file, text, 0)
        os.ftruncate(file, len(text))

    return [file], on_start


if __name__ == "__main__":
    sys.exit(main())
