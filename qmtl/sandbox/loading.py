"""A new child until it has executed its module."""

from __future__ import annotations

import time
from collections.abc import Callable

from qmtl.common.errors import NODE_DIED, NODE_TIMED_OUT, SandboxFailure
from qmtl.sandbox.calls import NodeError
from qmtl.sandbox.process import ChildDied, ChildProcess
from qmtl.sandbox.protocol import Load, Loaded

POLL_S = 0.05  # how often a cancel is looked for, and how late a limit is noticed
START_TIMEOUT_S = 30.0
LOAD_TIMEOUT_S = 30.0
ENDING_S = 1.0  # that a process whose stream ended has to leave its status

Stop = Callable[[], bool]


class Stopped(Exception):
    """The caller wants the run to end; never leaves this package."""


def load(child: ChildProcess, request: Load, stop: Stop) -> NodeError | None:
    """Have a child execute a module; return why it cannot be executed, None where it was.

    Raises:
        SandboxFailure: The child ended or was silent before it came to the module.
        Stopped: The caller wants the run to end.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    ready = False
    try:
        child.send(request)
        while (left_s := deadline - time.monotonic()) > 0:
            for reply in child.receive(min(POLL_S, left_s)):
                if isinstance(reply, Loaded):
                    return reply.error
                ready = True
                deadline = time.monotonic() + LOAD_TIMEOUT_S
            if stop():
                raise Stopped
    except ChildDied:
        child.wait_end(ENDING_S)
        message = f"The process {child.kill()} while it executed the module."
        code = NODE_DIED
    else:
        message = f"The module took longer than {LOAD_TIMEOUT_S:g} s to execute."
        code = NODE_TIMED_OUT
    if not ready:
        raise SandboxFailure(f"An executor was not ready. {message}")
    return NodeError(code, message)
