"""The record of a result on a topic: its JSON, and the id that repeats of it share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from qmtl.common.codec import decode, digest
from qmtl.common.errors import CorruptValue
from qmtl.common.timeline import format_interval, format_time
from qmtl.models.execution import Execution, NodeRecord, Plan, PlannedNode

INLINE_LIMIT_BYTES = 256 * 1024  # of a value, and of the JSON that it makes
WHOLE_NUMBERS = range(-(2**63), 2**64)  # that readers of JSON can be expected to take


def dedupe_id(execution_id: str, attempt: int, binding: str) -> str:
    """Return what two records of the same result have in common, 32 hex characters."""
    return digest(f"{execution_id}\n{attempt}\n{binding}".encode())


def result_document(
    execution: Execution,
    plan: Plan,
    node: PlannedNode,
    name: str,
    record: NodeRecord,
    value: bytes | None,
    *,
    replaced: bool = False,
) -> bytes:
    """Return the JSON of one binding's result, as it stands on the topic.

    One that was ``replaced`` by a later attempt before it was told says so, and has no value.
    """
    document: dict[str, Any] = {
        "execution_id": execution.id,
        "attempt": record.attempt,
        "strategy": execution.strategy,
        "version": execution.version,
        "environment": execution.environment,
        "binding": name,
        "node_id": node.node_id,
        "interval": None if node.interval_ns is None else format_interval(node.interval_ns),
        "bucket": format_time(node.bucket_ns(execution.as_of_ns)),
        "as_of": format_time(execution.as_of_ns),
        "revision": max((pin.revision for pin in plan.pins), default=0),
        "state": str(record.state),
        "digest": record.digest,
    }
    if record.error is not None:
        document["error"] = {"code": record.error.code, "message": record.error.message}
    if not record.state.has_result:
        return _json(document)
    if replaced:
        return _json(document | {"replaced": True})
    with suppress(_NotJson):
        body = _json(document | {"value": _plain(value)})
        if len(body) <= INLINE_LIMIT_BYTES:
            return body
    return _json(document | {"value_ref": f"/v1/executions/{execution.id}/results/{name}"})


class _NotJson(Exception):
    """A value goes by reference."""


def _plain(data: bytes | None) -> object:
    if data is None or len(data) > INLINE_LIMIT_BYTES:
        raise _NotJson
    try:
        value = decode(data)
    except CorruptValue as error:
        raise _NotJson from error
    if not is_json(value):
        raise _NotJson
    return value


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def is_json(value: object) -> bool:
    """Whether JSON says a value without loss of kind: no NaN, tuple, bytes, time or array."""
    pending: list[object] = [value]
    while pending:
        match pending.pop():
            case None | bool() | str():
                pass
            case int() as number:
                if number not in WHOLE_NUMBERS:
                    return False
            case float() as number:
                if not math.isfinite(number):
                    return False
            case list() as items:
                pending.extend(items)
            case dict() as items:
                pending.extend(items.values())
            case _:
                return False
    return True
