"""Encoded values in Redis: small ones inside their execution, large ones once by address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import redis

from qmtl.common.redis.keys import Keys
from qmtl.orchestrator.execution.redis import documents

UNCOMMITTED_S = 3_600  # how long a large value waits for the commit that names it


class RedisValues:
    """Reads and keeps values for the ledger, which translates what the client raises."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._key = keys

    def keep_large(self, values: Mapping[str, bytes]) -> None:
        """Store values by address; one that nobody names expires, see uses.lua."""
        if not values:
            return
        with self._client.pipeline(transaction=False) as pipe:
            for address, value in values.items():
                pipe.set(self._key("val", address), value, nx=True, ex=UNCOMMITTED_S)
                pipe.expire(self._key("val", address), UNCOMMITTED_S, xx=True)
            pipe.execute()

    def read(self, results: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Return the value of each (execution id, node id) in at most two round trips."""
        tagged = by_execution(self._client, self._key, "values", results)
        return self._untagged([tagged.get(result) for result in results])

    def read_as_recorded(self, results: Sequence[tuple[str, str, str]]) -> list[bytes | None]:
        """Return the value of each (execution id, node id, digest) where it has this digest.

        A large one stands under its digest, so only small ones are hashed.
        """
        places = [(execution_id, node_id) for execution_id, node_id, _ in results]
        tagged = by_execution(self._client, self._key, "values", places)
        return self.as_recorded(
            [(tagged.get(place), result[2]) for place, result in zip(places, results, strict=True)]
        )

    def as_recorded(self, fields: Sequence[tuple[bytes | None, str]]) -> list[bytes | None]:
        """Return the value of each (field of an execution's values, digest) that has this digest.

        Large ones are read, in one round trip.
        """
        return self._untagged(
            [
                field if field is not None and _digest(field) == recorded else None
                for field, recorded in fields
            ]
        )

    def _untagged(self, tagged: Sequence[bytes | None]) -> list[bytes | None]:
        """Return each value itself, read by its address where it stands apart."""
        addresses = {value[1:].decode() for value in tagged if value and _is_apart(value)}
        large = self._large(list(addresses))
        return [
            large.get(value[1:].decode()) if value and _is_apart(value) else _inline(value)
            for value in tagged
        ]

    def _large(self, addresses: Sequence[str]) -> dict[str, bytes]:
        if not addresses:
            return {}
        keys = [self._key("val", address) for address in addresses]
        values = cast("list[bytes | None]", self._client.mget(keys))
        pairs = zip(addresses, values, strict=True)
        return {address: value for address, value in pairs if value is not None}


def _is_apart(tagged: bytes) -> bool:
    return tagged[:1] == documents.APART


def _digest(tagged: bytes) -> str:
    return tagged[1:].decode() if _is_apart(tagged) else documents.address(tagged[1:])


def _inline(tagged: bytes | None) -> bytes | None:
    return None if tagged is None else tagged[1:]


def by_execution(
    client: redis.Redis, keys: Keys, part: str, results: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    """Return a field for each (execution id, node id) that has it; asks once an execution."""
    asked: dict[str, list[str]] = {}
    for execution_id, node_id in dict.fromkeys(results):
        asked.setdefault(execution_id, []).append(node_id)
    if not asked:
        return {}
    with client.pipeline(transaction=False) as pipe:
        for execution_id, node_ids in asked.items():
            pipe.hmget(keys("exec", execution_id, part), node_ids)
        replies = pipe.execute()
    return {
        (execution_id, node_id): field
        for (execution_id, node_ids), fields in zip(asked.items(), replies, strict=True)
        for node_id, field in zip(node_ids, fields, strict=True)
        if field is not None
    }
