"""What every outbox promises its callers."""

from __future__ import annotations

import threading
import time

import pytest

from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.outbox import OutboxEntry
from tests.support.ledgers import (
    LedgerUnderTest,
    memory_ledger,
    plan_of,
    redis_ledger,
    started,
    succeeded,
)

IDLE_S = 0.2
NEVER_S = 60.0


@pytest.fixture(params=["memory", "redis"])
def subject(request: pytest.FixtureRequest) -> LedgerUnderTest:
    if request.param == "memory":
        return memory_ledger()
    return redis_ledger(request.getfixturevalue("settings"))


def commit(subject: LedgerUnderTest, *node_ids: str) -> str:
    """Commit nodes of a new execution, all at once, and return its id."""
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([list(node_ids)]))
    token = ledger.claim(execution_id, 0, 0, lease_s=NEVER_S).token
    ledger.commit(execution_id, 0, 0, token, [succeeded(n) for n in node_ids], done=True)
    return execution_id


def read(
    subject: LedgerUnderTest, reader: str = "mirror", *, limit: int = 10, idle_s: float = NEVER_S
) -> list[OutboxEntry]:
    return subject.outbox.read(reader, limit=limit, wait_s=0.0, idle_s=idle_s)


def test_a_commit_is_one_entry_that_names_its_nodes(subject: LedgerUnderTest) -> None:
    execution_id = commit(subject, "a", "b")
    (entry,) = read(subject)
    assert (entry.tenant, entry.execution_id) == ("acme", execution_id)
    assert entry.node_ids == ("a", "b")


def test_an_outbox_that_nobody_wrote_to_is_empty(subject: LedgerUnderTest) -> None:
    assert read(subject) == []
    assert subject.outbox.backlog() == 0
    subject.outbox.acknowledge([])


def test_entries_come_oldest_first_and_no_more_than_asked_for(subject: LedgerUnderTest) -> None:
    ids = [commit(subject, "a") for _ in range(3)]
    assert [entry.execution_id for entry in read(subject, limit=2)] == ids[:2]
    assert [entry.execution_id for entry in read(subject, limit=2)] == ids[2:]


def test_an_entry_that_was_not_acknowledged_is_given_again(subject: LedgerUnderTest) -> None:
    commit(subject, "a")
    taken = read(subject, "killed")
    assert read(subject, "next", idle_s=IDLE_S) == []
    subject.pass_time(IDLE_S + 0.05)
    assert read(subject, "next", idle_s=IDLE_S) == taken


def test_what_is_given_again_stands_before_what_is_new(subject: LedgerUnderTest) -> None:
    old = [commit(subject, "a") for _ in range(3)]
    read(subject, "killed")
    subject.pass_time(IDLE_S + 0.05)
    new = commit(subject, "b")
    found = read(subject, "next", idle_s=IDLE_S)
    assert [entry.execution_id for entry in found] == [*old, new]


def test_an_acknowledged_entry_never_comes_again(subject: LedgerUnderTest) -> None:
    commit(subject, "a")
    entries = read(subject)
    subject.outbox.acknowledge(entries)
    subject.outbox.acknowledge(entries)
    subject.pass_time(IDLE_S + 0.05)
    assert read(subject, idle_s=IDLE_S) == []


def test_the_backlog_counts_what_is_not_acknowledged(subject: LedgerUnderTest) -> None:
    commit(subject, "a")
    commit(subject, "b")
    entries = read(subject)
    assert subject.outbox.backlog() == 2
    subject.outbox.acknowledge(entries[:1])
    assert subject.outbox.backlog() == 1


def test_readers_share_the_entries(subject: LedgerUnderTest) -> None:
    ids = {commit(subject, "a") for _ in range(4)}
    first = read(subject, "first", limit=2)
    second = read(subject, "second", limit=2)
    assert {entry.execution_id for entry in first + second} == ids


def test_a_reader_waits_for_the_first_entry(subject: LedgerUnderTest) -> None:
    found: list[OutboxEntry] = []

    def wait() -> None:
        found.extend(subject.outbox.read("mirror", limit=10, wait_s=20.0, idle_s=NEVER_S))

    reader = threading.Thread(target=wait)
    reader.start()
    time.sleep(0.1)
    execution_id = commit(subject, "a")
    reader.join(timeout=15.0)
    assert [entry.execution_id for entry in found] == [execution_id]


def test_a_reader_that_waits_in_vain_gets_nothing(subject: LedgerUnderTest) -> None:
    assert subject.outbox.read("mirror", limit=10, wait_s=0.05, idle_s=NEVER_S) == []


def test_readers_go_on_after_the_server_lost_its_data(settings: Settings) -> None:
    subject = redis_ledger(settings)
    commit(subject, "a")
    read(subject)
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    client.delete(Keys(settings.cell)("outbox"))
    assert read(subject) == []
    execution_id = commit(subject, "b")
    assert [entry.execution_id for entry in read(subject)] == [execution_id]


def test_many_abandoned_entries_are_all_given_again(subject: LedgerUnderTest) -> None:
    ids = [commit(subject, "a") for _ in range(30)]
    for _ in range(3):
        read(subject, "killed", limit=10)
    subject.pass_time(IDLE_S + 0.05)
    found = [read(subject, "next", limit=12, idle_s=IDLE_S) for _ in range(3)]
    assert [entry.execution_id for batch in found for entry in batch] == ids
