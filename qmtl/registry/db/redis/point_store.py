"""Points of sources in Redis: a sorted set by source, scored by time, one member a revision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import redis

from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.models.points import Points
from qmtl.registry.db.columns import check_size, grown, pick, rows_in
from qmtl.registry.db.point_store import EVERYTHING, Appended, PointSummary, WindowRequest
from qmtl.registry.db.redis.scripts import script

NO_COLUMNS = b"[]"


class RedisPointStore:
    """``PointStore`` whose every batch is one script, and every reading one pipeline."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def _points(self, tenant: str, source: str) -> str:
        return self._keys("points", tenant, source)

    def _facts(self, tenant: str, source: str) -> str:
        return self._keys("source", tenant, source)

    @translated()
    def append(self, tenant: str, source: str, points: Points) -> Appended:
        check_size(points)
        keys = (self._points(tenant, source), self._facts(tenant, source))
        seen: bytes = self._client.hget(keys[1], "columns") or NO_COLUMNS  # type: ignore[assignment] # sync client
        while True:  # ends: another writer can only have added columns
            columns = grown(_decode(seen), points)
            records = np.empty(len(points), dtype=_record(len(columns)))
            records["time"] = points.times_ms
            records["row"] = rows_in(points, columns)
            arguments = (seen, msgspec.json.encode(columns), str(len(points)), records.tobytes())
            reply: Any = self._client.eval(script("append_points"), 2, *keys, *arguments)
            if len(reply) == 4:
                return Appended(*map(int, reply))
            seen = reply[0]

    @translated()
    def windows(self, tenant: str, requests: Sequence[WindowRequest]) -> list[Points]:
        with self._client.pipeline(transaction=False) as pipe:
            for each in requests:
                self._read(pipe, tenant, each, each.revision)
            replies = pipe.execute()
        return [_window(r, each.columns) for r, each in zip(replies, requests, strict=True)]

    @translated()
    def latest(self, tenant: str, requests: Sequence[WindowRequest]) -> list[tuple[int, Points]]:
        several = len(requests) > 1  # then they must tell of one moment; a script alone does
        with self._client.pipeline(transaction=several) as pipe:
            for each in requests:
                self._read(pipe, tenant, each, EVERYTHING)
            replies = pipe.execute()
        return [
            (int(reply[2]), _window(reply, each.columns))
            for reply, each in zip(replies, requests, strict=True)
        ]

    def _read(self, pipe: Any, tenant: str, wanted: WindowRequest, revision: int) -> None:
        keys = (self._points(tenant, wanted.source), self._facts(tenant, wanted.source))
        bounds = (str(wanted.until_ms), str(wanted.period), str(revision))
        pipe.eval(script("read_window"), 2, *keys, *bounds)

    @translated()
    def summaries(self, tenant: str, sources: Sequence[str]) -> list[PointSummary]:
        with self._client.pipeline(transaction=False) as pipe:
            for source in sources:
                pipe.hmget(self._facts(tenant, source), "revision", "count")
                pipe.zrange(self._points(tenant, source), 0, 0, withscores=True)
                pipe.zrange(self._points(tenant, source), -1, -1, withscores=True)
            replies = iter(pipe.execute())
        return [_summary(*three) for three in zip(replies, replies, replies, strict=True)]


def _decode(columns: bytes) -> tuple[str, ...]:
    return msgspec.json.decode(columns, type=tuple[str, ...])


def _record(columns: int) -> np.dtype[np.void]:
    """Return a point as the scripts know it: its time in big-endian, its row in little-endian."""
    return np.dtype([("time", ">f8"), ("row", "<f8", (columns,))])


def _window(reply: Sequence[bytes], columns: tuple[str, ...]) -> Points:
    stored = _decode(reply[0])
    table = np.frombuffer(reply[1], dtype=_record(len(stored)))[::-1]  # they come newest first
    times_ms = table["time"].astype(np.int64)
    return pick(times_ms, table["row"].astype(np.float64), stored, columns)


def _summary(
    facts: Sequence[bytes | None],
    first: Sequence[tuple[bytes, float]],
    last: Sequence[tuple[bytes, float]],
) -> PointSummary:
    return PointSummary(
        revision=int(facts[0] or 0),
        count=int(facts[1] or 0),
        first_ms=int(first[0][1]) if first else None,
        last_ms=int(last[0][1]) if last else None,
    )
