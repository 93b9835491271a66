"""Figures of a benchmark: taken side by side, shown beside their targets, kept as lines of JSON."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

DIGITS = 3  # that are shown


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a run.

    Attributes:
        suite: Which part of the bench.
        what: What was measured.
        value: The number; None where it could not be had, and ``note`` says why.
        unit: Of the number; "times" for a ratio.
        most: What it should not exceed; None where it stands for comparison.
        note: What else a reader should know.
        least: What it should not fall below; None where it stands for comparison.
    """

    suite: str
    what: str
    value: float | None
    unit: str
    most: float | None = None
    note: str = ""
    least: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the target is kept; None without one."""
        if self.value is None or (self.most is None and self.least is None):
            return None
        high = self.most is None or self.value <= self.most
        return high and (self.least is None or self.value >= self.least)

    @property
    def target(self) -> str:
        """Its bounds, as a table shows them."""
        least = [] if self.least is None else [f">= {self.least:g}"]
        return " ".join(least + ([] if self.most is None else [f"<= {self.most:g}"]))

    def row(self) -> dict[str, Any]:
        """Return the line that is kept of it."""
        return {**asdict(self), "holds": self.holds}


@dataclass(frozen=True, slots=True)
class Report:
    """What a suite came to.

    Attributes:
        figures: Beside their targets.
        rows: What else is kept, a line each.
        tables: What else is shown.
        errors: What was wrong with the run itself: its figures are then not to be believed.
    """

    figures: Sequence[Figure]
    rows: Sequence[dict[str, Any]] = ()
    tables: Sequence[Table] = ()
    errors: Sequence[str] = ()


def interleaved(
    works: Mapping[str, Callable[[], object]],
    *,
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each work, one after the other in every run, after one for warmth.

    With ``time.process_time`` as its clock, other programs on the machine do not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for run in range(runs + 1):
        for name, work in works.items():
            began = clock()
            work()
            if run:
                taken[name].append(clock() - began)
    return taken


def medians(taken: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median seconds of each work."""
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def show(out: Console, title: str, figures: Iterable[Figure]) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("unit")
    table.add_column("target", justify="right")
    table.add_column("holds")
    table.add_column("note")
    words = {True: "yes", False: "NO", None: ""}
    for f in figures:
        value = "-" if f.value is None else rounded(f.value)
        table.add_row(f.what, value, f.unit, f.target, words[f.holds], f.note)
    out.print(table)


def rounded(value: float) -> str:
    """Return a number with as many digits as are worth reading."""
    if abs(value) >= 10 ** (DIGITS - 1):
        return f"{value:,.0f}"
    return f"{value:.{DIGITS}g}"


def write(path: Path, rows: Iterable[Mapping[str, Any]], about: Mapping[str, object]) -> None:
    """Write rows as lines of JSON, each with what the run was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode({**row, **about}) for row in rows]
    path.write_bytes(b"\n".join([*lines, b""]))
