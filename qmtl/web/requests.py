"""What happens around every request: its id, who asks, what is refused, headers, one log line."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping, Sequence

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound

from qmtl.common.errors import InvalidRequest
from qmtl.common.log import get_logger
from qmtl.web.auth import Key, identify

API_PREFIX = "/v1/"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufffd]")
_log = get_logger(__name__)


def guard_requests(
    app: Flask, keys: Sequence[Key], parameters: Mapping[str, frozenset[str]]
) -> None:
    """Have every request named, authenticated, checked, answered with safe headers and logged.

    Args:
        app: The application.
        keys: Who may write.
        parameters: Names that each endpoint's query string may hold.
    """

    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = _named(request.headers.get("X-Request-Id", ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        if _CONTROL.search(request.path):
            raise NotFound
        if request.endpoint is None:
            return  # nothing is there, or not by this method: the router says so
        if request.path.startswith(API_PREFIX):
            g.caller = identify(keys, request.headers.get("Authorization"), request.method)
            structlog.contextvars.bind_contextvars(tenant=g.caller.tenant, caller=g.caller.name)
        if request.endpoint in parameters:
            _refuse_unknown(parameters[request.endpoint])

    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.path.startswith(API_PREFIX):
            response.headers.setdefault("Cache-Control", "no-store")
        told = _log.bind(method=request.method, path=request.path, status=response.status_code)
        duration_ms = round((time.perf_counter() - g.started) * 1e3, 1)
        if response.direct_passthrough:  # a file: nobody is told when it is closed
            told.info("request", duration_ms=duration_ms)
        else:  # writing it takes as long as a small answer: the client is served first
            response.call_on_close(lambda: told.info("request", duration_ms=duration_ms))
        return response

    app.before_request(begin)
    app.after_request(finish)


def _named(sent: str) -> str:
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


def _refuse_unknown(allowed: frozenset[str]) -> None:
    unknown = sorted(set(request.args) - allowed)
    if unknown:
        known = ", ".join(sorted(allowed)) or "none"
        raise InvalidRequest(
            f"Unknown query parameter {unknown[0][:64]!r}.",
            hint=f"This resource takes: {known}.",
            fields={name[:64]: ["Unknown parameter."] for name in unknown},
        )
