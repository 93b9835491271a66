"""A client that triggers executions and waits for their ends, whatever is away meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from qmtl.common.errors import Overloaded, QmtlError, Unavailable, UnknownExecution
from qmtl.models.execution import Execution
from tests.chaos.cluster import ENVIRONMENT, Cluster
from tests.chaos.workload import Workload, as_of_ns

LOOK_S = 0.1
AGAIN_S = 0.2
PATIENCE_S = 60.0
T = TypeVar("T")


@dataclass
class Traffic:
    """What was triggered and what ended, by the number of the execution.

    Attributes:
        states: The final state of each that ended.
        lost: Those that were accepted and are not known any more.
        stages: How many executions had so many stages.
        refused: How often the system asked to come back later.
    """

    cluster: Cluster
    tenant: str
    workload: Workload
    ids: dict[int, str] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    stages: Counter[int] = field(default_factory=Counter)
    refused: int = 0

    @property
    def open(self) -> list[int]:
        """Numbers of the executions that were triggered and have not ended."""
        return [n for n in self.ids if n not in self.states and n not in self.lost]

    def trigger(self, number: int) -> None:
        """Trigger an execution; again and again under one key while the system is away."""
        self.ids[number] = patiently(lambda: self.try_trigger(number)).id

    def try_trigger(self, number: int) -> Execution:
        """Ask once."""
        execution, _ = self.cluster.system.orchestrator.trigger_pipeline(
            self.tenant,
            strategy=self.workload.name,
            environment=ENVIRONMENT,
            version=None,
            as_of_ns=as_of_ns(number),
            targets=(),
            inputs=None,
            by="chaos",
            idempotency_key=f"{self.workload.name}-{number}",
        )
        return execution

    def look(self) -> int:
        """Ask for what is open; return how many executions ended since the last time."""
        before = len(self.states)
        for number in self.open:
            try:
                found = self.cluster.system.orchestrator.get_status(self.tenant, self.ids[number])
            except UnknownExecution:
                self.lost.add(number)
            except Unavailable:
                break
            else:
                if found.state.ended:
                    self.states[number] = str(found.state)
                    self.stages[found.stages] += 1
        return len(self.states) - before

    def flow(self, numbers: Iterable[int], *, window: int, quiet_s: float) -> None:
        """Trigger executions so that at most ``window`` are open at a time.

        Returns when all were triggered and have ended, or when none ended for ``quiet_s``.
        """
        todo = iter(numbers)
        last_end = time.monotonic()
        more = True
        while True:
            while more and len(self.open) < window:
                number = next(todo, None)
                if number is None:
                    more = False
                else:
                    self.trigger(number)
            if self.look():
                last_end = time.monotonic()
            elif time.monotonic() - last_end > quiet_s or not (more or self.open):
                return
            time.sleep(LOOK_S)

    def await_open(self, *, quiet_s: float) -> None:
        """Wait until everything ended, or nothing did for ``quiet_s``."""
        self.flow((), window=len(self.open) + 1, quiet_s=quiet_s)


def patiently(ask: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
    """Ask again while the system is away.

    Raises:
        Unavailable: It was away for longer than ``patience_s``.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except QmtlError as error:
            if not is_temporary(error) or time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)


def is_temporary(error: QmtlError) -> bool:
    """Tell whether the same request may succeed later: a server away, or too much queued."""
    return isinstance(error, Unavailable | Overloaded)
