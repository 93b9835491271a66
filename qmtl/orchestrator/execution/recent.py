"""Versions, shapes and plans that this process read last: shards need them, and none changes."""

from __future__ import annotations

from dataclasses import dataclass

from qmtl.common.recent import Recent
from qmtl.models.execution import Execution, Plan
from qmtl.models.strategy import StrategyVersion
from qmtl.orchestrator.execution.keys import CallKeys
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.shape import Limits, Shape
from qmtl.registry.api import Registry
from qmtl.sandbox.runtime import fingerprint

MOST_NODES = 40_000  # over all that is kept of a kind; a node takes one or two kilobytes


@dataclass(frozen=True, slots=True)
class Work:
    """What a version's targets are to a worker: what they do alike at every time."""

    version: StrategyVersion
    shape: Shape
    keys: CallKeys


class Recents:
    """Reads versions and plans, and works shapes out, each once while it is kept.

    Attributes:
        runtime: Of this process and its executors; call keys are made for it.
    """

    def __init__(
        self, ledger: Ledger, registry: Registry, limits: Limits, *, most_nodes: int = MOST_NODES
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._limits = limits
        self.runtime = fingerprint()
        self._versions: Recent[StrategyVersion] = Recent(most_nodes, _version_weight)
        self._works: Recent[Work] = Recent(
            most_nodes, lambda w: len(w.shape.nodes) + _version_weight(w.version)
        )
        self._plans: Recent[Plan] = Recent(most_nodes, _plan_weight)

    def version(self, execution: Execution) -> StrategyVersion:
        """Return the version that an execution runs; may raise as ``Registry.get_nodes``."""
        key = (execution.tenant, execution.strategy, execution.version)
        found = self._versions.get(key)
        if found is None:
            found = self._registry.get_nodes(*key)
            if found.complete:  # another one may still be completed
                self._versions.keep(key, found)
        return found

    def work(self, execution: Execution) -> Work:
        """Return what an execution's targets do at every time alike.

        Raises:
            UnknownTarget: A target is no binding; and whatever ``version`` raises.
        """
        key = (execution.tenant, execution.strategy, execution.version, execution.targets)
        found = self._works.get(key)
        if found is None:
            version = self.version(execution)
            shape = Shape.of(version.spec, execution.targets, self._limits)
            found = Work(version, shape, CallKeys(shape, self.runtime))
            if version.complete:
                self._works.keep(key, found)
        return found

    def plan(self, execution: Execution) -> Plan | None:
        """Return the plan of an execution, None where it has none.

        An attempt has a plan of its own; and a server that lost its last writes may see the
        execution planned again, with other pins: so a plan is known by the time at which it was
        started.
        """
        if execution.started_ms is None:
            return self._ledger.plan(execution.id)
        found = self._plans.get((execution.id, execution.started_ms))
        if found is None:
            found = self._ledger.plan(execution.id)
            if found is not None:
                self.keep_plan(execution.id, execution.started_ms, found)
        return found

    def keep_plan(self, execution_id: str, started_ms: int, plan: Plan) -> None:
        """Keep a plan that this process made and started."""
        self._plans.keep((execution_id, started_ms), plan)


def _version_weight(version: StrategyVersion) -> int:
    """Return how much a version holds: its nodes, and each kilobyte of its text."""
    return len(version.spec.nodes) + len(version.source_text) // 1024


def _plan_weight(plan: Plan) -> int:
    """Return how much a plan holds: its nodes, and each result that it found in a history."""
    return len(plan.nodes) + sum(len(lookup.found) for lookup in plan.lookups)
