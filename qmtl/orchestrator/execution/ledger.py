"""Port of the ledger: the only truth about what is done of an execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from qmtl.models.execution import (
    ErrorRecord,
    Event,
    Execution,
    ExecutionState,
    HistoryPoint,
    Line,
    NodeRecord,
    Plan,
    ShardRecord,
    Spent,
)
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    Claim,
    CommitStatus,
    Due,
    Following,
    Held,
    HistoryRequest,
    Landed,
    MostOpen,
    NodeCommit,
    Outlook,
    Reuse,
    Started,
)


class Ledger(Protocol):
    """Executions, their plans, node records and values, and the outbox of what was committed.

    The server's clock is the only clock. Each method is one atomic step, safe to repeat, and may
    raise ``Unavailable``. A token is a number that grows with every claim and every attempt of an
    execution, and is no less than the clock's milliseconds; whoever holds an older one than the
    shard's latest can change nothing.
    """

    def ping(self) -> None:
        """Return once the server answered."""

    def create(
        self,
        execution: Execution,
        inputs: Mapping[str, bytes],
        *,
        most_open: MostOpen | None = None,
    ) -> tuple[Execution, bool]:
        """Keep a new execution with its inline inputs (variable -> encoded points).

        Its ``created_ms`` is kept as given, since it orders the pages; the ledger's clock gives
        every other time. Unless it is planned it becomes due (``due``).

        Returns:
            The execution that has this id, and whether it is the new one.

        Raises:
            Overloaded: It would be new, and as many executions have not ended as a bound of
                ``most_open`` says; the tenant's is looked at first.
            IdempotencyConflict: One of this id was forgotten, whose results histories still read
                at another bucket or in another line.
        """

    def get(self, tenant: str, execution_id: str) -> Execution:
        """Return an execution as it stands.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
        """

    def wait(self, tenant: str, execution_id: str, *, timeout_s: float) -> Execution:
        """Return an execution as soon as it has ended, or as it stands when the time is up.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
        """

    def events(
        self, tenant: str, execution_id: str, *, after: str = "", timeout_s: float = 0.0
    ) -> tuple[Execution, list[Event]]:
        """Return what happened to an execution behind an event, oldest first, and the execution.

        Each step writes its events itself, so that none tells of what is not: STARTED, NODES once
        for each commit with new nodes (and for what a start reuses), STAGE, ENDED, REOPENED. They
        are read as often as one likes, by as many as like. It waits for the first one at most
        ``timeout_s``, but not where the execution had ended before: without events it has none
        to come, unless it is reopened.

        They are there to be watched, not relied on: of an attempt with very many only the latest
        are kept, NODES lists the first of very many nodes, and a minute after the end all are gone,
        until there is another attempt. The execution, which is read first, tells how far it is all
        the same. Some are returned at a time; whoever got any asks again behind the last one.

        Args:
            tenant: Whose.
            execution_id: Which one.
            after: The id of an event, which need not be there any more; "" for all of them.
            timeout_s: How long to wait for one.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
            InvalidRequest: ``after`` is no id of an event.
        """

    def page(
        self,
        tenant: str,
        *,
        strategy: str | None,
        before: str,
        limit: int,
    ) -> tuple[list[Execution], str]:
        """Return executions, newest first, and the cursor of the next page ("" at the end).

        Raises:
            InvalidRequest: ``before`` is no cursor.
        """

    def inputs(self, execution_id: str) -> dict[str, bytes]:
        """Return the inline inputs; empty where there are none."""

    def outlook(
        self, tenant: str, strategy: str, node_ids: Sequence[str], keys: Sequence[str]
    ) -> Outlook:
        """Return what is known of nodes, call keys of a tenant, and workers; one round trip.

        An empty key has no result. A source that is named had the result when it was noted; its
        records and values may be gone, or be of a later attempt.
        """

    def learn(self, tenant: str, strategy: str, cost_us: Mapping[str, int]) -> None:
        """Note what nodes cost, for ``outlook``; a cost that is neither noted nor asked for is
        forgotten after one to two months."""

    def offer(self, worker: str, slots: int, *, lasts_s: float) -> None:
        """Note for ``outlook`` that a worker runs so many shards at once, 0 for none any more.

        It no longer counts ``lasts_s`` after it last told.
        """

    def start(
        self,
        execution_id: str,
        plan: Plan,
        reused: Sequence[Reuse] = (),
        *,
        lease_s: float | None = None,
        keys: Sequence[str] = (),
        turn: int | None = None,
        attempt: int | None = None,
    ) -> Started:
        """Store the plan, commit what is reused, and make the execution RUNNING at stage 0.

        It is LOST where a value is not there, or a later attempt of its execution cleared its
        record or came to another digest. The reused nodes are committed as ``commit`` does it,
        under one outbox entry; what an earlier attempt committed stays and counts. A plan without
        stages ends the execution: SUCCEEDED where every node of the plan has a result, else FAILED.
        Once its time is over it is never started.
        With ``lease_s``, the only shard of a first stage of one shard is claimed at once, as
        ``claim`` does it with ``keys``. An ordered execution starts once none of its line runs and
        none of an earlier bucket (equal ones by id) has to run or to be settled; and where ``turn``
        is given, only if none left the line since it was read. With ``attempt`` it is STALE where
        the execution has another one by now: what was planned is not what that one is to run.
        """

    def note_death(self, execution_id: str, *, attempt: int) -> int:
        """Count a process that died while it planned a PENDING execution; return how many did.

        Each attempt has a count of its own. Returns 0, and counts nothing, where the execution has
        begun, has ended or has another attempt.
        """

    def fail(
        self,
        execution_id: str,
        error: ErrorRecord,
        *,
        attempt: int | None = None,
        begun: bool = True,
    ) -> bool:
        """End an execution that has not ended as FAILED with this error; its open nodes become
        CANCELLED.

        Args:
            execution_id: Which one.
            error: Why.
            attempt: The attempt that the reason is of; another one goes on. None for any.
            begun: Whether one that was started is to end too.

        Returns:
            Whether it did.
        """

    def expire(self, execution_id: str) -> bool:
        """End an execution that has not ended as ``fail`` does, with QMTL-407, where its time is
        over; one that was reopened meanwhile has time again. Returns whether it did."""

    def cancel(self, execution_id: str) -> bool:
        """End an execution that has not ended as CANCELLED, with its open nodes. Returns whether it
        did; leases of it are refused from now on."""

    def next_of_line(self, execution_id: str) -> Following | None:
        """Return the execution whose turn it is in the line of an ordered one.

        It is to run, or has ended and is to be settled. None where it is not ordered, or where none
        waits or one runs. Who ends an ordered execution dispatches this one; where that is lost, it
        becomes due.
        """

    def turn(self, execution_id: str) -> int | None:
        """Return a number that grows whenever an execution leaves the line of an ordered one.

        None where it is another one's turn, to run or to be settled.
        """

    def landed(self, execution_id: str, *, skip: int, limit: int) -> Landed | None:
        """Return what an ordered execution left to compare; None where it need not be settled.

        It must be where a result of its line changed, by itself or by one that it is the heir of,
        and something was asked of the line at later buckets (or for other targets at its own, or by
        an attempt of its own before the present one), of which nothing that is still to run comes
        first: that one is its heir without further ado. An execution that is to be settled holds up
        later buckets of its line, and is due.

        Args:
            execution_id: Which one.
            skip: How many of ``ran`` to pass over.
            limit: How many of them to return at most.
        """

    def settle(self, execution_id: str, *, heir: str | None = None) -> bool:
        """Let the line of an execution that has ended go on, and the heir compare in its place.

        Returns False, and changes nothing, where the heir has left the line.
        """

    def unrepaired(self, line: Line) -> list[Execution]:
        """Return the repairs of an ordered line that were ended before they ran out, by bucket.

        Cancelled or failed as a whole, they left points that rest on results which are no more.
        What took the place of a repair counts as one: it was told to compare what changed, and the
        same was run before it. One is off the list while it is open again, and once something ran
        out in its first attempt, or another repair was ended so, at its bucket for all that it was
        to compute: a later attempt may have read what was there before the repair was due.
        """

    def reopen(self, execution_id: str, *, attempt: int, clear: Sequence[str], fresh: bool) -> bool:
        """Make an execution that has ended PENDING again, as attempt ``attempt + 1``.

        The records of the nodes to clear are gone but for ``cleared``; the others stay, and so does
        the plan until the next ``start``. Values stay until a commit of their node: histories may
        name them. It becomes due. Returns False, and changes nothing, where it has not ended or has
        another attempt.

        Args:
            execution_id: Which one.
            attempt: The attempt that the caller has seen.
            clear: Ids of nodes that are to run again.
            fresh: Whether results that are known elsewhere count for nothing.
        """

    def plan(self, execution_id: str) -> Plan | None:
        """Return the plan, or None before the first ``start``; at most two round trips."""

    def outcome(
        self, tenant: str, execution_id: str, *, values: bool = False
    ) -> tuple[Execution, Plan | None, dict[str, NodeRecord], dict[str, bytes]]:
        """Return what ``get``, ``plan`` and ``records`` do, in one round trip.

        One more where this process has not met the plan's shape. With ``values`` also, by node id,
        the values that the records tell of: small ones in the same round trip, large ones in
        another. One that a later attempt replaced meanwhile is not among them.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
        """

    def claim(
        self,
        execution_id: str,
        stage: int,
        shard: int,
        *,
        lease_s: float,
        keys: Sequence[str] = (),
        runtime: str = "",
        started_ms: int | None = None,
    ) -> Claim:
        """Take a shard for ``lease_s`` seconds (``ClaimStatus``), and ``hold`` these keys.

        ``runtime`` is the claimer's where it is not the plan's: the shard's record tells it, and
        the execution is mixed from then on, until an attempt keeps no results. ``started_ms`` says
        which plan the claimer goes by: another attempt may have cut other shards.
        """

    def give_back(self, execution_id: str, stage: int, shard: int, token: int) -> None:
        """Count a claim no more (``Claim.attempt``), since a server that was away ended it.

        Its lease runs out by itself. Once a token; also where somebody else has claimed the shard
        since, but not where a node of it was committed, nor under a later attempt. A shard's claims
        are given back ``MOST_GIVEN_BACK`` times: what always meets a server that is away ends too.
        """

    def hold(
        self, execution_id: str, stage: int, shard: int, token: int, keys: Sequence[str]
    ) -> Held:
        """Mark call keys as computed by a claimed shard, and return those that need not be.

        A key that is known, or that another living shard holds, is not marked. A mark counts for
        nothing once its shard is done or its lease ended, or when its key has a result.
        """

    def renew(
        self, execution_id: str, stage: int, shard: int, token: int, *, lease_s: float
    ) -> bool:
        """Lengthen a lease, also one that ran out and was not taken. False means: stop, the shard
        is somebody else's or the execution is no longer running."""

    def commit(
        self,
        execution_id: str,
        stage: int,
        shard: int,
        token: int,
        nodes: Sequence[NodeCommit],
        *,
        done: bool,
        spent: Spent | None = None,
    ) -> CommitStatus:
        """Write what nodes came to, in one step; ``done`` marks the shard as done.

        A node that is committed already keeps its first record and value. For every node that is
        new: its record and value; its key in the memo; where the execution is not adhoc, a point
        in its line's history (one a node and bucket: the latest, but none of older pins in place of
        one of newer; where it has no result, none of this execution, and in an ordered line, none
        at all); and its place in one outbox
        entry of this commit; without new nodes there is none. The digest of a point that another
        replaces is kept beside it.
        Repeating an accepted commit is accepted and changes nothing. When the last shard of the
        last stage is done, the execution ends: SUCCEEDED where every node has a result, else
        FAILED.
        """

    def advance(self, execution_id: str, stage: int) -> AdvanceStatus:
        """Move from stage ``stage - 1`` to ``stage`` once all its shards are done.

        Asked for a stage further on, it answers WAIT.
        """

    def shards(self, execution_id: str) -> list[ShardRecord]:
        """Return every shard of the present plan, in order; empty before ``start``."""

    def records(self, execution_id: str) -> dict[str, NodeRecord]:
        """Return the record of every node that is committed, by node id."""

    def cleared(
        self, execution_id: str, wanted: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], NodeRecord]:
        """Return those of the wanted records that were cleared, by their attempt and node id.

        They have no logs. While the outbox has an entry of the execution, a record is there or
        among ``records``: read it after these.
        """

    def records_of(self, results: Sequence[tuple[str, str]]) -> list[NodeRecord | None]:
        """Return the record of each (execution id, node id) that is committed, None for others.

        One round trip. Tenants are not checked.
        """

    def values(self, execution_id: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those nodes that have one; a bounded number of round trips."""

    def values_of(self, results: Sequence[tuple[str, str, str]]) -> list[bytes | None]:
        """Return the encoded value of each (execution id, node id, digest).

        None where there is none, and where a later attempt came to another one: whoever recorded
        a digest never gets a value that has another. At most two round trips, however many
        executions they are of. Tenants are not checked.
        """

    def history(
        self, line: Line, node_id: str, *, interval_ms: int, count: int
    ) -> list[HistoryPoint]:
        """Return the latest points of a node in a line, newest first."""

    def histories(
        self, requests: Sequence[tuple[Line, HistoryRequest]]
    ) -> list[list[HistoryPoint]]:
        """Return the points that each request asks for, newest first, in one round trip.

        A point at ``until_ms`` itself is among them. What has no history, such as a line of an
        execution's own, has no points.
        """

    def asked(
        self, execution: Execution, *, from_ms: int | None = None, until_ms: int | None = None
    ) -> list[int]:
        """Return the buckets, ascending, at which its line was asked for what it is asked for.

        That is: for its version, and its targets or all of them; whatever became of it. None where
        it is not ordered.
        """

    def origins(self, line: Line, node_ids: Sequence[str]) -> list[int | None]:
        """Return the first bucket of each node in an ordered line, None where it has none."""

    def replaced(
        self, line: Line, node_id: str, *, interval_ms: int, buckets_ms: Sequence[int]
    ) -> list[list[HistoryPoint]]:
        """Return for each bucket the points of a node that others replaced there, latest first.

        Not all are kept for ever.
        """

    def due(
        self, *, limit: int, again_s: float, unclaimed_s: float, hold_back: bool = False
    ) -> list[Due]:
        """Return executions whose time has come, and put their next time ``again_s`` away.

        That time doubles with each return, up to sixteen times ``again_s``, until something of the
        execution is claimed or moves: behind a long queue, messages must not pile up.

        Those whose time is over come beside the ``limit``, so that a crowd of them hides nothing.
        The work of one call is bounded: while it returns such, there may be more.

        An execution without plan is due ``unclaimed_s`` after it was created or reopened, a shard
        that was never claimed as long after its stage began, a claimed one when its lease ran out,
        an advance as soon as its stage is done, and one that has not ended ``expires_s`` after it
        was created or reopened; claims and renewals are refused from then on. An ordered one that
        waits for its turn is due ``unclaimed_s`` after that came, since it is sent then, and one
        that is to be settled at once. Whatever becomes due later than an execution was returned
        brings it back before ``again_s`` are over.

        With ``hold_back``, what nobody claimed yet is not due: it is looked at again after
        ``again_s``, or 2 ms for each execution that has not ended where that is longer. Nothing is
        held back for ever: of what is for ten minutes the oldest is returned now and then, one
        while about forty executions go, and one each ten minutes at least; what was returned less
        often goes first.
        """

    def forget(self, *, retention_s: float, limit: int) -> int:
        """Forget executions that ended at least ``retention_s`` ago, those first that ended first.

        They are unknown from then on; an execution of the same id may be created anew. None is
        forgotten that has not ended, is to be settled, or has entries in the outbox; a repair
        that was broken off and is listed still (``unrepaired``) is kept once more as long. Creating
        a replay of an execution counts as its end. Values stay as long as a point names them, and
        then until every execution is forgotten that was there while one did, since its plan may
        name them. The memo may name executions that are gone, for as long as it knows results: an
        execution that is made anew is only told from the forgotten one where ``retention_s`` is
        longer than that.

        Args:
            retention_s: How long executions are kept.
            limit: How many to forget at most; the work of one call is bounded.

        Returns:
            How many were forgotten; 0 where nothing is left to forget for now.
        """

    def counts(self) -> dict[ExecutionState, int]:
        """Return how many executions are PENDING and RUNNING."""

    def tallies(self, tenant: str) -> dict[str, int]:
        """Return how many node results of a tenant were ``computed``, ``reused`` (by a plan) and
        ``waited`` for (computed by another execution meanwhile), since the beginning."""
