"""Errors as problem documents (RFC 9457): the one table of classes and statuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, request
from marshmallow import fields
from werkzeug.exceptions import HTTPException

from qmtl.common import errors
from qmtl.common.log import get_logger, redact_text
from qmtl.models.api_fields import Wire
from qmtl.web.context import request_id

PROBLEM = "application/problem+json"
RETRY_AFTER_S = 2
STATUS: dict[type[errors.QmtlError], int] = {
    errors.StrategyRejected: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.DataError: 422,
    errors.MissingData: 409,
    errors.ValueTooLarge: 413,
    errors.CorruptValue: 500,
    errors.ExecutionFailed: 409,
    errors.InvalidRequest: 422,
    errors.Unauthorized: 401,
    errors.InvalidSetting: 500,
    errors.Overloaded: 503,
    errors.Crowded: 503,
    errors.Unavailable: 503,
    errors.SandboxFailure: 500,
    errors.QmtlError: 500,
}
_log = get_logger(__name__)


class FieldProblem(Wire):
    """One thing that the parser refuses."""

    code = fields.String()
    message = fields.String()
    line = fields.Integer()
    column = fields.Integer()
    hint = fields.String()


class ProblemView(Wire):
    """What every answer of 400 and above holds (RFC 9457)."""

    type = fields.String(required=True, metadata={"examples": ["urn:qmtl:problem:QMTL-201"]})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; see the reference."})
    detail = fields.String(required=True)
    instance = fields.String(required=True, metadata={"description": "Names this very request."})
    hint = fields.String(metadata={"description": "How to go on."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Field -> what is wrong with it."},
    )
    problems = fields.List(fields.Nested(FieldProblem))
    retry_after_s = fields.Integer(metadata={"description": "Seconds after which to ask again."})
    bound = fields.String(
        metadata={"description": "Which bound of open executions was reached: `tenant`, `system`."}
    )


def status_of(kind: type[errors.QmtlError]) -> int:
    """Return the status of a class of errors: its own, or that of its nearest ancestor."""
    return next(STATUS[c] for c in kind.__mro__ if c in STATUS)


def problem(
    document: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem document as the answer, completed with what HTTP adds."""
    code = str(document.get("code", errors.QmtlError.code))
    body = {
        "type": f"urn:qmtl:problem:{code}",
        **document,
        "status": status,
        "code": code,
        "instance": f"urn:qmtl:request:{request_id()}",
    }
    answer = Response(json.dumps(body, ensure_ascii=False), status, mimetype=PROBLEM)
    answer.headers.update(headers or {})
    return answer


def from_qmtl_error(error: errors.QmtlError) -> Response:
    """Answer an error of the tree."""
    status = status_of(type(error))
    if status == 500:
        return from_exception(error)
    headers = {}
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="qmtl"'
    if isinstance(error, errors.Unavailable):
        _log.warning("unavailable", service=error.service, detail=error.detail)
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, errors.Overloaded | errors.Crowded):
        headers["Retry-After"] = str(error.retry_after_s)
    document = errors.to_document(error)
    document["detail"] = redact_text(document["detail"])
    return problem(document, status, headers)


def from_rejection(document: Mapping[str, Any]) -> Response:
    """Answer the problem that the control worker recorded with a rejected submission."""
    status = document.get("status")
    if not isinstance(status, int) or not 400 <= status < 600:
        status = status_of(type(errors.from_document(document)))
    return problem(document, status)


def from_http_exception(error: HTTPException) -> Response:
    """Answer what Flask, Werkzeug or webargs raised."""
    status = error.code or 500
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    headers = {k: v for k, v in error.get_headers() if k.lower() != "content-type"}
    kind = errors.NotFound if status == 404 else errors.InvalidRequest
    document: dict[str, Any] = {
        "code": (kind if status < 500 else errors.QmtlError).code,
        "title": error.name,
        "detail": data.get("message") or _detail(error, status),
    }
    if "hint" in data:
        document["hint"] = data["hint"]
    if "messages" in data:
        document["errors"] = dict(flatten_messages(data["messages"]))
    return problem(document, status, headers)


def _detail(error: HTTPException, status: int) -> str:
    if status == 404:
        return f"No resource has the path {request.path}; /openapi.json lists them all."
    if status == 422:
        return "The request has fields that cannot be used; see errors."
    return error.description or error.name


def from_exception(error: Exception) -> Response:
    """Answer what nobody foresaw: the traceback goes to the log, its id to the caller."""
    _log.error("unexpected_error", exc_info=error)
    document = {
        "code": errors.QmtlError.code,
        "title": "Internal error",
        "detail": "Something went wrong inside the server.",
        "hint": f"The server's log tells more under the request id {request_id()}.",
    }
    return problem(document, 500)


def flatten_messages(messages: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield (path of a field, what is wrong with it) from marshmallow's nested messages.

    The outermost level names the location (json, query, headers) and is left out.
    """
    for inner in messages.values() if isinstance(messages, dict) else [messages]:
        yield from _flatten(inner, path)


def _flatten(messages: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            part = "" if name == "_schema" else str(name)
            yield from _flatten(inner, ".".join(p for p in (path, part) if p))
    else:
        listed = messages if isinstance(messages, list) else [messages]
        yield path or "body", [str(m) for m in listed]
