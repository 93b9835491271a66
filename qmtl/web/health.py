"""Whether the process lives, and whether what it stands on answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from marshmallow import fields

from qmtl.common.errors import QmtlError
from qmtl.common.log import redact_text
from qmtl.models.api_fields import Wire
from qmtl.web.context import services
from qmtl.web.resource import Answer, Resource

health = Resource("health", "Liveness and readiness")
NEEDED = frozenset({"graph", "state", "ledger"})


class HealthView(Wire):
    """The process lives."""

    status = fields.String()


class CheckView(Wire):
    """One server: whether it answered, and whether executions need it."""

    ok = fields.Boolean()
    needed = fields.Boolean()
    reason = fields.String(allow_none=True)


class ReadyView(Wire):
    """What the process stands on; without what is not needed, executions go on."""

    status = fields.String()
    checks = fields.Dict(keys=fields.String(), values=fields.Nested(CheckView))
    backlog = fields.Integer(
        allow_none=True,
        metadata={"description": "Commits that Kafka has not got yet; null where nobody can tell."},
    )
    put_aside = fields.Integer(
        allow_none=True,
        metadata={
            "description": "Commits that could not be mirrored, whatever Kafka does; null where "
            "nobody can tell."
        },
    )


@health.route("GET", "/healthz", {200: HealthView})
def get_health() -> dict[str, str]:
    """Tell that the process lives."""
    return {"status": "ok"}


@health.route("GET", "/readyz", {200: ReadyView, 503: ReadyView})
def get_readiness() -> Answer:
    """Tell which servers answer; 503 where one that is needed does not."""
    found = services()
    told = {
        **_ask("state", found.registry.ping),
        **_ask("ledger", found.orchestrator.ping),
    }
    checks = {
        name: {
            "ok": reason is None,
            "needed": name in NEEDED,
            "reason": None if reason is None else redact_text(reason),
        }
        for name, reason in sorted(told.items())
    }
    ready = all(check["ok"] for check in checks.values() if check["needed"])
    body = {
        "status": "ready" if ready else "not ready",
        "checks": checks,
        "backlog": _count(services().orchestrator.backlog),
        "put_aside": _count(services().orchestrator.put_aside),
    }
    return Answer(body, 200 if ready else 503)


def _ask(name: str, ping: Callable[[], Mapping[str, str | None]]) -> Mapping[str, str | None]:
    try:
        return ping()
    except QmtlError as error:
        return {name: error.detail}


def _count(ask: Callable[[], int]) -> int | None:
    try:
        return ask()
    except QmtlError:
        return None
