"""The process that owns a stack in the background, and how others start, find and end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qmtl.common.errors import QmtlError, Unavailable
from qmtl.stack.api import Stack
from qmtl.stack.foreground import until_interrupted
from qmtl.stack.state import Folder

READY = "ready"
STOP_TIMEOUT_S = 60.0


def start_detached(profile: str, data_dir: Path, on_progress: Callable[[str], None]) -> None:
    """Start a stack in a process of its own and return when its servers answer.

    Raises:
        Unavailable: It could not be started; the message is the other process's.
    """
    folder = Folder(data_dir)
    folder.make()
    with folder.log("stack").open("ab") as log:
        owner = subprocess.Popen(  # noqa: S603 - the command is ours
            [sys.executable, "-m", "qmtl.stack.owner", profile, str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
        )
    last = ""
    assert owner.stdout is not None  # noqa: S101 - it was asked for above
    with owner.stdout:
        for line in owner.stdout:
            last = line.rstrip("\n").replace("\0", "\n")
            if last == READY:
                return
            on_progress(last)
    owner.wait()
    raise Unavailable("stack", last or f"The stack did not start; see {folder.log('stack')}.")


def stop_owner(data_dir: Path) -> bool:
    """End the stack of a folder, whoever owns it, and return whether there was one.

    Raises:
        Unavailable: Its servers did not end within a minute.
    """
    folder = Folder(data_dir)
    owner = folder.owner()
    if owner is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(owner, signal.SIGTERM)
    until = time.monotonic() + STOP_TIMEOUT_S
    while folder.owner() == owner:
        if time.monotonic() > until:
            with suppress(ProcessLookupError):
                os.kill(owner, signal.SIGKILL)  # the guards end the servers then
            break
        time.sleep(0.1)
    folder.await_former_servers(STOP_TIMEOUT_S)
    return True


def main(profile: str, data_dir: str) -> int:
    """Own a stack until SIGTERM; each line of progress goes to standard output."""
    try:
        with until_interrupted(), Stack.start(profile, Path(data_dir), _report):
            _report(READY)
            sys.stdout.close()
            threading.Event().wait()
    except QmtlError as error:
        _report(str(error))
        return 1
    return 0


def _report(line: str) -> None:
    # One line each, since the reader reads lines.
    print(line.replace("\n", "\0"), flush=True)  # noqa: T201 - this is the protocol


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
