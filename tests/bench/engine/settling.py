"""A pause between two runs, so that none pays for what the one before left to do."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

PAUSE_S = 0.05
LONGEST_S = 10.0


def settler(url: str) -> Callable[[], None]:
    """Return what waits until a Redis server has written its append-only file anew, if it does.

    All systems but two write to one server; a run that writes much makes it do so in a process of
    its own, for as long as the next run takes.
    """
    client = redis.Redis.from_url(url)

    def settle() -> None:
        ends = time.monotonic() + LONGEST_S
        time.sleep(PAUSE_S)
        while _is_rewriting(client) and time.monotonic() < ends:
            time.sleep(PAUSE_S)

    return settle


def _is_rewriting(client: redis.Redis) -> bool:
    state = client.info("persistence")
    assert isinstance(state, dict)
    return bool(state["aof_rewrite_in_progress"] or state["rdb_bgsave_in_progress"])
