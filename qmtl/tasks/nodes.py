"""Tasks of the queue ``nodes``: opening stages and running shards."""

from __future__ import annotations

from qmtl.tasks.app import app
from qmtl.tasks.context import system
from qmtl.tasks.guard import never_raises
from qmtl.tasks.transport import MARK


@app.task(name="qmtl.nodes.advance")
@never_raises
def advance(tenant: str, execution_id: str, stage: int) -> None:
    """Open a stage where its time has come; stage 0 plans the execution first."""
    system().advancer.advance(tenant, execution_id, stage, died=_came_back())


def _came_back() -> bool:
    """Tell whether the present message was put back, since the child died that had it."""
    return bool((advance.request.delivery_info or {}).get(MARK))


@app.task(name="qmtl.nodes.run_shard")
@never_raises
def run_shard(tenant: str, execution_id: str, stage: int, shard: int) -> None:
    """Run what is open of a shard and commit it."""
    system().advancer.run_shard(tenant, execution_id, stage, shard)
