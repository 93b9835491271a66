"""The client's part that is about executions: start them, follow them, read and compare results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from qmtl.common.codec import decode, digest
from qmtl.common.errors import Crowded, ExecutionFailed, NotActive, Unavailable
from qmtl.common.timeline import MILLISECOND, format_time
from qmtl.models.execution import ErrorRecord, EventKind, ExecutionState, NodeState, Priority
from qmtl.sdk.bodies import path_part
from qmtl.sdk.event_stream import Message, messages
from qmtl.sdk.given import Inputs, rows_given
from qmtl.sdk.requesting import Requesting
from qmtl.sdk.results import Result, Results
from qmtl.sdk.times import AsOf, nanoseconds
from qmtl.sdk.transport import EVENT_STREAM, Request

VALUE_TYPE = "application/vnd.qmtl.value"
FIRST_POLL_S = 0.05
LONGEST_POLL_S = 1.0
PAUSE_S = 0.2  # between two streams of one execution

Progress = Callable[[int, int], None]  # nodes done, nodes in all


class ExecutionRequests(Requesting):
    """Everything that a client asks about executions."""

    def trigger_pipeline(
        self,
        strategy: str,
        *,
        environment: str | None = None,
        version: str | None = None,
        as_of: AsOf | None = None,
        targets: Sequence[str] = (),
        inputs: Inputs | None = None,
        idempotency_key: str | None = None,
        priority: Priority | str = Priority.NORMAL,
        deadline: str | float | None = None,
    ) -> dict[str, Any]:
        """Start an execution and return it without waiting for its end.

        Args:
            strategy: Its name.
            environment: Whose active version runs; or, beside a ``version``, whose histories that
                one reads (it writes none).
            version: The version that runs, on a line of its own.
            as_of: RFC 3339 text, nanoseconds or an aware datetime; default: the server's now.
            targets: Bindings wanted; default: all.
            inputs: By variable, used instead of the stored sources: as ``Pipeline.execute`` takes
                them (Points, rows, pandas objects, paths of files).
            idempotency_key: Equal keys with equal requests start one execution.
            priority: ``low``, ``normal`` or ``high``: which of two that wait is run first.
            deadline: How long it may take, such as ``30s`` or ``5m``, or seconds; then it fails.

        Raises:
            Overloaded: Too many executions wait; ``retry_after_s`` says when to come again.
            InvalidPoint: What of the inputs cannot be used.
        """
        body = self._asked(strategy, environment, version, as_of, targets, inputs)
        body["priority"] = str(priority)
        if deadline is not None:
            body["deadline"] = deadline
        reply = self._post("/v1/executions", body, idempotency_key=idempotency_key)
        return self._object(reply)

    def get_status(self, execution_id: str) -> dict[str, Any]:
        """Return an execution as it stands: ``state``, ``nodes_done``, ``nodes_total`` and more."""
        return self._get(f"/v1/executions/{path_part(execution_id)}")

    def wait(
        self,
        execution_id: str,
        *,
        timeout_s: float = 300.0,
        on_progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Return an execution once it ended, whether well or not.

        Args:
            execution_id: Of ``trigger_pipeline``.
            timeout_s: How long to wait at most.
            on_progress: Called with nodes done and nodes in all after each look.

        Raises:
            ExecutionFailed: It has not ended in that time; it goes on all the same.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = FIRST_POLL_S
        while True:
            asked = time.monotonic()
            # The server answers as soon as the execution ends, or at once where too many wait.
            query = {"wait": f"{min(pause_s, max(0.0, deadline - asked)):g}"}
            execution = self._get(f"/v1/executions/{path_part(execution_id)}", query)
            if on_progress is not None:
                on_progress(int(execution["nodes_done"]), int(execution["nodes_total"]))
            if ExecutionState(execution["state"]).ended:
                return execution
            if time.monotonic() >= deadline:
                raise _not_ended(execution_id, timeout_s)
            time.sleep(max(0.0, asked + pause_s - time.monotonic()))
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)

    def events(
        self, execution_id: str, *, after: str = "", timeout_s: float = 300.0
    ) -> Iterator[dict[str, Any]]:
        """Yield what happens to an execution, as it happens, until it has ended.

        Each has ``kind`` (``started``, ``nodes``, ``stage``, ``ended`` or ``reopened``), ``id``,
        ``at``, ``attempt``, ``nodes_done`` and ``nodes_total``; of ``nodes`` also ``counts`` by
        state and ``node_ids``, of ``ended`` its ``state``. A stream that breaks off is taken up
        behind the last one, also where the server is away meanwhile. The end is told also where the
        server has let go of the others.

        Args:
            execution_id: Of ``trigger_pipeline``.
            after: The ``id`` of an event, to get those behind it only.
            timeout_s: How long to follow it at most, and some seconds more.

        Raises:
            ExecutionFailed: It has not ended in that time; it goes on all the same.
            Unavailable: The server could not be reached to begin with.
        """
        deadline = time.monotonic() + timeout_s
        begun = ended = False
        while not ended:
            pause_s = PAUSE_S
            try:
                for message in self._event_messages(execution_id, after, deadline):
                    begun = True
                    after = message.id or after
                    event = {**msgspec.json.decode(message.data), "id": after}
                    ended = event["kind"] == EventKind.ENDED
                    yield event
            except Crowded as error:
                pause_s = error.retry_after_s
            except Unavailable:
                if not begun:
                    raise
            if not ended:
                if time.monotonic() >= deadline:
                    raise _not_ended(execution_id, timeout_s)
                time.sleep(pause_s)

    def _event_messages(self, execution_id: str, after: str, deadline: float) -> Iterator[Message]:
        headers = {"Accept": f"{EVENT_STREAM}, application/problem+json"}
        if after:
            headers["Last-Event-ID"] = after
        request = Request("GET", _path(execution_id, "events"), {}, headers)
        with self._transport.stream(request) as lines:
            yield from messages(_until(deadline, lines))

    def cancel_execution(self, execution_id: str) -> dict[str, Any]:
        """Stop an execution and return it; one that is cancelled already is returned as it is.

        Raises:
            HasEnded: It succeeded or failed.
        """
        return self._object(self._post(_path(execution_id, "cancel"), {}))

    def resume_execution(self, execution_id: str) -> dict[str, Any]:
        """Run what has no result yet, in a further attempt, and return the execution.

        Raises:
            NotEnded: It runs, or waits to.
            HasEnded: It succeeded.
        """
        return self._again(execution_id, "resume", {})

    def retry_execution(self, execution_id: str, nodes: Sequence[str]) -> dict[str, Any]:
        """Compute bindings, what rests on them and what has no result again.

        Raises:
            NotEnded: It runs, or waits to.
            UnknownTarget: It has no such binding.
        """
        return self._again(execution_id, "retry", {"nodes": list(nodes)})

    def replay_execution(self, execution_id: str) -> dict[str, Any]:
        """Start an execution that reads the very data this one read and reuses nothing.

        ``compare_executions`` of the two then says whether the results are the same.

        Raises:
            NotEnded: It runs, or waits to.
        """
        return self._object(self._post(_path(execution_id, "replay"), {}))

    def compare_executions(self, left: str, right: str) -> dict[str, Any]:
        """Return how many results of two executions are equal, the first that is not, and why."""
        return self._get(_path(left, "comparison"), {"with": right})

    def get_plan(self, execution_id: str) -> dict[str, Any]:
        """Return the plan of an execution: stages, shards, estimates, and what they took."""
        return self._get(_path(execution_id, "plan"))

    def plan_pipeline(
        self,
        strategy: str,
        *,
        environment: str | None = None,
        version: str | None = None,
        as_of: AsOf | None = None,
        targets: Sequence[str] = (),
        inputs: Inputs | None = None,
    ) -> dict[str, Any]:
        """Return the plan that ``trigger_pipeline`` would get now; nothing is run."""
        body = self._asked(strategy, environment, version, as_of, targets, inputs)
        return self._object(self._post("/v1/plans", body))

    def get_tallies(self) -> dict[str, int]:
        """Return how many results were ``computed``, ``reused`` and ``waited`` for so far."""
        return self._get("/v1/tallies")

    def get_result_summaries(self, execution_id: str) -> list[dict[str, Any]]:
        """Return the results with their values as JSON renders them, one a binding."""
        return self._items(f"/v1/executions/{path_part(execution_id)}/results")

    def get_execution_nodes(self, execution_id: str) -> list[dict[str, Any]]:
        """Return what is known of every binding: state, duration, error, what it printed."""
        return self._items(f"/v1/executions/{path_part(execution_id)}/nodes")

    def get_results(self, execution_id: str, *, names: Sequence[str] = ()) -> Results:
        """Return the results (all, or those named) with their values decoded from exact bytes."""
        items = self.get_result_summaries(execution_id)
        chosen = [item for item in items if not names or item["binding"] in names]
        return Results(self._result(execution_id, item) for item in chosen)

    def get_value(self, execution_id: str, binding: str) -> object:
        """Return the value of one binding, decoded from its exact bytes.

        Raises:
            NotFound: The binding has no result in this execution.
        """
        return decode(self._encoded_value(execution_id, binding))

    def _encoded_value(self, execution_id: str, binding: str) -> bytes:
        path = f"/v1/executions/{path_part(execution_id)}/results/{path_part(binding)}"
        return self._send("GET", path, accept=VALUE_TYPE).body

    def _asked(
        self,
        strategy: str,
        environment: str | None,
        version: str | None,
        as_of: AsOf | None,
        targets: Sequence[str],
        inputs: Inputs | None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"strategy": strategy, "targets": list(targets)}
        optional = {
            "environment": environment,
            "version": version,
            "as_of": None if as_of is None else format_time(nanoseconds(as_of)),
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        if inputs is not None:
            declared = partial(self._sources, strategy, environment, version)
            body["inputs"] = rows_given(inputs, declared)
        return body

    def _sources(
        self, strategy: str, environment: str | None, version: str | None
    ) -> list[dict[str, Any]]:
        """Return the sources that a version, else the active one, declares."""
        path = f"/v1/strategies/{path_part(strategy)}"
        version = version or self._get(path)["active"].get(environment)
        if version is None:
            raise NotActive(f"{strategy} has no active version in {environment}.")
        found: list[dict[str, Any]] = self._get(f"{path}/versions/{path_part(version)}")["sources"]
        return found

    def _again(self, execution_id: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for a further attempt; the one that was seen goes along, so that one is made."""
        attempt = self.get_status(execution_id)["attempt"]
        return self._object(self._post(_path(execution_id, what), {**body, "attempt": attempt}))

    def _result(self, execution_id: str, item: Mapping[str, Any]) -> Result:
        state = NodeState(item["state"])
        data = self._encoded_value(execution_id, item["binding"]) if state.has_result else None
        error, duration_ms = item.get("error"), item.get("duration_ms")
        return Result(
            name=item["binding"],
            node_id=item["node_id"],
            state=state,
            value=None if data is None else decode(data),
            # of the value itself: a later attempt may have come to another one meanwhile
            digest=item.get("digest") if data is None else digest(data),
            size=item.get("size") if data is None else len(data),
            duration_ns=None if duration_ms is None else round(duration_ms * MILLISECOND),
            error=None if error is None else ErrorRecord(**error),
        )


def _until(deadline: float, lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line
        if time.monotonic() >= deadline:
            return


def _not_ended(execution_id: str, timeout_s: float) -> ExecutionFailed:
    return ExecutionFailed(
        f"Execution {execution_id} has not ended within {timeout_s:g} s.",
        hint=f"It goes on; look again with `qmtl status {execution_id}`.",
    )


def _path(execution_id: str, what: str) -> str:
    return f"/v1/executions/{path_part(execution_id)}/{what}"
