"""The outbox in Redis: a stream that mirrors read as one consumer group."""

from __future__ import annotations

import time
from typing import Any, cast

import redis

from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.orchestrator.execution.outbox import OutboxEntry

GROUP = "mirror"
BLOCK_S = 1.0  # longest wait inside the server, so that abandoned entries are looked for between
_Item = tuple[bytes, dict[bytes, bytes]]


class RedisOutbox:
    """Reads the stream that commits append to; an entry is deleted once it is acknowledged."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._stream = keys("outbox")
        timeout_s = client.get_connection_kwargs().get("socket_timeout")
        self._block_s = min(BLOCK_S, timeout_s / 2) if timeout_s else BLOCK_S

    @translated()
    def read(self, reader: str, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:
        ends = time.monotonic() + wait_s
        while True:
            left_s = max(0.0, ends - time.monotonic())
            try:
                found = self._take(reader, limit, min(left_s, self._block_s), idle_s)
            except redis.ResponseError as error:
                if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                    raise
                self._make_group()
                continue
            if found or left_s == 0.0:
                return [_entry(item) for item in found]

    def _take(self, reader: str, limit: int, block_s: float, idle_s: float) -> list[_Item]:
        """Take what a reader left behind, then what nobody read; wait only where both are none."""
        found = self._abandoned(reader, limit, round(idle_s * 1000))
        if len(found) >= limit:
            return found
        block_ms = 0 if found else round(block_s * 1000)
        reply = self._client.xreadgroup(
            GROUP,
            reader,
            {self._stream: ">"},
            count=limit - len(found),
            block=block_ms or None,
        )
        for _, items in cast("list[tuple[bytes, list[_Item]]]", reply or []):
            found += items
        return found

    def _abandoned(self, reader: str, limit: int, idle_ms: int) -> list[_Item]:
        found: list[_Item] = []
        cursor: Any = b"0-0"
        while len(found) < limit:
            cursor, items, *_ = cast(
                "tuple[bytes, list[_Item]]",
                self._client.xautoclaim(
                    self._stream, GROUP, reader, idle_ms, cursor, count=limit - len(found)
                ),
            )
            found += items
            if cursor == b"0-0":
                break
        return found

    def _make_group(self) -> None:
        """Make the group where it is missing: at first, or because the server lost it."""
        try:
            self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    @translated()
    def acknowledge(self, entries: list[OutboxEntry]) -> None:
        if not entries:
            return
        ids = [entry.entry_id for entry in entries]
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xack(self._stream, GROUP, *ids)
            pipe.xdel(self._stream, *ids)
            pipe.execute()

    @translated()
    def backlog(self) -> int:
        return self._client.xlen(self._stream)


def _entry(item: _Item) -> OutboxEntry:
    entry_id, fields = item
    return OutboxEntry(
        entry_id=entry_id.decode(),
        tenant=fields[b"tenant"].decode(),
        execution_id=fields[b"execution"].decode(),
        node_ids=tuple(fields[b"nodes"].decode().split(",")),
    )
