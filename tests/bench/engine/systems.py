"""What the bench asks of a system, whatever it is."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import redis

from tests.bench.engine.functions import Value
from tests.bench.engine.workloads import Workload
from tests.support.celery_cluster.guarded import GuardedProcess

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 60
PROCESSES = 2  # that compute, whatever the system


@dataclass(frozen=True, slots=True)
class Run:
    """A timed run: how long it took, and how to read what it came to.

    ``number`` is what it ran on, where that is not the number it was given.
    """

    seconds: float
    values: Callable[[], dict[str, Value]]
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Burst:
    """Runs that were submitted at once: how long until all had ended, and each one's values."""

    seconds: float
    values: list[Callable[[], dict[str, Value]]]


class System(Protocol):
    """Something that runs workloads.

    Attributes:
        name: In tables and rows.
        version: Of what it is made of.
    """

    name: str
    version: str

    def start(self) -> None:
        """Bring its processes up."""

    def run(self, workload: Workload, number: int) -> Run:
        """Run a workload on a number that it was never given."""

    def stop(self) -> None:
        """End what it started."""


def connect(url: str) -> redis.Redis:
    """Return a connection that waits as long as it is told to."""
    return redis.Redis.from_url(url, socket_timeout=None)


def installed(package: str) -> str | None:
    """Return the version of a package, or None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def dump(value: Value) -> bytes:
    """Encode a value for Redis: JSON, or pickle for an array."""
    if isinstance(value, dict):
        return json.dumps(value).encode()
    return pickle.dumps(value, protocol=5)


def load(data: bytes) -> Value:
    """Decode a value; no JSON begins as a pickle does."""
    return pickle.loads(data) if data.startswith(b"\x80") else json.loads(data)


def worker_environ(**more: str) -> dict[str, str]:
    """Return the variables of a process that imports the bench."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def start_module(
    folder: Path, name: str, *words: str, environ: dict[str, str] | None = None
) -> GuardedProcess:
    """Start ``python -m ...`` so that it ends with this process, however this ends."""
    process = GuardedProcess(
        [sys.executable, "-m", *words],
        env=environ or worker_environ(),
        cwd=ROOT,
        log=folder / f"{name}.log",
    )
    process.start()
    return process


def stop_all(processes: Sequence[GuardedProcess]) -> None:
    """End processes; those that are slow to end are killed."""
    for process in processes:
        process.stop(5.0)
