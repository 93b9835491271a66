"""Where the results of an execution stand in the history of its line."""

from __future__ import annotations

from collections.abc import Mapping

from qmtl.common.timeline import MILLISECOND, floor_bucket
from qmtl.models.execution import Execution, Plan
from qmtl.orchestrator.execution.ledger_types import HistoryPlace
from qmtl.orchestrator.execution.pinned import Pinned
from qmtl.orchestrator.execution.shape import Shape


def places_of(execution: Execution, plan: Plan, shape: Shape) -> Mapping[str, HistoryPlace | None]:
    """Return by node id where a result stands: nowhere without an interval, or in a line of the
    execution's own."""
    if execution.adhoc:
        return {}
    pins = {pin.variable: pin for pin in plan.pins}
    known: dict[frozenset[str], Pinned] = {}
    shared: dict[tuple[int | None, frozenset[str]], HistoryPlace | None] = {}
    found: dict[str, HistoryPlace | None] = {}
    for node, variables in zip(shape.nodes, shape.reads, strict=True):
        at = node.interval_ns, variables
        if at not in shared:
            if variables not in known:
                known[variables] = Pinned.of(pins[v] for v in sorted(variables) if v in pins)
            shared[at] = _place(node.interval_ns, plan.as_of_ns, shape, known[variables])
        found[node.node_id] = shared[at]
    return found


def _place(
    interval_ns: int | None, as_of_ns: int, shape: Shape, pinned: Pinned
) -> HistoryPlace | None:
    if interval_ns is None or shape.keep[interval_ns] < 1:
        return None
    return HistoryPlace(
        interval_ms=interval_ns // MILLISECOND,
        bucket_ms=floor_bucket(as_of_ns, interval_ns) // MILLISECOND,
        keep=shape.keep[interval_ns],
        pinned=pinned,
    )
