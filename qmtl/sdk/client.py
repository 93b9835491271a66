"""The client of a QMTL server, under the names that the operations have everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qmtl.common.errors import Unavailable
from qmtl.common.timeline import format_time
from qmtl.models.datanode import SourceSpec
from qmtl.models.points import Points
from qmtl.sdk.bodies import path_part, rows_of, source_text
from qmtl.sdk.client_executions import ExecutionRequests
from qmtl.sdk.data_files import is_csv
from qmtl.sdk.files import read_text
from qmtl.sdk.given import Rows
from qmtl.sdk.problems import error_from
from qmtl.sdk.times import AsOf, nanoseconds

if TYPE_CHECKING:
    from qmtl.sdk.data import Data

LONGEST_WAIT_S = 30.0  # what the server allows


class Client(ExecutionRequests):
    """Talks to the HTTP API of a QMTL server.

    Every method may raise ``Unavailable`` where no server answers, and otherwise the error that
    the server met. Requests are sent again where that is safe; those that change something carry
    an idempotency key, so that they act once.

    Args:
        url: Address of the API; default: ``QMTL_URL``, else port 8000 of this machine.
        api_key: Key for writes; default: ``QMTL_API_KEY``.
        timeout_s: Bound on each attempt of a request.
    """

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
        self,
        name: str,
        environment: str,
        *,
        version: str | None = None,
        start: AsOf | None = None,
    ) -> dict[str, Any]:
        """Make a version (default: the newest complete one) active, and return the deployment.

        Nodes that the strategy has no history of there begin theirs at ``start``; default: at the
        first bucket that is triggered.
        """
        begin = None if start is None else format_time(nanoseconds(start))
        body = {"environment": environment, "version": version, "start": begin}
        return self._carried_out(f"/v1/strategies/{path_part(name)}/activate", body)

    def get_history(
        self,
        name: str,
        environment: str,
        binding: str,
        *,
        count: int = 100,
        start: AsOf | None = None,
        end: AsOf | None = None,
    ) -> dict[str, Any]:
        """Return the latest results of a binding of the active version, newest first.

        ``points`` have ``bucket``, ``digest``, ``execution_id``, and ``replaced``: what stood there
        before. ``origin`` is the first bucket, where the strategy carries results on.
        """
        query = {"environment": environment, "binding": binding, "count": count}
        times = {"start": start, "end": end}
        query |= {k: format_time(nanoseconds(at)) for k, at in times.items() if at is not None}
        return self._get(f"/v1/strategies/{path_part(name)}/history", query)

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
