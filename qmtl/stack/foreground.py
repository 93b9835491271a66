"""Ctrl-C and SIGTERM for a process that owns a stack and stays in the foreground."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Leave the block, quietly, at the first SIGINT, SIGTERM or SIGHUP.

    Further signals are ignored, so that what the block stops on its way out is stopped in order.
    Main thread only.
    """
    former = {signum: signal.getsignal(signum) for signum in SIGNALS}
    for signum in SIGNALS:
        if former[signum] is not signal.SIG_IGN:  # as under nohup
            signal.signal(signum, _interrupt)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
