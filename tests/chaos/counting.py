"""How often node functions are called: written down before each hand-over to an executor.

So a call that a kill cut short counts, too: the figure is never too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from qmtl.orchestrator.execution.shard import ShardRunner
from qmtl.sandbox.calls import Call
from qmtl.sandbox.executor import Executor
from tests.chaos.journal import Journal

_execution: ContextVar[str] = ContextVar("execution", default="")


def install(journal: Journal) -> None:
    """Have this process and its children write down every call of a node's function."""
    run_shard, run_calls = ShardRunner.run, Executor.run

    def shard(self: ShardRunner, tenant: str, execution_id: str, *rest: Any, **more: Any) -> Any:
        token = _execution.set(execution_id)
        try:
            return run_shard(self, tenant, execution_id, *rest, **more)
        finally:
            _execution.reset(token)

    def run(self: Executor, calls: Sequence[Call], *rest: Any, **more: Any) -> Any:
        nodes = [call.node_id for call in calls]
        journal.write("run", execution=_execution.get(), nodes=nodes)
        return run_calls(self, calls, *rest, **more)

    ShardRunner.run = shard  # type: ignore[method-assign]
    Executor.run = run  # type: ignore[method-assign]
