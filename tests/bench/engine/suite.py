"""The engine beside other systems and floors: the same DAGs, the same functions, the same Redis.

See docs/benchmarks.md for what is timed and what the rows mean.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.engine import functions, memory, phases, targets
from tests.bench.engine.chord_next import ChordNext
from tests.bench.engine.dask_peer import Dask
from tests.bench.engine.ours import TENANT, Qmtl
from tests.bench.engine.plain import InProcess, Sets
from tests.bench.engine.ray_peer import Ray
from tests.bench.engine.rounds import Numbers, Task, Timing
from tests.bench.engine.rounds import measure as side_by_side
from tests.bench.engine.settling import settler
from tests.bench.engine.systems import PROCESSES, Burst, System
from tests.bench.engine.two_workers import TwoWorkers
from tests.bench.engine.ways import Way, reused
from tests.bench.engine.workloads import SEED, Workload, check, workload
from tests.bench.figures import Report, rounded
from tests.support.servers import settings_of, start_stack

TITLE = "Engine: ratios of medians"
FLOOR_DATABASE, CHORDS_DATABASE = 5, 6
HINT = "not installed: pip install '.[bench]'"
ISSUED = ("w1", "w2", "w3", "w4", "w5")
OTHERS = ("skewed", "random", "frames", "wide")
ALL = (*ISSUED, "growth", "throughput", *OTHERS)
EXPLAINED = ("w2", "w4")
BRIEF = {"w5"}  # what the machine does beside is as long as a run: a median of five is chance
Burster = Callable[[Workload, Sequence[int]], Burst]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is run."""

    rounds: int = 5
    many: int = 25  # rounds of a workload that takes every system some milliseconds
    warm: int = 2
    bursts: int = 5
    burst: int = 500
    peers: bool = True  # Dask and Ray
    workloads: tuple[str, ...] = ALL


SHORT = Extent(
    rounds=2,
    many=2,
    warm=1,
    bursts=1,
    burst=30,
    peers=False,
    workloads=(*ISSUED, "throughput"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """The systems that run."""

    qmtl: Qmtl
    http: System
    again: System
    chords: ChordNext
    floor: System
    loop: System
    sets: System
    peers: tuple[System, ...]
    missing: tuple[System, ...]  # peers that are not installed

    def of(self, name: str) -> list[System]:
        """Return the systems that run a workload, ours first."""
        if name in OTHERS:
            return [self.qmtl, self.floor, self.loop]
        if name == "growth":
            return [self.qmtl]
        ways = [self.qmtl, self.again, *([self.http] if name == "w5" else [])]
        return [*ways, self.chords, *self.peers, self.sets, self.floor, self.loop]


def measure(*, short: bool = False, only: Sequence[str] = ()) -> Report:
    """Start everything, run it side by side, end it, and return what came."""
    extent = SHORT if short else Extent()
    if only:
        extent = replace(extent, workloads=tuple(name for name in ALL if name in only))
    say = Console(stderr=True, highlight=False).print
    functions.calibrate()
    with running(extent, say) as field:
        return _report(field, extent, say)


@contextmanager
def running(extent: Extent, say: Callable[[str], None]) -> Iterator[Field]:
    """Give systems that run; whatever happens, what was started is ended."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="qmtl-bench-")))
        stack = ending.enter_context(start_stack(folder / "stack"))
        server = settings_of(stack).state_url.rsplit("/", 1)[0]
        qmtl = Qmtl(stack, folder)
        peers: list[System] = [Dask(folder), Ray()] if extent.peers else []
        field = Field(
            qmtl=qmtl,
            http=Way("qmtl-http", qmtl.web),
            again=reused(qmtl),
            chords=ChordNext(f"{server}/{CHORDS_DATABASE}", folder),
            floor=TwoWorkers(f"{server}/{FLOOR_DATABASE}", folder),
            loop=InProcess(),
            sets=Sets(f"{server}/{FLOOR_DATABASE}"),
            peers=tuple(p for p in peers if p.version),
            missing=tuple(p for p in peers if not p.version),
        )
        for system in (field.qmtl, field.chords, field.floor, field.sets, *field.peers):
            say(f"starting {system.name} {system.version}")
            ending.callback(system.stop)
            system.start()
        say("registering the workloads")
        qmtl.prepare([workload("w5" if n == "throughput" else n) for n in extent.workloads])
        yield field


def _report(field: Field, extent: Extent, say: Callable[[str], None]) -> Report:
    timings: list[Timing] = []
    peaks: dict[str, float] = {}
    errors: list[str] = []
    try:
        for found in _timed(field, extent, say):
            timings += found
            if any(t.workload == "growth" for t in found):
                peaks = memory.peaks_mb(field.qmtl.pids)
    except KeyboardInterrupt:  # what was measured is shown all the same
        errors.append("interrupted: the figures are not complete")
    figures = targets.figures(targets.table(timings))
    if "growth" in extent.workloads:
        figures.append(targets.memory_figure(peaks))
    return Report(
        figures=figures,
        rows=[t.row() for t in timings],
        tables=[matrix(timings), *explained(field.qmtl)],
        errors=errors + [f"{t.workload} {t.system}: {t.note}" for t in timings if t.failed],
    )


def _timed(field: Field, extent: Extent, say: Callable[[str], None]) -> Iterator[list[Timing]]:
    """Give the timings of one group of workloads after the other."""
    numbers, draw = Numbers(), random.Random(SEED)
    for group in groups(extent.workloads):
        tasks: list[Task] = [(workload(n), s) for n in group for s in field.of(n)]
        yield [
            *side_by_side(
                tasks,
                rounds=extent.many if set(group) <= BRIEF else extent.rounds,
                warm=extent.warm,
                numbers=numbers,
                draw=draw,
                say=say,
                settle=settler(field.qmtl.settings.state_url),
            ),
            *[
                Timing(n, s.name, "", len(workload(n).nodes), note=HINT)
                for n in group
                if n in ISSUED
                for s in field.missing
            ],
        ]
    if "throughput" in extent.workloads:
        yield bursts(field, extent, numbers, say)


def groups(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the workloads that are run side by side: each alone, but growth beside W2.

    A workload has all its rounds before the next one's, so that every system is as warm as one
    that runs a pipeline again and again.
    """
    left = [n for n in names if n not in {"growth", "throughput"}]
    if "growth" not in names:
        return [(n,) for n in left]
    beside = [("w2", "growth")] if "w2" in left else [("growth",)]
    return [(n,) for n in left if n != "w2"] + beside


def bursts(
    field: Field, extent: Extent, numbers: Numbers, say: Callable[[str], None]
) -> list[Timing]:
    """Submit many executions of W5 at once, in turns, and return what each way took."""
    wanted = workload("w5")
    ways: list[tuple[System, Burster]] = [
        (field.qmtl, field.qmtl.runs),
        (field.chords, field.chords.runs),
    ]
    timings = [
        Timing("throughput", s.name, s.version, extent.burst * len(wanted.nodes)) for s, _ in ways
    ]
    for at in range(-1, extent.bursts):  # the first, of a tenth, warms up
        for timing, (_, run) in zip(timings, ways, strict=True):
            given = numbers.several(extent.burst if at >= 0 else max(1, extent.burst // 10))
            if not timing.failed:
                _burst(wanted, run, given, timing, timed=at >= 0)
    for timing in timings:
        rate = "-" if not timing.seconds else f"{extent.burst / min(timing.seconds):,.0f} a second"
        say(f"throughput {timing.system}: {timing.note or rate}")
    return timings


def _burst(
    wanted: Workload, run: Burster, given: Sequence[int], timing: Timing, *, timed: bool
) -> None:
    try:
        ran = run(wanted, given)
        for number, values in zip(given, ran.values, strict=True):
            check(wanted, number, values())
    except Exception as error:  # noqa: BLE001 - whatever a system fails with is its row's note
        timing.seconds.clear()
        timing.failed, timing.note = True, f"{type(error).__name__}: {error}"[:300]
    else:
        if timed:
            timing.seconds.append(ran.seconds)


def matrix(timings: Sequence[Timing]) -> Table:
    """Return the medians: a row a system, a column a workload."""
    workloads = list(dict.fromkeys(t.workload for t in timings))
    systems = list(dict.fromkeys(t.system for t in timings))
    found = targets.table(timings)
    table = Table(title="Engine: medians, ms", title_justify="left")
    table.add_column("system")
    for name in workloads:
        nodes = next(t.nodes for t in timings if t.workload == name)
        table.add_column(f"{name}\n{nodes:,}", justify="right")
    for system in systems:
        cells = [found.get((name, system)) for name in workloads]
        table.add_row(system, *[_cell(cell) for cell in cells])
    return table


def _cell(timing: Timing | None) -> str:
    if timing is None:
        return ""
    if timing.failed:
        return "failed"
    median = timing.median_ms
    return "-" if median is None else rounded(median)


def explained(qmtl: Qmtl) -> list[Table]:
    """Return where the time of the latest run of some workloads went."""
    tables = []
    for name in EXPLAINED:
        if name not in qmtl.last:
            continue
        latest = qmtl.last[name]
        orchestrator = qmtl.services.orchestrator
        records = [r.record for r in orchestrator.get_execution_nodes(TENANT, latest.execution_id)]
        found = phases.phases(
            orchestrator.get_status(TENANT, latest.execution_id),
            records,
            qmtl.spent(latest.execution_id),
            seconds=latest.seconds,
            workers=PROCESSES,
        )
        title = f"Where the time of one run of {name.upper()} went"
        tables.append(phases.phase_table(title, found))
    return tables
