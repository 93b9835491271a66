"""Ten times more is triggered than can be run."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qmtl.common.errors import QmtlError
from tests.chaos.cluster import DEFAULT, Cluster, Spec
from tests.chaos.lab import Lab
from tests.chaos.observing import verdict_of
from tests.chaos.report import Row
from tests.chaos.traffic import Traffic, is_temporary
from tests.chaos.workload import Workload

NAME = "overload"
TIMES = 10
LOAD_S, SHORT_LOAD_S = 10.0, 1.0
BASE, SHORT_BASE = 200, 20
WARM = 8  # executions before the rate is taken
WINDOW = 32
MOST_SENT_AGAIN = 0.05
LEAST_THROUGHPUT = 0.70
QUIET_S = 120.0
LOOK_S = 0.2
MOST_DAYS = 20_000
WORKLOAD = Workload("overload", rounds=100_000)  # a node takes some 7 ms, a trigger less


@dataclass(frozen=True, slots=True)
class Load:
    """What was triggered too fast.

    Attributes:
        numbers: Those that were taken.
        per_s: At which rate.
        sent_again: Executions of which the reaper sent something.
    """

    numbers: list[int]
    per_s: float
    sent_again: set[str]


def measure(lab: Lab) -> list[Row]:
    """Take the rate that the system bears, then trigger ten times as fast."""
    began = time.monotonic()
    traffic = lab.traffic(NAME, Spec(lab.seed, DEFAULT), WORKLOAD, days=lab.pick(MOST_DAYS, 2_000))
    numbers = range(1 + WARM, 1 + WARM + lab.pick(BASE, SHORT_BASE))
    for each in (range(1, 1 + WARM), numbers):
        traffic.flow(each, window=WINDOW, quiet_s=QUIET_S)
    borne = rate(traffic, numbers)
    lab.faults(NAME).write("overload", None, per_s=round(TIMES * borne, 1))
    load = overload(traffic, numbers.stop, TIMES * borne, lab.pick(LOAD_S, SHORT_LOAD_S))
    verdict = verdict_of(traffic)
    share = len(load.sent_again) / max(1, len(load.numbers))
    kept = rate(traffic, load.numbers) / borne
    note = f"{borne:.1f}/s borne, {len(load.numbers)} triggered at {load.per_s:.0f}/s, "
    note += f"{traffic.refused} refused"
    lab.keep(NAME, {"note": note, "share": share, "kept": kept, **verdict.document()})
    unwell = len(verdict.lost + verdict.stuck + verdict.failed + verdict.wrong)
    figures = [
        ("share sent again", f"<= {MOST_SENT_AGAIN}", share, share <= MOST_SENT_AGAIN),
        ("throughput kept", f">= {LEAST_THROUGHPUT}", kept, kept >= LEAST_THROUGHPUT),
        ("lost, stuck, failed or wrong", "0", unwell, verdict.holds),
    ]
    seconds = time.monotonic() - began
    return [
        Row(f"{NAME}: {what}", target, round(value, 4), holds, seconds, lab.seed, note)
        for what, target, value, holds in figures
    ]


def overload(traffic: Traffic, first: int, rate_s: float, load_s: float) -> Load:
    """Trigger too fast for some seconds, and wait until nothing is left to do."""
    before, began = sent_again(traffic.cluster), time.monotonic()
    taken = burst(traffic, first, rate_s=rate_s, load_s=load_s)
    per_s = len(taken) / (time.monotonic() - began)
    await_idle(traffic)
    again = sent_again(traffic.cluster) - before
    return Load(taken, per_s, again & {traffic.ids[n] for n in taken})


def burst(traffic: Traffic, first: int, *, rate_s: float, load_s: float) -> list[int]:
    """Trigger at a rate for some seconds; return the numbers that were taken."""
    taken: list[int] = []
    began = time.monotonic()
    number = first
    while (now := time.monotonic() - began) < load_s and number < MOST_DAYS:
        due = first + int(now * rate_s)
        if number > due:
            time.sleep(0.001)
            continue
        try:
            traffic.ids[number] = traffic.try_trigger(number).id
            taken.append(number)
        except QmtlError as error:
            if not is_temporary(error):
                raise
            traffic.refused += 1
        number += 1
    return taken


def await_idle(traffic: Traffic) -> None:
    """Wait until nothing is open any more, or nothing changed for ``QUIET_S``.

    It asks for counts, since asking for each of some thousand executions would be a load itself.
    """
    ledger = traffic.cluster.stores.ledger
    last, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        left = sum(ledger.counts().values())
        if not left:
            break
        if left != last:
            last, since = left, time.monotonic()
        time.sleep(LOOK_S)
    traffic.look()


def rate(traffic: Traffic, numbers: range | list[int]) -> float:
    """Return executions a second, from the first that was made to the last that ended."""
    found = [
        traffic.cluster.system.orchestrator.get_status(traffic.tenant, traffic.ids[n])
        for n in numbers
    ]
    ended = [e.ended_ms for e in found if e.ended_ms is not None]
    taken_s = (max(ended) - min(e.created_ms for e in found)) / 1_000
    return len(ended) / taken_s


def sent_again(cluster: Cluster) -> set[str]:
    """Return the executions of which the reaper sent something."""
    return {
        entry["args"][1]
        for entry in cluster.read_journal().new("sent")
        if entry["sender"] == "control" and entry["task"].startswith("qmtl.nodes.")
    }
