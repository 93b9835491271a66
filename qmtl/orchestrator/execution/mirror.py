"""From the outbox to Kafka: every committed result becomes one record a binding, at least once."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from qmtl.common.codec import decode, digest
from qmtl.common.errors import CorruptValue, QmtlError, Refused, Unavailable, UnknownExecution
from qmtl.common.timeline import format_interval, format_time
from qmtl.models.execution import Execution, NodeRecord, Plan, PlannedNode
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.outbox import Outbox, OutboxEntry
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.result_topic import ResultTopic, TopicRecord

BATCH = 200
INLINE_LIMIT_BYTES = 256 * 1024  # of a value, and of the JSON that it makes
READ_NODES = 64  # values that are read at once
SEND_BYTES = 8 * 1024 * 1024  # records that are held at once
WHOLE_NUMBERS = range(-(2**63), 2**64)  # that readers of JSON can be expected to take
IDLE_S = 15.0  # after so long an entry of another mirror is taken over
CONTENT_TYPE = "application/json"
log = logging.getLogger("qmtl.mirror")


class Mirror:
    """Carries outbox entries to the topic and acknowledges them after the broker did."""

    def __init__(
        self, ledger: Ledger, outbox: Outbox, topic: ResultTopic, recent: Recents, name: str
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._topic = topic
        self._recent = recent
        self._name = name

    def carry(self, reader: str, *, wait_s: float) -> int:
        """Mirror one batch, waiting up to ``wait_s`` for its first entry; return its size.

        Entries of an execution that cannot be told are logged and stay in the outbox, where the
        backlog shows them; they hold up no other's. A topic that a node publishes to and that the
        broker refuses is logged and goes without: the results stand on the results topic.

        Raises:
            Unavailable: Redis or Kafka is away; nothing was acknowledged.
            Refused: The broker refuses the results topic; nothing was acknowledged.
        """
        entries = self._outbox.read(reader, limit=BATCH, wait_s=wait_s, idle_s=IDLE_S)
        told: list[OutboxEntry] = []
        waiting: list[TopicRecord] = []
        held = 0
        for group in _by_execution(entries):
            try:
                for record in self._records(group):
                    waiting.append(record)
                    held += len(record.value)
                    if held >= SEND_BYTES:
                        self._send(waiting)
                        waiting, held = [], 0
            except (Unavailable, Refused):
                raise
            except Exception:
                log.exception("Execution %s could not be mirrored.", group[0].execution_id)
            else:
                told += group
        self._send(waiting)
        self._outbox.acknowledge(told)
        return len(entries)

    def _send(self, records: Sequence[TopicRecord]) -> None:
        """Send the results; then, each topic by itself, what nodes publish of them."""
        ours = (self._name, f"{self._name}.adhoc")
        self._topic.send([r for r in records if r.topic in ours])
        for topic in sorted({r.topic for r in records}.difference(ours)):
            published = [r for r in records if r.topic == topic]
            try:
                self._topic.send(published)
            except Refused as error:
                log.warning("Topic %s lacks results (%d): %s", topic, len(published), error)

    def _records(self, entries: Sequence[OutboxEntry]) -> Iterator[TopicRecord]:
        """Read an execution once for all its entries."""
        try:
            execution = self._ledger.get(entries[0].tenant, entries[0].execution_id)
        except UnknownExecution:
            return  # retired before it was mirrored: there is nothing left to say
        plan = self._recent.plan(execution)
        if plan is None:
            return
        published = self._published(execution)
        found = self._ledger.records(execution.id)
        node_ids = [node_id for entry in entries for node_id in entry.node_ids]
        nodes = {node.node_id: node for node in plan.nodes}
        for start in range(0, len(node_ids), READ_NODES):
            piece = node_ids[start : start + READ_NODES]
            # A large value goes by reference, so it is not even read.
            small = [n for n in piece if (found[n].size or 0) <= INLINE_LIMIT_BYTES]
            values = self._ledger.values(execution.id, small)
            for node_id in piece:
                for name in nodes[node_id].names:
                    record = found[node_id]
                    body = result_document(
                        execution, plan, nodes[node_id], name, record, values.get(node_id)
                    )
                    headers = {
                        "content-type": CONTENT_TYPE,
                        "dedupe-id": dedupe_id(execution.id, record.attempt, name),
                    }
                    for topic in self._topics(execution, published.get(name)):
                        yield TopicRecord(topic=topic, key=node_id, value=body, headers=headers)

    def _published(self, execution: Execution) -> dict[str, str]:
        """Return the further topic of each binding that declares one."""
        if execution.adhoc:
            return {}
        try:
            spec = self._recent.version(execution).spec
        except Unavailable:
            raise
        except QmtlError:
            return {}
        return {node.name: node.publish for node in spec.nodes if node.publish}

    def _topics(self, execution: Execution, published: str | None) -> list[str]:
        topics = [f"{self._name}.adhoc" if execution.adhoc else self._name]
        return [*topics, published] if published else topics


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
    if not record.state.has_result:
        return _json(document)
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
