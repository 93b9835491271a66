"""What every outbox promises its callers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from qmtl.orchestrator.execution.outbox import Outbox, OutboxEntry
from qmtl.orchestrator.execution.redis.outbox import GROUP, RedisOutbox
from tests.support.ledgers import (
    LedgerUnderTest,
    plan_of,
    redis_ledger,
    started,
    succeeded,
)

IDLE_S = 0.2
NEVER_S = 60.0


def commit(subject: LedgerUnderTest, *node_ids: str) -> str:
    """Commit nodes of a new execution, all at once, and return its id."""
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([list(node_ids)]))
    token = ledger.claim(execution_id, 0, 0, lease_s=NEVER_S).token
    ledger.commit(execution_id, 0, 0, token, [succeeded(n) for n in node_ids], done=True)
    return execution_id


def outbox_of(subject: LedgerUnderTest, settings: Settings | None, **bounds: Any) -> Outbox:
    """Return the subject's outbox with bounds of this test."""
    if isinstance(subject.ledger, MemoryLedger):
        return MemoryOutbox(subject.ledger, **bounds)
    assert settings is not None
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    return RedisOutbox(client, Keys(settings.cell), **bounds)


@pytest.fixture
def bounded(
    request: pytest.FixtureRequest, subject: LedgerUnderTest
) -> Callable[..., LedgerUnderTest]:
    """How to give the subject's outbox other bounds."""
    memory = isinstance(subject.ledger, MemoryLedger)
    settings = None if memory else request.getfixturevalue("settings")
    return lambda **bounds: replace(subject, outbox=outbox_of(subject, settings, **bounds))


def reread(subject: LedgerUnderTest) -> list[str]:
    """Lose a topic, and return the executions that are given again because of it."""
    lose(subject.outbox)
    return [entry.execution_id for entry in read(subject)]


def lose(outbox: Outbox) -> None:
    outbox.learn_topics(outbox.known_topics(), {"results": "first"})
    assert outbox.learn_topics(outbox.known_topics(), {"results": "second"})


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


def test_what_is_given_again_leaves_room_for_what_is_new(subject: LedgerUnderTest) -> None:
    old = [commit(subject, "a") for _ in range(4)]
    read(subject, "killed")
    subject.pass_time(IDLE_S + 0.05)
    new = [commit(subject, "b") for _ in range(4)]
    found = read(subject, "next", limit=4, idle_s=IDLE_S)
    assert [entry.execution_id for entry in found] == [*old[:2], *new[:2]]


def test_acknowledged_entries_are_retained_and_come_again_where_a_topic_was_lost(
    subject: LedgerUnderTest,
) -> None:
    ids = [commit(subject, "a") for _ in range(3)]
    subject.outbox.acknowledge(read(subject))
    assert subject.outbox.backlog() == 0
    assert reread(subject) == ids
    assert subject.outbox.backlog() == 3


def test_entries_are_let_go_of_after_the_retention(
    subject: LedgerUnderTest, bounded: Callable[..., LedgerUnderTest]
) -> None:
    subject = bounded(retention_s=0.2)
    commit(subject, "a")
    subject.outbox.acknowledge(read(subject))
    subject.pass_time(0.3)
    young = commit(subject, "b")
    subject.outbox.acknowledge(read(subject))
    assert reread(subject) == [young]
    assert subject.outbox.backlog() == 1


def test_no_more_entries_are_retained_than_the_bound(
    subject: LedgerUnderTest, bounded: Callable[..., LedgerUnderTest]
) -> None:
    subject = bounded(most_entries=2)
    ids = [commit(subject, "a") for _ in range(5)]
    subject.outbox.acknowledge(read(subject))
    assert reread(subject) == ids[-2:]


def test_an_entry_that_is_not_acknowledged_is_kept_past_every_bound(
    subject: LedgerUnderTest, bounded: Callable[..., LedgerUnderTest]
) -> None:
    subject = bounded(retention_s=0.05, most_entries=1)
    ids = [commit(subject, "a") for _ in range(4)]
    entries = read(subject, "killed", limit=3)
    subject.pass_time(IDLE_S + 0.05)
    subject.outbox.acknowledge(entries[1:])
    assert subject.outbox.backlog() == 2
    found = read(subject, "next", idle_s=IDLE_S)
    assert [entry.execution_id for entry in found] == [ids[0], ids[3]]


def test_the_backlog_counts_before_anybody_read(subject: LedgerUnderTest) -> None:
    commit(subject, "a")
    commit(subject, "b")
    assert subject.outbox.backlog() == 2


def test_the_backlog_stays_right_after_trimming_and_a_rewind(
    subject: LedgerUnderTest, bounded: Callable[..., LedgerUnderTest]
) -> None:
    subject = bounded(most_entries=3)
    for _ in range(6):
        commit(subject, "a")
    subject.outbox.acknowledge(read(subject, limit=5))
    assert subject.outbox.backlog() == 1
    lose(subject.outbox)
    assert subject.outbox.backlog() == 3
    entries = read(subject, limit=2)
    assert subject.outbox.backlog() == 3
    subject.outbox.acknowledge(entries)
    assert subject.outbox.backlog() == 1


def test_a_topic_that_was_not_known_is_noted_without_a_rewind(subject: LedgerUnderTest) -> None:
    commit(subject, "a")
    subject.outbox.acknowledge(read(subject))
    assert not subject.outbox.learn_topics({}, {"results": "first", "signals": "other"})
    assert subject.outbox.known_topics() == {"results": "first", "signals": "other"}
    assert read(subject) == []


def test_an_id_that_is_the_known_one_or_is_not_told_rewinds_nothing(
    subject: LedgerUnderTest,
) -> None:
    subject.outbox.learn_topics({}, {"results": "first"})
    known = subject.outbox.known_topics()
    assert not subject.outbox.learn_topics(known, {"results": "first"})
    assert not subject.outbox.learn_topics(known, {"results": ""})
    assert subject.outbox.known_topics() == {"results": "first"}


def test_of_two_mirrors_that_see_one_loss_one_rewinds(subject: LedgerUnderTest) -> None:
    subject.outbox.learn_topics({}, {"results": "first"})
    known = subject.outbox.known_topics()
    commit(subject, "a")
    rewound = [subject.outbox.learn_topics(known, {"results": "second"}) for _ in range(2)]
    assert rewound == [True, False]
    assert subject.outbox.known_topics() == {"results": "second"}


def test_an_acknowledgement_from_before_a_rewind_counts_for_nothing(
    subject: LedgerUnderTest,
) -> None:
    execution_id = commit(subject, "a")
    sent_to_the_lost_topic = read(subject, "slow")
    lose(subject.outbox)
    again = read(subject, "next")
    subject.outbox.acknowledge(sent_to_the_lost_topic)
    assert subject.outbox.backlog() == 1
    assert [entry.execution_id for entry in again] == [execution_id]
    subject.outbox.acknowledge(again)
    assert subject.outbox.backlog() == 0


def test_a_topic_may_be_lost_before_anything_was_committed(subject: LedgerUnderTest) -> None:
    lose(subject.outbox)
    assert subject.outbox.backlog() == 0
    execution_id = commit(subject, "a")
    assert [entry.execution_id for entry in read(subject)] == [execution_id]


def test_a_reader_that_waits_goes_on_through_a_rewind(subject: LedgerUnderTest) -> None:
    execution_id = commit(subject, "a")
    subject.outbox.acknowledge(read(subject))
    found: list[OutboxEntry] = []

    def wait() -> None:
        found.extend(subject.outbox.read("mirror", limit=10, wait_s=20.0, idle_s=NEVER_S))

    reader = threading.Thread(target=wait)
    reader.start()
    time.sleep(0.1)
    lose(subject.outbox)
    reader.join(timeout=15.0)
    assert [entry.execution_id for entry in found] == [execution_id]


def test_an_entry_that_cannot_be_told_is_put_aside_after_some_tries(
    subject: LedgerUnderTest,
) -> None:
    commit(subject, "a")
    for expected in (0, 0, 1):
        entries = read(subject, idle_s=IDLE_S)
        assert subject.outbox.reject(entries, reason="gone", tries=3) == expected
        subject.pass_time(IDLE_S + 0.05)
    assert read(subject, idle_s=IDLE_S) == []
    assert (subject.outbox.backlog(), subject.outbox.put_aside()) == (0, 1)


def test_a_rejection_of_what_is_acknowledged_or_was_rewound_counts_for_nothing(
    subject: LedgerUnderTest,
) -> None:
    commit(subject, "a")
    entries = read(subject)
    subject.outbox.acknowledge(entries)
    assert subject.outbox.reject(entries, reason="gone", tries=1) == 0
    lose(subject.outbox)
    assert subject.outbox.reject(entries, reason="gone", tries=1) == 0
    assert subject.outbox.backlog() == 1


def test_forgetting_readers_loses_no_entry(subject: LedgerUnderTest) -> None:
    assert subject.outbox.forget_readers(idle_s=0.0) == 0
    commit(subject, "a")
    taken = read(subject, "killed")
    subject.pass_time(IDLE_S + 0.05)
    subject.outbox.forget_readers(idle_s=IDLE_S)
    assert read(subject, "next", idle_s=IDLE_S) == taken


def test_a_reader_that_holds_nothing_and_reads_no_more_leaves_the_group(
    settings: Settings,
) -> None:
    subject = redis_ledger(settings)
    commit(subject, "a")
    subject.outbox.acknowledge(read(subject, "gone"))
    commit(subject, "b")
    read(subject, "holds")
    assert subject.outbox.forget_readers(idle_s=NEVER_S) == 0
    time.sleep(0.05)
    assert subject.outbox.forget_readers(idle_s=0.01) == 1
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    left = client.xinfo_consumers(Keys(settings.cell)("outbox"), GROUP)
    assert [reader["name"] for reader in left] == [b"holds"]


def test_what_is_put_aside_keeps_its_fields_and_the_reason(settings: Settings) -> None:
    subject = redis_ledger(settings)
    execution_id = commit(subject, "a", "b")
    (entry,) = read(subject)
    subject.outbox.reject([entry], reason="Its values are gone.", tries=1)
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    ((_, fields),) = client.xrange(Keys(settings.cell)("outbox", "dead"))
    assert fields == {
        b"entry": entry.entry_id.encode(),
        b"reason": b"Its values are gone.",
        b"tenant": b"acme",
        b"execution": execution_id.encode(),
        b"nodes": b"a,b",
        b"attempt": b"1",
    }


def test_the_backlog_is_counted_where_the_server_cannot_tell_it(settings: Settings) -> None:
    subject = redis_ledger(settings)
    for _ in range(4):
        commit(subject, "a")
    entries = read(subject, limit=1)
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    stream = Keys(settings.cell)("outbox")
    (_, (deleted, _), _, _) = client.xrange(stream)
    client.xdel(stream, deleted)  # from here on the server answers that it does not know the lag
    assert client.xinfo_groups(stream)[0]["lag"] is None
    assert subject.outbox.backlog() == 3
    subject.outbox.acknowledge(entries)
    assert subject.outbox.backlog() == 2
