"""Limits that a child sets itself before a strategy's code runs."""

from __future__ import annotations

import ast
import ctypes
import importlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 64
_LIBRARY_BYTES = 512 * 1024 * 1024


def die_with_parent(parent: int) -> None:
    """Ask Linux for a SIGKILL when the thread that started this process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def import_libraries(source_text: str) -> None:
    """Import what a source imports, so that libraries count for nothing under its limits.

    Whatever cannot be imported is left to the source itself, where its author sees the line.
    """
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for item in _statements(ast.parse(source_text)):
            names = [alias.name for alias in item.names] if isinstance(item, ast.Import) else []
            if isinstance(item, ast.ImportFrom) and item.module and not item.level:
                names = [item.module]
            for name in names:
                with suppress(Exception):
                    importlib.import_module(name)
    _start_polars()


def _statements(module: ast.Module) -> Iterator[ast.AST]:
    """Walk the statements alone, which are few beside the expressions."""
    waiting: list[ast.AST] = [module]
    while waiting:
        item = waiting.pop()
        yield item
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            waiting += getattr(item, block, ())


def _start_polars() -> None:
    """Have polars start its threads, whose stacks would otherwise count under the limits."""
    polars = sys.modules.get("polars")
    if polars is not None:
        with suppress(Exception):
            polars.DataFrame({"a": [1]}).lazy().group_by("a").len().collect()


class MemoryLimit:
    """Address space beyond what the process has when this is made; Linux alone enforces it."""

    def __init__(self, memory_bytes: int) -> None:
        spare = 0 if "pandas" in sys.modules else _LIBRARY_BYTES
        self._base = _address_space() + spare
        self._most = self._soft = memory_bytes
        if self._base:
            resource.setrlimit(resource.RLIMIT_AS, (self._base + memory_bytes,) * 2)

    def allow(self, memory_bytes: int) -> None:
        """Let the next call use so much, up to the executor's own limit (0: all of it)."""
        wanted = min(memory_bytes or self._most, self._most)
        if wanted != self._soft and self._base:
            most = self._base + self._most
            resource.setrlimit(resource.RLIMIT_AS, (self._base + wanted, most))
        self._soft = wanted


def limit_files() -> None:
    """Allow no core file, no written file and few descriptors."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    sys.dont_write_bytecode = True


def _address_space() -> int:
    if sys.platform != "linux":
        return 0
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
