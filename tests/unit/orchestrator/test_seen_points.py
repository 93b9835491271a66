"""Which windows show nothing, and when the store is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmtl.common.timeline import UNITS
from qmtl.models.datanode import SourceSpec
from qmtl.models.points import Points
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.planning import WindowKey
from qmtl.orchestrator.services.seen_points import SeenPoints
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.point_store import WindowRequest

DAY_NS = UNITS["d"]
DAY_MS = DAY_NS // 1_000_000
SPEC = StrategySpec(
    name="s",
    interval_ns=DAY_NS,
    description="",
    sources=tuple(
        SourceSpec(variable=v, name=f"x.{v}", columns=("close",), interval_ns=DAY_NS, period=3)
        for v in ("a", "b")
    ),
    nodes=(),
)


class CountedStore(MemoryPointStore):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def windows(self, tenant: str, requests: Sequence[WindowRequest]) -> list[Points]:
        self.asked += [each.source for each in requests]
        return super().windows(tenant, requests)


def store_with(*days: int) -> CountedStore:
    """Return a store in which source x.a of tenant t has points stamped at these days."""
    store = CountedStore()
    store.append("t", "x.a", stamped_at(*days))
    return store


def stamped_at(*days: int) -> Points:
    times_ms = np.array([day * DAY_MS for day in days], dtype=np.int64)
    return Points(("close",), times_ms, np.ones((len(days), 1)))


def seen_at(day: int, variable: str = "a") -> WindowKey:
    """Return a window whose latest point may be stamped a day before this one."""
    return WindowKey(variable, day * DAY_NS)


def test_a_window_that_begins_before_the_first_point_shows_nothing() -> None:
    seen = SeenPoints(store_with(5))
    assert seen.absent("t", SPEC, [seen_at(5), seen_at(6), seen_at(9, "b")]) == [
        seen_at(5),
        seen_at(9, "b"),
    ]


def test_the_store_is_not_asked_for_what_a_point_that_was_seen_shows() -> None:
    store = store_with(5)
    seen = SeenPoints(store)
    assert seen.absent("t", SPEC, [seen_at(7)]) == []
    assert seen.absent("t", SPEC, [seen_at(6), seen_at(100)]) == []
    assert store.asked == ["x.a"]


def test_an_earlier_window_and_another_tenants_are_asked_for() -> None:
    store = store_with(3, 5)
    seen = SeenPoints(store)
    assert seen.absent("t", SPEC, [seen_at(7)]) == []
    assert seen.absent("t", SPEC, [seen_at(4)]) == []
    assert seen.absent("other", SPEC, [seen_at(7)]) == [seen_at(7)]
    assert store.asked == ["x.a"] * 3


def test_what_showed_nothing_is_asked_for_again() -> None:
    store = store_with(5)
    seen = SeenPoints(store)
    assert seen.absent("t", SPEC, [seen_at(3)]) == [seen_at(3)]
    store.append("t", "x.a", stamped_at(2))
    assert seen.absent("t", SPEC, [seen_at(3)]) == []
