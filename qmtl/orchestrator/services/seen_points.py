"""Whether windows show anything, asked once: points are only ever added."""

from __future__ import annotations

from collections.abc import Sequence

from qmtl.common.recent import Recent
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.planning import WindowKey, latest_visible_ms
from qmtl.registry.db.point_store import EVERYTHING, PointStore, WindowRequest

MOST_SOURCES = 10_000  # that are remembered


class SeenPoints:
    """Remembers of each source the earliest point that was seen.

    A window that ends at or after it shows something for as long as the store keeps its promise;
    an execution that then meets a store which lost its points fails when it is planned.
    """

    def __init__(self, points: PointStore) -> None:
        self._points = points
        self._earliest_ms: Recent[int] = Recent(MOST_SOURCES, lambda _: 1)

    def absent(self, tenant: str, spec: StrategySpec, keys: Sequence[WindowKey]) -> list[WindowKey]:
        """Return the windows that show nothing; one round trip, or none where all are known."""
        asked = [
            (key, wanted) for key in keys if not self._shows(tenant, wanted := _one(spec, key))
        ]
        found = self._points.windows(tenant, [wanted for _, wanted in asked]) if asked else []
        absent = []
        for (key, wanted), points in zip(asked, found, strict=True):
            if len(points):
                self._earliest_ms.keep((tenant, wanted.source), int(points.times_ms[0]))
            else:
                absent.append(key)
        return absent

    def _shows(self, tenant: str, wanted: WindowRequest) -> bool:
        earliest_ms = self._earliest_ms.get((tenant, wanted.source))
        return earliest_ms is not None and wanted.until_ms >= earliest_ms


def _one(spec: StrategySpec, key: WindowKey) -> WindowRequest:
    source = spec.source(key.variable)
    return WindowRequest(
        source=source.name,
        columns=source.columns,
        until_ms=latest_visible_ms(source, key),
        period=1,
        revision=EVERYTHING,
    )
