"""From the outbox to Kafka: every committed result becomes one record a binding, at least once."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from qmtl.orchestrator.execution.topic_watch import TopicWatch

BATCH = 200
INLINE_LIMIT_BYTES = 256 * 1024  # of a value, and of the JSON that it makes
READ_NODES = 64  # values that are read at once
SEND_BYTES = 8 * 1024 * 1024  # records that are held at once
WHOLE_NUMBERS = range(-(2**63), 2**64)  # that readers of JSON can be expected to take
IDLE_S = 15.0  # after so long an entry of another mirror is taken over, or tried once more
TRIES = 5  # of an entry that cannot be told
REASON_LENGTH = 500
READER_IDLE_S = 3_600.0  # after so long without a read, a mirror counts as gone
CONTENT_TYPE = "application/json"
log = logging.getLogger("qmtl.mirror")


class _Untold(Exception):
    """The ledger no longer has what an entry speaks of."""


class Mirror:
    """Carries outbox entries to the topic and acknowledges them after the broker did."""

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        topic: ResultTopic,
        recent: Recents,
        name: str,
        *,
        tries: int = TRIES,
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._topic = topic
        self._recent = recent
        self._name = name
        self._tries = tries
        self._watch = TopicWatch(outbox, topic)

    def carry(self, reader: str, *, wait_s: float) -> int:
        """Mirror one batch, waiting up to ``wait_s`` for its first entry; return its size.

        Every few seconds it first looks whether Kafka lost a topic; then what is retained is
        mirrored anew. An entry that cannot be told is logged, and put aside after some tries; it
        holds up no other. A topic that a node publishes to and that the broker refuses is logged
        and goes without: the results stand on the results topic.

        Raises:
            Unavailable: Redis or Kafka is away; nothing was acknowledged.
            Refused: The broker refuses the results topic; nothing was acknowledged.
        """
        if self._watch.look():
            self._outbox.trim()  # also where nothing is committed any more
            self._outbox.forget_readers(idle_s=READER_IDLE_S)
        entries = self._outbox.read(reader, limit=BATCH, wait_s=wait_s, idle_s=IDLE_S)
        sending = _Sending(self._send)
        told: list[OutboxEntry] = []
        for group in _by_execution(entries):
            untold = self._tell(group, sending)
            told += (entry for entry in group if entry not in untold)
        sending.flush()
        self._outbox.acknowledge(told)
        return len(entries)

    def _tell(self, group: Sequence[OutboxEntry], sending: _Sending) -> Sequence[OutboxEntry]:
        """Send what entries of one execution speak of; return those that could not be told."""
        try:
            for record in self._records(group):
                sending.add(record)
        except (Unavailable, Refused):
            raise
        except (UnknownExecution, _Untold) as error:
            reason = str(error)
            log.warning("Execution %s cannot be mirrored: %s", group[0].execution_id, reason)
        except Exception as error:
            reason = repr(error)
            log.exception("Execution %s cannot be mirrored.", group[0].execution_id)
        else:
            return []
        if len(group) > 1:  # one entry does not hold up the others of its execution
            return [entry for each in group for entry in self._tell([each], sending)]
        if self._outbox.reject(list(group), reason=reason[:REASON_LENGTH], tries=self._tries):
            log.error("Results of execution %s are put aside: %s", group[0].execution_id, reason)
        return group

    def _send(self, records: Sequence[TopicRecord]) -> None:
        """Send the results; then, each topic by itself, what nodes publish of them."""
        if not records:
            return
        self._watch.note({record.topic for record in records})
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
        execution = self._ledger.get(entries[0].tenant, entries[0].execution_id)
        plan = self._recent.plan(execution)
        if plan is None:
            raise _Untold("It has no plan any more.")
        published = self._published(execution)
        found = self._ledger.records(execution.id)
        node_ids = [node_id for entry in entries for node_id in entry.node_ids]
        if execution.attempt > 1:  # a later attempt cleared some, and tells them in its own entries
            node_ids = [node_id for node_id in node_ids if node_id in found]
        elif any(node_id not in found for node_id in node_ids):
            raise _Untold("Records of its nodes are gone.")
        nodes = {node.node_id: node for node in plan.nodes}
        for start in range(0, len(node_ids), READ_NODES):
            piece = node_ids[start : start + READ_NODES]
            # A large value goes by reference, so it is not even read.
            small = [n for n in piece if (found[n].size or 0) <= INLINE_LIMIT_BYTES]
            values = self._ledger.values(execution.id, small)
            if any(found[n].state.has_result and n not in values for n in small):
                raise _Untold("Values of its nodes are gone.")
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


class _Sending:
    """Records on their way, sent whenever they are many bytes."""

    def __init__(self, send: Callable[[Sequence[TopicRecord]], None]) -> None:
        self._send = send
        self._waiting: list[TopicRecord] = []
        self._held = 0

    def add(self, record: TopicRecord) -> None:
        self._waiting.append(record)
        self._held += len(record.value)
        if self._held >= SEND_BYTES:
            self.flush()

    def flush(self) -> None:
        waiting, self._waiting, self._held = self._waiting, [], 0
        self._send(waiting)


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
