"""The client of a QMTL server, under the names that the operations have everywhere."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from qmtl.common.codec import decode
from qmtl.common.errors import ExecutionFailed, Unavailable
from qmtl.common.timeline import MILLISECOND, format_time
from qmtl.models.datanode import SourceSpec
from qmtl.models.execution import ErrorRecord, ExecutionState, NodeState
from qmtl.models.points import Points
from qmtl.sdk.bodies import json_body, path_part, rows_of, source_text
from qmtl.sdk.data_files import is_csv
from qmtl.sdk.files import read_text
from qmtl.sdk.problems import error_from
from qmtl.sdk.results import Result, Results
from qmtl.sdk.times import AsOf, nanoseconds
from qmtl.sdk.transport import JSON, Reply, Request, Transport

if TYPE_CHECKING:
    from qmtl.sdk.data import Data

DEFAULT_URL = "http://127.0.0.1:8000"
VALUE_TYPE = "application/vnd.qmtl.value"
FIRST_POLL_S = 0.05
LONGEST_POLL_S = 1.0
LONGEST_WAIT_S = 30.0  # what the server allows
PAGE = 200  # likewise

Rows = Sequence[Mapping[str, Any]]
Progress = Callable[[int, int], None]  # nodes done, nodes in all


class Client:
    """Talks to the HTTP API of a QMTL server.

    Every method may raise ``Unavailable`` where no server answers, and otherwise the error that
    the server met. Requests are sent again where that is safe; those that change something carry
    an idempotency key, so that they act once.

    Args:
        url: Address of the API; default: ``QMTL_URL``, else port 8000 of this machine.
        api_key: Key for writes; default: ``QMTL_API_KEY``.
        timeout_s: Bound on each attempt of a request.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout_s: float = 30.0
    ) -> None:
        self.url = url or os.environ.get("QMTL_URL") or DEFAULT_URL
        key = api_key or os.environ.get("QMTL_API_KEY")
        self._transport = Transport(self.url, key, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection of this thread; the client stays usable."""
        self._transport.close()

    # --- strategies ------------------------------------------------------------------------------

    def submit_strategy(self, source: str | Path, *, wait_s: float = 30.0) -> dict[str, Any]:
        """Submit a strategy and wait until it is registered.

        Args:
            source: The path of its file, or its text.
            wait_s: How long to wait, 30 at most; then the submission is returned as it stands.

        Returns:
            The submission; where its ``state`` is DONE, its ``result`` names ``strategy``,
            ``version``, ``created`` and ``nodes``.

        Raises:
            StrategyRejected: The server refused it; ``problems`` lists why.
        """
        return self._submission("/v1/strategies", {"source": source_text(source)}, wait_s)

    def register_node(
        self, source: str | Path, binding: str, *, wait_s: float = 30.0
    ) -> dict[str, Any]:
        """Register one binding of a strategy with what it rests on, as ``submit_strategy`` does.

        The ``result`` names ``node_id``, ``binding``, ``strategy`` and ``version``.
        """
        body = {"source": source_text(source), "binding": binding}
        return self._submission("/v1/nodes", body, wait_s)

    def get_submission(self, submission_id: str) -> dict[str, Any]:
        """Return a submission as it stands."""
        return self._get(f"/v1/submissions/{path_part(submission_id)}")

    def activate_strategy(
        self, name: str, environment: str, *, version: str | None = None
    ) -> dict[str, Any]:
        """Make a version (default: the newest complete one) active, and return the deployment."""
        body = {"environment": environment, "version": version}
        return self._carried_out(f"/v1/strategies/{path_part(name)}/activate", body)

    def deactivate_strategy(self, name: str, environment: str) -> dict[str, Any]:
        """Leave a strategy without an active version there, and return the deployment."""
        body = {"environment": environment}
        return self._carried_out(f"/v1/strategies/{path_part(name)}/deactivate", body)

    # --- sources ---------------------------------------------------------------------------------

    def append_points(self, source: str, data: Data | Rows) -> dict[str, Any]:
        """Append points to a source, and return its revision and how many were added or corrected.

        Args:
            source: The source's name among all sources of the tenant.
            data: As ``Pipeline.execute`` takes it: Points, rows with ``ts``, a pandas object, or
                the path of a file (CSV, Parquet, Arrow, Feather or JSON).

        Raises:
            InvalidPoint: What of the data cannot be used.
        """
        path = f"/v1/sources/{path_part(source)}/points"
        if isinstance(data, str | Path) and is_csv(data):
            body = read_text(data).encode()
            return self._object(self._send("POST", path, body=body, content_type="text/csv"))
        if not isinstance(data, list | tuple | Points):
            data = self._points(source, cast("Data", data))
        rows = rows_of(data) if isinstance(data, Points) else [dict(row) for row in data]
        return self._object(self._post(path, {"points": rows}))

    # --- executions ------------------------------------------------------------------------------

    def trigger_pipeline(
        self,
        strategy: str,
        *,
        environment: str | None = None,
        version: str | None = None,
        as_of: AsOf | None = None,
        targets: Sequence[str] = (),
        inputs: Mapping[str, Points | Rows] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Start an execution and return it without waiting for its end.

        Args:
            strategy: Its name.
            environment: Whose active version runs; either this or ``version``.
            version: The version that runs, on a line of its own.
            as_of: RFC 3339 text, nanoseconds or an aware datetime; default: the server's now.
            targets: Bindings wanted; default: all.
            inputs: Points by variable, used instead of the stored sources.
            idempotency_key: Equal keys with equal requests start one execution.
        """
        body: dict[str, Any] = {"strategy": strategy, "targets": list(targets)}
        optional = {
            "environment": environment,
            "version": version,
            "as_of": None if as_of is None else format_time(nanoseconds(as_of)),
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        if inputs is not None:
            body["inputs"] = {
                v: rows_of(p) if isinstance(p, Points) else [dict(r) for r in p]
                for v, p in inputs.items()
            }
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
                raise ExecutionFailed(
                    f"Execution {execution_id} has not ended within {timeout_s:g} s.",
                    hint=f"It goes on; look again with `qmtl status {execution_id}`.",
                )
            time.sleep(max(0.0, asked + pause_s - time.monotonic()))
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)

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
        path = f"/v1/executions/{path_part(execution_id)}/results/{path_part(binding)}"
        return decode(self._send("GET", path, accept=VALUE_TYPE).body)

    # --- the registry ----------------------------------------------------------------------------

    def get_nodes(self, strategy: str, version: str) -> dict[str, Any]:
        """Return a version with its sources and nodes."""
        return self._get(f"/v1/strategies/{path_part(strategy)}/versions/{path_part(version)}")

    def get_node(self, node_id: str) -> dict[str, Any]:
        """Return a node: its code, parameters and who binds it."""
        return self._get(f"/v1/nodes/{path_part(node_id)}")

    def get_lineage(
        self, node_id: str, *, direction: str = "upstream", depth: int | None = None
    ) -> dict[str, Any]:
        """Return what a node rests on (``upstream``) or what rests on it (``downstream``)."""
        query = {"direction": direction, "depth": depth}
        return self._get(f"/v1/nodes/{path_part(node_id)}/lineage", query)

    def list_strategies(self) -> list[dict[str, Any]]:
        """Return every strategy of the tenant."""
        return list(self._pages("/v1/strategies"))

    def _points(self, source: str, data: Data) -> Points:
        """Return data as points with the columns that a source has on the server."""
        from qmtl.sdk.data import read_points  # noqa: PLC0415 - pandas is slow

        columns = self._get(f"/v1/sources/{path_part(source)}")["columns"]
        spec = SourceSpec(
            variable=source, name=source, columns=tuple(columns), interval_ns=None, period=1
        )
        return read_points(spec, data)

    # --- how it asks -----------------------------------------------------------------------------

    def _result(self, execution_id: str, item: Mapping[str, Any]) -> Result:
        state = NodeState(item["state"])
        error, duration_ms = item.get("error"), item.get("duration_ms")
        return Result(
            name=item["binding"],
            node_id=item["node_id"],
            state=state,
            value=self.get_value(execution_id, item["binding"]) if state.has_result else None,
            digest=item.get("digest"),
            size=item.get("size"),
            duration_ns=None if duration_ms is None else round(duration_ms * MILLISECOND),
            error=None if error is None else ErrorRecord(**error),
        )

    def _submission(self, path: str, body: dict[str, Any], wait_s: float) -> dict[str, Any]:
        submission = self._object(self._post(path, body, wait_s=wait_s))
        if submission.get("state") == "REJECTED":  # told of an earlier one, under the same key
            raise error_from(submission.get("problem") or {}, status=422)
        return submission

    def _carried_out(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send what the control worker carries out, and wait for it."""
        reply = self._post(path, body, wait_s=LONGEST_WAIT_S)
        document = self._object(reply)
        if reply.status == 202:
            raise Unavailable(
                "control",
                f"The server took the request, and no worker did it within {LONGEST_WAIT_S:g} s.",
                hint=f"It may still happen: submission {document.get('id')} will tell.",
            )
        return document

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {"limit": PAGE}
        while True:
            page = self._get(path, query)
            yield from page["items"]
            if not page.get("next"):
                return
            query["after"] = page["next"]

    def _items(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get(path)["items"]
        return items

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._object(self._send("GET", path, query=query))

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        wait_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Reply:
        return self._send(
            "POST",
            path,
            query=None if wait_s is None else {"wait": f"{wait_s:g}"},
            body=json_body(body),
            idempotency_key=idempotency_key,
            wait_s=wait_s or 0.0,
        )

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        accept: str = JSON,
        content_type: str = JSON,
        idempotency_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Reply:
        headers = {"Accept": f"{accept}, application/problem+json"}
        if body is not None:
            headers["Content-Type"] = content_type
            headers["Idempotency-Key"] = idempotency_key or uuid.uuid4().hex
        return self._transport.send(
            Request(method, path, query or {}, headers, body), wait_s=wait_s
        )

    @staticmethod
    def _object(reply: Reply) -> dict[str, Any]:
        document: dict[str, Any] = reply.json()
        return document
