"""What a request finds: the services of the application, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app, g

from qmtl.common.settings import Settings
from qmtl.web.waiting import StreamRoom, WaitingRoom

if TYPE_CHECKING:
    from qmtl.orchestrator.api import Orchestrator
    from qmtl.registry.api import Registry

EXTENSION = "qmtl"
ANONYMOUS_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes stand on."""

    settings: Settings
    registry: Registry
    orchestrator: Orchestrator
    waiting: WaitingRoom
    streams: StreamRoom


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking; ``name`` is the key's, empty for an anonymous reader."""

    tenant: str
    name: str = ""


def services() -> Services:
    """Return the services of the application that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])


def caller() -> Caller:
    """Return who is asking; ``auth`` has made sure of it."""
    return cast("Caller", g.caller)


def request_id() -> str:
    """Return the id of this request."""
    return cast("str", g.request_id)
