"""Runs side by side: warm first, then rounds in which every system runs once, in changing order."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.engine.systems import System
from tests.bench.engine.workloads import Workload, check, number_of


@dataclass(slots=True)
class Timing:
    """What a system took for a workload.

    Attributes:
        seconds: Of each timed run; none where it was not run or failed.
        note: Why there is no figure.
        failed: Whether that is an error: a value was wrong, missing or not computed, or a system
            did not end.
    """

    workload: str
    system: str
    version: str
    nodes: int
    seconds: list[float] = field(default_factory=list)
    note: str = ""
    failed: bool = False

    @property
    def median_ms(self) -> float | None:
        """The median in milliseconds."""
        return statistics.median(self.seconds) * 1e3 if self.seconds else None

    def row(self) -> dict[str, Any]:
        """Return the line that is kept of it."""
        median = self.median_ms
        return {
            "suite": "engine",
            "workload": named(self.workload),
            "system": self.system,
            "version": self.version,
            "median_ms": None if median is None else round(median, 4),
            "runs": len(self.seconds),
            "nodes": self.nodes,
            "all_ms": [round(s * 1e3, 4) for s in self.seconds],
            "note": self.note,
        }


def named(workload: str) -> str:
    """Return how a workload is written in rows and figures: W1, but throughput."""
    return workload.upper() if workload[1:].isdigit() else workload


Task = tuple[Workload, System]


class Numbers:
    """Gives every run a number that none had before."""

    def __init__(self) -> None:
        self._given = 0

    def next(self) -> int:
        """Return the next one."""
        self._given += 1
        return number_of(self._given)

    def several(self, count: int) -> list[int]:
        """Return the next ones."""
        return [self.next() for _ in range(count)]


def measure(
    tasks: Sequence[Task],
    *,
    rounds: int,
    warm: int,
    numbers: Numbers,
    draw: random.Random,
    say: Callable[[str], None],
    settle: Callable[[], None] = lambda: None,
) -> list[Timing]:
    """Run each task ``warm`` times before the clock, and then once a round.

    A task that fails is out of the rounds that are left; the others go on. ``settle`` returns once
    nothing of the run before is still being done.
    """
    timings = [Timing(w.name, s.name, s.version, len(w.nodes)) for w, s in tasks]
    for at in range(warm + rounds):
        order = list(range(len(tasks)))
        draw.shuffle(order)
        for i in order:
            if not timings[i].failed:
                settle()
                _once(*tasks[i], timings[i], numbers.next(), timed=at >= warm)
    for timing in timings:
        say(_told(timing))
    return timings


def _once(workload: Workload, system: System, timing: Timing, number: int, *, timed: bool) -> None:
    try:
        ran = system.run(workload, number)
        check(workload, number if ran.number is None else ran.number, ran.values())
    except Exception as error:  # noqa: BLE001 - whatever a system fails with is its row's note
        timing.seconds.clear()
        timing.failed = True
        timing.note = f"{type(error).__name__}: {error}"[:300]
    else:
        if timed:
            timing.seconds.append(ran.seconds)


def _told(timing: Timing) -> str:
    median = timing.median_ms
    figure = timing.note if median is None else f"{median:,.1f} ms"
    return f"{timing.workload} {timing.system}: {figure}"
