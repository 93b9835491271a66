"""Results by call key, and marks of the keys that a shard computes, in a memory ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from qmtl.orchestrator.execution.ledger_types import Held, Source

GENERATIONS = 3  # that are read


class Mark(NamedTuple):
    """Which claim of a shard computes a key."""

    execution_id: str
    stage: int
    shard: int
    token: int


class Memo:
    """Keys of all tenants; ``is_alive`` says whether a mark counts.

    Results are known by generations, two of which last ``ttl_ms``: for that long at least, and for
    up to half as long again.
    """

    def __init__(self, is_alive: Callable[[Mark, int], bool], ttl_ms: int) -> None:
        self._is_alive = is_alive
        self._generation_ms = ttl_ms / 2
        self._results: dict[tuple[str, str], tuple[Source, int]] = {}
        self._marks: dict[tuple[str, str], Mark] = {}

    def source(self, tenant: str, key: str, now_ms: int) -> Source | None:
        """Return which execution has the result."""
        found = self._results.get((tenant, key))
        if found is None or found[1] <= self._generation(now_ms) - GENERATIONS:
            return None
        return found[0]

    def _generation(self, now_ms: int) -> int:
        return int(now_ms // self._generation_ms)

    def note(self, tenant: str, key: str, source: Source, now_ms: int) -> None:
        """Note that an execution has the result."""
        self._results[tenant, key] = (source, self._generation(now_ms))
        self._marks.pop((tenant, key), None)

    def free(self, tenant: str, key: str, mark: Mark) -> None:
        """Take a mark back where it is this one."""
        if self._marks.get((tenant, key)) == mark:
            del self._marks[tenant, key]

    def hold(self, tenant: str, mark: Mark | None, keys: Sequence[str], now_ms: int) -> Held:
        """Return what need not be computed, and mark the other keys unless ``mark`` is None."""
        known: dict[str, Source] = {}
        elsewhere: set[str] = set()
        for key in filter(None, keys):
            held = self._marks.get((tenant, key))
            source = self.source(tenant, key, now_ms)
            if source is not None:
                known[key] = source
            elif held is not None and held != mark and self._is_alive(held, now_ms):
                elsewhere.add(key)
            elif mark is not None:
                self._marks[tenant, key] = mark
        return Held(known, frozenset(elsewhere))
