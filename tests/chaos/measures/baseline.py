"""The same nemesis on stock Celery chords, for comparison."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qmtl.stack.processes import Processes
from tests.chaos import doubling
from tests.chaos.cluster import NODE_WORKERS, supervised, targets
from tests.chaos.journal import Journal, JournalReader
from tests.chaos.lab import Lab
from tests.chaos.measures import kills
from tests.chaos.nemesis import Nemesis, Target
from tests.chaos.report import Row
from tests.chaos.workload import Workload

NAME = "baseline"
BROKER_DATABASE, RESULT_DATABASE = 2, 3
GIVEN_UP_S, SHORT_GIVEN_UP_S = 60.0, 8.0  # an execution older than that holds up no other
LOOK_S = 0.1


class Stock:
    """A client of the plain program; it knows executions by their numbers."""

    def __init__(self, app: Any, canvas: Any) -> None:
        self._app = app
        self._canvas = canvas
        self.ids: dict[int, str] = {}
        self.begun: dict[int, float] = {}
        self.ended: dict[int, tuple[str, object]] = {}

    def trigger(self, number: int) -> None:
        """Send an execution, again where that fails."""
        while True:
            try:
                self.ids[number] = self._canvas(number).apply_async().id
            except Exception:  # noqa: BLE001 - Redis is away, whatever it is called here
                time.sleep(LOOK_S)
            else:
                self.begun[number] = time.monotonic()
                return

    def look(self) -> int:
        """Ask for what is open; return how many ended."""
        before = len(self.ended)
        for number in self.ids.keys() - self.ended.keys():
            try:
                meta = self._app.backend.get_task_meta(self.ids[number], cache=False)
            except Exception:  # noqa: BLE001 - as above
                break
            if meta["status"] in {"SUCCESS", "FAILURE", "REVOKED"}:
                self.ended[number] = (meta["status"], meta["result"])
        return len(self.ended) - before

    def flow(self, numbers: Iterator[int], *, window: int, given_up_s: float) -> None:
        """Keep a window of executions open until all were sent and nothing ends any more."""
        more, last_end = True, time.monotonic()
        while True:
            now = time.monotonic()
            fresh = [
                n for n in self.ids.keys() - self.ended.keys() if now - self.begun[n] < given_up_s
            ]
            while more and len(fresh) < window:
                number = next(numbers, None)
                more = number is not None
                if number is not None:
                    self.trigger(number)
                    fresh.append(number)
            if self.look():
                last_end = time.monotonic()
            elif not more and time.monotonic() - last_end > given_up_s:
                return
            if not more and len(self.ended) == len(self.ids):
                return
            time.sleep(LOOK_S)


def measure(lab: Lab) -> list[Row]:
    """Run the plain program under the nemesis of ``kills``."""
    began = time.monotonic()
    lab.stop_workers()
    journal = lab.out / NAME / "journal.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.unlink(missing_ok=True)
    environ = environment(lab, journal)
    os.environ.update(environ)  # the program reads them when it is imported
    from tests.chaos import stock

    doubling.install(
        stock.app, seed=lab.seed, share=kills.DOUBLED, journal=Journal(journal), sender="client"
    )
    client = Stock(stock.app, stock.canvas)
    commands = dict.fromkeys(NODE_WORKERS, "tests.chaos.stock")
    with supervised(commands, lab.stack, os.environ | environ) as processes:
        killed = run(lab, client, processes)
    stock.app.backend.result_consumer.subscribed_to.clear()  # else it would be asked at exit
    return result(lab, client, JournalReader(journal), killed, began)


def environment(lab: Lab, journal: Path) -> dict[str, str]:
    """Return the variables of the plain program; it has databases of its own."""
    server = lab.stack.settings_env()["QMTL_BROKER_URL"].rpartition("/")[0]
    return {
        "STOCK_BROKER": f"{server}/{BROKER_DATABASE}",
        "STOCK_BACKEND": f"{server}/{RESULT_DATABASE}",
        "CHAOS_SEED": str(lab.seed),
        "CHAOS_DOUBLED": str(kills.DOUBLED),
        "CHAOS_JOURNAL": str(journal.absolute()),
    }


def run(lab: Lab, client: Stock, processes: Processes) -> int:
    """Run the executions under the nemesis; return how often it struck."""

    def victims(victim: str) -> list[Target]:
        return lab.redis() if victim == "redis" else targets(processes, victim)

    client.flow(iter([0]), window=1, given_up_s=30.0)
    nemesis = Nemesis(kills.planned(lab), victims, lab.faults(NAME))
    given_up_s = lab.pick(GIVEN_UP_S, SHORT_GIVEN_UP_S)
    numbers: Iterator[int] = iter(range(1, kills.EXECUTIONS))
    if lab.short:
        numbers = kills.short_form(nemesis, 50 * kills.SHORT_EXECUTIONS)
    with nemesis:
        client.flow(numbers, window=kills.WINDOW, given_up_s=given_up_s)
    client.flow(iter(()), window=kills.EXECUTIONS + 1, given_up_s=given_up_s)
    return nemesis.log.count


def result(lab: Lab, client: Stock, journal: JournalReader, killed: int, began: float) -> list[Row]:
    """Return what became of the executions."""
    workload = Workload(NAME, rounds=kills.WORKLOAD.rounds)
    runs = Counter((e["execution"], e["nodes"][0]) for e in journal.new("run"))
    open_ = sorted(client.ids.keys() - client.ended.keys())
    failed = sorted(n for n, (state, _) in client.ended.items() if state != "SUCCESS")
    wrong = sorted(
        n
        for n, (state, value) in client.ended.items()
        if state == "SUCCESS" and value != workload.values(n)["end"]
    )
    again = [":".join(key) for key, times in runs.items() if times > 1]
    ratio = runs.total() / max(1, len(runs))
    lab.keep(
        NAME,
        {
            "kills": killed,
            "executions": len(client.ids),
            "not_ended": open_,
            "failed": failed,
            "wrong": wrong,
            "run_again": again,
            "run_ratio": ratio,
        },
    )
    seconds = time.monotonic() - began
    note = f"stock Celery, {len(client.ids)} executions, {killed} kills"
    figures = [
        ("executions that did not end", len(open_)),
        ("failed executions", len(failed)),
        ("wrong results", len(wrong)),
        ("tasks done more than once", len(again)),
        ("raw runs / unique runs", round(ratio, 4)),
    ]
    return [Row(f"{NAME}: {w}", "", v, None, seconds, lab.seed, note) for w, v in figures]
