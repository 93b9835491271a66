"""Comparing two executions: reads both, has them compared, and looks up the rows that differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qmtl.common.errors import ExecutionFailed, QmtlError, Unavailable
from qmtl.models.execution import Execution, Plan
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.shape import SourceKey
from qmtl.orchestrator.services.comparison.code import code_parts
from qmtl.orchestrator.services.comparison.model import (
    Cause,
    CauseKind,
    Comparison,
    DataChange,
    Side,
)
from qmtl.orchestrator.services.comparison.rows import data_change
from qmtl.orchestrator.services.comparison.walk import compare


@dataclass(frozen=True, slots=True)
class _Read:
    execution: Execution
    plan: Plan
    spec: StrategySpec
    side: Side


class ComparisonService:
    """Says why the results of two executions of a tenant differ; changes nothing."""

    def __init__(self, ledger: Ledger, recent: Recents, reader: InputReader) -> None:
        self._ledger = ledger
        self._recent = recent
        self._reader = reader

    def compare(self, tenant: str, left_id: str, right_id: str) -> Comparison:
        """Return what two executions have in common, and why their results differ.

        They may be of different versions and strategies; bindings are matched by name. One that
        runs is compared as far as it is.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
            ExecutionFailed: One of them was never planned.
        """
        left, right = self._read(tenant, left_id), self._read(tenant, right_id)
        found = compare(left.side, right.side)
        return replace(found, causes=tuple(self._told(found, left, right)))

    def _read(self, tenant: str, execution_id: str) -> _Read:
        execution = self._ledger.get(tenant, execution_id)
        plan = self._ledger.plan(execution_id)
        if plan is None:
            raise ExecutionFailed(f"Execution {execution_id} was never planned.")
        version = self._recent.version(execution)
        spec = version.spec
        declared = {node.name: node for node in spec.nodes}
        nodes = {name: declared[name] for name, _ in plan.bindings()}
        records = self._ledger.records(execution_id)
        ids = [node.node_id for node in plan.nodes]
        side = Side(
            execution_id=execution_id,
            as_of_ns=plan.as_of_ns,
            nodes=nodes,
            sources={source.variable: source for source in spec.sources},
            digests={
                name: str(records[node.node_id].digest)
                for name, node in plan.bindings()
                if node.node_id in records and records[node.node_id].state.has_result
            },
            windows={(w.variable, w.interval_ns): w.digest for w in plan.windows},
            lookups={(each.node_id, each.argument): each for each in plan.lookups},
            keys=dict(zip(ids, plan.keys, strict=False)),
            mixed=execution.mixed or not plan.keys,
            seeds=plan.seeds,
            code=code_parts(version.source_text, (node.function for node in nodes.values())),
        )
        return _Read(execution, plan, spec, side)

    def _told(self, found: Comparison, left: _Read, right: _Read) -> Iterator[Cause]:
        """Return the causes, those that are data with the rows that differ.

        Where a source is declared otherwise its windows must differ; that is data as well only
        where rows differ that both show.
        """
        declared = {c.subject.partition(".")[0] for c in found.causes if c.kind is CauseKind.INPUT}
        for cause in found.causes:
            if cause.kind is not CauseKind.DATA:
                yield cause
                continue
            common_only = cause.subject in declared
            data = self._rows(cause, left, right, common_only=common_only)
            if data is None:
                yield cause
            elif data.differing or not common_only:
                yield replace(cause, data=data, message=_message(cause, data))

    def _rows(
        self, cause: Cause, left: _Read, right: _Read, *, common_only: bool
    ) -> DataChange | None:
        """Return the rows that differ; None where a window can no longer be read."""
        key = SourceKey(cause.subject, cause.interval_ns)
        if any(cause.subject not in read.side.sources for read in (left, right)):
            return None
        try:
            before, after = self._window(left, key), self._window(right, key)
        except Unavailable:
            raise
        except QmtlError:
            return None
        return data_change(before, after, common_only=common_only)

    def _window(self, read: _Read, key: SourceKey) -> bytes:
        return self._reader.read(read.execution, [key], read.plan.pins, read.spec)[key]


def _message(cause: Cause, data: DataChange) -> str:
    return f"{cause.message}: {data.differing} of {data.rows} differ"
