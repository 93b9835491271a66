"""QMTL as it runs elsewhere: servers, a node worker with two children, a control worker, the web.

The bench's process is the client: it calls the same services that the web calls.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from qmtl import __version__
from qmtl.bootstrap import System as Services
from qmtl.bootstrap import build, connect
from qmtl.common.codec import decode
from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.common.timeline import format_time
from qmtl.models.execution import Execution, NodeResult, NodeState
from qmtl.stack.api import Stack
from qmtl.stack.ports import choose
from qmtl.tasks.app import make_app
from qmtl.tasks.canvas import CeleryDispatcher
from tests.bench.engine.functions import Value
from tests.bench.engine.phases import Spent
from tests.bench.engine.strategy import SOURCE, text
from tests.bench.engine.systems import (
    PROCESSES,
    TIMEOUT_S,
    Burst,
    Run,
    start_module,
    stop_all,
    worker_environ,
)
from tests.bench.engine.waiting import pause_until
from tests.bench.engine.workloads import Workload
from tests.support.celery_cluster.guarded import GuardedProcess
from tests.support.servers import settings_of

TENANT, BY = "bench", "bench"
ENVIRONMENT = "production"
SOURCE_LIMIT_BYTES = 4 * 1024 * 1024  # 10,000 nodes written out are more than the default
DAY_NS = 86_400 * 1_000_000_000
FIRST_DAY_NS = 946_684_800 * 1_000_000_000  # 2000-01-01
BUSY_S = 0.01
REGISTER_S = 600.0  # for 10,000 nodes on a machine that has more to do
WORKERS = {"control": "workers.control", "nodes": "workers.nodes", "web": "workers.web"}


class NotComputed(AssertionError):
    """A node of a timed run was not computed in it, or an execution did not succeed."""


@dataclass(frozen=True, slots=True)
class Latest:
    """A run that was computed: on what, when, as which execution, and how long it took."""

    number: int
    as_of_ns: int
    execution_id: str
    seconds: float


class Qmtl:
    """The whole system, triggered by service call.

    Attributes:
        services: Of this process.
        last: The latest run of each workload.
        refused: Why a workload could not be deployed.
    """

    name = "qmtl"
    version = __version__

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._key = secrets.token_hex(16)
        digest = hashlib.sha256(self._key.encode()).hexdigest()
        self.settings: Settings = replace(
            settings_of(stack),
            slots=PROCESSES,
            source_limit_bytes=SOURCE_LIMIT_BYTES,
            api_port=choose(),
            api_keys=f"bench:{TENANT}:{digest}",
        )
        self._folder = folder
        self._deployed: set[str] = set()
        self.refused: dict[str, str] = {}
        self._day = 0
        self._processes: dict[str, GuardedProcess] = {}
        self._http: http.client.HTTPConnection | None = None
        dispatcher, stores = CeleryDispatcher(make_app(self.settings)), connect(self.settings)
        self.services: Services = build(self.settings, dispatcher, stores=stores)
        self._ledger = stores.ledger
        self.last: dict[str, Latest] = {}

    def start(self) -> None:
        """Start the processes, and wait for the web; the others show in the first run."""
        self.services.registry.prepare()
        environ = worker_environ(**self.settings.to_env())
        for name, module in WORKERS.items():
            self._processes[name] = start_module(self._folder, name, module, environ=environ)
        pause_until(self._web_answers, timeout_s=TIMEOUT_S, what="The web process answers")

    @property
    def pids(self) -> dict[str, int]:
        """The main process of each worker, by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def prepare(self, workloads: Sequence[Workload]) -> None:
        """Deploy workloads before anything is timed; the runs of one that is refused will fail."""
        for workload in workloads:
            try:
                self.deploy(workload)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                self.refused[workload.name] = str(error)

    def deploy(self, workload: Workload) -> None:
        """Register a workload and make it active, once."""
        if workload.name in self._deployed:
            return
        if workload.name in self.refused:
            raise NotComputed(self.refused[workload.name])
        self._carry_out("submit_strategy", {"source": text(workload)})
        self._carry_out(
            "activate_strategy", {"strategy": workload.name, "environment": ENVIRONMENT}
        )
        self._deployed.add(workload.name)

    def _carry_out(self, operation: str, request: dict[str, Any]) -> None:
        orchestrator = self.services.orchestrator
        submission, _ = orchestrator.submit(TENANT, operation=operation, request=request, by=BY)
        ended = orchestrator.wait_for_submission(TENANT, submission.id, timeout_s=REGISTER_S)
        if ended.problem is not None or ended.result is None:
            raise NotComputed(f"{operation}: {ended.problem or ended.state}")

    def feed(self, workload: Workload, numbers: Sequence[int]) -> list[int]:
        """Append a point for each number and return the times at which each is the latest."""
        self.deploy(workload)
        days = [FIRST_DAY_NS + (self._day + i) * DAY_NS for i in range(len(numbers))]
        self._day += len(numbers)
        rows: list[Mapping[str, Any]] = [
            {"ts": format_time(day), "v": float(number)}
            for day, number in zip(days, numbers, strict=True)
        ]
        self.services.registry.append_rows(TENANT, f"{workload.name}.{SOURCE}", rows)
        return [day + DAY_NS for day in days]

    def trigger(self, workload: Workload, as_of_ns: int) -> Execution:
        """Start an execution; where the system is busy, ask again until it is not."""
        while True:
            try:
                execution, _ = self.services.orchestrator.trigger_pipeline(
                    TENANT,
                    strategy=workload.name,
                    environment=ENVIRONMENT,
                    version=None,
                    as_of_ns=as_of_ns,
                    targets=(),
                    inputs=None,
                    by=BY,
                )
            except Unavailable:
                time.sleep(BUSY_S)
            else:
                return execution

    def await_end(self, execution_id: str) -> None:
        """Return as soon as an execution has ended, whether well or not."""
        found = self.services.orchestrator.wait_for_execution(
            TENANT, execution_id, timeout_s=TIMEOUT_S
        )
        if not found.state.ended:
            raise TimeoutError(f"Execution {execution_id} ends: not within {TIMEOUT_S:g} s")

    def run(self, workload: Workload, number: int) -> Run:
        """Trigger by service call and wait for the end; every node has to be computed."""
        as_of_ns = self.feed(workload, [number])[0]
        began = time.perf_counter()
        execution = self.trigger(workload, as_of_ns)
        self.await_end(execution.id)
        seconds = time.perf_counter() - began
        self.last[workload.name] = Latest(number, as_of_ns, execution.id, seconds)
        return Run(seconds, partial(self.computed, workload, execution.id))

    def runs(self, workload: Workload, numbers: Sequence[int]) -> Burst:
        """Trigger several executions at once and wait for them all."""
        times = self.feed(workload, numbers)
        began = time.perf_counter()
        executions = [self.trigger(workload, as_of_ns) for as_of_ns in times]
        for execution in executions:
            self.await_end(execution.id)
        seconds = time.perf_counter() - began
        return Burst(seconds, [partial(self.computed, workload, e.id) for e in executions])

    def computed(self, workload: Workload, execution_id: str) -> dict[str, Value]:
        """Return the values of an execution, every node of which it computed itself."""
        return self.values(workload, execution_id, {NodeState.SUCCEEDED})

    def values(
        self, workload: Workload, execution_id: str, states: set[NodeState]
    ) -> dict[str, Value]:
        """Return the values of an execution whose nodes are all in one of some states."""
        orchestrator = self.services.orchestrator
        execution = orchestrator.get_status(TENANT, execution_id)
        if execution.nodes_done != len(workload.nodes):
            raise NotComputed(
                f"{workload.name}: {execution.nodes_done} of {len(workload.nodes)} nodes, "
                f"{execution.state} {execution.error or ''}"
            )
        results = orchestrator.get_results(TENANT, execution_id)
        return {r.name: decode(_value(workload, r, states)) for r in results}

    def web(self, workload: Workload, number: int) -> Run:
        """Trigger by HTTP on a connection that is open, and read the results on it."""
        as_of_ns = self.feed(workload, [number])[0]
        body = {
            "strategy": workload.name,
            "environment": ENVIRONMENT,
            "as_of": format_time(as_of_ns),
        }
        pause_until(self._web_answers, timeout_s=TIMEOUT_S, what="The web process answers")
        began = time.perf_counter()
        execution = self._ask("POST", "/v1/executions?wait=30", body)
        results = self._ask("GET", f"/v1/executions/{execution['id']}/results")
        seconds = time.perf_counter() - began
        if results["state"] != "SUCCEEDED":
            raise NotComputed(f"{workload.name}: {results['state']} after the wait")
        if any(item["state"] != "SUCCEEDED" for item in results["items"]):
            raise NotComputed(f"{workload.name}: not every node was computed")
        return Run(seconds, lambda: {i["binding"]: i["value"] for i in results["items"]})

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        if self._http is None:
            self._http = http.client.HTTPConnection(
                "127.0.0.1", self.settings.api_port, timeout=TIMEOUT_S
            )
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        self._http.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._http.getresponse()
        read = answer.read()
        if answer.status >= 400:
            raise NotComputed(f"{method} {path}: {answer.status} {read[:300]!r}")
        found: dict[str, Any] = msgspec.json.decode(read)  # as the SDK's client does
        return found

    def _web_answers(self) -> bool:
        try:
            self._ask("GET", "/healthz")
        except (OSError, http.client.HTTPException):
            self._http = None
            return False
        return True

    def spent(self, execution_id: str) -> list[Spent]:
        """Return what the shards of an execution tell of their time, where they tell it."""
        found = self._ledger.shards(execution_id)
        return [shard.spent for shard in found if shard.spent is not None]

    def stop(self) -> None:
        """End the processes."""
        if self._http is not None:
            self._http.close()
        self.services.close()
        stop_all(list(self._processes.values()))


def _value(workload: Workload, result: NodeResult, states: set[NodeState]) -> bytes:
    if result.record.state not in states or result.value is None:
        error = result.record.error
        why = f": {error.code} {error.message}" if error else ""
        raise NotComputed(f"{workload.name}: {result.name} is {result.record.state}{why}")
    return result.value
