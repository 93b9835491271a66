"""A run in the caller's own process, as near to a server's as the process allows.

An executor starts with fixed hashes and one thread for BLAS and for polars. Here BLAS is held to
one thread for as long as something runs. Hashes cannot be fixed any more, nor the threads of a
polars that was imported before: strategies that they may show in are told.
"""

from __future__ import annotations

import ast
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from qmtl.graph.module import ModuleIndex
from qmtl.graph.unordered import functions_in_set_order
from qmtl.models.strategy import StrategySpec
from qmtl.sdk.notices import warn

if TYPE_CHECKING:
    from qmtl.sdk.execution import LocalEngine

_POLARS_THREADS = "POLARS_MAX_THREADS"  # polars reads it when it is imported, and never again


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
    """Run strategies with one BLAS thread; the first time, prepare polars and warn."""
    for engine in engines:
        if not engine.prepared:
            engine.prepared = True
            _prepare(engine.spec, engine.source_text)
    with one_blas_thread:
        yield


def nodes_in_set_order(spec: StrategySpec, source_text: str) -> tuple[str, ...]:
    """Return the bindings whose code goes through a set in the order of its hashes."""
    index = ModuleIndex.of(ast.parse(source_text))
    found = functions_in_set_order(index, (node.function for node in spec.nodes))
    return tuple(node.name for node in spec.nodes if node.function in found)


def _prepare(spec: StrategySpec, source_text: str) -> None:
    """Import polars with one thread where a strategy does; warn of what cannot be fixed here."""
    names = nodes_in_set_order(spec, source_text) if sys.flags.hash_randomization else ()
    if names:
        warn(
            f"{spec.name}: {', '.join(names)} may give another digest than on a server: the code "
            "iterates over a set, whose order differs between processes. Use sorted(...), or "
            "start Python with PYTHONHASHSEED=0."
        )
    threads = _polars_threads() if _imports_polars(source_text) else 1
    if threads > 1:
        warn(
            f"{spec.name} may give other digests than on a server: polars was imported before it "
            f"ran, with {threads} threads, and the last digits of its sums and the order of its "
            f"groups depend on them. Set {_POLARS_THREADS}=1 before polars is imported."
        )


def _imports_polars(source_text: str) -> bool:
    if "polars" not in source_text:
        return False
    index = ModuleIndex.of(ast.parse(source_text))
    paths = [each.path for imported in index.imports.values() for each in imported]
    return any(path.partition(".")[0] == "polars" for path in paths)


def _polars_threads() -> int:
    """Return how many threads polars has: one where this process imports it here first."""
    if "polars" not in sys.modules:
        before = os.environ.get(_POLARS_THREADS)
        os.environ[_POLARS_THREADS] = "1"
        try:
            with suppress(ImportError):  # the strategy meets the same, and says where
                import_module("polars").thread_pool_size()
        finally:
            if before is None:
                del os.environ[_POLARS_THREADS]
            else:
                os.environ[_POLARS_THREADS] = before
    size = getattr(sys.modules.get("polars"), "thread_pool_size", None)
    return 1 if size is None else int(size())
