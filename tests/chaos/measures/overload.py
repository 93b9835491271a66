"""Ten times more is triggered than can be run."""

from __future__ import annotations

import time

from qmtl.common.errors import QmtlError
from tests.chaos.cluster import DEFAULT, QUICK, Cluster, Spec
from tests.chaos.lab import Lab
from tests.chaos.observing import verdict_of
from tests.chaos.report import Row
from tests.chaos.traffic import Traffic, is_temporary
from tests.chaos.workload import Workload

NAME = "overload"
TIMES = 10
LOAD_S, SHORT_LOAD_S = 10.0, 1.0
BASE, SHORT_BASE = 400, 40
WINDOW = 32
MOST_SENT_AGAIN = 0.05
LEAST_THROUGHPUT = 0.70
QUIET_S = 120.0
LOOK_S = 0.2
MOST_DAYS = 20_000
WORKLOAD = Workload("overload", rounds=10_000)


def measure(lab: Lab) -> list[Row]:
    """Take the rate that the system bears, then trigger ten times as fast."""
    began = time.monotonic()
    spec = Spec(lab.seed, lab.pick(DEFAULT, QUICK), lab.pick(0.0, 0.1))
    base = lab.pick(BASE, SHORT_BASE)
    traffic = lab.traffic(NAME, spec, WORKLOAD, days=lab.pick(MOST_DAYS, 2_000))
    traffic.flow(range(1, 21), window=WINDOW, quiet_s=QUIET_S)  # for warmth
    numbers = range(21, 21 + base)
    traffic.flow(numbers, window=WINDOW, quiet_s=QUIET_S)
    borne = rate(traffic, numbers)
    resent_before = sent_again(traffic.cluster)
    log = lab.faults(NAME)
    log.write("overload", None, per_s=round(TIMES * borne, 1))
    load_began = time.monotonic()
    loaded = burst(
        traffic, numbers.stop, rate_s=TIMES * borne, load_s=lab.pick(LOAD_S, SHORT_LOAD_S)
    )
    load_s = time.monotonic() - load_began
    await_idle(traffic)
    kept = rate(traffic, loaded) / borne
    resent = sent_again(traffic.cluster) - resent_before
    share = len(resent & {traffic.ids[n] for n in loaded}) / max(1, len(loaded))
    verdict = verdict_of(traffic)
    facts = {
        "borne_per_s": borne,
        "triggered": len(loaded),
        "triggered_per_s": len(loaded) / load_s,
        "refused": traffic.refused,
        "sent_again": len(resent),
        "kept": kept,
    }
    lab.keep(NAME, facts | verdict.document())
    seconds = time.monotonic() - began
    note = (
        f"{borne:.1f}/s borne, {len(loaded)} triggered at {len(loaded) / load_s:.0f}/s, "
        f"{traffic.refused} refused"
    )
    missing = len(verdict.lost) + len(verdict.stuck) + len(verdict.failed)
    return [
        Row(
            f"{NAME}: share sent again",
            f"<= {MOST_SENT_AGAIN}",
            round(share, 4),
            share <= MOST_SENT_AGAIN,
            seconds,
            lab.seed,
            note,
        ),
        Row(
            f"{NAME}: throughput kept",
            f">= {LEAST_THROUGHPUT}",
            round(kept, 3),
            kept >= LEAST_THROUGHPUT,
            seconds,
            lab.seed,
            note,
        ),
        Row(f"{NAME}: lost, stuck or failed", "0", missing, verdict.holds, seconds, lab.seed),
    ]


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
