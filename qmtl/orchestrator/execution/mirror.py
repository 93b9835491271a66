"""From the outbox to Kafka: every committed result becomes one record a binding, at least once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from qmtl.common.codec import decode, digest
from qmtl.common.errors import UnknownExecution
from qmtl.common.timeline import format_interval, format_time
from qmtl.models.execution import Execution, NodeRecord, Plan, PlannedNode
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.outbox import Outbox, OutboxEntry
from qmtl.orchestrator.execution.result_topic import ResultTopic, TopicRecord
from qmtl.registry.api import Registry

BATCH = 200
INLINE_LIMIT_BYTES = 256 * 1024
IDLE_S = 15.0  # after so long an entry of another mirror is taken over
CONTENT_TYPE = "application/json"


class Mirror:
    """Carries outbox entries to the topic and acknowledges them after the broker did."""

    def __init__(
        self, ledger: Ledger, outbox: Outbox, topic: ResultTopic, registry: Registry, name: str
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._topic = topic
        self._registry = registry
        self._name = name

    def carry(self, reader: str, *, wait_s: float) -> int:
        """Mirror one batch, waiting up to ``wait_s`` for its first entry; return its size.

        Raises:
            Unavailable: Redis or Kafka is away; nothing was acknowledged.
        """
        entries = self._outbox.read(reader, limit=BATCH, wait_s=wait_s, idle_s=IDLE_S)
        records = [r for group in _by_execution(entries) for r in self._records(group)]
        if records:
            self._topic.send(records)
        if entries:
            self._outbox.acknowledge(entries)
        return len(entries)

    def _records(self, entries: Sequence[OutboxEntry]) -> Iterator[TopicRecord]:
        """Read an execution once for all its entries."""
        try:
            execution = self._ledger.get(entries[0].tenant, entries[0].execution_id)
        except UnknownExecution:
            return  # retired before it was mirrored: there is nothing left to say
        plan = self._ledger.plan(execution.id)
        if plan is None:
            return
        spec = self._registry.get_nodes(
            execution.tenant, execution.strategy, execution.version
        ).spec
        found = self._ledger.records(execution.id)
        node_ids = [node_id for entry in entries for node_id in entry.node_ids]
        values = self._ledger.values(execution.id, node_ids)
        nodes = {node.node_id: node for node in plan.nodes}
        for node_id in node_ids:
            for name in nodes[node_id].names:
                body = result_document(
                    execution, plan, nodes[node_id], name, found[node_id], values.get(node_id)
                )
                yield from self._on_topics(execution, spec, name, node_id, body)

    def _on_topics(
        self, execution: Execution, spec: StrategySpec, name: str, node_id: str, body: bytes
    ) -> Iterator[TopicRecord]:
        node = spec.node(name)
        topics = [f"{self._name}.adhoc" if execution.adhoc else self._name]
        if node and node.publish and not execution.adhoc:
            topics.append(node.publish)
        headers = {
            "content-type": CONTENT_TYPE,
            "dedupe-id": dedupe_id(execution.id, execution.attempt, name),
        }
        for topic in topics:
            yield TopicRecord(topic=topic, key=node_id, value=body, headers=headers)


def _by_execution(entries: Sequence[OutboxEntry]) -> list[list[OutboxEntry]]:
    groups: dict[str, list[OutboxEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.execution_id, []).append(entry)
    return list(groups.values())


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
) -> bytes:
    """Return the JSON of one binding's result, as it stands on the topic."""
    document: dict[str, Any] = {
        "execution_id": execution.id,
        "attempt": record.attempt,
        "strategy": execution.strategy,
        "version": execution.version,
        "environment": execution.environment,
        "binding": name,
        "node_id": node.node_id,
        "interval": None if node.interval_ns is None else format_interval(node.interval_ns),
        "bucket": format_time(node.bucket_ns),
        "as_of": format_time(execution.as_of_ns),
        "revision": max((pin.revision for pin in plan.pins), default=0),
        "state": str(record.state),
        "digest": record.digest,
    }
    if record.error is not None:
        document["error"] = {"code": record.error.code, "message": record.error.message}
    if value is not None:
        document |= _value(execution.id, name, value)
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _value(execution_id: str, name: str, data: bytes) -> dict[str, Any]:
    if len(data) <= INLINE_LIMIT_BYTES:
        value = decode(data)
        if is_json(value):
            return {"value": value}
    return {"value_ref": f"/v1/executions/{execution_id}/results/{name}"}


def is_json(value: object) -> bool:
    """Whether JSON says a value without loss of kind: no NaN, tuple, bytes, time or array."""
    pending: list[object] = [value]
    while pending:
        match pending.pop():
            case None | bool() | int() | str():
                pass
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
