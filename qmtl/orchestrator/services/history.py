"""Histories as clients read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qmtl.common.errors import UnknownExecution, UnknownTarget
from qmtl.common.timeline import MILLISECOND, floor_bucket
from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import Execution, HistoryPoint, Line
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import HistoryRequest
from qmtl.orchestrator.execution.shape import required
from qmtl.registry.api import Registry


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """The results of a node in a strategy's line, newest first.

    Attributes:
        binding: Its name in the active version.
        node_id: Its id, which the history belongs to.
        interval_ns: The distance of its buckets; None where it has none, and so no history.
        origin_ns: Its first bucket, where the strategy has windows; else None.
        points: A result for each bucket.
        replaced: For each point, what stood there before, latest first.
        stale: For each point, the repair that was to compute it again and was broken off, if any:
            it rests on results that are no more.
    """

    binding: str
    node_id: str
    interval_ns: int | None
    origin_ns: int | None
    points: tuple[HistoryPoint, ...]
    replaced: tuple[tuple[HistoryPoint, ...], ...]
    stale: tuple[Execution | None, ...]


class HistoryService:
    """Reads the histories of active versions."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self._ledger = ledger
        self._registry = registry

    def get(
        self,
        tenant: str,
        strategy: str,
        environment: str,
        binding: str,
        *,
        count: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> NodeHistory:
        """Return the latest ``count`` results of a binding at buckets from start to end.

        Raises:
            NotActive: No version is active there.
            UnknownStrategy: There is no such strategy.
            UnknownTarget: The active version has no such binding.
        """
        spec = self._registry.active_version(tenant, strategy, environment).spec
        node = spec.node(binding)
        if node is None:
            raise UnknownTarget(
                f"Strategy {strategy!r} binds no node {binding!r}.",
                hint=f"It binds {', '.join(sorted(each.name for each in spec.nodes))}.",
            )
        line = Line(tenant=tenant, strategy=strategy, environment=environment)
        points, replaced = self._points(line, node, count, start_ns, end_ns)
        origin = self._ledger.origins(line, [node.node_id])[0]
        return NodeHistory(
            binding=binding,
            node_id=node.node_id,
            interval_ns=node.interval_ns,
            origin_ns=None if origin is None else origin * MILLISECOND,
            points=tuple(points),
            replaced=tuple(map(tuple, replaced)),
            stale=self._stale(line, spec, node, points),
        )

    def _stale(
        self, line: Line, spec: StrategySpec, node: NodeSpec, points: Sequence[HistoryPoint]
    ) -> tuple[Execution | None, ...]:
        """Return for each point the repair that was broken off before it came to it."""
        broken_off = {
            floor_bucket(each.as_of_ns, node.interval_ns) // MILLISECOND: each
            for each in self._ledger.unrepaired(line)
            if _concerns(each, spec, node)
        }
        found = [broken_off.get(point.bucket_ms) for point in points]
        return tuple(
            repair if repair is not None and self._is_older(point, repair) else None
            for point, repair in zip(points, found, strict=True)
        )

    def _is_older(self, point: HistoryPoint, repair: Execution) -> bool:
        """Whether a point is neither a repair's own nor of an execution that began after it."""
        if point.execution_id == repair.id:
            return False
        try:
            wrote = self._ledger.get(repair.tenant, point.execution_id)
        except UnknownExecution:
            return True
        return (wrote.started_ms or 0) < (repair.ended_ms or 0)

    def _points(
        self, line: Line, node: NodeSpec, count: int, start_ns: int | None, end_ns: int | None
    ) -> tuple[list[HistoryPoint], list[list[HistoryPoint]]]:
        if node.interval_ns is None:
            return [], []
        interval_ms = node.interval_ns // MILLISECOND
        until_ms = None if end_ns is None else end_ns // MILLISECOND
        request = HistoryRequest(node.node_id, interval_ms, until_ms, count)
        found = self._ledger.histories([(line, request)])[0]
        if start_ns is not None:
            found = [point for point in found if point.bucket_ms * MILLISECOND >= start_ns]
        buckets = [point.bucket_ms for point in found]
        return found, self._ledger.replaced(
            line, node.node_id, interval_ms=interval_ms, buckets_ms=buckets
        )


def _concerns(repair: Execution, spec: StrategySpec, node: NodeSpec) -> bool:
    """Whether a repair was to compute a node, as far as its targets are known now."""
    try:
        return node in required(spec, repair.targets)
    except UnknownTarget:
        return True
