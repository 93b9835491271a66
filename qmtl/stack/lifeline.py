"""The owner's end of a FIFO: whoever reads it learns of the owner's end, however it comes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Lifeline:
    """A FIFO whose write end only this process holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        # A write end can be opened only while somebody reads; so read for a moment.
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._writer: int | None = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.close(reader)
        # A fork that runs on without exec must not keep the readers waiting.
        os.register_at_fork(after_in_child=self._close)

    def end(self) -> None:
        """Let the readers see end-of-file, and late ones too; a second call does nothing."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._writer is not None:
            with suppress(OSError):
                os.close(self._writer)
            self._writer = None
