"""Tasks of the queue ``control``: the registry's requests, and the reaper's looks."""

from __future__ import annotations

from qmtl.common.clock import now_ms
from qmtl.tasks.app import app
from qmtl.tasks.context import system
from qmtl.tasks.guard import never_raises


@app.task(name="qmtl.control.carry_out")
@never_raises
def carry_out(tenant: str, submission_id: str) -> None:
    """Carry out a submission: parse and register, or activate."""
    system().submissions.carry_out(tenant, submission_id, at_ms=now_ms())


@app.task(name="qmtl.control.reap")
@never_raises
def reap() -> None:
    """Send again what lost its message or its worker."""
    system().reaper.look(now_ms=now_ms())


@app.task(name="qmtl.control.forget")
@never_raises
def forget() -> None:
    """Forget executions that ended longer ago than they are kept."""
    system().reaper.forget()


@app.task(name="qmtl.control.repair")
@never_raises
def repair() -> None:
    """Write the copies of deployments anew from the graph."""
    system().reaper.repair()
