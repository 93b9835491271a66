"""What changes the registry: handed to the control worker, and perhaps waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response

from qmtl.common.errors import Unavailable
from qmtl.models.api_registry import SubmitStrategyBody
from qmtl.models.strategy import Submission, SubmissionState
from qmtl.web import bodies, errors
from qmtl.web.context import caller, services
from qmtl.web.resource import Answer


def carry_out(
    operation: str,
    wanted: dict[str, Any],
    *,
    wait_s: float,
    idempotency_key: str | None,
    done: Callable[[Submission, dict[str, Any]], Answer],
) -> Answer | Response:
    """Enqueue an operation, wait for it and answer how it went.

    Args:
        operation: Its name, as the orchestrator knows it.
        wanted: Its request, as plain JSON.
        wait_s: How long the answer may be held.
        idempotency_key: The caller's, if any.
        done: Makes the answer from a submission that is DONE and its result.

    Returns:
        What ``done`` made; the recorded problem; or 202 with the place to ask at.
    """
    who, found = caller(), services()
    submission, _ = found.orchestrator.submit(
        who.tenant,
        operation=operation,
        request=wanted,
        by=who.name,
        idempotency_key=idempotency_key,
    )
    submission = wait_for(submission, wait_s)
    if submission.state is SubmissionState.REJECTED:
        return errors.from_rejection(submission.problem or {})
    if submission.state is SubmissionState.DONE:
        return done(submission, submission.result or {})
    return Answer(submission, 202, {"Location": f"/v1/submissions/{submission.id}"})


def wait_for(submission: Submission, wait_s: float) -> Submission:
    """Return the submission once it ended, or as it stands when the time is up.

    One that was accepted is so where a server goes away meanwhile: it is returned as it stood.
    """
    if submission.state.ended:
        return submission
    found = services()
    with found.waiting.enter(wait_s) as allowed_s:
        if allowed_s <= 0:
            return submission
        try:
            return found.orchestrator.wait_for_submission(
                submission.tenant, submission.id, timeout_s=allowed_s
            )
        except Unavailable:
            return submission


def source_from_body() -> dict[str, Any]:
    """Return the request of a JSON body, or of one that is the Python module itself."""
    if bodies.require_content_type(bodies.JSON, bodies.PYTHON) == bodies.PYTHON:
        wanted: dict[str, Any] = {"source": bodies.load_text("source")}
    else:
        wanted = bodies.load_json(SubmitStrategyBody)
    check_source_size(wanted["source"])
    return wanted


def check_source_size(source: str) -> None:
    """Answer 413 where a source text is over its limit."""
    bodies.check_text_size("source", source, services().settings.source_limit_bytes)
