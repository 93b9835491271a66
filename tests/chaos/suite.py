"""The measures in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.chaos.lab import Lab
from tests.chaos.measures import baseline, kafka_away, kills, overload, recovery, restarts
from tests.chaos.report import Row

MEASURES: dict[str, Callable[[Lab], list[Row]]] = {
    kills.NAME: kills.measure,
    recovery.NAME: recovery.measure,
    restarts.NAME: restarts.measure,
    overload.NAME: overload.measure,
    kafka_away.NAME: kafka_away.measure,
    baseline.NAME: baseline.measure,
}


def run(lab: Lab, names: Sequence[str] = ()) -> list[Row]:
    """Take the measures named, default all of them."""
    rows: list[Row] = []
    for name, measure in MEASURES.items():
        if not names or name in names:
            began = time.monotonic()
            rows += measure(lab)
            lab.say(f"{name}: {time.monotonic() - began:.0f} s")
    return rows
