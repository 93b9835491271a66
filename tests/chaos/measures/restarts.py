"""Redis is killed while executions run, and comes back on its append-only file."""

from __future__ import annotations

import random
import time

from tests.chaos.cluster import DEFAULT, QUICK, Spec
from tests.chaos.lab import Lab
from tests.chaos.nemesis import FaultLog, chosen, kill
from tests.chaos.observing import verdict_of
from tests.chaos.report import Row
from tests.chaos.traffic import Traffic
from tests.chaos.workload import Workload

NAME = "redis"
RESTARTS, SHORT_RESTARTS = 20, 2
IN_FLIGHT = 6
MOST_DELAY_S = 0.2  # between the last trigger and the kill
QUIET_S = 60.0
WORKLOAD = Workload("restarts", rounds=300_000)  # a node takes some 20 ms


def measure(lab: Lab) -> list[Row]:
    """Kill Redis again and again, each time under executions that have begun."""
    began = time.monotonic()
    restarts = lab.pick(RESTARTS, SHORT_RESTARTS)
    spec = Spec(lab.seed, lab.pick(DEFAULT, QUICK), lab.pick(0.0, 0.1))
    traffic = lab.traffic(NAME, spec, WORKLOAD, days=restarts * IN_FLIGHT + 1)
    log, chance = lab.faults(NAME), random.Random(f"{NAME}:{lab.seed}")
    found = [
        strike(traffic, 1 + restart * IN_FLIGHT, log, chance.uniform(0.0, MOST_DELAY_S))
        for restart in range(restarts)
    ]
    went_on = sum(well for well, _ in found)
    taken = [seconds for _, seconds in found]
    verdict = verdict_of(traffic)
    lab.keep(NAME, {"went_on": went_on, "taken_s": taken, **verdict.document()})
    wrong = len(verdict.wrong) + len(verdict.duplicates) + len(verdict.uncommitted)
    return [
        Row(
            f"{NAME}: restarts gone on from",
            f"{restarts} of {restarts}",
            went_on,
            went_on == restarts and verdict.holds,
            time.monotonic() - began,
            lab.seed,
            f"longest {max(taken)} s; {wrong} results wrong, doubled or uncommitted",
        )
    ]


def strike(traffic: Traffic, first: int, log: FaultLog, delay_s: float) -> tuple[bool, float]:
    """Kill Redis under some executions; tell whether all ended well, and the seconds it took."""
    numbers = range(first, first + IN_FLIGHT)
    for number in numbers:
        traffic.trigger(number)
    time.sleep(delay_s)
    target = chosen(traffic.cluster.targets("redis"), 0.0)
    if target is None or not kill(target):
        raise RuntimeError("Redis was not there to be killed.")
    killed = time.monotonic()
    log.write("SIGKILL", target, executions=[traffic.ids[n] for n in numbers])
    traffic.await_open(quiet_s=QUIET_S)
    seconds = round(time.monotonic() - killed, 2)
    return all(traffic.states.get(n) == "SUCCEEDED" for n in numbers), seconds
