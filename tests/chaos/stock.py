"""The same DAG as a plain Celery program: a task a node, chords between, settings as advised.

``python -m tests.chaos.stock`` is its worker.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery, chain, group

from tests.chaos.journal import Journal
from tests.chaos.workload import close_of, work

ROUNDS = 10_000
app = Celery("stock")
app.conf.update(
    broker_url=os.environ.get("STOCK_BROKER"),
    result_backend=os.environ.get("STOCK_BACKEND"),
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_hijack_root_logger=False,
)
_journal: list[Journal] = []


def _write(number: int, node: str) -> None:
    if not _journal:
        _journal.append(Journal(Path(os.environ["CHAOS_JOURNAL"])))
    _journal[0].write("run", execution=str(number), nodes=[node])


@app.task
def left(number: int) -> int:
    _write(number, "left")
    return work(ROUNDS, close_of(number))


@app.task
def right(number: int) -> int:
    _write(number, "right")
    return work(ROUNDS, close_of(number) + 1)


@app.task
def join(inputs: list[int], number: int) -> int:
    _write(number, "join")
    return work(ROUNDS, sum(inputs))


@app.task
def up(joined: int, number: int) -> int:
    _write(number, "up")
    return work(ROUNDS, joined + 2)


@app.task
def down(joined: int, number: int) -> int:
    _write(number, "down")
    return work(ROUNDS, joined + 3)


@app.task
def end(inputs: list[int], number: int) -> int:
    _write(number, "end")
    return work(ROUNDS, sum(inputs))


def canvas(number: int) -> Any:
    """Return the execution of a number; its result is that of ``end``."""
    first = group(left.s(number), right.s(number))
    second = group(up.s(number), down.s(number))
    return chain(first, join.s(number), second, end.s(number))


if __name__ == "__main__":
    from tests.chaos import doubling
    from tests.chaos.stock import app as imported  # the one whose tasks bear this module's name

    doubling.install(
        imported,
        seed=int(os.environ["CHAOS_SEED"]),
        share=float(os.environ["CHAOS_DOUBLED"]),
        journal=Journal(Path(os.environ["CHAOS_JOURNAL"])),
        sender="worker",
    )
    name = os.environ.get("HONCHO_PROCESS_NAME", "stock")
    imported.worker_main(["worker", f"--hostname={name}@%h", "--concurrency=1", "--loglevel=INFO"])
