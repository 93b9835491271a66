"""What happens inside processes that may be killed at any moment, line by line in one file.

A line is one ``write`` to a file opened for appending, so lines of several processes stay whole,
and what was written before a SIGKILL is there after it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends lines; processes share it by its path, and children by inheritance."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, **what: Any) -> None:
        """Append one line."""
        entry = {"kind": kind, "at": time.time(), "pid": os.getpid(), **what}
        os.write(self._file, json.dumps(entry, separators=(",", ":")).encode() + b"\n")


class JournalReader:
    """Reads a journal from the start, or what is new since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of a kind that came since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
        self._offset += len(whole) + bool(whole)
        for line in whole.splitlines():
            entry: dict[str, Any] = json.loads(line)
            if entry["kind"] == kind:
                yield entry
