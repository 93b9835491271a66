"""Executors: one process for one version of one tenant's strategy, started anew when it dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from qmtl.common.clock import now_ns
from qmtl.common.errors import NODE_DIED, NODE_TIMED_OUT, SandboxFailure
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.evaluate import failed
from qmtl.sandbox.process import ChildDied, ChildProcess
from qmtl.sandbox.progress import attempt_of, position_of
from qmtl.sandbox.protocol import Finished, Load, Loaded, Outcomes, Reply
from qmtl.sandbox.shard import Shard

POLL_S = 0.05
START_TIMEOUT_S = 30.0
LOAD_TIMEOUT_S = 30.0
GRACE_S = 30.0
_ENDING_S = 1.0
_SECOND = 1_000_000_000


class _Overdue(Exception):
    """The call that runs is over its limit."""


class _Watch:
    """Follows what a child says that it runs, and for how long it has said so.

    Only progress restarts the clock, so that a child cannot win time by saying otherwise.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._mark = 0
        self._since = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the last progress."""
        return time.monotonic() - self._since

    def left_s(self, mark: int) -> float:
        """Return the seconds that a child which shows this mark has left; none if negative.

        Raises:
            SandboxFailure: The child says what cannot be.
        """
        if mark > self._mark:
            self._mark, self._since = mark, time.monotonic()
            call = self.call
            if call is None or attempt_of(mark) > call.retries:
                raise SandboxFailure("An executor says that it runs what it was not asked to.")
        call = self.call
        limit = 0.0 if call is None else call.timeout_s
        return limit + (0.0 if mark and mark == self._mark else GRACE_S) - self.elapsed_s

    def see(self, mark: int) -> None:
        """Take the last mark of a child that is gone."""
        self._mark = max(mark, self._mark)

    @property
    def call(self) -> Call | None:
        """The call that was last seen to run."""
        position = position_of(self._mark)
        return self._calls[position] if 0 <= position < len(self._calls) else None


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
        executor._ensure_child()
        executor._fresh = False
        return executor

    @property
    def pid(self) -> int | None:
        """Of the child; None where none is alive."""
        return None if self._child is None else self._child.pid

    def run(
        self,
        calls: Sequence[Call],
        values: Mapping[str, bytes],
        *,
        on_outcome: Callable[[Outcome], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> list[Outcome]:
        """Make calls in their order and return their outcomes.

        The result of a call can be read by the calls after it. A call without an outcome was not
        made: an input of it has no value, since a call upstream failed, or the run was stopped.
        A call may be made again where its executor dies before it reported it.

        Args:
            calls: With distinct node ids, each after the calls that it reads.
            values: Encoded values by key.
            on_outcome: Told each outcome as soon as it is known; its time delays the deadlines.
            should_stop: Asked about twenty times a second; true kills the process.

        Raises:
            SandboxFailure: No process could be started.
        """
        shard = Shard(calls, values, on_outcome)
        stop = should_stop or (lambda: False)
        while shard.runnable():
            child = self._ensure_child()
            if isinstance(child, NodeError):
                for call in shard.pending:
                    shard.end(failed(call, child))
            elif self._attend(child, shard, stop):
                break
        return shard.outcomes

    def close(self) -> None:
        """End the process; a later run starts a new one."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attend(self, child: ChildProcess, shard: Shard, stop: Callable[[], bool]) -> bool:
        """Have calls made; tell whether the run is over. Else a call has ended badly."""
        calls = shard.runnable()
        watch = _Watch(calls)
        fresh, self._fresh = self._fresh, False
        try:
            child.send(shard.request(calls))
            return self._follow(child, shard, watch, stop)
        except _Overdue:
            self.close()
            if (call := _culprit(shard, watch)) is not None:
                shard.end(_timed_out(call, watch.elapsed_s))
        except ChildDied:
            child.wait_end(_ENDING_S)
            watch.see(child.mark)
            self._child, ending = None, child.kill()
            if fresh or watch.call is not None:  # one that died idle is replaced
                self._fail_culprit(shard, watch, f"The process {ending} while the node ran.")
        except SandboxFailure as error:
            self.close()
            self._fail_culprit(shard, watch, str(error))
        except BaseException:  # of the caller's own functions, while the child may be running
            self.close()
            raise
        return False

    def _follow(
        self, child: ChildProcess, shard: Shard, watch: _Watch, stop: Callable[[], bool]
    ) -> bool:
        left_s = POLL_S
        while True:
            for reply in child.receive(min(POLL_S, left_s)):
                if isinstance(reply, Finished) and not shard.runnable():
                    return True
                _take(reply, shard)
            if stop():
                self.close()
                return True
            left_s = watch.left_s(child.mark)
            if left_s <= 0:
                raise _Overdue

    def _fail_culprit(self, shard: Shard, watch: _Watch, message: str) -> None:
        if (call := _culprit(shard, watch)) is not None:
            shard.end(failed(call, NodeError(NODE_DIED, message)))

    def _ensure_child(self) -> ChildProcess | NodeError:
        """Return a child with the module, or why the module cannot be executed."""
        if self._child is not None:
            return self._child
        if self._load_error is not None:
            return self._load_error
        child = ChildProcess(value_limit_bytes=self._load.value_limit_bytes)
        try:
            self._load_error = _load(child, self._load)
        except BaseException:
            child.kill()
            raise
        if self._load_error is not None:
            child.kill()
            return self._load_error
        self._child, self._fresh = child, True
        return child


def _load(child: ChildProcess, request: Load) -> NodeError | None:
    """Return why the module cannot be executed; None where it was.

    Raises:
        SandboxFailure: The child ended or was silent before it came to the module.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    ready = False
    try:
        child.send(request)
        while (left_s := deadline - time.monotonic()) > 0:
            for reply in child.receive(left_s):
                if isinstance(reply, Loaded):
                    return reply.error
                ready = True
                deadline = time.monotonic() + LOAD_TIMEOUT_S
    except ChildDied:
        child.wait_end(_ENDING_S)
        message = f"The process {child.kill()} while it executed the module."
        code = NODE_DIED
    else:
        message = f"The module took longer than {LOAD_TIMEOUT_S:g} s to execute."
        code = NODE_TIMED_OUT
    if not ready:
        raise SandboxFailure(f"An executor was not ready. {message}")
    return NodeError(code, message)


def _take(reply: Reply, shard: Shard) -> None:
    if not isinstance(reply, Outcomes):
        raise SandboxFailure("An executor sent a reply out of turn.")
    for outcome in reply.items:
        shard.accept(outcome)


def _culprit(shard: Shard, watch: _Watch) -> Call | None:
    """Return the call that ran, the first one left where none was seen to run, or None."""
    left = shard.runnable()
    return watch.call if watch.call in left else next(iter(left), None)


def _timed_out(call: Call, elapsed_s: float) -> Outcome:
    duration_ns = int(elapsed_s * _SECOND)
    return Outcome(
        node_id=call.node_id,
        state="TIMED_OUT",
        started_ns=now_ns() - duration_ns,
        duration_ns=duration_ns,
        error=NodeError(NODE_TIMED_OUT, f"The node ran longer than {call.timeout_s:g} s."),
    )
