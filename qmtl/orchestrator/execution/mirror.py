"""From the outbox to Kafka: every committed result becomes one record a binding, at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from qmtl.common.errors import QmtlError, Refused, Unavailable, UnknownExecution
from qmtl.models.execution import Execution, NodeRecord
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.outbox import Outbox, OutboxEntry
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.result_document import (
    INLINE_LIMIT_BYTES,
    dedupe_id,
    result_document,
)
from qmtl.orchestrator.execution.result_topic import DEDUPE_HEADER, ResultTopic, TopicRecord
from qmtl.orchestrator.execution.topic_watch import TopicWatch

BATCH = 200
READ_RECORDS = 500  # that are read at once
READ_NODES = 64  # values that are read at once
SEND_BYTES = 8 * 1024 * 1024  # records of a topic that are held at once
IDLE_S = 15.0  # after so long an entry of another mirror is taken over, or tried once more
TRIES = 5  # of an entry that cannot be told
REASON_LENGTH = 500
READER_IDLE_S = 3_600.0  # after so long without a read, a mirror counts as gone
CONTENT_TYPE = "application/json"
log = logging.getLogger("qmtl.mirror")


class _Untold(Exception):
    """The ledger no longer has what an entry speaks of."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A record that was committed; ``cleared`` says that a later attempt runs its node again."""

    record: NodeRecord
    cleared: bool


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
        self._ours = (name, f"{name}.adhoc")
        self._tries = tries
        self._watch = TopicWatch(outbox, topic)

    def carry(self, reader: str, *, wait_s: float) -> int:
        """Mirror one batch, waiting up to ``wait_s`` for its first entry; return its size.

        Every few seconds it first looks whether Kafka lost a topic; then what is retained is
        mirrored anew. An entry that cannot be told is logged, and put aside after some tries; it
        holds up no other. What goes to either of the two results topics is acknowledged whatever
        becomes of the other's. A topic that a node publishes to and that the broker refuses is
        logged and goes without: the results stand on the results topic.

        Raises:
            Unavailable: Redis or Kafka is away; what did not arrive was not acknowledged.
            Refused: The broker refuses a results topic; what it refused was not acknowledged.
        """
        if self._watch.look():
            self._outbox.trim()  # also where nothing is committed any more
            self._outbox.forget_readers(idle_s=READER_IDLE_S)
        entries = self._outbox.read(reader, limit=BATCH, wait_s=wait_s, idle_s=IDLE_S)
        sendings = {topic: _Sending(self._send, self._outbox.acknowledge) for topic in self._ours}
        for group in _by_execution(entries):
            self._tell(group, sendings)
        for sending in sendings.values():
            sending.flush()
        for sending in sendings.values():
            if sending.refused is not None:
                raise sending.refused
        return len(entries)

    def _tell(self, group: Sequence[OutboxEntry], sendings: Mapping[str, _Sending]) -> None:
        """Send what entries of one execution speak of, and note those that could be told."""
        try:
            execution = self._ledger.get(group[0].tenant, group[0].execution_id)
            sending = sendings[self._own_topic(execution)]
            for record in self._records(execution, group):
                sending.add(record)
        except Unavailable:
            raise
        except (UnknownExecution, _Untold) as error:
            reason = str(error)
            log.warning("Execution %s cannot be mirrored: %s", group[0].execution_id, reason)
        except Exception as error:
            reason = repr(error)
            log.exception("Execution %s cannot be mirrored.", group[0].execution_id)
        else:
            sending.told += group
            return
        if len(group) > 1:  # one entry does not hold up the others of its execution
            for each in group:
                self._tell([each], sendings)
        elif self._outbox.reject(list(group), reason=reason[:REASON_LENGTH], tries=self._tries):
            log.error("Results of execution %s are put aside: %s", group[0].execution_id, reason)

    def _send(self, records: Sequence[TopicRecord]) -> None:
        """Send the results; then, each topic by itself, what nodes publish of them."""
        if not records:
            return
        self._watch.note({record.topic for record in records})
        self._topic.send([r for r in records if r.topic in self._ours])
        for topic in sorted({r.topic for r in records}.difference(self._ours)):
            published = [r for r in records if r.topic == topic]
            try:
                self._topic.send(published)
            except Refused as error:
                log.warning("Topic %s lacks results (%d): %s", topic, len(published), error)

    def _records(
        self, execution: Execution, entries: Sequence[OutboxEntry]
    ) -> Iterator[TopicRecord]:
        """Read an execution once for all its entries."""
        plan = self._recent.plan(execution)
        if plan is None:
            raise _Untold("It has no plan any more.")
        published = self._published(execution)
        told = self._told(entries)
        nodes = {node.node_id: node for node in plan.nodes}
        for start in range(0, len(told), READ_NODES):
            piece = told[start : start + READ_NODES]
            values = self._values(execution.id, [each.record for each in piece])
            for each in piece:
                record = each.record
                value = values.get((record.node_id, record.digest or ""))
                lacks = value is None and record.state.has_result
                if lacks and not each.cleared and _is_small(record):
                    raise _Untold("Values of its nodes are gone.")  # or a later attempt's since
                node = nodes[record.node_id]
                for name in node.names:
                    body = result_document(
                        execution, plan, node, name, record, value, replaced=lacks and each.cleared
                    )
                    headers = {
                        "content-type": CONTENT_TYPE,
                        DEDUPE_HEADER: dedupe_id(execution.id, record.attempt, name),
                    }
                    for topic in self._topics(execution, published.get(name)):
                        yield TopicRecord(
                            topic=topic, key=record.node_id, value=body, headers=headers
                        )

    def _told(self, entries: Sequence[OutboxEntry]) -> list[_Told]:
        """Return the records that entries of one execution speak of, whatever cleared them since.

        Only theirs are read: a long execution is mirrored in many batches.
        """
        wanted = [(entry.attempt, node_id) for entry in entries for node_id in entry.node_ids]
        told: list[_Told] = []
        for start in range(0, len(wanted), READ_RECORDS):
            piece = wanted[start : start + READ_RECORDS]
            told += self._committed(entries[0].execution_id, piece)
        if len(told) < len(wanted):
            raise _Untold("Records of its nodes are gone.")
        return told

    def _committed(self, execution_id: str, wanted: Sequence[tuple[int, str]]) -> list[_Told]:
        """Return those of the wanted records (attempt, node id) that are there, in their order.

        Those of now are read before those that were cleared, which a record may join meanwhile.
        """
        records = self._ledger.records_of([(execution_id, node_id) for _, node_id in wanted])
        now = {(each.attempt, each.node_id): each for each in records if each is not None}
        others = [key for key in wanted if key not in now]
        cleared = self._ledger.cleared(execution_id, others) if others else {}
        return [
            _Told(now[key], cleared=False) if key in now else _Told(cleared[key], cleared=True)
            for key in wanted
            if key in now or key in cleared
        ]

    def _values(
        self, execution_id: str, records: Sequence[NodeRecord]
    ) -> dict[tuple[str, str], bytes]:
        """Return the values of records by node and digest, as far as they are still there.

        A large one goes by reference, so it is not even read.
        """
        asked = [
            (execution_id, record.node_id, record.digest or "")
            for record in records
            if record.state.has_result and _is_small(record)
        ]
        found = self._ledger.values_of(asked) if asked else []
        return {
            (node_id, wanted): value
            for (_, node_id, wanted), value in zip(asked, found, strict=True)
            if value is not None
        }

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
        topics = [self._own_topic(execution)]
        return [*topics, published] if published else topics

    def _own_topic(self, execution: Execution) -> str:
        return self._ours[execution.adhoc]


class _Sending:
    """Records on their way to one results topic, sent whenever they are many bytes.

    Attributes:
        told: Entries whose records were all added; acknowledged once these have arrived.
        refused: Why the broker takes none; it is not asked again.
    """

    def __init__(
        self,
        send: Callable[[Sequence[TopicRecord]], None],
        acknowledge: Callable[[list[OutboxEntry]], None],
    ) -> None:
        self._send = send
        self._acknowledge = acknowledge
        self._waiting: list[TopicRecord] = []
        self._held = 0
        self.told: list[OutboxEntry] = []
        self.refused: Refused | None = None

    def add(self, record: TopicRecord) -> None:
        if self._held >= SEND_BYTES:  # before: an entry is told when its last one is sent
            self.flush()
        self._waiting.append(record)
        self._held += len(record.value)

    def flush(self) -> None:
        waiting, self._waiting, self._held = self._waiting, [], 0
        if self.refused is not None:
            return
        try:
            self._send(waiting)
        except Refused as error:
            self.refused = error
            return
        told, self.told = self.told, []
        self._acknowledge(told)


def _by_execution(entries: Sequence[OutboxEntry]) -> list[list[OutboxEntry]]:
    groups: dict[str, list[OutboxEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.execution_id, []).append(entry)
    return list(groups.values())


def _is_small(record: NodeRecord) -> bool:
    return (record.size or 0) <= INLINE_LIMIT_BYTES
