"""Executors: one process for one version of one tenant's strategy, started anew when it dies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Self

from qmtl.common.clock import now_ns
from qmtl.common.errors import NODE_DIED, NODE_TIMED_OUT, SandboxFailure
from qmtl.common.recent import Recent
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.evaluate import failed
from qmtl.sandbox.loading import ENDING_S, POLL_S, Stop, Stopped, load
from qmtl.sandbox.process import ChildDied, ChildProcess
from qmtl.sandbox.protocol import Define, Expect, Load, Outcomes, Request, WireCall
from qmtl.sandbox.shard import Shard
from qmtl.sandbox.tables import CallTable, Ranges, Selection, Table, kept_tables, ranges_of
from qmtl.sandbox.watch import Watch

MOST_EXPECTED_BYTES = 64 * 1024  # a socket takes as much at once
_SECOND = 1_000_000_000
_NONE: Mapping[int, Call] = MappingProxyType({})


class _Overdue(Exception):
    """The call that runs is over its limit."""


class Executor:
    """Runs calls of one strategy's source in a child process.

    One thread at a time may use it. A child that hangs or dies costs the call that it was running
    and is replaced for the calls that are left. Several can be had from an ``ExecutorPool``.
    """

    def __init__(
        self, source_text: str, name: str, *, memory_bytes: int, value_limit_bytes: int
    ) -> None:
        self._load = Load(source_text, name, memory_bytes, value_limit_bytes)
        self._child: ChildProcess | None = None
        self._load_error: NodeError | None = None
        self._fresh = False  # whether the child was started in the present run
        self._tables: Recent[Table] = kept_tables(len)
        self._sent: Recent[int] = kept_tables(_itself)  # how many calls of what the child keeps

    @classmethod
    def start(
        cls,
        source_text: str,
        name: str,
        *,
        memory_bytes: int,
        value_limit_bytes: int = 16 * 1024 * 1024,
    ) -> Self:
        """Start a process and execute the module in it.

        A module that cannot be executed makes no error here: every call then fails with it.

        Args:
            source_text: The strategy's module.
            name: The strategy's name, for tracebacks.
            memory_bytes: What a call may use beyond the libraries that the module imports.
            value_limit_bytes: Largest encoded result.

        Raises:
            SandboxFailure: No process could be started.
        """
        executor = cls(
            source_text, name, memory_bytes=memory_bytes, value_limit_bytes=value_limit_bytes
        )
        executor._ensure_child(_never)
        executor._fresh = False
        return executor

    @property
    def pid(self) -> int | None:
        """Of the child; None where none is alive."""
        return None if self._child is None else self._child.pid

    def run_table(
        self,
        table: CallTable,
        places: Sequence[int],
        values: Mapping[str, bytes],
        *,
        changed: Mapping[int, Call] = _NONE,
        on_outcomes: Callable[[list[Outcome]], None] | None = None,
        should_stop: Stop | None = None,
    ) -> list[Outcome]:
        """Make calls of a table in the order of their places, and return their outcomes.

        The result of a call can be read by the calls after it. A call without an outcome was not
        made: an input of it has no value, since a call upstream failed, or the run was stopped.
        A call may be made again where its executor dies before it reported it. While a call waits
        for another attempt, the calls after it wait too.

        The child is sent a table once and keeps the ones that it used last. Neither side keeps a
        value that no pending call reads; ``values`` is the caller's own.

        Args:
            table: Of which calls are made.
            places: Where they stand in the table, each after the ones that it reads.
            values: Encoded values by key; what no call reads may be among them.
            changed: By place, calls that are made in place of the table's.
            on_outcomes: Told outcomes in batches as they come, while the child goes on; what it is
                told is not returned. The limits of calls are looked after when it returns.
            should_stop: Asked about twenty times a second; true kills the process.

        Raises:
            SandboxFailure: No process could be started.
        """
        outcomes: list[Outcome] = []
        if changed:
            inside = set(places)
            changed = {place: call for place, call in changed.items() if place in inside}
        selection, ranges = self._select(table, places, changed)
        tell = on_outcomes or outcomes.extend
        shard = Shard(table.name, ranges, changed, selection, values, tell)
        stop = should_stop or _never
        try:
            while not shard.over:
                child = self._ensure_child(stop)
                if isinstance(child, NodeError):
                    shard.fail(child)
                elif self._attend(child, table, shard, stop):
                    break
        except Stopped:
            self.close()
        return outcomes

    def expect(self, values: Mapping[str, bytes]) -> None:
        """Have the child decode values that a run will probably read, while the caller does more.

        It is only about time: nothing is kept that a run needs, and a child that died is met by the
        run. Nothing is sent where they are more than ``MOST_EXPECTED_BYTES``, so that it never
        waits.
        """
        if self._child is None or sum(map(len, values.values())) > MOST_EXPECTED_BYTES:
            return
        with suppress(ChildDied):
            self._child.send(Expect(dict(values)))

    def run(
        self,
        calls: Sequence[Call],
        values: Mapping[str, bytes],
        *,
        on_outcome: Callable[[Outcome], None] | None = None,
        should_stop: Stop | None = None,
    ) -> list[Outcome]:
        """Make calls that are made once, and return their outcomes; see ``run_table``.

        Args:
            calls: With distinct node ids, each after the calls that it reads.
            values: Encoded values by key.
            on_outcome: Told each outcome as soon as it is known.
            should_stop: Asked about twenty times a second; true kills the process.

        Raises:
            SandboxFailure: No process could be started.
        """
        outcomes: list[Outcome] = []

        def take(batch: list[Outcome]) -> None:
            for outcome in batch:
                outcomes.append(outcome)
                if on_outcome is not None:
                    on_outcome(outcome)

        table, places = CallTable("", tuple(calls)), range(len(calls))
        self.run_table(table, places, values, on_outcomes=take, should_stop=should_stop)
        return outcomes

    def close(self) -> None:
        """End the process; a later run starts a new one."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _select(
        self, table: CallTable, places: Sequence[int], changed: Mapping[int, Call]
    ) -> tuple[Selection, Ranges]:
        kept = self._tables.get(table.name) if table.name else None
        if kept is None:
            kept = Table(table.calls)
            if table.name:
                self._tables.keep(table.name, kept)
        ranges = ranges_of(places)
        return kept.select(ranges, changed), ranges

    def _attend(self, child: ChildProcess, table: CallTable, shard: Shard, stop: Stop) -> bool:
        """Have calls made; tell whether the run is over. Else a call has ended badly."""
        fresh, self._fresh = self._fresh, False
        run = shard.request()
        watch = Watch(shard.calls)
        try:
            child.send(*self._definition(table), run)
            self._follow(child, shard, watch, stop)
        except _Overdue:
            self.close()
            if (position := _culprit(shard, watch)) is not None:
                shard.end(position, _timed_out(shard.calls[position], watch.elapsed_s))
        except ChildDied:
            child.wait_end(ENDING_S)
            watch.see(child.mark)
            self._child, ending = None, child.kill()
            if fresh or watch.call is not None:  # one that died idle is replaced
                _fail_culprit(shard, watch, f"The process {ending} while the node ran.")
        except SandboxFailure as error:
            self.close()
            shard.tell()
            _fail_culprit(shard, watch, str(error))
        except BaseException:  # of the caller's own functions, while the child may be running
            self.close()
            raise
        else:
            return True
        return False

    def _definition(self, table: CallTable) -> list[Request]:
        """Return what makes the child keep a table, where it does not."""
        if table.name and self._sent.get(table.name) is not None:
            return []
        define = Define(table.name, [WireCall.of(call) for call in table.calls])
        self._sent.keep(table.name, len(table.calls))
        return [define]

    def _follow(self, child: ChildProcess, shard: Shard, watch: Watch, stop: Stop) -> None:
        """Take outcomes until the child has made every call that can be made.

        Raises:
            _Overdue: A call is over its limit.
            Stopped: The caller wants the run to end.
            ChildDied: The child ended.
            SandboxFailure: It says what cannot be.
        """
        left_s = POLL_S
        while True:
            for reply in child.receive(min(POLL_S, left_s)):
                if not isinstance(reply, Outcomes):
                    raise SandboxFailure("An executor sent a reply out of turn.")
                shard.accept(reply.items)
                watch.heard(child.mark)
                if reply.finished and shard.over:
                    return
                if reply.finished:
                    raise SandboxFailure("An executor did not make all calls.")
            if stop():
                raise Stopped
            left_s = watch.left_s(child.mark)
            if left_s <= 0:
                raise _Overdue

    def _ensure_child(self, stop: Stop) -> ChildProcess | NodeError:
        """Return a child with the module, or why the module cannot be executed."""
        if self._child is not None:
            return self._child
        if self._load_error is not None:
            return self._load_error
        child = ChildProcess(value_limit_bytes=self._load.value_limit_bytes)
        try:
            self._load_error = load(child, self._load, stop)
        except BaseException:
            child.kill()
            raise
        if self._load_error is not None:
            child.kill()
            return self._load_error
        self._child, self._fresh = child, True
        self._sent = kept_tables(_itself)
        return child


def _itself(count: int) -> int:
    return count


def _never() -> bool:
    return False


def _fail_culprit(shard: Shard, watch: Watch, message: str) -> None:
    if (position := _culprit(shard, watch)) is not None:
        shard.end(position, failed(shard.calls[position], NodeError(NODE_DIED, message)))


def _culprit(shard: Shard, watch: Watch) -> int | None:
    """Return the call that ran, the first one left where none was seen to run, or None."""
    left = shard.runnable()
    return watch.position if watch.position in left else next(iter(left), None)


def _timed_out(call: Call, elapsed_s: float) -> Outcome:
    duration_ns = int(elapsed_s * _SECOND)
    return Outcome(
        node_id=call.node_id,
        state="TIMED_OUT",
        started_ns=now_ns() - duration_ns,
        duration_ns=duration_ns,
        error=NodeError(NODE_TIMED_OUT, f"The node ran longer than {call.timeout_s:g} s."),
    )
