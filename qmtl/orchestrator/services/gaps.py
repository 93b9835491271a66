"""Buckets of a line that must run before a bucket that was triggered.

A history is what an in-order run from a node's origin gives. So nothing may be left out between
the origin and the latest bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qmtl.common.errors import GapTooLong
from qmtl.common.timeline import MILLISECOND, floor_bucket, format_interval, format_time
from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import Execution
from qmtl.models.strategy import StrategySpec, StrategyVersion
from qmtl.orchestrator.execution.creation import cause_of_repairs, repair_of
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import HistoryRequest
from qmtl.orchestrator.execution.planning import WindowKey, latest_visible_ms
from qmtl.registry.db.point_store import PointStore


@dataclass(frozen=True, slots=True)
class _Known:
    """What the line has of a node that is looked back at, in nanoseconds.

    Attributes:
        next_ns: The first bucket that it lacks before the one that was triggered; None where there
            is nothing before that.
        first_ns: Its first bucket, where all it has is later than the one that was triggered.
    """

    next_ns: int | None
    first_ns: int | None


class GapService:
    """Finds what a line lacks; at most ``most_buckets`` of it."""

    def __init__(self, ledger: Ledger, points: PointStore, *, most_buckets: int) -> None:
        self._ledger = ledger
        self._points = points
        self._most_buckets = most_buckets

    def before(
        self,
        execution: Execution,
        spec: StrategySpec,
        nodes: Sequence[NodeSpec],
        start_ns: int | None,
    ) -> list[int]:
        """Return the buckets that must run with an ordered execution that is to be created.

        A node that the line knows goes on from its latest bucket, one that it does not know begins
        at ``start_ns``, or with this execution where there is none. A bucket before all that the
        line knows becomes the origin, so that what lies between is lacking too. What was asked for
        once is not lacking, and neither are buckets at which a source had no point yet.

        Args:
            execution: The one that is to be created.
            spec: Of its version.
            nodes: What its targets rest on.
            start_ns: Of its deployment: nothing before it is run because it lacks.

        Raises:
            GapTooLong: Too many buckets lack.
        """
        step = _step_ns(spec)
        at_ns = floor_bucket(execution.bucket_ns, step)
        if self._asked(execution, at_ns - step, at_ns + step - 1):
            return []
        asked = self._asked(execution)
        known = self._known(execution, at_ns, step, asked, nodes)
        spans = [
            self._visible(execution, spec, nodes, span)
            for span in _spans(at_ns, step, known, start_ns)
        ]
        done = {floor_bucket(each, step) for each in asked}
        count = sum(map(len, spans)) - sum(each in span for each in done for span in spans)
        if count > self._most_buckets:
            raise self._too_long(execution, at_ns, step, spans, count)
        return [each for span in spans for each in span if each not in done]

    def repairs(
        self, execution: Execution, version: StrategyVersion, start_ns: int | None
    ) -> list[Execution]:
        """Return what does the repairs before an ordered execution that were broken off.

        None is of a bucket before ``start_ns``, as of ``before``; one that was returned before and
        has not ended has the same id again. What is broken off again in a later attempt is another
        one's cause.
        """
        return [
            repair_of(
                version,
                each,
                repairs_ns=each.bucket_ns if each.repairs_ns is None else each.repairs_ns,
                cause=cause_of_repairs(each),
                by=execution.by,
                at_ms=execution.created_ms,
            )
            for each in self._ledger.unrepaired(execution.line)
            if each.bucket_ns < execution.bucket_ns
            and (start_ns is None or each.bucket_ns >= start_ns)
        ]

    def _asked(
        self, execution: Execution, from_ns: int | None = None, until_ns: int | None = None
    ) -> list[int]:
        found = self._ledger.asked(
            execution,
            from_ms=None if from_ns is None else from_ns // MILLISECOND,
            until_ms=None if until_ns is None else until_ns // MILLISECOND,
        )
        return [each * MILLISECOND for each in found]

    def _known(
        self,
        execution: Execution,
        at_ns: int,
        step: int,
        asked: Sequence[int],
        nodes: Sequence[NodeSpec],
    ) -> list[_Known]:
        """Return what the line has of every node that is looked back at."""
        looked = list(_looked_back(nodes))
        line = execution.line
        requests = [
            HistoryRequest(id_, interval // MILLISECOND, at_ns // MILLISECOND - 1, 1)
            for id_, interval in looked
        ]
        latest = self._ledger.histories([(line, request) for request in requests])
        origins = self._ledger.origins(line, [id_ for id_, _ in looked])
        place = bisect_left(asked, at_ns)
        asked_before = floor_bucket(asked[place - 1], step) + step if place else None
        asked_after = floor_bucket(asked[place], step) if place < len(asked) else None
        found = []
        for (_, interval), points, origin_ms in zip(looked, latest, origins, strict=True):
            ends = [_ceiling(p.bucket_ms * MILLISECOND + interval, step) for p in points]
            ends += [asked_before] if asked_before is not None else []
            first = asked_after if origin_ms is None else origin_ms * MILLISECOND
            found.append(_Known(max(ends, default=None), None if ends else first))
        return found

    def _visible(
        self, execution: Execution, spec: StrategySpec, nodes: Sequence[NodeSpec], span: range
    ) -> range:
        """Leave out the buckets before every source had a visible point."""
        keys = [(variable, n.interval_ns) for n in nodes for variable in n.sources()]
        if not span or not keys:
            return span
        names = sorted({spec.source(variable).name for variable, _ in keys})
        summaries = self._points.summaries(execution.tenant, names)
        firsts = dict(zip(names, (summary.first_ms for summary in summaries), strict=True))

        def is_complete(bucket_ns: int) -> bool:
            for variable, interval in set(keys):
                source = spec.source(variable)
                first = firsts[source.name]
                key = WindowKey(variable, floor_bucket(bucket_ns, interval))
                if first is None or latest_visible_ms(source, key) < first:
                    return False
            return True

        return span[bisect_left(span, True, key=is_complete) :]

    def _too_long(
        self, execution: Execution, at_ns: int, step: int, spans: Sequence[range], count: int
    ) -> GapTooLong:
        first = min(span[0] for span in spans if span)
        return GapTooLong(
            f"{count} buckets of {format_interval(step)} from {format_time(first)} would have to "
            f"run with {format_time(at_ns)}, since {execution.strategy!r} carries results from one "
            f"to the next; at most {self._most_buckets} are run so.",
            hint="Activate the version with a later start to leave them out, or trigger earlier "
            "buckets first, a part of the gap at a time.",
        )


def _step_ns(spec: StrategySpec) -> int:
    """Return the distance of a strategy's buckets: its interval, or its nodes' finest."""
    own = [node.interval_ns for node in spec.nodes if node.interval_ns is not None]
    return spec.interval_ns or min(own)


def _looked_back(nodes: Sequence[NodeSpec]) -> Iterator[tuple[str, int]]:
    """Return id and interval of every node that a window names, its own reader among them."""
    by_name = {node.name: node for node in nodes}
    targets = [by_name.get(name, n) for n in nodes for name in n.looks_back_at()]
    found = {node.node_id: node.interval_ns for node in targets}
    return ((id_, interval) for id_, interval in found.items() if interval is not None)


def _spans(
    at_ns: int, step: int, known: Sequence[_Known], start_ns: int | None
) -> tuple[range, range]:
    """Return the buckets before and behind the triggered one among which some may lack."""
    earliest = None if start_ns is None else _ceiling(start_ns, step)
    new = at_ns if earliest is None else earliest
    begins = [new if k.next_ns is None else k.next_ns for k in known if k.first_ns is None]
    if earliest is not None:
        begins = [max(earliest, each) for each in begins]
    ends = [each.first_ns for each in known if each.first_ns is not None]
    return (
        range(min([at_ns, *begins]), at_ns, step),
        range(at_ns + step, max([at_ns + step, *ends]), step),
    )


def _ceiling(at_ns: int, step: int) -> int:
    floor = floor_bucket(at_ns, step)
    return floor if floor == at_ns else floor + step
