"""The runs that are made on one loaded module in a child."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from qmtl.common.codec.templates import made_ready
from qmtl.common.errors import SandboxFailure
from qmtl.common.recent import Recent
from qmtl.sandbox.evaluate import Evaluator
from qmtl.sandbox.progress import Progress
from qmtl.sandbox.protocol import Define, Expect, Run, WireOutcome
from qmtl.sandbox.tables import CALL_BYTES, Selection, Table, kept_tables

STEP_BYTES = 1024 * 1024  # by which held values grow or shrink until the limit follows


class Reports(Protocol):
    """Takes what becomes of the calls of one run after the other; see ``Reporter``."""

    def begin(self) -> None: ...
    def add(self, outcome: WireOutcome, /) -> None: ...
    def finish(self) -> None: ...


class Memory(Protocol):
    """Limits what a call may use; see ``MemoryLimit``."""

    def allow(self, memory_bytes: int, held_bytes: int, /) -> None: ...
    def lift(self) -> None: ...


class Session:
    """Keeps tables and makes their calls.

    Args:
        evaluator: Of the module.
        memory: Told what the next call may use.
        reports: Told what became of each call.
        progress: Told which call runs.
    """

    def __init__(
        self, evaluator: Evaluator, memory: Memory, reports: Reports, progress: Progress
    ) -> None:
        self._evaluator = evaluator
        self._memory = memory
        self._reports = reports
        self._progress = progress
        self._tables: Recent[Table] = kept_tables(len)
        self._ready = False  # to decode tables
        memory.lift()

    def define(self, define: Define) -> None:
        """Keep a table."""
        keys: dict[str, str] = {}  # each key once, so that looking it up compares no text
        calls = [wire.to_call(keys) for wire in define.calls]
        self._tables.keep(define.name, Table(calls))

    def expect(self, expect: Expect) -> None:
        """Decode what a run that may come reads: whoever asks for the run is busy meanwhile."""
        self._make_ready(expect.values)
        self._evaluator.expect(expect.values)

    def run(self, run: Run) -> None:
        """Make the calls whose inputs have values; those of a failed call's readers have none."""
        table = self._tables.get(run.table)
        if table is None:
            raise SandboxFailure("A run names a table that was not sent.")
        selection = table.select(run.places, {place: wire.to_call() for place, wire in run.changed})
        self._make_ready(run.values)
        self._reports.begin()
        self._make(selection, run.values)
        self._memory.lift()
        self._reports.finish()

    def _make_ready(self, values: Mapping[str, bytes]) -> None:
        if not self._ready:  # pandas takes up to a second, which no plan should take for a node's
            self._ready = made_ready(values.values())

    def _make(self, selection: Selection, values: dict[str, bytes]) -> None:
        """Make calls; ``values`` has nothing at any time that no later call reads."""
        calls, (needs, drops, kept, outer) = selection
        evaluate, progress, report = self._evaluator.evaluate, self._progress, self._reports.add
        start, stop, sleep = progress.start, progress.stop, self._sleep
        gaps = not outer <= values.keys()
        held = CALL_BYTES * self._tables.weight + sum(map(len, values.values()))
        allowed, least, most = -1, 0, 0  # the limit holds while so much is held
        for position, call in enumerate(calls):
            if not gaps or all(key in values for key in needs[position]):
                if call.memory_bytes != allowed or not least <= held <= most:
                    allowed, least, most = call.memory_bytes, held - STEP_BYTES, held + STEP_BYTES
                    self._memory.allow(allowed, most)
                progress.position = position
                made = evaluate(call, values, on_attempt=start, sleep=sleep)
                stop()
                value = made.value
                if value is None:
                    gaps = True
                else:
                    size = len(value)
                    if kept[position]:
                        values[call.node_id] = value
                        held += size
                    if size > STEP_BYTES:  # to report it takes as much again
                        self._memory.lift()
                        allowed = -1
                report(
                    WireOutcome(
                        position, value, made.started_ns, made.duration_ns, made.error, made.logs
                    )
                )
            for key in drops[position]:
                held -= len(values.pop(key, b""))

    def _sleep(self, seconds: float) -> None:
        """Pause between two attempts, which is nobody's time."""
        self._progress.stop()
        time.sleep(seconds)
