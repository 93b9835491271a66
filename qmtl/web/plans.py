"""Plans, comparisons and tallies: how executions are cut, what they took, why they differ."""

from __future__ import annotations

from typing import Any

from qmtl.models import api_comparison, api_orchestrator, api_plans
from qmtl.orchestrator.services.comparison.model import Comparison
from qmtl.orchestrator.services.plan_view import PlanView
from qmtl.web import bodies
from qmtl.web.context import caller, services
from qmtl.web.resource import Resource

plans = Resource("plans", "How executions are cut, what they took, and why results differ")


@plans.route(
    "POST",
    "/v1/plans",
    {200: api_plans.PlanView},
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: api_orchestrator.TriggerBody})},
)
def plan_pipeline() -> PlanView:
    """Show the plan that this trigger would get now; nothing is created or run."""
    wanted, who = bodies.load_json(api_orchestrator.TriggerBody), caller()
    return services().orchestrator.plan_pipeline(
        who.tenant,
        strategy=wanted["strategy"],
        environment=wanted.get("environment"),
        version=wanted.get("version"),
        as_of_ns=wanted.get("as_of"),
        targets=tuple(wanted.get("targets", ())),
        inputs=wanted.get("inputs"),
        by=who.name,
    )


@plans.route(
    "GET",
    "/v1/executions/<execution_id>/plan",
    {200: api_plans.PlanView},
    problems=(404, 409),
)
def get_plan(execution_id: str) -> PlanView:
    """Show the plan of an execution, with what was estimated and what it took."""
    return services().orchestrator.get_plan(caller().tenant, execution_id)


@plans.route(
    "GET",
    "/v1/executions/<execution_id>/comparison",
    {200: api_comparison.ComparisonView},
    query=api_comparison.ComparisonQuery,
    problems=(404, 409),
)
def compare_executions(query: dict[str, Any], execution_id: str) -> Comparison:
    """Say which results of two executions differ, and why."""
    return services().orchestrator.compare_executions(caller().tenant, execution_id, query["other"])


@plans.route("GET", "/v1/tallies", {200: api_orchestrator.TalliesView})
def get_tallies() -> dict[str, int]:
    """Count the results that were computed, and those that did not have to be."""
    return services().orchestrator.tallies(caller().tenant)
