"""Copies of versions and deployments, and submissions, in Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import redis
from msgspec.structs import replace

from qmtl.common.recent import Recent
from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.models.strategy import Deployment, StrategyVersion, Submission, SubmissionState
from qmtl.registry.db.redis.scripts import script
from qmtl.registry.db.submissions import fingerprint, pauses, unknown_submission, used_otherwise

MOST_NODES = 20_000  # of the versions that a process keeps; a node takes one or two kilobytes


class _Outcome(msgspec.Struct, frozen=True):
    """What is added to a submission when it ends."""

    ended_ms: int
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


class RedisStateStore:
    """``StateStore`` whose every method is one command, one script, or one pipeline of them."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._versions: Recent[StrategyVersion] = Recent(MOST_NODES, lambda v: len(v.spec.nodes))
        self._keys = keys
        self._unfinished = keys("submissions", "unfinished")

    @translated()
    def ping(self) -> None:
        self._client.ping()

    @translated()
    def put_version(self, version: StrategyVersion) -> None:
        key = self._version(version.tenant, version.strategy, version.version)
        # Incomplete copies of a version are equal, so the first may stay as well as the last.
        self._client.set(key, msgspec.json.encode(version), nx=not version.complete)

    def _version(self, tenant: str, strategy: str, version: str) -> str:
        return self._keys("version", tenant, strategy, version)

    @translated()
    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion | None:
        key = self._version(tenant, strategy, version)
        kept = self._versions.get(key)
        if kept is None:
            record: Any = self._client.get(key)
            if record is None:
                return None
            kept = msgspec.json.decode(record, type=StrategyVersion)
            if kept.complete:  # it never changes; another one may still be completed
                self._versions.keep(key, kept)
        return kept

    def put_deployment(self, deployment: Deployment) -> None:
        self.put_deployments([deployment])

    @translated()
    def put_deployments(self, deployments: Sequence[Deployment]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for each in deployments:
                key = self._deployment(each.tenant, each.strategy, each.environment)
                record = msgspec.json.encode(each)
                pipe.eval(script("put_deployment"), 1, key, str(each.since_ms), record)
            pipe.execute()

    def _deployment(self, tenant: str, strategy: str, environment: str) -> str:
        return self._keys("deployment", tenant, environment, strategy)

    @translated()
    def get_deployment(self, tenant: str, strategy: str, environment: str) -> Deployment | None:
        record: Any = self._client.hget(self._deployment(tenant, strategy, environment), "record")
        return None if record is None else msgspec.json.decode(record, type=Deployment)

    @translated()
    def create_submission(
        self, submission: Submission, *, idempotency_key: str | None, ttl_s: int
    ) -> tuple[Submission, bool]:
        tenant = submission.tenant
        keys = (
            self._keys("submission", tenant, submission.id),
            self._unfinished,
            self._keys("idempotency", "submission", tenant, idempotency_key or ""),
        )
        arguments = (
            submission.state,
            msgspec.json.encode(submission),
            _entry(tenant, submission.id),
            str(submission.created_ms),
            str(ttl_s),
            self._keys("submission", tenant, ""),
            submission.id,
            fingerprint(submission),
            "0" if idempotency_key is None else "1",
        )
        reply: Any = self._client.eval(script("create_submission"), 3, *keys, *arguments)
        if reply[0] == b"conflict":
            raise used_otherwise(str(idempotency_key))
        return (submission, True) if reply[0] == b"new" else (_submission(_pairs(reply[1])), False)

    @translated()
    def get_submission(self, tenant: str, submission_id: str) -> Submission:
        fields: Any = self._client.hgetall(self._keys("submission", tenant, submission_id))
        if not fields:
            raise unknown_submission(submission_id)
        return _submission(fields)

    @translated()
    def move_submission(
        self,
        tenant: str,
        submission_id: str,
        state: SubmissionState,
        *,
        at_ms: int,
        result: dict[str, Any] | None = None,
        problem: dict[str, Any] | None = None,
    ) -> Submission:
        keys = (self._keys("submission", tenant, submission_id), self._unfinished)
        outcome = msgspec.json.encode(_Outcome(at_ms, result, problem))
        arguments = (state, "1" if state.ended else "0", outcome)
        reply: Any = self._client.eval(script("move_submission"), 2, *keys, *arguments)
        if not reply:
            raise unknown_submission(submission_id)
        return _submission(_pairs(reply))

    def wait_for_submission(
        self, tenant: str, submission_id: str, *, timeout_s: float
    ) -> Submission:
        # Looking again and again holds no connection while it waits and survives a restart of the
        # server, which a blocking pop does not; a look costs well under a millisecond.
        deadline = time.monotonic() + timeout_s
        for pause in pauses():
            found = self.get_submission(tenant, submission_id)
            left = deadline - time.monotonic()
            if found.state.ended or left <= 0:
                return found
            time.sleep(min(pause, left))
        raise AssertionError("pauses never end")

    @translated()
    def unfinished_submissions(self, *, older_than_ms: int, limit: int) -> list[tuple[str, str]]:
        entries: Any = self._client.zrangebyscore(
            self._unfinished, "-inf", f"({older_than_ms}", start=0, num=limit
        )
        return [msgspec.json.decode(entry, type=tuple[str, str]) for entry in entries]


def _entry(tenant: str, submission_id: str) -> bytes:
    return msgspec.json.encode((tenant, submission_id))


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _submission(fields: Mapping[bytes, bytes]) -> Submission:
    kept = msgspec.json.decode(fields[b"record"], type=Submission)
    kept = replace(kept, state=SubmissionState(fields[b"state"].decode()))
    if b"outcome" not in fields:
        return kept
    outcome = msgspec.json.decode(fields[b"outcome"], type=_Outcome)
    return replace(kept, ended_ms=outcome.ended_ms, result=outcome.result, problem=outcome.problem)
