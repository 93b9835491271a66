"""The process that runs a strategy's code: ``python -m qmtl.sandbox.child SOCKET PAGE PARENT``."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys

from qmtl.sandbox.capture import Capture
from qmtl.sandbox.evaluate import Evaluator, load_module
from qmtl.sandbox.failure import describe
from qmtl.sandbox.limits import MemoryLimit, die_with_parent, import_libraries, limit_files
from qmtl.sandbox.progress import Progress
from qmtl.sandbox.protocol import Define, Expect, Load, Loaded, Ready, read_request
from qmtl.sandbox.reporter import Reporter
from qmtl.sandbox.session import Session


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
            session = _load(request, reporter, progress)
        elif session is None:
            return
        elif isinstance(request, Define):
            session.define(request)
        elif isinstance(request, Expect):
            session.expect(request)
        else:
            session.run(request)


def _load(load: Load, reporter: Reporter, progress: Progress) -> Session | None:
    """Execute a module under limits and say so; return what makes its calls.

    What lives as long as the process is frozen out of garbage collection: a library such as
    pandas makes some hundred thousand objects, which would be looked through while calls run.
    """
    gc.disable()  # importing makes much and drops little
    import_libraries(load.source_text)
    gc.freeze()
    gc.enable()
    limit_files()
    memory = MemoryLimit(load.memory_bytes)
    reporter.send(Ready())
    try:
        with Capture():
            namespace = load_module(load.source_text, load.name)
    except BaseException as error:  # noqa: BLE001 (a module may raise anything, SystemExit too)
        reporter.send(Loaded(describe(error)))
        return None
    gc.freeze()
    evaluator = Evaluator(namespace, limit_bytes=load.value_limit_bytes, digests=False)
    reporter.send(Loaded(None))
    return Session(evaluator, memory, reporter, progress)


if __name__ == "__main__":
    main(sys.argv[1:])
