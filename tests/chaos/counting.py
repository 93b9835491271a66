"""How often node functions are called: written down before each hand-over to an executor.

So a call that a kill cut short counts, too: the figure is never too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from qmtl.orchestrator.execution.shard import ShardRunner
from qmtl.sandbox.executor import Executor
from tests.chaos.journal import Journal

_execution: ContextVar[str] = ContextVar("execution", default="")


def install(journal: Journal) -> None:
    """Have this process and its children write down every call of a node's function."""
    run_shard, run_calls = ShardRunner.run_claimed, Executor.run_table

    def run_claimed(self: ShardRunner, job: Any) -> Any:
        token = _execution.set(job.execution.id)
        try:
            return run_shard(self, job)
        finally:
            _execution.reset(token)

    def run_table(
        self: Executor, table: Any, places: Sequence[int], *rest: Any, **more: Any
    ) -> Any:
        nodes = [table.calls[place].node_id for place in places]
        journal.write("run", execution=_execution.get(), nodes=nodes)
        return run_calls(self, table, places, *rest, **more)

    ShardRunner.run_claimed = run_claimed  # type: ignore[method-assign]
    Executor.run_table = run_table  # type: ignore[method-assign]
