"""The outbox in Redis: a stream that mirrors read as one consumer group.

Keys of a cell:
    outbox              stream: what was committed; acknowledged entries until they are trimmed
    outbox:dead         stream: entries that could not be mirrored, with the reason
    outbox:failures     hash: how often an entry could not be mirrored
    outbox:topics       hash: the id of each topic that results were sent to
    outbox:rewinds      how often the group was made anew because a topic was lost
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import redis

from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.orchestrator.execution.outbox import (
    MOST_ENTRIES,
    MOST_PUT_ASIDE,
    RETENTION_S,
    OutboxEntry,
)
from qmtl.orchestrator.execution.redis.scripts import Script

GROUP = "mirror"
BLOCK_S = 1.0  # longest wait inside the server, so that abandoned entries are looked for between
COUNT_PIECE = 1_000
_Item = tuple[bytes, dict[bytes, bytes]]


class RedisOutbox:
    """Reads the stream that commits append to."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        *,
        retention_s: float = RETENTION_S,
        most_entries: int = MOST_ENTRIES,
    ) -> None:
        self._client = client
        self._retention_ms = round(retention_s * 1000)
        self._most_entries = most_entries
        self._stream = keys("outbox")
        self._dead = keys("outbox", "dead")
        self._failures = keys("outbox", "failures")
        self._topics = keys("outbox", "topics")
        self._rewinds = keys("outbox", "rewinds")
        self._acknowledge = Script(client, "outbox_acknowledge", "outbox_trimming")
        self._trim = Script(client, "outbox_trim", "outbox_trimming")
        self._reject = Script(client, "outbox_reject")
        self._learn = Script(client, "outbox_topics")
        self._forget = Script(client, "outbox_readers")
        timeout_s = client.get_connection_kwargs().get("socket_timeout")
        self._block_s = min(BLOCK_S, timeout_s / 2) if timeout_s else BLOCK_S

    @translated()
    def read(self, reader: str, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:
        ends = time.monotonic() + wait_s
        while True:
            left_s = max(0.0, ends - time.monotonic())
            # Before the entries: those of a rewind between the two are at worst read once more.
            rewinds = int(cast("bytes | None", self._client.get(self._rewinds)) or 0)
            try:
                found = self._take(reader, limit, min(left_s, self._block_s), idle_s)
            except redis.ResponseError as error:
                if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                    raise
                self._make_group()
                continue
            if found or left_s == 0.0:
                return [_entry(item, rewinds) for item in sorted(found, key=_order)]

    def _take(self, reader: str, limit: int, block_s: float, idle_s: float) -> list[_Item]:
        """Take what a reader left behind, but leave room for what nobody read; wait only where
        both are none."""
        idle_ms = round(idle_s * 1000)
        found = self._abandoned(reader, (limit + 1) // 2, idle_ms)
        found += self._new(reader, limit - len(found), 0.0 if found else block_s)
        if idle_ms:  # else those that were just taken would be taken once more
            found += self._abandoned(reader, limit - len(found), idle_ms)
        return found

    def _new(self, reader: str, limit: int, block_s: float) -> list[_Item]:
        if limit < 1:
            return []
        reply = self._client.xreadgroup(
            GROUP,
            reader,
            {self._stream: ">"},
            count=limit,
            block=round(block_s * 1000) or None,
        )
        streams = cast("list[tuple[bytes, list[_Item]]]", reply or [])
        return [item for _, items in streams for item in items]

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
        for rewinds, ids in _by_rewinds(entries).items():
            self._acknowledge(
                [self._stream, self._rewinds, self._failures],
                [GROUP, rewinds, self._retention_ms, self._most_entries, *ids],
            )

    @translated()
    def trim(self) -> None:
        self._trim([self._stream], [GROUP, self._retention_ms, self._most_entries])

    @translated()
    def reject(self, entries: list[OutboxEntry], *, reason: str, tries: int) -> int:
        return sum(
            self._reject(
                [self._stream, self._rewinds, self._failures, self._dead],
                [GROUP, rewinds, tries, MOST_PUT_ASIDE, reason, *ids],
            )
            for rewinds, ids in _by_rewinds(entries).items()
        )

    @translated()
    def backlog(self) -> int:
        group = self._group()
        if group is None:
            return self._client.xlen(self._stream)
        lag = group["lag"]
        if lag is None:  # the server cannot tell where entries in between were deleted
            lag = self._count_after(group["last-delivered-id"])
        return cast("int", group["pending"] + lag)

    def _group(self) -> dict[str, Any] | None:
        try:
            groups = self._client.xinfo_groups(self._stream)
        except redis.ResponseError as error:
            if "no such key" not in str(error).lower():
                raise
            return None
        return next((g for g in groups if g["name"] == GROUP.encode()), None)

    def _count_after(self, entry_id: bytes) -> int:
        total, last = 0, entry_id
        while True:
            piece = cast(
                "list[_Item]",
                self._client.xrange(self._stream, min=b"(" + last, count=COUNT_PIECE),
            )
            total += len(piece)
            if len(piece) < COUNT_PIECE:
                return total
            last = piece[-1][0]

    @translated()
    def put_aside(self) -> int:
        return self._client.xlen(self._dead)

    @translated()
    def known_topics(self) -> dict[str, str]:
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._topics))
        return {topic.decode(): topic_id.decode() for topic, topic_id in found.items()}

    @translated()
    def learn_topics(self, known: Mapping[str, str], found: Mapping[str, str]) -> bool:
        changed = [
            text
            for topic, topic_id in found.items()
            if topic_id and topic_id != known.get(topic)
            for text in (topic, known.get(topic, ""), topic_id)
        ]
        if not changed:
            return False
        keys = [self._stream, self._rewinds, self._failures, self._topics]
        return bool(self._learn(keys, [GROUP, *changed]))

    @translated()
    def forget_readers(self, *, idle_s: float) -> int:
        return cast("int", self._forget([self._stream], [GROUP, round(idle_s * 1000)]))


def _order(item: _Item) -> tuple[int, int]:
    ms, _, seq = item[0].partition(b"-")
    return int(ms), int(seq)


def _by_rewinds(entries: list[OutboxEntry]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for entry in entries:
        groups.setdefault(entry.rewinds, []).append(entry.entry_id)
    return groups


def _entry(item: _Item, rewinds: int) -> OutboxEntry:
    entry_id, fields = item
    return OutboxEntry(
        entry_id=entry_id.decode(),
        tenant=fields[b"tenant"].decode(),
        execution_id=fields[b"execution"].decode(),
        node_ids=tuple(fields[b"nodes"].decode().split(",")),
        rewinds=rewinds,
        attempt=int(fields.get(b"attempt", b"1")),
    )
