"""What the engine must be able to do beside other systems, as ratios of one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.bench.engine.rounds import Timing, named
from tests.bench.figures import Figure

MOST_MB = 400.0
Table = Mapping[tuple[str, str], Timing]


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of two timings, and its bound.

    Attributes:
        over: Workload and system whose time is divided ...
        under: ... by that of these.
    """

    what: str
    over: tuple[str, str]
    under: tuple[str, str]
    least: float | None = None
    most: float | None = None
    aim: str = ""


def faster(workload: str, system: str, least: float) -> Target:
    """Return the target to be some times as fast as another system."""
    return Target(
        f"{named(workload)}: {system} over ours", (workload, system), (workload, "qmtl"), least
    )


def within(
    what: str, over: tuple[str, str], under: tuple[str, str], most: float, aim: str = ""
) -> Target:
    """Return the target to take at most some times as long."""
    return Target(what, over, under, most=most, aim=aim)


TARGETS = (
    faster("w1", "ray", 8),
    faster("w1", "chord-next", 15),
    faster("w2", "ray", 12),
    faster("w2", "chord-next", 20),
    within("W2: ours over sets", ("w2", "qmtl"), ("w2", "sets"), 4, "the aim is 2"),
    faster("w3", "ray", 15),
    within("W4: ours over two-workers", ("w4", "qmtl"), ("w4", "two-workers"), 1.10),
    faster("w5", "ray", 1.5),
    within("W5: HTTP over service call", ("w5", "qmtl-http"), ("w5", "qmtl"), 1.6),
    within("growth: 10,000 nodes over W2", ("growth", "qmtl"), ("w2", "qmtl"), 12),
    faster("throughput", "chord-next", 3),
)


def table(timings: Iterable[Timing]) -> Table:
    """Return timings by workload and system."""
    return {(t.workload, t.system): t for t in timings}


def figures(found: Table) -> list[Figure]:
    """Return the figure of every target whose workload was run."""
    run = {workload for workload, _ in found}
    return [ratio(t, found) for t in TARGETS if {t.over[0], t.under[0]} <= run]


def ratio(target: Target, found: Table) -> Figure:
    """Return a target's figure; without a value where one of its timings is missing."""
    sides = [found.get(target.over), found.get(target.under)]
    medians = [side.median_ms if side else None for side in sides]
    if medians[0] is None or medians[1] is None:
        notes = [side.note for side in sides if side and side.note]
        value, note = None, notes[0] if notes else "not part of this run"
    else:
        value = medians[0] / medians[1]
        note = f"{medians[0]:,.2f} ms over {medians[1]:,.2f} ms"
    if target.aim:
        note = f"{note}; {target.aim}"
    return Figure("engine", target.what, value, "times", target.most, note=note, least=target.least)


def memory_figure(peaks: Mapping[str, float]) -> Figure:
    """Return the largest peak of our processes beside what none may exceed."""
    what = "growth: largest process"
    if not peaks:
        return Figure(
            "engine",
            what,
            None,
            "MB",
            MOST_MB,
            note="not read: growth was not run, or this is not Linux",
        )
    name = max(peaks, key=lambda each: peaks[each])
    note = ", ".join(f"{each} {mb:,.0f}" for each, mb in sorted(peaks.items()))
    return Figure("engine", what, peaks[name], "MB", MOST_MB, note=note)
