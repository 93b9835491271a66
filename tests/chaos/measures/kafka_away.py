"""Kafka is away for a while and the mirror is killed, while executions go on."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Thread

import psutil

from qmtl.stack.api import Stack
from tests.chaos.checker import TopicVerdict, check_topic
from tests.chaos.cluster import DEFAULT, QUICK, Spec
from tests.chaos.lab import Lab
from tests.chaos.nemesis import FaultLog, Target, chosen, kill
from tests.chaos.observing import expected_of, topic_records
from tests.chaos.report import Row
from tests.chaos.traffic import Traffic, patiently
from tests.chaos.workload import NODES, Workload

NAME = "kafka"
EXECUTIONS, SHORT_EXECUTIONS = 1_000, 40
AWAY_S, SHORT_AWAY_S = 20.0, 3.0
WINDOW = 32
MIRRORED_S = 120.0
WORKLOAD = Workload("mirrored", rounds=3_000)
Step = tuple[float, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Run:
    """Executions that ran while Kafka was away."""

    name: str
    traffic: Traffic
    log: FaultLog


def measure(lab: Lab) -> list[Row]:
    """Run twice, with kills of the mirror and without; then look at the topic."""
    began = time.monotonic()
    killed = run(lab, f"{NAME}-killed", kills=True)
    calm = run(lab, f"{NAME}-unkilled", kills=False)
    *rows, repeated = figures(lab, killed, began)
    # A killed mirror may send a record again; one that lives must not.
    allowed = replace(repeated, target="", holds=None)
    return [*rows, allowed, *figures(lab, calm, began)]


def run(lab: Lab, name: str, *, kills: bool) -> Run:
    """Run executions while Kafka goes away and comes back."""
    count = lab.pick(EXECUTIONS, SHORT_EXECUTIONS)
    away_s = lab.pick(AWAY_S, SHORT_AWAY_S)
    spec = Spec(lab.seed, lab.pick(DEFAULT, QUICK), mirror=True)
    traffic = lab.traffic(name, spec, WORKLOAD, days=count)
    log, chance = lab.faults(name), random.Random(f"{name}:{lab.seed}")
    steps = plan(traffic, lab.stack, log, chance, away_s, kills=kills)
    thread = Thread(target=carry_out, args=(steps,), name="kafka-away", daemon=True)
    thread.start()
    # Spread so that results come before, while and after Kafka is away.
    per_s = (count - 1) / (steps[-1][0] + 2.0)
    traffic.flow(paced(range(1, count), per_s), window=WINDOW, quiet_s=60.0)
    thread.join()
    return Run(name, traffic, log)


def figures(lab: Lab, found: Run, began: float) -> list[Row]:
    """Wait until the results are on the topic, and return what the checker says."""
    verdict, waited_s = await_mirrored(found.traffic)
    still_open = found.traffic.open
    document = {"mirrored_after_s": waited_s, "open": still_open, **verdict.document()}
    lab.keep(found.name, document)
    note = f"{len(found.traffic.ids)} executions, {found.log.count} faults, "
    note += f"{verdict.records} records"
    seconds = time.monotonic() - began
    values = {
        "records missing or wrong": len(verdict.missing) + len(verdict.wrong) + len(still_open),
        "results twice after dropping equal dedupe ids": len(verdict.twice),
        "repeated records": verdict.repeated,
    }
    return [
        Row(f"{found.name}: {what}", "0", value, not value, seconds, lab.seed, note)
        for what, value in values.items()
    ]


def plan(
    traffic: Traffic,
    stack: Stack,
    log: FaultLog,
    chance: random.Random,
    away_s: float,
    *,
    kills: bool,
) -> Sequence[Step]:
    """Return what happens when, in seconds from the start."""
    leaves_s = 3.0
    steps: list[Step] = [
        (leaves_s, lambda: send_away(stack, log)),
        (leaves_s + away_s, lambda: bring_back(stack, log)),
    ]
    if kills:  # once while it works, once while it works off what waited
        strike = lambda: kill_mirror(traffic, log)  # noqa: E731
        steps.append((chance.uniform(1.0, leaves_s), strike))
        steps.append((leaves_s + away_s + chance.uniform(0.2, 2.0), strike))
    return sorted(steps, key=lambda step: step[0])


def carry_out(steps: Sequence[Step]) -> None:
    """Take each step at its time."""
    began = time.monotonic()
    for at_s, step in steps:
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        step()


def kill_mirror(traffic: Traffic, log: FaultLog) -> None:
    """SIGKILL the mirror's worker; its supervisor starts it again."""
    target = chosen(traffic.cluster.targets("mirror"), 0.0)
    log.write("SIGKILL", target if target is not None and kill(target) else None)


def send_away(stack: Stack, log: FaultLog) -> None:
    """Stop the broker: for good where it keeps its data, else only its clock."""
    target = Target("kafka", stack.servers["kafka"].pid)
    if stack.profile == "real":
        stack.kill("kafka")
        log.write("SIGKILL", target)
    else:
        psutil.Process(target.pid).send_signal(signal.SIGSTOP)
        log.write("SIGSTOP", target)


def bring_back(stack: Stack, log: FaultLog) -> None:
    """Let the broker go on."""
    if stack.profile == "real":
        stack.restart("kafka")
        log.write("start", Target("kafka", stack.servers["kafka"].pid))
    else:
        target = Target("kafka", stack.servers["kafka"].pid)
        psutil.Process(target.pid).send_signal(signal.SIGCONT)
        log.write("SIGCONT", target)


def paced(numbers: Sequence[int], per_s: float) -> Iterator[int]:
    """Yield numbers at a rate."""
    began = time.monotonic()
    for place, number in enumerate(numbers):
        time.sleep(max(0.0, began + place / per_s - time.monotonic()))
        yield number


def await_mirrored(traffic: Traffic) -> tuple[TopicVerdict, float]:
    """Return what the checker finds on the topic once nothing is missing, or at last."""
    began = time.monotonic()
    orchestrator = traffic.cluster.system.orchestrator
    limit = 20 * len(NODES) * len(traffic.ids)
    while True:
        if patiently(orchestrator.backlog) == 0 or time.monotonic() - began > MIRRORED_S / 2:
            records = patiently(lambda: topic_records(traffic.cluster, limit=limit))
            verdict = check_topic(expected_of(traffic), records)
            if not verdict.missing or time.monotonic() - began > MIRRORED_S:
                return verdict, round(time.monotonic() - began, 1)
        time.sleep(0.5)
