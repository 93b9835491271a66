"""The HTTP application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

import qmtl
from qmtl.common.errors import QmtlError
from qmtl.common.settings import Settings
from qmtl.web import errors
from qmtl.web.auth import parse_keys
from qmtl.web.context import EXTENSION, Services
from qmtl.web.controls import controls
from qmtl.web.docs import docs
from qmtl.web.encoding import JsonProvider
from qmtl.web.events import events
from qmtl.web.executions import executions
from qmtl.web.health import health
from qmtl.web.histories import histories
from qmtl.web.nodes import nodes
from qmtl.web.openapi import ProblemApi, query_parameters
from qmtl.web.plans import plans
from qmtl.web.requests import guard_requests
from qmtl.web.sources import sources
from qmtl.web.strategies import strategies
from qmtl.web.submissions import submissions
from qmtl.web.waiting import StreamRoom, WaitingRoom

if TYPE_CHECKING:
    from qmtl.orchestrator.api import Orchestrator
    from qmtl.registry.api import Registry

THREADS = 8
WAITING = THREADS - 2  # so that health and short requests are always served
STREAMS = WAITING // 2  # so that requests may wait beside them


def create_app(settings: Settings, registry: Registry, orchestrator: Orchestrator) -> Flask:
    """Return the application that serves these services.

    Args:
        settings: What this process was told; ``api_keys`` says who may write.
        registry: What is registered and active.
        orchestrator: Submissions, executions and results.

    Raises:
        InvalidSetting: ``api_keys`` is malformed.
    """
    keys = parse_keys(settings.api_keys)
    app = Flask("qmtl.web")
    app.config.update(
        API_TITLE="QMTL",
        API_VERSION=qmtl.__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        MAX_CONTENT_LENGTH=settings.request_limit_bytes,
    )
    app.json = JsonProvider(app)
    waiting = WaitingRoom(WAITING)
    streams = StreamRoom(STREAMS, waiting)
    app.extensions[EXTENSION] = Services(settings, registry, orchestrator, waiting, streams)
    app.register_error_handler(QmtlError, errors.from_qmtl_error)
    app.register_error_handler(Exception, errors.from_exception)
    api = ProblemApi(app)
    for resource in (
        strategies,
        submissions,
        sources,
        executions,
        events,
        controls,
        plans,
        histories,
        nodes,
        health,
    ):
        api.register_blueprint(resource.blueprint)
    app.register_blueprint(docs)
    guard_requests(app, keys, query_parameters(app, api))
    return app
