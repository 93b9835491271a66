"""Containers of pytest-celery that are processes of this machine: a broker and workers.

Nodes and clusters stay pytest-celery's own; only what they call a container is ours.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import celery
from pytest_celery import CeleryTestContainer
from pytest_docker_tools.exceptions import ContainerFailed

from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.stack.embedded import valkey_plan
from qmtl.stack.ports import choose
from qmtl.stack.redis_server import BROKER_DATABASE
from tests.support.celery_cluster import fatal_worker
from tests.support.celery_cluster.guarded import GuardedProcess
from tests.support.celery_cluster.waiting import eventually

REPOSITORY = Path(__file__).parents[3]
READY_S = 30.0


class ProcessContainer(CeleryTestContainer):
    """A guarded process that answers as a container of Docker's would."""

    def __init__(self, name: str, process: GuardedProcess) -> None:
        # Without super().__init__(), which asks a Docker engine.
        self._name = name
        self._id = secrets.token_hex(32)
        self._process = process

    @property
    def id(self) -> str:
        return self._id

    @property
    def name(self) -> str:
        return self._name

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> str:
        if not self._process.started:
            return "created"
        return "running" if self._process.running else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        return {"Id": self.id, "State": {"Status": self.status, "Pid": self.pid}}

    def start(self) -> None:
        """Start the process; ``ready`` tells when it serves."""
        self._process.start()

    def logs(self) -> str:
        """Return what was logged since the latest start."""
        return self._process.output()

    def reload(self) -> None:
        """Do nothing: every attribute is read anew from the process."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send a signal to the main process; after SIGKILL, return once it is gone."""
        signum = _signal(signal)
        self._process.send(signum)
        if signum is _signal("SIGKILL"):
            self._process.wait(READY_S)

    def wait(self, timeout: float = READY_S) -> int:
        """Return the exit code of a process that was told to end."""
        return self._process.wait(timeout)

    def restart(self, timeout: float = READY_S) -> None:
        """Stop it where it runs, start it on the same data and return once it serves."""
        self._process.stop(timeout)
        self._process.start()
        self.ready()

    def ready(self) -> bool:
        """Return once it serves; raise where it ended instead."""
        eventually(self._serves, what=f"{self.name} serves", within_s=READY_S)
        return True

    def teardown(self) -> None:
        """End it with all that it started, at once; a second call does nothing."""
        self._process.stop(signum=signal.SIGKILL)

    def _serves(self) -> bool:
        if self.status == "exited":
            raise ContainerFailed(self, f"{self.name} ended:\n{self.logs()[-4000:]}")
        return self._answers()

    def _answers(self) -> bool:
        raise NotImplementedError


class BrokerContainer(ProcessContainer):
    """A Valkey server that keeps its port and its data over kill and restart."""

    def __init__(self, name: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        plan = valkey_plan(folder, choose(), secrets.token_hex(16))
        self._ping = plan.ping
        self._prepare = plan.prepare
        self.url = plan.settings["QMTL_BROKER_URL"]
        process = GuardedProcess(
            plan.command, env={"PATH": os.defpath}, cwd=folder, log=folder / "valkey.log"
        )
        super().__init__(name, process)

    @property
    def celeryconfig(self) -> dict[str, str]:
        return {"url": self.url, "host_url": self.url, "vhost": str(BROKER_DATABASE)}

    @property
    def ready_prompt(self) -> str:
        return "Ready to accept connections"

    def start(self) -> None:
        self._prepare()
        super().start()

    def _answers(self) -> bool:
        try:
            self._ping(1.0)
        except Unavailable:
            return False
        return True


class WorkerContainer(ProcessContainer):
    """A worker of one queue, started as the Procfile starts it.

    Args:
        number: Tells workers of one queue apart, as honcho does.
        soft_shutdown_s: Seconds that running tasks get after SIGTERM, where not the app's own.
        deaths_of_planning: How often a child of it is killed while it plans, before any does not.
    """

    def __init__(
        self,
        queue: str,
        number: int,
        settings: Settings,
        folder: Path,
        *,
        soft_shutdown_s: float | None = None,
        deaths_of_planning: int = 0,
    ) -> None:
        self._queue = queue
        module = f"workers.{queue}"
        env = _inherited() | settings.to_env() | {"HONCHO_PROCESS_NAME": f"{queue}.{number}"}
        if soft_shutdown_s is not None:
            module = "tests.support.celery_cluster.hasty_worker"
            env |= {"SOFT_SHUTDOWN_S": str(soft_shutdown_s)}
        if deaths_of_planning:
            module = fatal_worker.__name__
            env[fatal_worker.DEATHS] = str(deaths_of_planning)
            env[fatal_worker.PLANNINGS] = str(folder / "plannings")
        process = GuardedProcess(
            [sys.executable, "-m", module],
            env=env,
            cwd=REPOSITORY,
            log=folder / f"{queue}.{number}.log",
        )
        super().__init__(f"{queue}.{number}", process)

    @property
    def ready_prompt(self) -> str:
        return f"{self.nodename} ready."

    @property
    def nodename(self) -> str:
        """The name under which Celery's remote control knows it."""
        return f"{self.name}@{socket.gethostname()}"

    def version(self) -> str:
        return celery.__version__

    def log_level(self) -> str:
        return "INFO"

    def worker_name(self) -> str:
        return self.name

    def worker_queue(self) -> str:
        return self._queue

    def _answers(self) -> bool:
        return self.ready_prompt in self.logs()


def _inherited() -> dict[str, str]:
    """Return this environment without settings: those of a worker come from its test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("QMTL_")}


def _signal(given: str | int) -> signal.Signals:
    return signal.Signals[given] if isinstance(given, str) else signal.Signals(given)
