"""What is said where a bound of open executions is reached."""

from __future__ import annotations

from qmtl.common.errors import Overloaded

RETRY_AFTER_S = 5


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
