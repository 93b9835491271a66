"""Where the time of an execution went, from what is stored about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.table import Table

from qmtl.models.execution import Execution, NodeRecord


class Spent(Protocol):
    """What a shard says of its time, in microseconds."""

    @property
    def fetch_us(self) -> int:
        """Reading what it reads."""

    @property
    def execute_us(self) -> int:
        """In its executor."""

    @property
    def commit_us(self) -> int:
        """Writing results."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an execution's time; None where nothing stored tells it."""

    name: str
    ms: float | None
    note: str


def phases(
    execution: Execution,
    records: Sequence[NodeRecord],
    spent: Sequence[Spent],
    *,
    seconds: float,
    workers: int,
) -> list[Phase]:
    """Return plan, queue, fetch, execute, commit, and what the caller saw beside.

    Args:
        execution: As it ended.
        records: Of its nodes.
        spent: Of its shards, where they tell.
        seconds: From the trigger to the end, as the caller saw it.
        workers: Over how many processes the shards' time is spread.
    """
    began = execution.started_ms or execution.created_ms
    planned = began - execution.created_ms
    ran = (execution.ended_ms or began) - began
    nodes = sum(r.duration_ns or 0 for r in records) / 1e6 / workers
    shares = [
        sum(getattr(s, part) for s in spent) / 1e3 / workers if spent else None
        for part in ("fetch_us", "execute_us", "commit_us")
    ]
    fetch, execute, commit = shares
    known = sum(share for share in shares if share is not None)
    spread = f"of all shards, over {workers}"
    untold = "not told by the shards"
    return [
        Phase("plan", planned, "created to started, with the wait for the first message"),
        Phase("queue", max(0.0, ran - known) if spent else None, "of the run, what is left"),
        Phase("fetch", fetch, spread if spent else untold),
        Phase("execute", execute, spread if spent else untold),
        Phase("commit", commit, spread if spent else untold),
        Phase("run", ran, "started to ended"),
        Phase("nodes", nodes, f"the functions alone, with decoding and encoding, over {workers}"),
        Phase("in all", seconds * 1e3, "trigger to end, as the client saw it"),
    ]


def phase_table(title: str, found: Sequence[Phase]) -> Table:
    """Return a table of where the time went."""
    table = Table(title=title, title_justify="left")
    table.add_column("phase")
    table.add_column("ms", justify="right")
    table.add_column("what it is")
    for phase in found:
        table.add_row(phase.name, "-" if phase.ms is None else f"{phase.ms:,.1f}", phase.note)
    return table
