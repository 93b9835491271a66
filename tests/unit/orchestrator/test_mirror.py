"""What the mirror writes, and what cannot stop it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from qmtl.common.codec import encode
from qmtl.common.errors import Refused
from qmtl.models.execution import NodeRecord, NodeState
from qmtl.orchestrator.execution.memory.result_topic import MemoryResultTopic
from qmtl.orchestrator.execution.mirror import INLINE_LIMIT_BYTES, Mirror, result_document
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.result_topic import TopicRecord
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.ledgers import (
    LedgerUnderTest,
    memory_ledger,
    new_execution,
    plan_of,
    planned_node,
    succeeded,
)
from tests.support.registry import make_node, make_spec, make_version

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


def mirror_of(subject: LedgerUnderTest, topic: MemoryResultTopic) -> Mirror:
    registry = Registry(MemoryGraphStore(), MemoryStateStore(), MemoryPointStore())
    recent = Recents(subject.ledger, registry)
    return Mirror(subject.ledger, subject.outbox, topic, recent, "results")


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


def test_an_execution_that_cannot_be_told_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    broken, sound = commit(subject, "a"), commit(subject, "b")
    records = subject.ledger.records
    monkeypatch.setattr(
        subject.ledger, "records", lambda id_: {} if id_ == broken else records(id_)
    )
    mirror_of(subject, topic).carry("reader", wait_s=0.0)
    found = topic.read_all("results", idle_s=0.0, limit=10)
    assert [json.loads(r.value)["execution_id"] for r in found] == [sound]
    assert subject.outbox.backlog() == 1, "nothing is given up: it is told once it can be"


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


def test_results_wait_while_their_own_topic_is_refused() -> None:
    subject, topic = memory_ledger(), PickyTopic("results")
    commit(subject, "a")
    with pytest.raises(Refused):
        mirror_of(subject, topic).carry("reader", wait_s=0.0)
    assert subject.outbox.backlog() == 1


def test_a_large_value_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, topic = memory_ledger(), MemoryResultTopic()
    execution_id = commit(subject, "a", encode("x" * (INLINE_LIMIT_BYTES + 1)))
    read: list[str] = []

    def values(_: str, node_ids: list[str]) -> dict[str, bytes]:
        read.extend(node_ids)
        return {}

    monkeypatch.setattr(subject.ledger, "values", values)
    mirror_of(subject, topic).carry("reader", wait_s=0.0)
    (record,) = topic.read_all("results", idle_s=0.0, limit=10)
    ref = f"/v1/executions/{execution_id}/results/name_a"
    assert (json.loads(record.value)["value_ref"], read) == (ref, [])
