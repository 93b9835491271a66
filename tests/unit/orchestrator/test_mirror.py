"""What the mirror writes, and what cannot stop it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from qmtl.common.codec import digest, encode
from qmtl.common.errors import Refused
from qmtl.models.execution import Execution, NodeRecord, NodeState, Plan
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.result_topic import MemoryResultTopic
from qmtl.orchestrator.execution.mirror import (
    BATCH,
    IDLE_S,
    Mirror,
)
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.result_document import (
    INLINE_LIMIT_BYTES,
    dedupe_id,
    result_document,
)
from qmtl.orchestrator.execution.result_topic import ResultTopic, TopicRecord
from qmtl.orchestrator.execution.shape import Limits
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.ledgers import (
    HandClock,
    LedgerUnderTest,
    attempted,
    failed,
    memory_ledger,
    new_execution,
    plan_of,
    planned_node,
    reuse,
    started,
    succeeded,
)
from tests.support.registry import make_node, make_spec, make_version

LIMITS = Limits(60.0, 1024)
REF = "/v1/executions/e/results/x"


def told(data: bytes | None) -> dict[str, Any]:
    """Return what stands on the topic for a result of these bytes."""
    node = planned_node("n")
    execution = new_execution(id="e")
    record = NodeRecord(node_id="n", state=NodeState.SUCCEEDED)
    body = result_document(execution, plan_of([["n"]]), node, "x", record, data)
    assert len(body) <= INLINE_LIMIT_BYTES
    document: dict[str, Any] = json.loads(body)
    return document


@pytest.mark.parametrize("value", [None, True, 1, 2**63, 1.5, "a", [1, {"b": []}]])
def test_what_json_can_say_stands_in_the_record(value: object) -> None:
    assert told(encode(value))["value"] == value


@pytest.mark.parametrize("value", [float("nan"), b"a", (1,), 2**64, [{"a": (1,)}]])
def test_what_json_cannot_say_goes_by_reference(value: object) -> None:
    document = told(encode(value))
    assert document["value_ref"] == REF
    assert "value" not in document


def test_a_number_too_long_for_json_goes_by_reference() -> None:
    assert told(encode(10**5000))["value_ref"] == REF


def test_a_value_that_grows_over_the_limit_as_json_goes_by_reference() -> None:
    controls = "\x01" * (INLINE_LIMIT_BYTES // 2)  # six characters each in JSON
    assert told(encode(controls))["value_ref"] == REF


def test_bytes_that_hold_no_value_go_by_reference() -> None:
    assert told(b"\xffnonsense")["value_ref"] == REF


def test_a_result_whose_value_was_not_read_goes_by_reference() -> None:
    assert told(None)["value_ref"] == REF


def registry_of_nothing() -> Registry:
    return Registry(MemoryGraphStore(), MemoryStateStore(), MemoryPointStore())


def mirror_of(subject: LedgerUnderTest, topic: ResultTopic, **options: Any) -> Mirror:
    recent = Recents(subject.ledger, registry_of_nothing(), LIMITS)
    return Mirror(subject.ledger, subject.outbox, topic, recent, "results", **options)


def commit(subject: LedgerUnderTest, node_id: str, value: bytes = encode(1)) -> str:
    execution = new_execution()
    ledger = subject.ledger
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of([[node_id]]))
    token = ledger.claim(execution.id, 0, 0, lease_s=60.0).token
    ledger.commit(execution.id, 0, 0, token, [succeeded(node_id, value)], done=True)
    return execution.id


def test_results_of_a_version_that_nobody_knows_any_more_are_mirrored() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    commit(subject, "a")
    mirror_of(subject, topic).carry("reader", wait_s=0.0)
    (record,) = topic.read_all("results", idle_s=0.0, limit=10)
    assert json.loads(record.value)["value"] == 1
    assert subject.outbox.backlog() == 0


def carry(subject: LedgerUnderTest, topic: ResultTopic, **options: Any) -> None:
    """Mirror everything that can be, with a mirror of its own."""
    mirror = mirror_of(subject, topic, **options)
    while mirror.carry("reader", wait_s=0.0):
        pass


def executions(topic: MemoryResultTopic, name: str = "results") -> list[str]:
    found = topic.read_all(name, idle_s=0.0, limit=1_000)
    return [json.loads(record.value)["execution_id"] for record in found]


def break_executions(monkeypatch: pytest.MonkeyPatch, subject: LedgerUnderTest, *ids: str) -> None:
    """Take the records of these executions away."""
    records_of = subject.ledger.records_of
    monkeypatch.setattr(
        subject.ledger,
        "records_of",
        lambda results: [None if r[0] in ids else records_of([r])[0] for r in results],
    )


def test_an_execution_that_cannot_be_told_holds_up_no_other_and_is_put_aside_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    broken, sound = commit(subject, "a"), commit(subject, "b")
    break_executions(monkeypatch, subject, broken)
    carry(subject, topic, tries=2)
    assert executions(topic) == [sound]
    assert (subject.outbox.backlog(), subject.outbox.put_aside()) == (1, 0)
    subject.pass_time(IDLE_S + 1)
    carry(subject, topic, tries=2)
    assert (subject.outbox.backlog(), subject.outbox.put_aside()) == (0, 1)
    assert f"Results of execution {broken} are put aside" in caplog.text


def test_an_entry_that_can_be_told_again_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = commit(subject, "a")
    with monkeypatch.context() as patch:
        break_executions(patch, subject, execution_id)
        carry(subject, topic)
    subject.pass_time(IDLE_S + 1)
    carry(subject, topic)
    assert executions(topic) == [execution_id]
    assert (subject.outbox.backlog(), subject.outbox.put_aside()) == (0, 0)


def test_hundreds_of_entries_that_cannot_be_told_do_not_fill_the_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    broken = [commit(subject, "a") for _ in range(2 * BATCH)]
    break_executions(monkeypatch, subject, *broken)
    carry(subject, topic)
    subject.pass_time(IDLE_S + 1)  # all of them are to be tried again
    sound = commit(subject, "b")
    mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert executions(topic) == [sound]


def test_an_execution_that_nobody_knows_any_more_is_put_aside() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    unknown = MemoryLedger(HandClock())
    commit(subject, "a")
    recent = Recents(unknown, registry_of_nothing(), LIMITS)
    Mirror(unknown, subject.outbox, topic, recent, "results", tries=1).carry("r", wait_s=0.0)
    assert (subject.outbox.backlog(), subject.outbox.put_aside()) == (0, 1)


def test_a_result_whose_value_is_gone_is_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    commit(subject, "a")
    monkeypatch.setattr(subject.ledger, "values_of", lambda results: [None for _ in results])
    carry(subject, topic, tries=1)
    assert executions(topic) == []
    assert subject.outbox.put_aside() == 1


def test_a_result_that_is_another_by_now_is_mirrored_with_its_own_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = commit(subject, "a", encode(1))
    records_of = subject.ledger.records_of

    def read_before_a_retry(results: Sequence[tuple[str, str]]) -> list[NodeRecord | None]:
        found, id_ = records_of(results), execution_id
        monkeypatch.undo()
        subject.ledger.reopen(id_, attempt=1, clear=["a"], fresh=True)
        subject.ledger.start(id_, plan_of([["a"]]))
        token = subject.ledger.claim(id_, 0, 0, lease_s=60.0).token
        subject.ledger.commit(id_, 0, 0, token, [succeeded("a", encode(2))], done=True)
        return found

    monkeypatch.setattr(subject.ledger, "records_of", read_before_a_retry)
    carry(subject, topic)
    subject.pass_time(IDLE_S + 1)
    carry(subject, topic)
    told = [json.loads(r.value) for r in topic.read_all("results", idle_s=0.0, limit=10)]
    assert {(d["execution_id"], d["value"], d["digest"]) for d in told} == {
        (execution_id, 2, digest(encode(2)))
    }


def test_a_broken_entry_takes_no_other_of_its_execution_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ledger = subject.ledger
    execution = new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of([["a"], ["b"]]))
    for shard, node_id in enumerate(["a", "b"]):
        token = ledger.claim(execution.id, 0, shard, lease_s=60.0).token
        ledger.commit(execution.id, 0, shard, token, [succeeded(node_id, encode(1))], done=True)
    values_of = ledger.values_of
    monkeypatch.setattr(
        ledger,
        "values_of",
        lambda results: [None if r[1] == "a" else values_of([r])[0] for r in results],
    )
    carry(subject, topic, tries=1)
    (record,) = {r.key for r in topic.read_all("results", idle_s=0.0, limit=10)}
    assert record == "b"
    assert (subject.outbox.backlog(), subject.outbox.put_aside()) == (0, 1)


def test_a_batch_reads_the_records_of_its_own_nodes_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ledger, names = subject.ledger, list("abcd")
    execution_id = started(ledger, plan_of([names]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    read: list[str] = []
    records, records_of = ledger.records, ledger.records_of

    def all_of(id_: str) -> dict[str, NodeRecord]:
        found = records(id_)
        read.extend(found)
        return found

    def some(results: Sequence[tuple[str, str]]) -> list[NodeRecord | None]:
        read.extend(node_id for _, node_id in results)
        return records_of(results)

    monkeypatch.setattr(ledger, "records", all_of)
    monkeypatch.setattr(ledger, "records_of", some)
    for name in names:
        nodes = [succeeded(name, encode(1))]
        ledger.commit(execution_id, 0, 0, token, nodes, done=name == "d")
        carry(subject, topic)
    assert read == names
    assert [record.key for record in topic.read_all("results", idle_s=0.0, limit=10)] == names


def test_more_records_than_are_read_at_once_are_told_in_order_with_those_that_were_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qmtl.orchestrator.execution.mirror.READ_RECORDS", 2)
    subject, topic = memory_ledger(), MemoryResultTopic()
    ledger, names = subject.ledger, list("abcde")
    execution_id = started(ledger, plan_of([names]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    nodes = [succeeded(name, encode(1)) for name in names]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    ledger.reopen(execution_id, attempt=1, clear=["b", "d"], fresh=True)
    asked: list[int] = []
    records_of = ledger.records_of

    def counted(results: Sequence[tuple[str, str]]) -> list[NodeRecord | None]:
        asked.append(len(results))
        return records_of(results)

    monkeypatch.setattr(ledger, "records_of", counted)
    carry(subject, topic)
    assert [record.key for record in topic.read_all("results", idle_s=0.0, limit=10)] == names
    assert asked == [2, 2, 1]


def test_what_was_reused_is_mirrored_with_its_value() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    source, execution = commit(subject, "a", encode(7)), new_execution()
    subject.ledger.create(execution, {})
    subject.ledger.start(execution.id, plan_of(done=["a"]), [reuse("a", source, encode(7))])
    carry(subject, topic)
    told = [json.loads(r.value) for r in topic.read_all("results", idle_s=0.0, limit=10)]
    assert [(d["execution_id"], d["state"], d["value"]) for d in told] == [
        (source, "SUCCEEDED", 7),
        (execution.id, "REUSED", 7),
    ]


def run_again(subject: LedgerUnderTest, execution_id: str, value: bytes) -> None:
    """Compute node a of an execution that ended once more."""
    ledger = subject.ledger
    ledger.start(execution_id, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    nodes = [attempted(succeeded("a", value, digest(value)), 2)]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)


def documents(topic: MemoryResultTopic) -> list[dict[str, Any]]:
    return [json.loads(r.value) for r in topic.read_all("results", idle_s=0.0, limit=10)]


def computed(subject: LedgerUnderTest, value: bytes) -> str:
    """Commit node a of a new execution with the digest of its value."""
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a", value, digest(value))], done=True)
    return execution_id


def test_a_result_that_a_later_attempt_clears_before_it_was_mirrored_is_told() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = computed(subject, encode(1))
    subject.ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=True)
    carry(subject, topic)
    assert [(d["attempt"], d["state"], d["value"]) for d in documents(topic)] == [
        (1, "SUCCEEDED", 1)
    ]
    run_again(subject, execution_id, encode(2))
    carry(subject, topic)
    assert [(d["attempt"], d["value"]) for d in documents(topic)] == [(1, 1), (2, 2)]
    assert subject.outbox.backlog() == 0


def test_a_result_that_a_later_attempt_replaced_before_it_was_mirrored_is_told_once() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = computed(subject, encode(1))
    subject.ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=True)
    run_again(subject, execution_id, encode(2))
    carry(subject, topic)
    first, second = documents(topic)
    assert (first["attempt"], first["digest"], first["replaced"]) == (1, digest(encode(1)), True)
    assert not first.keys() & {"value", "value_ref"}, "its value is gone, and the next's is not its"
    assert (second["attempt"], second["value"]) == (2, 2)
    ids = [r.headers["dedupe-id"] for r in topic.read_all("results", idle_s=0.0, limit=10)]
    assert ids == [dedupe_id(execution_id, attempt, "name_a") for attempt in (1, 2)]


def test_a_failure_that_was_resumed_before_it_was_mirrored_is_told() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    ledger.commit(execution_id, 0, 0, token, [failed("a")], done=True)
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    run_again(subject, execution_id, encode(2))
    carry(subject, topic)
    told = [(d["attempt"], d["state"], "error" in d) for d in documents(topic)]
    assert told == [(1, "FAILED", True), (2, "SUCCEEDED", False)]


def test_a_retry_between_two_reads_of_the_mirror_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ledger = subject.ledger
    execution_id = computed(subject, encode(1))
    plan = Recents.plan

    def late(recent: Recents, execution: Execution) -> Plan | None:
        found = plan(recent, execution)
        ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=True)
        return found

    monkeypatch.setattr(Recents, "plan", late)
    carry(subject, topic)
    assert [(d["attempt"], d["value"]) for d in documents(topic)] == [(1, 1)]


def test_a_broker_that_lost_its_data_gets_everything_retained_anew() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ids = [commit(subject, name) for name in "abc"]
    carry(subject, topic)
    before = topic.read_all("results", idle_s=0.0, limit=10)
    topic.lose()
    carry(subject, topic)  # nothing new was committed
    assert executions(topic) == ids
    assert topic.read_all("results", idle_s=0.0, limit=10) == before, "with equal dedupe ids"
    assert subject.outbox.backlog() == 0


def test_two_mirrors_that_see_a_loss_mirror_anew_once() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ids = [commit(subject, name) for name in "abc"]
    carry(subject, topic)
    topic.lose()
    one, other = mirror_of(subject, topic), mirror_of(subject, topic)
    assert [one.carry("one", wait_s=0.0), other.carry("other", wait_s=0.0)] == [3, 0]
    assert executions(topic) == ids


def test_a_first_start_mirrors_nothing_twice() -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    ids = [commit(subject, "a")]
    carry(subject, topic)
    ids.append(commit(subject, "b"))
    carry(subject, topic)
    assert executions(topic) == ids


def test_a_loss_between_sending_and_acknowledging_is_made_good() -> None:
    class Losing(MemoryResultTopic):
        """Loses everything once, right after it acknowledged a batch."""

        lost = False

        def send(self, records: Sequence[TopicRecord]) -> None:
            super().send(records)
            if records and not self.lost:
                self.lost = True
                self.lose()

    subject, topic = memory_ledger(), Losing()
    execution_id = commit(subject, "a")
    carry(subject, topic)
    assert executions(topic) == []
    carry(subject, topic)
    assert executions(topic) == [execution_id]


class PickyTopic(MemoryResultTopic):
    """A broker that refuses some topics."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self._refused = refused

    def send(self, records: Sequence[TopicRecord]) -> None:
        if any(record.topic in self._refused for record in records):
            raise Refused("kafka", "That topic is not for you.")
        super().send(records)


def publishing(monkeypatch: pytest.MonkeyPatch, **topics: str) -> None:
    """Make every version publish these bindings."""
    nodes = [replace(make_node(name), publish=topic) for name, topic in topics.items()]
    version = make_version("acme", make_spec("golden_cross", nodes))
    monkeypatch.setattr(Recents, "version", lambda *_: version)


def test_a_published_topic_that_is_refused_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publishing(monkeypatch, name_a="forbidden", name_b="signals")
    subject, topic = memory_ledger(), PickyTopic("forbidden")
    commit(subject, "a")
    commit(subject, "b")
    mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert len(topic.read_all("results", idle_s=0.0, limit=10)) == 2
    assert len(topic.read_all("signals", idle_s=0.0, limit=10)) == 1
    assert subject.outbox.backlog() == 0
    assert "Topic forbidden lacks results (1)" in caplog.text


def test_a_lost_topic_of_a_node_is_mirrored_anew_too(monkeypatch: pytest.MonkeyPatch) -> None:
    publishing(monkeypatch, name_a="signals")
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = commit(subject, "a")
    carry(subject, topic)
    topic.lose("signals")
    carry(subject, topic)
    assert executions(topic, "signals") == [execution_id]
    assert executions(topic) == [execution_id] * 2, "consumers drop equal dedupe ids"


def test_results_wait_while_their_own_topic_is_refused() -> None:
    subject, topic = memory_ledger(), PickyTopic("results")
    commit(subject, "a")
    with pytest.raises(Refused):
        mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert subject.outbox.backlog() == 1


class FullTopic(MemoryResultTopic):
    """A broker that refuses everything from some record on."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def send(self, records: Sequence[TopicRecord]) -> None:
        self._room -= len(records)
        if self._room < 0:
            raise Refused("kafka", "That topic takes no more.")
        super().send(records)


def test_what_arrived_of_a_batch_of_many_bytes_is_acknowledged_whatever_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qmtl.orchestrator.execution.mirror.SEND_BYTES", 1)
    subject, topic = memory_ledger(), FullTopic(room=2)
    ids = [commit(subject, "a") for _ in range(3)]
    with pytest.raises(Refused):
        mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert executions(topic) == ids[:2]
    assert subject.outbox.backlog() == 1


def trigger_adhoc(subject: LedgerUnderTest) -> str:
    """Commit a node of an execution that has a line of its own."""
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]), adhoc=True)
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a", encode(1))], done=True)
    return execution_id


@pytest.mark.parametrize("refused", ["results", "results.adhoc"])
def test_a_results_topic_that_is_refused_repeats_and_holds_up_nothing_of_the_other(
    refused: str,
) -> None:
    subject, topic = memory_ledger(), PickyTopic(refused)
    ids: dict[str, list[str]] = {"results": [], "results.adhoc": []}
    for _ in range(2):
        ids["results"].append(commit(subject, "a"))
        ids["results.adhoc"].append(trigger_adhoc(subject))
    other = next(name for name in ids if name != refused)
    for _ in range(3):
        with pytest.raises(Refused):
            mirror_of(subject, topic).carry("reader", wait_s=0.0)
        subject.pass_time(IDLE_S + 1)
    assert executions(topic, other) == ids[other]
    assert executions(topic, refused) == []
    assert subject.outbox.backlog() == 2


def test_what_nodes_publish_waits_with_results_that_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publishing(monkeypatch, name_a="signals")
    subject, topic = memory_ledger(), PickyTopic("results")
    commit(subject, "a")
    with pytest.raises(Refused):
        mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert executions(topic, "signals") == []


def test_a_batch_of_many_bytes_goes_on_without_the_topic_that_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qmtl.orchestrator.execution.mirror.SEND_BYTES", 1)
    subject, topic = memory_ledger(), PickyTopic("results.adhoc")
    ids = []
    for _ in range(2):
        trigger_adhoc(subject)
        ids.append(commit(subject, "a"))
    with pytest.raises(Refused):
        mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert executions(topic) == ids
    assert subject.outbox.backlog() == 2


def test_a_large_value_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = commit(subject, "a", encode("x" * (INLINE_LIMIT_BYTES + 1)))
    read: list[str] = []

    def values_of(results: list[tuple[str, str, str]]) -> list[None]:
        read.extend(node_id for _, node_id, _ in results)
        return [None for _ in results]

    monkeypatch.setattr(subject.ledger, "values_of", values_of)
    mirror_of(subject, topic).carry("reader", wait_s=0.0)
    (record,) = topic.read_all("results", idle_s=0.0, limit=10)
    ref = f"/v1/executions/{execution_id}/results/name_a"
    assert (json.loads(record.value)["value_ref"], read) == (ref, [])
