"""Copies of versions and deployments, and submissions, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Condition
from typing import Any

import msgspec
from msgspec.structs import replace

from qmtl.models.strategy import Deployment, StrategyVersion, Submission, SubmissionState
from qmtl.registry.db.submissions import fingerprint, unknown_submission, used_otherwise

Key = tuple[str, str, str]


class MemoryStateStore:
    """``StateStore`` for tests and local runs; what ended is kept as long as the store.

    Submissions are kept encoded, so that a reader never shares their dictionaries with another.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._versions: dict[Key, StrategyVersion] = {}
        self._deployments: dict[Key, Deployment] = {}
        self._submissions: dict[tuple[str, str], bytes] = {}
        self._by_key: dict[tuple[str, str], tuple[str, str]] = {}  # -> id, fingerprint

    def ping(self) -> None:
        """Return at once."""

    def put_version(self, version: StrategyVersion) -> None:
        key = (version.tenant, version.strategy, version.version)
        with self._changed:
            if version.complete or key not in self._versions:
                self._versions[key] = version

    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion | None:
        with self._changed:
            return self._versions.get((tenant, strategy, version))

    def put_deployment(self, deployment: Deployment) -> None:
        key = (deployment.tenant, deployment.strategy, deployment.environment)
        with self._changed:
            kept = self._deployments.get(key)
            if kept is None or kept.since_ms <= deployment.since_ms:
                self._deployments[key] = deployment

    def get_deployment(self, tenant: str, strategy: str, environment: str) -> Deployment | None:
        with self._changed:
            return self._deployments.get((tenant, strategy, environment))

    def put_deployments(self, deployments: Sequence[Deployment]) -> None:
        for each in deployments:
            self.put_deployment(each)

    def create_submission(
        self,
        submission: Submission,
        *,
        idempotency_key: str | None,
        ttl_s: int,  # noqa: ARG002 - this adapter keeps everything
    ) -> tuple[Submission, bool]:
        tenant, mark = submission.tenant, fingerprint(submission)
        with self._changed:
            if idempotency_key is not None:
                known = (submission.id, mark)
                kept_id, kept_mark = self._by_key.setdefault((tenant, idempotency_key), known)
                if kept_mark != mark:
                    raise used_otherwise(idempotency_key)
                if kept_id != submission.id:
                    return self.get_submission(tenant, kept_id), False
            self._submissions[tenant, submission.id] = msgspec.json.encode(submission)
            return submission, True

    def get_submission(self, tenant: str, submission_id: str) -> Submission:
        with self._changed:
            record = self._submissions.get((tenant, submission_id))
        if record is None:
            raise unknown_submission(submission_id)
        return msgspec.json.decode(record, type=Submission)

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
        with self._changed:
            kept = self.get_submission(tenant, submission_id)
            if kept.state.ended:
                return kept
            moved = replace(kept, state=state)
            if state.ended:
                moved = replace(moved, ended_ms=at_ms, result=result, problem=problem)
            self._submissions[tenant, submission_id] = msgspec.json.encode(moved)
            self._changed.notify_all()
            return moved

    def wait_for_submission(
        self, tenant: str, submission_id: str, *, timeout_s: float
    ) -> Submission:
        with self._changed:
            self._changed.wait_for(
                lambda: self.get_submission(tenant, submission_id).state.ended, timeout_s
            )
            return self.get_submission(tenant, submission_id)

    def unfinished_submissions(self, *, older_than_ms: int, limit: int) -> list[tuple[str, str]]:
        with self._changed:
            kept = [msgspec.json.decode(r, type=Submission) for r in self._submissions.values()]
        waiting = sorted(
            (s.created_ms, s.tenant, s.id)
            for s in kept
            if not s.state.ended and s.created_ms < older_than_ms
        )
        return [(tenant, submission_id) for _, tenant, submission_id in waiting[:limit]]
