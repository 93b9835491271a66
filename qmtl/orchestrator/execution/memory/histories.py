"""Histories of a memory ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from qmtl.models.execution import HistoryPoint, Line
from qmtl.orchestrator.execution.ledger_types import HistoryPlace, HistoryRequest
from qmtl.orchestrator.execution.pinned import Pinned

MOST_REPLACED = 100


class Kept(NamedTuple):
    """A point and what its execution had pinned."""

    point: HistoryPoint
    pinned: Pinned


@dataclass(slots=True)
class _Bucket:
    """The points of one bucket by node id, and those that others replaced, latest last."""

    points: dict[str, Kept] = field(default_factory=dict)
    was: list[tuple[str, Kept]] = field(default_factory=list)


@dataclass(slots=True)
class _Interval:
    """The buckets of one interval of a line, and the most that any plan wanted kept."""

    buckets: dict[int, _Bucket] = field(default_factory=dict)
    keep: int = 0


class Histories:
    """Points by line, interval and bucket."""

    def __init__(self) -> None:
        self._intervals: dict[tuple[Line, int], _Interval] = defaultdict(_Interval)
        self._origins: dict[Line, dict[str, int]] = defaultdict(dict)

    def write(
        self,
        line: Line,
        place: HistoryPlace,
        execution_id: str,
        points: list[tuple[str, str | None]],
        *,
        ordered: bool,
    ) -> bool:
        """Keep (node id, digest) of a place, and drop the oldest buckets beyond ``keep``.

        A node without digest loses the point of this execution, of an earlier attempt; in an
        ordered line, any. Returns whether any changed.
        """
        interval = self._intervals[line, place.interval_ms]
        bucket = interval.buckets.get(place.bucket_ms, _Bucket())
        changed = kept = False
        for node_id, digest in points:
            old = bucket.points.get(node_id)
            if old is not None and old.pinned.outdates(place.pinned):
                continue
            if digest is None and (
                old is None or not (ordered or old.point.execution_id == execution_id)
            ):
                continue
            if old is None or old.point.digest != digest:
                changed = True
                if old is not None:
                    bucket.was.append((node_id, old))
            if digest is None:
                del bucket.points[node_id]
                continue
            point = HistoryPoint(
                bucket_ms=place.bucket_ms, execution_id=execution_id, digest=digest
            )
            bucket.points[node_id] = Kept(point, place.pinned)
            kept = True
            if ordered:
                origin = self._origins[line].get(node_id, place.bucket_ms)
                self._origins[line][node_id] = min(origin, place.bucket_ms)
        del bucket.was[:-MOST_REPLACED]
        if kept:
            interval.buckets[place.bucket_ms] = bucket
            self._drop_oldest(interval, place)
        return changed

    def _drop_oldest(self, interval: _Interval, place: HistoryPlace) -> None:
        interval.keep = max(interval.keep, place.keep)
        for oldest in sorted(interval.buckets)[: max(len(interval.buckets) - interval.keep, 0)]:
            del interval.buckets[oldest]

    def names(
        self, line: Line, interval_ms: int, bucket_ms: int, node_ids: Iterable[str], its_id: str
    ) -> bool:
        """Return whether a point of these nodes at a bucket is of this execution."""
        interval = self._intervals.get((line, interval_ms), _Interval())
        points = interval.buckets.get(bucket_ms, _Bucket()).points
        return any(n in points and points[n].point.execution_id == its_id for n in node_ids)

    def origin(self, line: Line, node_id: str) -> int | None:
        """Return the first bucket of a node in an ordered line."""
        return self._origins[line].get(node_id)

    def replaced(
        self, line: Line, node_id: str, interval_ms: int, bucket_ms: int
    ) -> list[HistoryPoint]:
        """Return the points of a node that others replaced at a bucket, latest first."""
        interval = self._intervals.get((line, interval_ms), _Interval())
        was = interval.buckets.get(bucket_ms, _Bucket()).was
        return [kept.point for id_, kept in reversed(was) if id_ == node_id]

    def latest(self, line: Line, wanted: HistoryRequest) -> list[HistoryPoint]:
        """Return what a request asks for, newest first."""
        interval = self._intervals.get((line, wanted.interval_ms), _Interval())
        found: list[HistoryPoint] = []
        for at in sorted(interval.buckets, reverse=True):
            if len(found) >= wanted.count:
                break
            kept = interval.buckets[at].points.get(wanted.node_id)
            if kept is not None and (wanted.until_ms is None or at <= wanted.until_ms):
                found.append(kept.point)
        return found
