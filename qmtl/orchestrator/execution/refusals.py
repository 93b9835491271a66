"""What is said where the ledger refuses a step, or ends what had its time."""

from __future__ import annotations

from qmtl.common.errors import (
    DEADLINE_PASSED,
    IdempotencyConflict,
    Overloaded,
    UnknownExecution,
)
from qmtl.models.execution import ErrorRecord

RETRY_AFTER_S = 5
EXPIRED = ErrorRecord(
    code=DEADLINE_PASSED, message="It had not ended when the time that its trigger gave was over."
)


def overloaded(tenant: str, *, of_tenant: bool) -> Overloaded:
    """Return the error that names the bound: the tenant's own, or that of all together."""
    if of_tenant:
        return Overloaded(
            f"Tenant {tenant!r} has as many executions waiting as one tenant may have "
            "(QMTL_MOST_OPEN_PER_TENANT).",
            retry_after_s=RETRY_AFTER_S,
            bound="tenant",
        )
    return Overloaded(
        "More executions are waiting than this system takes (QMTL_MOST_OPEN).",
        retry_after_s=RETRY_AFTER_S,
        bound="system",
    )


def remains() -> IdempotencyConflict:
    """Return the error for an id whose former execution left results that are read elsewhere."""
    return IdempotencyConflict(
        "An execution of this id was forgotten, but histories still read its results.",
        hint="Use a new key for a new trigger.",
    )


def unknown(execution_id: str) -> UnknownExecution:
    """Return the error for an execution that is not there, or is another tenant's."""
    return UnknownExecution(
        f"There is no execution {execution_id!r}.",
        hint="Executions are forgotten some time after they have ended.",
    )
