"""How long an execution takes to end after the process that ran it was killed."""

from __future__ import annotations

import random
import statistics
import time

from tests.chaos.checker import percentile
from tests.chaos.cluster import QUICK, Spec
from tests.chaos.journal import JournalReader
from tests.chaos.lab import Lab
from tests.chaos.nemesis import FaultLog, Target, kill
from tests.chaos.report import Row
from tests.chaos.traffic import Traffic
from tests.chaos.workload import Workload

NAME = "recovery"
KILLS, SHORT_KILLS = 100, 3
ALLOWANCE_S = 5.0  # beyond the lease
SHARE = 0.99
LOOK_S = 0.02
GIVE_UP_S = 90.0
WORKLOAD = Workload("recovery", rounds=1_000_000)  # a node takes some 60 ms


def measure(lab: Lab) -> list[Row]:
    """Kill what runs an execution, at a random moment of its life, and wait for its end."""
    began = time.monotonic()
    kills = lab.pick(KILLS, SHORT_KILLS)
    traffic = lab.traffic(
        NAME, Spec(lab.seed, QUICK, lab.pick(0.0, 0.1)), WORKLOAD, days=4 * kills + 20
    )
    log, chance = lab.faults(NAME), random.Random(f"{NAME}:{lab.seed}")
    usual_s = usual_length(traffic)
    journal = traffic.cluster.read_journal()
    taken: list[float] = []
    for number in range(10, 4 * kills + 20):
        if len(taken) == kills:
            break
        found = strike(traffic, number, journal, log, chance, usual_s)
        if found is not None:
            taken.append(found)
        traffic.cluster.await_workers()
    limit_s = QUICK.lease_s + ALLOWANCE_S
    worst = percentile(taken, SHARE)
    lab.keep(NAME, {"limit_s": limit_s, "usual_s": usual_s, "taken_s": taken})
    note = f"{len(taken)} kills, median {statistics.median(taken):.2f} s, longest {max(taken):.2f}"
    seconds = time.monotonic() - began
    return [
        Row(
            f"{NAME}: seconds, 99th percentile",
            f"<= {limit_s:g} (lease {QUICK.lease_s:g} + 5)",
            round(worst, 2),
            worst <= limit_s,
            seconds,
            lab.seed,
            note,
        )
    ]


def usual_length(traffic: Traffic) -> float:
    """Return how long an execution takes when nothing is killed: the median of three."""
    taken: list[float] = []
    for number in range(1, 4):
        traffic.trigger(number)
        taken.append(await_end(traffic, number))
    return statistics.median(taken)


def await_end(traffic: Traffic, number: int) -> float:
    """Return the seconds until an execution ends, ``GIVE_UP_S`` where it does not."""
    began = time.monotonic()
    while number not in traffic.states and time.monotonic() - began < GIVE_UP_S:
        traffic.look()
        time.sleep(LOOK_S)
    return time.monotonic() - began


def strike(
    traffic: Traffic,
    number: int,
    journal: JournalReader,
    log: FaultLog,
    chance: random.Random,
    usual_s: float,
) -> float | None:
    """Run an execution and kill what runs it; None where it had ended before."""
    victim, moment_s, pick = chance.choice(["child", "worker"]), chance.random(), chance.random()
    traffic.trigger(number)
    time.sleep(0.9 * usual_s * moment_s)
    pids = [e["pid"] for e in journal.new("run") if e["execution"] == traffic.ids[number]]
    traffic.look()
    if number in traffic.states:
        return None
    target = runner_of(traffic, pids[-2:], victim, pick)
    if target is None or not kill(target):
        await_end(traffic, number)
        return None
    log.write("SIGKILL", target, execution=traffic.ids[number], moment=round(moment_s, 3))
    return await_end(traffic, number)


def runner_of(traffic: Traffic, pids: list[int], victim: str, pick: float) -> Target | None:
    """Return what last ran something of the execution; before that, any node worker's child."""
    children = {t.pid: t for t in traffic.cluster.targets("child")}
    candidates = [children[p] for p in dict.fromkeys(pids) if p in children]
    candidates = candidates or list(children.values())
    if not candidates:
        return None
    child = candidates[int(pick * len(candidates))]
    if victim == "child":
        return child
    workers = {t.name: t for t in traffic.cluster.targets("worker")}
    return workers[child.name.partition("/")[0]]
