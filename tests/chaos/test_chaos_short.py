"""The short form of the chaos suite: what must never happen does not. Times are not asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import suite
from tests.chaos.lab import lab
from tests.support.servers import start_stack

# The baseline has no target; how fast something was, and how often it was sent, are figures.
MEASURES = ("kills", "recovery", "redis", "overload", "kafka")
FIGURES = (
    "kills: raw runs / unique runs",
    "recovery: seconds, 99th percentile",
    "overload: share sent again",
    "overload: throughput kept",
)


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_done_twice_while_things_die(tmp_path: Path) -> None:
    with (
        start_stack(tmp_path / "servers") as stack,
        lab(stack, tmp_path / "chaos", seed=1, short=True) as place,
    ):
        rows = suite.run(place, MEASURES)

    judged = [row for row in rows if row.holds is not None and row.measure not in FIGURES]
    assert {row.measure.partition(":")[0] for row in judged} == {
        "kills",
        "redis",
        "overload",
        "kafka-killed",
        "kafka-unkilled",
    }
    assert [row for row in judged if not row.holds] == []
    assert {row.measure for row in rows} >= set(FIGURES)
