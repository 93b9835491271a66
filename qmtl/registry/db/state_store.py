"""Port of the registry's fast copy, and of requests that wait for the control worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from qmtl.models.strategy import Deployment, StrategyVersion, Submission, SubmissionState


class StateStore(Protocol):
    """What the hot path reads: versions and deployments copied from the graph; submissions.

    The graph is the truth of the copies, written after it; a lost copy is an absence that the
    caller repairs from the graph. Every method is atomic and may raise ``Unavailable``.
    """

    def ping(self) -> None:
        """Return once the server answered."""

    def put_version(self, version: StrategyVersion) -> None:
        """Keep a copy. Idempotent; a complete copy is never replaced by an incomplete one."""

    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion | None:
        """Return the copy, or None where there is none."""

    def put_deployment(self, deployment: Deployment) -> None:
        """Keep a copy, unless the one that is kept is newer (by ``since_ms``)."""

    def get_deployment(self, tenant: str, strategy: str, environment: str) -> Deployment | None:
        """Return the copy, or None where there is none."""

    def put_deployments(self, deployments: Sequence[Deployment]) -> None:
        """Keep many copies in one round trip, as ``put_deployment`` does."""

    def create_submission(
        self, submission: Submission, *, idempotency_key: str | None, ttl_s: int
    ) -> tuple[Submission, bool]:
        """Keep a new submission for at least ``ttl_s``, once for each (tenant, idempotency key).

        Returns:
            The submission that is kept under the key, and whether it is the new one.

        Raises:
            IdempotencyConflict: The key was used with another operation or request.
        """

    def get_submission(self, tenant: str, submission_id: str) -> Submission:
        """Return a submission.

        Raises:
            UnknownSubmission: There is none, or it was retired.
        """

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
        """Write how far it came; one that ended stays as it ended. Returns what is kept.

        Raises:
            UnknownSubmission: There is none, or it was retired.
        """

    def wait_for_submission(
        self, tenant: str, submission_id: str, *, timeout_s: float
    ) -> Submission:
        """Return the submission once it ended, or as it stands when the time is up. Blocks.

        Raises:
            UnknownSubmission: There is none, or it was retired.
        """

    def unfinished_submissions(self, *, older_than_ms: int, limit: int) -> list[tuple[str, str]]:
        """Return (tenant, id) of submissions created before a time that have not ended."""
