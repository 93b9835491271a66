"""What the adapters of submissions share: fingerprints, errors, and how waiting paces itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from qmtl.common.errors import IdempotencyConflict, UnknownSubmission
from qmtl.models.strategy import Submission

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1
GROWTH = 1.5


def fingerprint(submission: Submission) -> str:
    """Return what two requests under one idempotency key must have in common."""
    asked = (submission.operation, submission.request)
    return hashlib.blake2b(
        msgspec.json.encode(asked, order="deterministic"), digest_size=16
    ).hexdigest()


def used_otherwise(idempotency_key: str) -> IdempotencyConflict:
    """Return the error of a key that stands for another request."""
    return IdempotencyConflict(
        f"The idempotency key {idempotency_key!r} was used with another request.",
        hint="Use a new key for a new request.",
    )


def unknown_submission(submission_id: str) -> UnknownSubmission:
    """Return the error that names what was looked for."""
    return UnknownSubmission(f"There is no submission {submission_id!r}.")


def pauses() -> Iterator[float]:
    """Yield seconds to wait between two looks: short at first, then at a steady pace."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE_S)
