"""Where measures take place: one stack, one set of workers at a time, a folder for what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from qmtl.stack.api import Stack
from tests.chaos.cluster import Cluster, Spec
from tests.chaos.nemesis import FaultLog, Target
from tests.chaos.report import write_json
from tests.chaos.traffic import Traffic
from tests.chaos.workload import STAGES, Workload

T = TypeVar("T")


@dataclass
class Lab:
    """What a measure is given.

    Attributes:
        stack: The servers.
        out: Folder of all output.
        seed: Of every choice that is left to chance.
        short: Whether the short form runs.
        say: Told how it goes.
    """

    stack: Stack
    out: Path
    seed: int
    short: bool
    say: Callable[[str], None] = lambda text: print(text, flush=True)
    _running: ExitStack = field(default_factory=ExitStack)
    _cluster: Cluster | None = None
    _started: int = 0

    def pick(self, full: T, short: T) -> T:
        """Return the size of the form that runs."""
        return short if self.short else full

    def cluster(self, spec: Spec) -> Cluster:
        """Return workers of this kind: those that run, or new ones in their place."""
        if self._cluster is None or self._cluster.spec != spec:
            self.stop_workers()
            self._started += 1
            journal = self.out / "journals" / f"{self._started}.jsonl"
            started = Cluster.running(spec, self.stack, journal)
            self._cluster = self._running.enter_context(started)
        return self._cluster

    def stop_workers(self) -> None:
        """Stop the workers that run, if any."""
        self._cluster = None
        self._running.close()

    def traffic(self, name: str, spec: Spec, workload: Workload, *, days: int) -> Traffic:
        """Deploy a workload under a tenant of its own, run it once, and look at its plan.

        The tenant follows from the seed, and so do the ids of executions and what is doubled.

        Raises:
            RuntimeError: The plan has not the four stages that the suite is about.
        """
        cluster, tenant = self.cluster(spec), f"chaos-{name}-{self.seed}"
        cluster.deploy(tenant, workload, days=days)
        traffic = Traffic(cluster, tenant, workload)
        traffic.flow([0], window=1, quiet_s=60.0)
        if set(traffic.stages) != {STAGES}:
            raise RuntimeError(f"The first execution had {dict(traffic.stages)} stages.")
        return traffic

    def redis(self) -> list[Target]:
        """Return Redis, while it lives."""
        pid = self.stack.servers["redis"].pid
        return [Target("redis", pid)] if pid else []

    def faults(self, name: str) -> FaultLog:
        """Return a new fault log of a measure."""
        return FaultLog(self.out / name / "faults.jsonl")

    def keep(self, name: str, document: object) -> None:
        """Write the checker's output of a measure."""
        write_json(self.out / name / "check.json", document)


@contextmanager
def lab(stack: Stack, out: Path, *, seed: int, short: bool) -> Iterator[Lab]:
    """Make a lab on servers that run, and stop its workers at the end."""
    out.mkdir(parents=True, exist_ok=True)
    made = Lab(stack, out, seed, short)
    try:
        yield made
    finally:
        made.stop_workers()
