"""The system under test: real servers, and supervised workers that write a journal.

Redis is kept up by the stack that owns it, workers by ``workers.supervise``, as with ``qmtl up``:
the suite kills, and nobody but they themselves brings anything back. There is no web process: the
suite triggers through the same services.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from kombu.exceptions import OperationalError
from redis import RedisError

from qmtl.bootstrap import Stores, System, build, connect
from qmtl.common.settings import Settings
from qmtl.models.strategy import SubmissionState
from qmtl.stack.api import Stack
from qmtl.stack.processes import Processes
from qmtl.stack.state import Folder
from qmtl.tasks.app import make_app
from qmtl.tasks.canvas import CeleryDispatcher
from tests.chaos import doubling
from tests.chaos.journal import Journal, JournalReader
from tests.chaos.nemesis import Target
from tests.chaos.workload import SOURCE_NAME, Workload, rows
from tests.support.servers import unique

READY_S = 60.0
ENVIRONMENT = "development"
WORKER = "tests.chaos.worker"
SHIPPED = Settings()
NODE_WORKERS = ("nodes_1", "nodes_2")
# Cuts as fine as they come, whoever lives when they are made: what a stage is assumed to cost, in
# seconds, and how many shards run at once.
FINE_CUTS = {"QMTL_CROSSING_S": "0.00001", "QMTL_PLAN_SLOTS": str(len(NODE_WORKERS))}


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast the system notices, in seconds; names and defaults are those of the settings."""

    lease_s: float = SHIPPED.lease_s
    reap_interval_s: float = SHIPPED.reap_interval_s
    dispatch_deadline_s: float = SHIPPED.dispatch_deadline_s


DEFAULT = Timing()
QUICK = Timing(lease_s=2.0, reap_interval_s=1.0, dispatch_deadline_s=3.0)


@dataclass(frozen=True, slots=True)
class Spec:
    """What a cluster is started with.

    Attributes:
        seed: Decides which messages are doubled.
        doubled: The share of messages that is sent twice.
        mirror: Whether the mirror and its worker run.
    """

    seed: int
    timing: Timing = DEFAULT
    doubled: float = 0.0
    mirror: bool = False


class Cluster:
    """Workers that run, and this process's side of the system; made by ``running``."""

    def __init__(
        self,
        spec: Spec,
        stack: Stack,
        settings: Settings,
        processes: Processes,
        journal: Path,
    ) -> None:
        self.spec = spec
        self.stack = stack
        self.settings = settings
        self.journal = journal
        self._processes = processes
        self._app = make_app(settings)
        doubling.install(
            self._app,
            seed=spec.seed,
            share=spec.doubled,
            journal=Journal(journal),
            sender="client",
        )
        self.stores: Stores = connect(settings)
        self.system: System = build(settings, CeleryDispatcher(self._app), stores=self.stores)

    @classmethod
    @contextmanager
    def running(cls, spec: Spec, stack: Stack, journal: Path) -> Iterator[Cluster]:
        """Start the workers, yield when each answers, and stop them."""
        settings = settings_of(stack, spec.timing)
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.unlink(missing_ok=True)
        environ = os.environ | settings.to_env() | FINE_CUTS
        environ |= {
            "CHAOS_SEED": str(spec.seed),
            "CHAOS_DOUBLED": str(spec.doubled),
            "CHAOS_JOURNAL": str(journal.absolute()),
        }
        with supervised(_commands(spec), stack, environ) as processes:
            cluster = cls(spec, stack, settings, processes, journal)
            try:
                cluster.system.registry.prepare()
                cluster.await_workers()
                yield cluster
            finally:
                cluster.system.close()
                cluster._app.close()

    def await_workers(self) -> None:
        """Return when every Celery worker answers."""
        wanted = sum(WORKER in command for command in _commands(self.spec).values())
        until = time.monotonic() + READY_S
        while self._answers(wanted) < wanted:
            if time.monotonic() > until:
                logs = self.stack.data_dir / "logs"
                raise TimeoutError(f"No answer of {wanted} workers in {READY_S:.0f} s; see {logs}.")

    def _answers(self, limit: int) -> int:
        try:
            return len(self._app.control.ping(timeout=0.5, limit=limit) or ())
        except (OperationalError, RedisError):  # of a connection to a Redis that was killed
            return 0

    def targets(self, victim: str) -> list[Target]:
        """Return the processes of a kind that live now (``nemesis.VICTIMS``, or ``mirror``)."""
        if victim == "redis":
            pid = self.stack.servers["redis"].pid
            return [Target("redis", pid)] if pid else []
        return targets(self._processes, victim)

    def deploy(self, tenant: str, workload: Workload, *, days: int) -> None:
        """Have the control worker register and activate a workload; append its points."""
        requests: list[tuple[str, dict[str, Any]]] = [
            ("submit_strategy", {"source": workload.source}),
            ("activate_strategy", {"strategy": workload.name, "environment": ENVIRONMENT}),
        ]
        orchestrator = self.system.orchestrator
        for operation, request in requests:
            made, _ = orchestrator.submit(tenant, operation=operation, request=request, by="chaos")
            ended = orchestrator.wait_for_submission(tenant, made.id, timeout_s=READY_S)
            if ended.state is not SubmissionState.DONE:
                raise RuntimeError(f"{operation} ended as {ended.state}: {ended.problem}")
        self.system.registry.append_rows(tenant, SOURCE_NAME, rows(days))

    def read_journal(self) -> JournalReader:
        """Return a reader that begins at the journal's start."""
        return JournalReader(self.journal)


def settings_of(stack: Stack, timing: Timing) -> Settings:
    """Return settings of a cell and topics of their own."""
    return replace(
        Settings.from_env({**stack.settings_env(), **FINE_CUTS}),
        cell=unique("chaos"),
        results_topic=unique("chaos.results"),
        plan_slots=len(NODE_WORKERS),  # also while one of them is dead
        lease_s=timing.lease_s,
        reap_interval_s=timing.reap_interval_s,
        dispatch_deadline_s=timing.dispatch_deadline_s,
    )


@contextmanager
def supervised(
    commands: Mapping[str, str], stack: Stack, environ: Mapping[str, str]
) -> Iterator[Processes]:
    """Run commands (name -> module and arguments) as the Procfile's are; one set at a time."""
    python = '"${QMTL_PYTHON}" -m'
    lines = [f"{n}: exec {python} workers.supervise -- {python} {c}\n" for n, c in commands.items()]
    procfile = stack.data_dir / "Procfile.chaos"
    procfile.write_text("".join(lines))
    processes = Processes(procfile, Folder(stack.data_dir), environ)
    try:
        yield processes
    finally:
        processes.stop()


def _commands(spec: Spec) -> dict[str, str]:
    commands = dict.fromkeys(NODE_WORKERS, f"{WORKER} nodes 1")
    commands |= {"control": f"{WORKER} control 1", "beat": "workers.beat"}
    return commands | ({"mirror": f"{WORKER} mirror 1"} if spec.mirror else {})


def targets(processes: Processes, victim: str) -> list[Target]:
    """Return what lives of a kind: node workers and the control worker, their children, or one
    process by its name."""
    workers = [Target(n, p.pid) for n, p in processes.all().items() if p.pid]
    if victim == "worker":
        return [t for t in workers if t.name not in {"beat", "mirror"}]
    if victim == "child":
        return [child for t in workers if t.name.startswith("nodes") for child in children(t)]
    return [t for t in workers if t.name == victim]


def children(worker: Target) -> Sequence[Target]:
    """Return a worker's pool children."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(worker.pid).children()
        return [Target(f"{worker.name}/child", child.pid) for child in found]
    return []
