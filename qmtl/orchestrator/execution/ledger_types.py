"""What the steps of the ledger take and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from qmtl.models.execution import (
    NodeRecord,
    Priority,
)
from qmtl.orchestrator.execution.pinned import Pinned

MOST_GIVEN_BACK = 20  # claims of a shard: one that each time meets a server away must end too


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """Where a result stands in the history of its line, for all nodes of one interval alike.

    Attributes:
        interval_ms: Of the node.
        bucket_ms: The bucket it ran at.
        keep: How many buckets of this interval the line keeps at least.
        pinned: How new the data is that it rests on.
    """

    interval_ms: int
    bucket_ms: int
    keep: int
    pinned: Pinned


@dataclass(frozen=True, slots=True)
class NodeCommit:
    """A node that ended.

    Attributes:
        record: What became of it.
        value: Its encoded value where its state has one.
        key: The call key under which its result is found again; empty where it is not to be.
        place: Where it stands in its line's history; None where it stands in none.
    """

    record: NodeRecord
    value: bytes | None = None
    key: str = ""
    place: HistoryPlace | None = None


@dataclass(frozen=True, slots=True)
class Reuse:
    """A node whose result is taken from another execution of the tenant.

    Attributes:
        record: As it will stand in this execution: REUSED.
        execution_id: Whose value it takes.
        place: As of ``NodeCommit``.
    """

    record: NodeRecord
    execution_id: str
    key: str = ""
    place: HistoryPlace | None = None


class StartStatus(StrEnum):
    """What a start led to."""

    STARTED = "STARTED"  # the plan stands; the caller opens its first stage
    ENDED = "ENDED"  # the plan left nothing to run; the execution has its final state
    OVER = "OVER"  # its time is over: it is to be expired; nothing was written
    WAIT = "WAIT"  # another execution of its line comes first; nothing was written
    LOST = "LOST"  # a value that was to be reused is gone; nothing was written
    STALE = "STALE"  # it is not PENDING any more, or in another attempt; nothing was written


class Source(NamedTuple):
    """An execution that has a result, and the attempt of the record that it had it by.

    A record of another attempt may be of another runtime, so of another call key.
    """

    execution_id: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of call keys that a shard was about to compute, by key.

    Attributes:
        known: Keys with a result by now, and which execution has it.
        elsewhere: Keys that a living shard of another execution computes.
    """

    known: Mapping[str, Source] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Started:
    """The answer to a start.

    Attributes:
        started_ms: By the ledger's clock, where it was started.
        token: Of the only shard of the first stage, which is then claimed; else 0.
        held: Of the keys that came with the start, for that shard.
    """

    status: StartStatus
    started_ms: int = 0
    token: int = 0
    held: Held = field(default_factory=Held)


class ClaimStatus(StrEnum):
    """What a claim of a shard leads to."""

    RUN = "RUN"  # the shard is the caller's until its lease ends
    BUSY = "BUSY"  # another lease is alive
    DONE = "DONE"  # everything of it is committed
    GONE = "GONE"  # the execution is not running, or runs another stage or another plan


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim.

    Attributes:
        status: Whether the shard is the caller's.
        token: What its commits must show.
        attempt: How often it was claimed since a node of it was last committed, this time
            included, and without those that were given back: a shard that ends its workers comes
            to high numbers.
        again: Whether it was claimed before, so that some of its nodes may be committed.
        held: Of the keys that came with the claim; nothing where the execution is mixed.
        mixed: Whether it is (``Execution.mixed``), with this claim: then none of its results may
            be noted under a call key.
    """

    status: ClaimStatus
    token: int = 0
    attempt: int = 0
    again: bool = False
    held: Held = field(default_factory=Held)
    mixed: bool = False


class CommitStatus(StrEnum):
    """What became of a commit."""

    ACCEPTED = "ACCEPTED"
    STAGE_DONE = "STAGE_DONE"  # accepted, and no shard of the stage is open: advance is next
    ENDED = "ENDED"  # accepted, and it was the last stage: the execution has its final state
    REFUSED = "REFUSED"  # an older token, or the execution is no longer running: nothing written


class AdvanceStatus(StrEnum):
    """What an advance led to."""

    MOVED = "MOVED"  # the caller, and nobody else, dispatches the stage it asked for
    ENDED = "ENDED"  # that was the last stage; the execution has its final state
    WAIT = "WAIT"  # shards of the stage before are not done
    STALE = "STALE"  # somebody else moved it, or it is not running


@dataclass(frozen=True, slots=True)
class Due:
    """Work that nobody does although its time has come.

    ``stage`` is -1 for an execution that was never planned. ``shards`` are those of ``stage`` that
    are not done, have no living lease and are due; none where the stage is done, whose advance
    never came. ``expired`` says that its time is over: it is to be expired, whatever it does.
    ``priority`` is the execution's.
    """

    tenant: str
    execution_id: str
    stage: int
    shards: tuple[int, ...]
    expired: bool = False
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Following:
    """An execution whose turn it is in its line; ``priority`` is its own."""

    tenant: str
    execution_id: str
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class MostOpen:
    """Bounds on executions that have not ended: in the whole cell, and of one tenant; None for
    none."""

    in_all: int | None = None
    of_tenant: int | None = None


@dataclass(frozen=True, slots=True)
class Landed:
    """What an ordered execution that has ended left to compare with later buckets of its line.

    Attributes:
        changed_ms: The latest bucket at which results changed that nobody compared with later ones.
        ran: What ran last at its own bucket and at later ones, for each version and its targets, by
            bucket; empty text where nothing was started. None is of a later bucket than the heir's.
        heir: The next one of the line, at its bucket or later, that is to run or to be settled.
    """

    changed_ms: int
    ran: tuple[str, ...]
    heir: str | None


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The latest ``count`` points of a node at buckets up to ``until_ms``, None for any bucket.

    ``interval_ms`` is the node's.
    """

    node_id: str
    interval_ms: int
    until_ms: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known before a plan is made.

    Attributes:
        sources: For each key that was asked for: which execution has its result, or None.
        cost_us: For each node that was asked for: what it took lately in microseconds, or None.
        slots: How many shards living workers run at once; 0 where none told it.
    """

    sources: Sequence[Source | None]
    cost_us: Sequence[int | None]
    slots: int = 0
