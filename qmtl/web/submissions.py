"""Submissions: requests that the control worker carries out."""

from __future__ import annotations

from typing import Any

import msgspec

from qmtl.models.api_registry import DeploymentView, SubmissionView
from qmtl.models.strategy import Deployment, Submission
from qmtl.web.context import caller, services
from qmtl.web.resource import Resource, WaitQuery
from qmtl.web.submitting import wait_for

submissions = Resource("submissions", "Requests to the registry, and what came of them")
DEPLOYING = frozenset({"activate_strategy", "deactivate_strategy"})


@submissions.route(
    "GET",
    "/v1/submissions/<submission_id>",
    {200: SubmissionView},
    query=WaitQuery,
    problems=(404,),
)
def get_submission(query: dict[str, Any], submission_id: str) -> Submission:
    """Tell how far a submission is."""
    found = services().orchestrator.get_submission(caller().tenant, submission_id)
    return shown(wait_for(found, query["wait"]))


def shown(submission: Submission) -> Submission:
    """Return the submission with a deployment in its result as it stands on the wire."""
    if submission.operation not in DEPLOYING or submission.result is None:
        return submission
    return msgspec.structs.replace(
        submission, result=DeploymentView().dump(deployment_of(submission.result))
    )


def deployment_of(result: dict[str, Any]) -> Deployment:
    """Return the deployment that a submission's result holds."""
    return msgspec.convert(result, Deployment)
