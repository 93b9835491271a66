"""Rows of the suite: figures beside their targets, shown as a table and kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        measure: What was measured.
        target: What it must show; empty where it stands for comparison.
        value: What it showed.
        holds: Whether the target is met; None without one.
        seconds: How long the measure took that the figure is of.
        seed: Of its nemesis.
        note: What else a reader should know.
    """

    measure: str
    target: str
    value: float
    holds: bool | None
    seconds: float
    seed: int
    note: str = ""


def show(out: Console, rows: Sequence[Row]) -> None:
    """Print a table."""
    table = Table(title="Chaos", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("target", justify="right")
    table.add_column("holds")
    table.add_column("note")
    words = {True: "yes", False: "NO", None: ""}
    for row in rows:
        table.add_row(row.measure, f"{row.value:g}", row.target, words[row.holds], row.note)
    out.print(table)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows as one JSON list."""
    write_json(path, [asdict(row) for row in rows])


def write_json(path: Path, document: object) -> None:
    """Write a document for people and programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")
