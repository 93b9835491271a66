"""Executions before they are created: the id follows from what is run, where, when and why."""

from __future__ import annotations

import json
from secrets import token_hex

from msgspec.structs import replace

from qmtl.common.codec import digest
from qmtl.common.timeline import floor_bucket
from qmtl.models.execution import Execution
from qmtl.models.strategy import StrategySpec, StrategyVersion

IN_TURN = "bucket"  # the cause of a bucket that runs because its time has come
REPAIR = "repair:"  # begins the cause of one that follows what landed before it


def new_execution(
    version: StrategyVersion,
    *,
    environment: str | None,
    adhoc: bool,
    as_of_ns: int,
    targets: tuple[str, ...],
    cause: str,
    by: str,
    at_ms: int,
) -> Execution:
    """Return an execution under the id that line, version, bucket, targets and cause determine."""
    bucket_ns = floor_bucket(as_of_ns, version.spec.interval_ns)
    line = "adhoc" if adhoc else str(environment)
    parts = (
        version.tenant,
        version.strategy,
        line,
        version.version,
        str(bucket_ns),
        json.dumps(targets),  # unlike a join, it gives no two lists of names one text
        cause,
    )
    return Execution(
        id=digest("\n".join(parts).encode()),
        tenant=version.tenant,
        strategy=version.strategy,
        environment=environment,
        version=version.version,
        adhoc=adhoc,
        as_of_ns=as_of_ns,
        bucket_ns=bucket_ns,
        targets=targets,
        cause=cause,
        by=by,
        created_ms=at_ms,
        ordered=not adhoc and has_windows(version.spec),
    )


def cause_of_repairs(execution: Execution) -> str:
    """Return the cause of repairs that an attempt of an execution leads to."""
    attempt = f".{execution.attempt}" if execution.attempt > 1 else ""
    return f"{REPAIR}{execution.id}{attempt}"


def repair_of(
    version: StrategyVersion,
    earlier: Execution,
    *,
    repairs_ns: int,
    cause: str,
    by: str,
    at_ms: int,
) -> Execution:
    """Return what computes the bucket of an earlier execution again, with the active version.

    An equal cause gives an equal id.
    """
    known = {node.name for node in version.spec.nodes}
    repair = new_execution(
        version,
        environment=earlier.environment,
        adhoc=False,
        as_of_ns=earlier.as_of_ns,
        targets=earlier.targets if known.issuperset(earlier.targets) else (),
        cause=cause,
        by=by,
        at_ms=at_ms,
    )
    return replace(repair, repairs_ns=repairs_ns)


def replay_of(
    original: Execution, *, by: str, idempotency_key: str | None, at_ms: int
) -> Execution:
    """Return an execution that reads what another read, and reuses nothing of it.

    It has a line of its own. An equal idempotency key gives an equal id.
    """
    nonce = digest(idempotency_key.encode())[:16] if idempotency_key else token_hex(8)
    cause = f"replay:{original.id}:{nonce}"
    return Execution(
        id=digest(f"{original.tenant}\n{cause}".encode()),
        tenant=original.tenant,
        strategy=original.strategy,
        environment=original.environment,
        version=original.version,
        adhoc=True,
        as_of_ns=original.as_of_ns,
        bucket_ns=original.bucket_ns,
        targets=original.targets,
        cause=cause,
        by=by,
        created_ms=at_ms,
        priority=original.priority,
        replays=original.id,
    )


def has_windows(spec: StrategySpec) -> bool:
    """Return whether a node of a strategy looks back at results, so that its buckets have an order.

    It is asked of the whole strategy, whatever the targets: another target's run may look back at
    what this one writes.
    """
    return any(node.looks_back_at() for node in spec.nodes)
