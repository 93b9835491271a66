"""A run in the caller's own process, as near to a server's as the process allows.

An executor starts with fixed hashes and one BLAS thread. Here BLAS is held to one thread for as
long as something runs; hashes cannot be fixed any more, so nodes that they may show in are told.
"""

from __future__ import annotations

import ast
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from qmtl.graph.module import ModuleIndex
from qmtl.graph.unordered import functions_in_set_order
from qmtl.models.strategy import StrategySpec

if TYPE_CHECKING:
    from qmtl.sdk.execution import LocalEngine

_INSIDE = frozenset({"qmtl", "contextlib"})


class _OneThread:
    """Holds the process's BLAS libraries to one thread while anybody runs.

    Libraries are looked for again only after something was imported: that reads the list of all
    that the process has loaded, which takes longer than many a run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = 0
        self._limits = ExitStack()
        self._controller: ThreadpoolController | None = None
        self._modules = 0

    def __enter__(self) -> None:
        with self._lock:
            self._held += 1
            if self._held == 1:
                self._limit()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._held -= 1
            if self._held == 0:
                self._limits.close()

    def extend(self) -> None:
        """Hold libraries that were loaded since, if any are held."""
        with self._lock:
            if self._held and len(sys.modules) != self._modules:
                self._limit()

    def _limit(self) -> None:
        if self._controller is None or len(sys.modules) != self._modules:
            self._controller = ThreadpoolController()
            self._modules = len(sys.modules)
        self._limits.enter_context(self._controller.limit(limits=1, user_api="blas"))


one_blas_thread = _OneThread()


@contextmanager
def like_a_server(engines: Iterable[LocalEngine]) -> Iterator[None]:
    """Run strategies with one BLAS thread; the first time, warn of what hashes may show in."""
    for engine in engines:
        if not engine.warned and sys.flags.hash_randomization:
            engine.warned = True
            _warn(engine.spec, engine.source_text)
    with one_blas_thread:
        yield


def nodes_in_set_order(spec: StrategySpec, source_text: str) -> tuple[str, ...]:
    """Return the bindings whose code goes through a set in the order of its hashes."""
    index = ModuleIndex.of(ast.parse(source_text))
    found = functions_in_set_order(index, (node.function for node in spec.nodes))
    return tuple(node.name for node in spec.nodes if node.function in found)


def _warn(spec: StrategySpec, source_text: str) -> None:
    names = nodes_in_set_order(spec, source_text)
    if names:
        warnings.warn(
            f"{spec.name}: {', '.join(names)} may give another digest than on a server: the code "
            "iterates over a set, whose order differs between processes. Use sorted(...), or "
            "start Python with PYTHONHASHSEED=0.",
            stacklevel=_level_of_caller(),
        )


def _level_of_caller() -> int:
    """Return how far above the function that asks its first caller outside this package is."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - warnings count frames, and so must this
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level
