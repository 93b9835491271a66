"""The process that runs a strategy's code: ``python -m qmtl.sandbox.child SOCKET PAGE PARENT``."""

from __future__ import annotations

import os
import signal
import socket
import sys

from qmtl.sandbox.limits import die_with_parent
from qmtl.sandbox.progress import Progress
from qmtl.sandbox.protocol import Define, Load, Ready, read_request
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
            session = Session(request, reporter, progress)
            reporter.send(Ready())
            reporter.send(session.load(request))
        elif session is None:
            return
        elif isinstance(request, Define):
            session.define(request)
        else:
            session.run(request)


if __name__ == "__main__":
    main(sys.argv[1:])
