"""What a node prints, kept up to a cap."""

from __future__ import annotations

import io
import sys
from typing import Self

LOG_LIMIT_BYTES = 16 * 1024
_CUT = "\n[cut at 16 KiB]"


class Capture(io.TextIOBase):
    """Stands in for standard output and standard error while a node runs.

    Attributes:
        used: Whether anything was written.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._room = LOG_LIMIT_BYTES
        self._outer = (sys.stdout, sys.stderr)
        self.used = False

    def __enter__(self) -> Self:
        self._outer = (sys.stdout, sys.stderr)
        sys.stdout = sys.stderr = self
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout, sys.stderr = self._outer

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.used = True
        if self._room >= 0:
            self._parts.append(text[: self._room + 1])
            self._room -= len(text)
        return len(text)

    def text(self) -> str:
        """Return what was printed, as valid UTF-8 within the cap."""
        return cut(clean("".join(self._parts)), LOG_LIMIT_BYTES) if self._parts else ""


def clean(text: str) -> str:
    """Return the text with lone surrogates written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, limit_bytes: int) -> str:
    """Return the text, or its beginning and a mark where it is over the limit."""
    data = text.encode()
    if len(data) <= limit_bytes:
        return text
    return data[: limit_bytes - len(_CUT)].decode(errors="ignore") + _CUT
