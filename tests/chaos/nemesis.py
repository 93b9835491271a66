"""The nemesis: kills processes of the system under test, by a seeded schedule, and keeps a log."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Self

import psutil

GAP_S = (2.5, 4.5)
VICTIMS = ("child", "worker", "redis")


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned kill.

    Attributes:
        after_s: Seconds after the fault before it.
        victim: The kind of process: ``child`` (of a Celery pool), ``worker``, ``redis``...
        pick: From 0 to below 1: which of the processes of that kind.
    """

    after_s: float
    victim: str
    pick: float


@dataclass(frozen=True, slots=True)
class Target:
    """A process that may be killed."""

    name: str
    pid: int


def schedule(
    seed: int, *, gap_s: tuple[float, float] = GAP_S, victims: Sequence[str] = VICTIMS
) -> Iterator[Fault]:
    """Yield faults without end; equal arguments give equal faults."""
    chance = random.Random(f"nemesis:{seed}")
    while True:
        yield Fault(chance.uniform(*gap_s), chance.choice(victims), chance.random())


def chosen(targets: Sequence[Target], pick: float) -> Target | None:
    """Return the target that a fault's ``pick`` falls on; None where there is none."""
    ordered = sorted(targets, key=lambda t: (t.name, t.pid))
    return ordered[int(pick * len(ordered))] if ordered else None


class FaultLog:
    """Lines of JSON: what was done, when, to which process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self._path = path
        self._began = time.monotonic()
        self.count = 0

    def write(self, fault: str, target: Target | None, **more: object) -> None:
        """Append a line; a fault without a target found nobody to hit."""
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "at_s": round(time.monotonic() - self._began, 3),
            "fault": fault,
            "target": target and target.name,
            "pid": target and target.pid,
            **more,
        }
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        self.count += target is not None


def kill(target: Target) -> bool:
    """SIGKILL a process, and no other that has its number by now; tell whether it was there."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(target.pid).kill()
        return True
    return False


class Nemesis:
    """Carries out a schedule in a thread of its own until the ``with`` block ends.

    Args:
        faults: What to do, in order; it may be endless.
        targets: Returns the processes of a kind that live at present.
        log: Is told everything.
    """

    def __init__(
        self,
        faults: Iterable[Fault],
        targets: Callable[[str], Sequence[Target]],
        log: FaultLog,
    ) -> None:
        self._faults = faults
        self._targets = targets
        self.log = log
        self.done = Event()  # the schedule came to its end
        self._ended = Event()
        self._thread = Thread(target=self._run, name="nemesis", daemon=True)

    def stop(self) -> None:
        """End it; a second call does nothing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        for fault in self._faults:
            if self._ended.wait(fault.after_s):
                return
            self._strike(fault)
        self.done.set()

    def _strike(self, fault: Fault) -> None:
        target = chosen(self._targets(fault.victim), fault.pick)
        if target is not None and not kill(target):
            target = None
        self.log.write("SIGKILL", target, plan=asdict(fault))
