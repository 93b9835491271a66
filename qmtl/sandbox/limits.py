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
_LEFT_BYTES = 32 * 1024 * 1024  # templates, a batch of outcomes, what malloc keeps between blocks
HELD_BYTES = 2 * 1024 * 1024 * 1024  # of what is held for other calls


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
    """Address space beyond what the process has when this is made; Linux alone enforces it.

    A call's own memory is what it decodes of its inputs, computes and encodes of its result. What
    the process holds for other calls comes on top, so that a call may use its limit wherever and
    beside whatever it is made. A fixed allowance covers what malloc keeps between large blocks; a
    call that meets none of that may use so much more than its limit.

    The hard limit, which no unprivileged process can lift, leaves room for a fixed part of the
    latter; the soft one follows the calls.
    """

    def __init__(self, memory_bytes: int) -> None:
        spare = _LEFT_BYTES if "pandas" in sys.modules else _LEFT_BYTES + _LIBRARY_BYTES
        space = _address_space()
        self._base = space + spare
        self._most = memory_bytes
        self._enforced = space > 0
        self._ceiling = self._base + memory_bytes + HELD_BYTES
        if self._enforced:
            outer = resource.getrlimit(resource.RLIMIT_AS)[1]
            if outer != resource.RLIM_INFINITY:
                self._ceiling = min(self._ceiling, outer)
        self.allow(0, 0)

    def allow(self, memory_bytes: int, held_bytes: int) -> None:
        """Limit the next call.

        Args:
            memory_bytes: What it may use, up to the executor's own limit (0: all of it).
            held_bytes: What is held for other calls, which counts up to ``HELD_BYTES``.
        """
        own = min(memory_bytes or self._most, self._most)
        self._limit(self._base + own + min(held_bytes, HELD_BYTES))

    def lift(self) -> None:
        """Let the process take messages in and send them while no call runs."""
        self._limit(self._ceiling)

    def _limit(self, wanted: int) -> None:
        if self._enforced:
            soft = min(wanted, self._ceiling)
            resource.setrlimit(resource.RLIMIT_AS, (soft, self._ceiling))


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
