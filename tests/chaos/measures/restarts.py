"""Redis is killed while executions run, and comes back on its append-only file."""

from __future__ import annotations

import random
import time

from tests.chaos.cluster import DEFAULT, QUICK, Spec
from tests.chaos.lab import Lab
from tests.chaos.nemesis import chosen, kill
from tests.chaos.observing import verdict_of
from tests.chaos.report import Row
from tests.chaos.workload import Workload

NAME = "redis"
RESTARTS, SHORT_RESTARTS = 20, 2
IN_FLIGHT = 6
QUIET_S = 60.0
WORKLOAD = Workload("restarts", rounds=150_000)  # a node takes about 10 ms


def measure(lab: Lab) -> list[Row]:
    """Kill Redis again and again, each time under executions that have begun."""
    began = time.monotonic()
    restarts = lab.pick(RESTARTS, SHORT_RESTARTS)
    spec = Spec(lab.seed, lab.pick(DEFAULT, QUICK), lab.pick(0.0, 0.1))
    traffic = lab.traffic(NAME, spec, WORKLOAD, days=restarts * IN_FLIGHT + 1)
    log, chance = lab.faults(NAME), random.Random(f"{NAME}:{lab.seed}")
    went_on = 0
    taken: list[float] = []
    for restart in range(restarts):
        first = restart * IN_FLIGHT + 1
        numbers = range(first, first + IN_FLIGHT)
        for number in numbers:
            traffic.trigger(number)
        time.sleep(chance.uniform(0.0, 0.4))
        traffic.look()
        running = [n for n in numbers if n not in traffic.ended]
        target = chosen(traffic.cluster.targets("redis"), 0.0)
        if target is None or not kill(target):
            raise RuntimeError("Redis was not there to be killed.")
        killed = time.monotonic()
        log.write("SIGKILL", target, executions=[traffic.ids[n] for n in running])
        traffic.await_open(quiet_s=QUIET_S)
        ended = [traffic.states.get(n) == "SUCCEEDED" for n in numbers]
        went_on += bool(running) and all(ended)
        taken.append(round(time.monotonic() - killed, 2))
    verdict = verdict_of(traffic)
    lab.keep(NAME, {"went_on": went_on, "taken_s": taken, **verdict.document()})
    wrong = len(verdict.wrong) + len(verdict.duplicates) + len(verdict.uncommitted)
    note = f"longest {max(taken)} s; {wrong} results wrong, doubled or uncommitted"
    holds = went_on == restarts and verdict.holds
    seconds = time.monotonic() - began
    target_text = f"{restarts} of {restarts}"
    return [
        Row(f"{NAME}: restarts gone on from", target_text, went_on, holds, seconds, lab.seed, note)
    ]
