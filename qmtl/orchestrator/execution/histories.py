"""Resolving windows and queries against the ledger, and reading their values again."""

from __future__ import annotations

from collections.abc import Sequence

from qmtl.common.timeline import MILLISECOND
from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import Execution, Found, Line, Lookup
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import HistoryRequest
from qmtl.orchestrator.execution.lookups import Question, packed, questions, resolve
from qmtl.registry.api import Registry


class HistoryReader:
    """Reads histories of lines; a plan that was resolved once reads the same values ever after."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self._ledger = ledger
        self._registry = registry

    def lookups(
        self, execution: Execution, nodes: Sequence[NodeSpec], spec: StrategySpec
    ) -> list[Lookup]:
        """Return what every window and query of the nodes stands for now; one round trip.

        An execution without an environment sees no other strategy; one with inline inputs has no
        history of its own; a shadow reads its environment's.
        """
        return self._resolved(execution, nodes, spec, self._peers(execution, nodes))

    def windows(
        self, execution: Execution, nodes: Sequence[NodeSpec], spec: StrategySpec
    ) -> list[Lookup]:
        """Return what every window of the nodes stands for now; one round trip."""
        found = self._resolved(execution, nodes, spec, ())
        return [lookup for lookup in found if lookup.kind == "window"]

    def _resolved(
        self,
        execution: Execution,
        nodes: Sequence[NodeSpec],
        spec: StrategySpec,
        peers: Sequence[StrategySpec],
    ) -> list[Lookup]:
        asked = questions(nodes, execution.as_of_ns, spec, peers)
        found = self._ledger.histories([(_line(execution, q), _request(q)) for q in asked])
        answers = [
            [
                Found(
                    name=question.name,
                    bucket_ns=point.bucket_ms * MILLISECOND,
                    execution_id=point.execution_id,
                    node_id=question.node_id,
                    digest=point.digest,
                )
                for point in points
            ]
            for question, points in zip(asked, found, strict=True)
        ]
        return resolve(nodes, asked, answers)

    def values(self, lookups: Sequence[Lookup]) -> dict[str, bytes]:
        """Return the packed value of each lookup by its key; at most two round trips.

        A lookup of which a result is no longer kept, or is another one by now, is left out.
        """
        parts = [(f.execution_id, f.node_id, f.digest) for each in lookups for f in each.found]
        values = iter(self._ledger.values_of(parts) if parts else [])
        found: dict[str, bytes] = {}
        for each in lookups:
            results = [next(values) for _ in each.found]
            kept = [value for value in results if value is not None]
            if len(kept) == len(results):
                found[each.key] = packed(each, kept)
        return found

    def _peers(self, execution: Execution, nodes: Sequence[NodeSpec]) -> list[StrategySpec]:
        if execution.environment is None or not any(node.queries() for node in nodes):
            return []
        active = self._registry.active_versions(execution.tenant, execution.environment)
        return [version.spec for version in active]


def _line(execution: Execution, question: Question) -> Line:
    if question.kind == "window" and not execution.shadow:
        return execution.line
    return Line(
        tenant=execution.tenant, strategy=question.strategy, environment=execution.environment
    )


def _request(question: Question) -> HistoryRequest:
    return HistoryRequest(
        node_id=question.node_id,
        interval_ms=question.interval_ns // MILLISECOND,
        until_ms=question.until_ns // MILLISECOND,
        count=question.count,
    )
