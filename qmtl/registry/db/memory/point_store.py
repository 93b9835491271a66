"""Points of sources in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from qmtl.models.points import Points
from qmtl.registry.db.columns import check_size, grown, pick, rows_in
from qmtl.registry.db.point_store import Appended, PointSummary, WindowRequest

Row = NDArray[np.float64]


@dataclass(slots=True)
class _Series:
    revision: int = 0
    columns: tuple[str, ...] = ()
    rows: dict[int, list[tuple[int, Row]]] = field(default_factory=dict)  # time -> (revision, row)

    def at(self, time_ms: int, revision: int) -> Row | None:
        """Return the row of a time as a revision shows it, as wide as the columns."""
        shown = [row for made, row in self.rows[time_ms] if made <= revision]
        if not shown:
            return None
        lacking = len(self.columns) - len(shown[-1])
        return np.append(shown[-1], np.full(lacking, np.nan))


class MemoryPointStore:
    """``PointStore`` for tests and local runs; one lock makes every method atomic."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._series: dict[tuple[str, str], _Series] = {}

    def append(self, tenant: str, source: str, points: Points) -> Appended:
        check_size(points)
        with self._lock:
            series = self._series.get((tenant, source)) or _Series()
            columns = grown(series.columns, points)
            before, next_revision = series.columns, series.revision + 1
            series.columns = columns
            added = corrected = unchanged = 0
            for time_ms, row in zip(
                points.times_ms.tolist(), rows_in(points, columns), strict=True
            ):
                known = series.at(time_ms, next_revision) if time_ms in series.rows else None
                if known is not None and known.tobytes() == row.tobytes():
                    unchanged += 1
                    continue
                added, corrected = added + (known is None), corrected + (known is not None)
                series.rows.setdefault(time_ms, []).append((next_revision, row))
            if added + corrected == 0:
                series.columns = before
                return Appended(series.revision, 0, 0, unchanged)
            series.revision = next_revision
            self._series[tenant, source] = series
            return Appended(next_revision, added, corrected, unchanged)

    def windows(self, tenant: str, requests: Sequence[WindowRequest]) -> list[Points]:
        with self._lock:
            return [self._window(tenant, each) for each in requests]

    def latest(self, tenant: str, requests: Sequence[WindowRequest]) -> list[tuple[int, Points]]:
        with self._lock:
            found = []
            for each in requests:
                revision = self._summary(tenant, each.source).revision
                found.append((revision, self._window(tenant, replace(each, revision=revision))))
            return found

    def _window(self, tenant: str, request: WindowRequest) -> Points:
        series = self._series.get((tenant, request.source)) or _Series()
        visible: list[tuple[int, Row]] = []
        for time_ms in sorted(series.rows, reverse=True):
            if len(visible) == request.period:
                break
            row = series.at(time_ms, request.revision)
            if time_ms <= request.until_ms and row is not None:
                visible.append((time_ms, row))
        times = np.array([t for t, _ in reversed(visible)], dtype=np.int64)
        rows = np.array([r for _, r in reversed(visible)], dtype=np.float64)
        shaped = rows.reshape(len(times), len(series.columns))
        return pick(times, shaped, series.columns, request.columns)

    def summaries(self, tenant: str, sources: Sequence[str]) -> list[PointSummary]:
        with self._lock:
            return [self._summary(tenant, source) for source in sources]

    def _summary(self, tenant: str, source: str) -> PointSummary:
        series = self._series.get((tenant, source)) or _Series()
        return PointSummary(
            revision=series.revision,
            count=len(series.rows),
            first_ms=min(series.rows, default=None),
            last_ms=max(series.rows, default=None),
        )
