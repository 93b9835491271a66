"""Histories as clients read them."""

from __future__ import annotations

from dataclasses import dataclass

from qmtl.common.errors import UnknownTarget
from qmtl.common.timeline import MILLISECOND
from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import HistoryPoint, Line
from qmtl.orchestrator.execution.ledger import HistoryRequest, Ledger
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
    """

    binding: str
    node_id: str
    interval_ns: int | None
    origin_ns: int | None
    points: tuple[HistoryPoint, ...]
    replaced: tuple[tuple[HistoryPoint, ...], ...]


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
        )

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
