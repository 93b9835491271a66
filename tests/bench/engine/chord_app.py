"""The Celery application of ``chord_next``: a task a node, a chord a level."""

from __future__ import annotations

import os
from functools import cache

import redis
from celery import Celery, chord

from tests.bench.engine.systems import connect, dump, load
from tests.bench.engine.workloads import workload

URL_VARIABLE = "QMTL_BENCH_REDIS"
URL = os.environ.get(URL_VARIABLE, "redis://127.0.0.1:6379/6")

app = Celery("chords", broker=URL, backend=URL)
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


def values_key(run: str) -> str:
    """Return the key of a run's values."""
    return f"chords:values:{run}"


def done_key(run: str) -> str:
    """Return the key of the list that the client waits at."""
    return f"chords:done:{run}"


@cache
def client(pid: int) -> redis.Redis:
    """Return a process's own connection."""
    return connect(URL)


@app.task(name="chords.node")
def node(run: str, name: str, number: int, of: str) -> None:
    """Compute one node: parents from the hash, the value into it."""
    found, server = workload(of).by_name[name], client(os.getpid())
    stored = server.hmget(values_key(run), found.parents) if found.parents else []
    value = found.call([load(v) for v in stored], number)
    server.hset(values_key(run), name, dump(value))


@app.task(name="chords.level", ignore_result=True)
def level(run: str, at: int, number: int, of: str) -> None:
    """Start a level's nodes, with this task for the next level as their chord's body."""
    levels = workload(of).levels
    if at == len(levels):
        client(os.getpid()).rpush(done_key(run), 1)
        return
    header = [node.si(run, name, number, of) for name in levels[at]]
    body = level.si(run, at + 1, number, of)
    if len(header) == 1:
        (header[0] | body).apply_async()
    else:
        chord(header, body).apply_async()
