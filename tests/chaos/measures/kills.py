"""Workers, their children and Redis are killed again and again, and messages come twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice

from tests.chaos.checker import Verdict
from tests.chaos.cluster import DEFAULT, QUICK, Spec
from tests.chaos.lab import Lab
from tests.chaos.nemesis import Fault, Nemesis, schedule
from tests.chaos.observing import messages, verdict_of
from tests.chaos.report import Row
from tests.chaos.workload import STAGES, Workload

NAME = "kills"
DOUBLED = 0.10
EXECUTIONS, SHORT_EXECUTIONS = 2_500, 60
SHORT_KILLS = 4
WINDOW = 32  # executions that are open at a time
MOST_RATIO = 1.02
WORKLOAD = Workload("kills", rounds=10_000)


def measure(lab: Lab) -> list[Row]:
    """Run the executions under the nemesis and check every one of them."""
    began = time.monotonic()
    spec = Spec(lab.seed, lab.pick(DEFAULT, QUICK), DOUBLED)
    days = lab.pick(EXECUTIONS, 50 * SHORT_EXECUTIONS)
    traffic = lab.traffic(NAME, spec, WORKLOAD, days=days)
    nemesis = Nemesis(planned(lab), traffic.cluster.targets, lab.faults(NAME))
    numbers: Iterable[int] = range(1, days)
    with nemesis:
        if lab.short:
            numbers = short_form(nemesis, days)
        traffic.flow(numbers, window=WINDOW, quiet_s=60.0)
    traffic.await_open(quiet_s=lab.pick(180.0, 60.0))
    verdict = verdict_of(traffic)
    sent, doubled = messages(traffic.cluster)
    lab.keep(
        NAME,
        {
            "kills": nemesis.log.count,
            "messages": sent,
            "sent_twice": doubled,
            "stages": dict(traffic.stages),
            **verdict.document(),
        },
    )
    seconds = time.monotonic() - began
    note = f"{verdict.executions} executions, {nemesis.log.count} kills, "
    note += f"{doubled} of {sent} messages doubled"
    others = traffic.stages.total() - traffic.stages[STAGES]
    cut = Row(f"{NAME}: not in {STAGES} stages", "0", others, not others, seconds, lab.seed, "")
    return [*rows(verdict, seconds, lab.seed, note), cut]


def planned(lab: Lab) -> Iterator[Fault]:
    """Return the faults: without end, or a few that even a busy machine has done with."""
    faults = schedule(lab.seed)
    return islice(faults, SHORT_KILLS) if lab.short else faults


def short_form(nemesis: Nemesis, days: int) -> Iterator[int]:
    """Yield numbers until there were enough executions and the last kill is done."""
    for number in range(1, days):
        if number >= SHORT_EXECUTIONS and nemesis.done.is_set():
            return
        yield number


def rows(verdict: Verdict, seconds: float, seed: int, note: str) -> Iterator[Row]:
    """Return the figures of a verdict."""
    v = verdict
    for what, found in (
        ("lost executions", v.lost),
        ("stuck executions", v.stuck),
        ("failed executions", v.failed),
        ("wrong results", v.wrong),
        ("duplicate commits", v.duplicates),
        ("results without a commit", v.uncommitted),
    ):
        yield Row(f"{NAME}: {what}", "0", len(found), not found, seconds, seed, note)
    counted = "" if not v.uncounted else f"{len(v.uncounted)} results were not seen to be computed"
    yield Row(
        f"{NAME}: raw runs / unique runs",
        f"<= {MOST_RATIO}",
        round(v.run_ratio, 4),
        v.run_ratio <= MOST_RATIO and not v.uncounted,
        seconds,
        seed,
        counted or f"{v.raw_runs} / {v.unique_runs}",
    )
