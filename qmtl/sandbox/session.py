"""One loaded module in a child, its tables, and the runs that are made on them."""

from __future__ import annotations

import gc
import time
from typing import Protocol

from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.evaluate import Evaluator, load_module
from qmtl.sandbox.failure import describe
from qmtl.sandbox.limits import MemoryLimit, import_libraries, limit_files
from qmtl.sandbox.progress import Progress
from qmtl.sandbox.protocol import Define, Load, Loaded, Run, WireOutcome
from qmtl.sandbox.tables import MOST_TABLES, Recent, Selection, Table


class Reports(Protocol):
    """Takes what becomes of the calls of one run after the other; see ``Reporter``."""

    def begin(self) -> None: ...
    def add(self, outcome: WireOutcome) -> None: ...
    def finish(self) -> None: ...


class Session:
    """Executes a module under limits and calls its functions.

    Objects that live as long as the process are frozen out of garbage collection: a library such
    as pandas makes some hundred thousand, which would be looked through while calls run.
    """

    def __init__(self, load: Load, reports: Reports, progress: Progress) -> None:
        self._reports = reports
        self._progress = progress
        self._tables: Recent[str, Table] = Recent(MOST_TABLES)
        gc.disable()  # importing makes much and drops little
        import_libraries(load.source_text)
        gc.freeze()
        gc.enable()
        limit_files()
        self._memory = MemoryLimit(load.memory_bytes)
        self._evaluator = Evaluator({})

    def load(self, load: Load) -> Loaded:
        """Execute the module."""
        try:
            with Capture():
                namespace = load_module(load.source_text, load.name)
        except BaseException as error:  # noqa: BLE001 (a module may raise anything, SystemExit too)
            return Loaded(describe(error))
        self._evaluator = Evaluator(namespace, limit_bytes=load.value_limit_bytes, digests=False)
        gc.freeze()
        return Loaded(None)

    def define(self, define: Define) -> None:
        """Keep a table."""
        keys: dict[str, str] = {}  # each key once, so that looking it up compares no text
        calls = [wire.to_call(keys) for wire in define.calls]
        self._tables.put(define.name, Table(calls))

    def run(self, run: Run) -> None:
        """Make the calls whose inputs have values; those of a failed call's readers have none."""
        table = self._tables.get(run.table)
        if table is None:
            raise SandboxFailure("A run names a table that was not sent.")
        selection = table.select(run.places, {place: wire.to_call() for place, wire in run.changed})
        self._reports.begin()
        self._make(selection, run.values)
        self._memory.allow(0)
        self._reports.finish()

    def _make(self, selection: Selection, values: dict[str, bytes]) -> None:
        """Make calls; ``values`` has nothing at any time that no later call reads."""
        calls, (needs, drops, kept, outer) = selection
        evaluate, progress, reports = self._evaluator.evaluate, self._progress, self._reports
        gaps = not outer <= values.keys()
        allowed = -1
        for position, call in enumerate(calls):
            if not gaps or all(key in values for key in needs[position]):
                if call.memory_bytes != allowed:
                    allowed = call.memory_bytes
                    self._memory.allow(allowed)
                progress.position = position
                made = evaluate(call, values, on_attempt=progress.start, sleep=self._sleep)
                progress.stop()
                value = made.value
                if value is None:
                    gaps = True
                elif kept[position]:
                    values[call.node_id] = value
                reports.add(
                    WireOutcome(
                        position, value, made.started_ns, made.duration_ns, made.error, made.logs
                    )
                )
            for key in drops[position]:
                values.pop(key, None)

    def _sleep(self, seconds: float) -> None:
        """Pause between two attempts, which is nobody's time."""
        self._progress.stop()
        time.sleep(seconds)
