"""Blueprints whose routes are described once: for Flask, for OpenAPI and for the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify
from flask_smorest import Blueprint  # type: ignore[import-untyped]  # ships no types
from marshmallow import Schema, ValidationError, fields, validate

from qmtl.models.api_fields import Wire
from qmtl.web.auth import READING

SECURITY_SCHEME = "key"
ALWAYS = (400, 401, 422, 500, 503)
LONGEST_WAIT_S = 30
View = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a view returns where the status is not 200, or headers are to be set."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def _check_idempotency_key(text: str) -> None:
    if not (0 < len(text) <= 128 and text.isascii() and text.isprintable()):
        raise ValidationError("Write 1 to 128 printable ASCII characters.")


class IdempotencyHeader(Schema):
    """The header by which a repeated request is recognised."""

    idempotency_key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=_check_idempotency_key,
        metadata={
            "description": "1 to 128 printable ASCII characters. The same request under the same "
            "key is carried out once; another request under it is refused with 409.",
        },
    )


def wait_field(default: float) -> fields.Float:
    """Return the query parameter that says how many seconds the answer may be held."""
    return fields.Float(
        load_default=default,
        validate=validate.Range(0, LONGEST_WAIT_S),
        metadata={"description": "Seconds to hold the answer until the work has ended."},
    )


class WaitQuery(Wire):
    """Hold the answer, which comes at once by default."""

    wait = wait_field(0)


class LongWaitQuery(Wire):
    """Hold the answer, for up to ten seconds by default."""

    wait = wait_field(10)


class Resource:
    """One resource's routes."""

    def __init__(self, name: str, description: str) -> None:
        self.blueprint = Blueprint(name, f"qmtl.web.{name}", description=description)

    def route(
        self,
        method: str,
        path: str,
        answers: Mapping[int, type[Schema]],
        *,
        query: type[Schema] | None = None,
        headers: type[Schema] | None = None,
        media: str | None = None,
        problems: tuple[int, ...] = (),
        doc: Mapping[str, Any] | None = None,
    ) -> Callable[[View], View]:
        """Serve ``method path`` with the decorated view, whose name is the ``operationId``.

        Args:
            method: HTTP's method.
            path: Flask's rule.
            answers: Schema of each status below 400.
            query: Schema of the query string; the view takes what it reads first.
            headers: Schema of the headers that are read; the view takes them next.
            media: Type of the answers where it is not JSON; the view writes these itself.
            problems: Statuses of problems, beside those that any route may answer.
            doc: Further parts of OpenAPI's description, such as the body.
        """

        def decorate(view: View) -> View:
            served = _serve(view, answers)
            for status, schema in answers.items():
                served = self.blueprint.alt_response(
                    status, schema=schema, content_type=media, success=True
                )(served)
            served = self._describe(served, method, problems, doc or {})
            if headers is not None:
                served = self.blueprint.arguments(headers(), location="headers")(served)
            if query is not None:
                served = self.blueprint.arguments(query(), location="query")(served)
            self.blueprint.route(path, methods=[method])(served)
            return view

        return decorate

    def _describe(
        self,
        view: View,
        method: str,
        problems: tuple[int, ...],
        doc: Mapping[str, Any],
    ) -> View:
        for status in sorted({*ALWAYS, *problems}):
            view = self.blueprint.alt_response(status, HTTPStatus(status).name)(view)
        key: dict[str, list[str]] = {SECURITY_SCHEME: []}
        security = [{}, key] if method in READING else [key]
        described: View = self.blueprint.doc(operationId=view.__name__, security=security, **doc)(
            view
        )
        return described


def _serve(view: View, answers: Mapping[int, type[Schema]]) -> View:
    """Wrap a view so that what it returns is written by the schema of its status."""
    schemas = {status: schema() for status, schema in answers.items()}

    @wraps(view)
    def serve(*args: Any, **kwargs: Any) -> Response:
        returned = view(*args, **kwargs)
        if isinstance(returned, Response):
            return returned
        answer = returned if isinstance(returned, Answer) else Answer(returned)
        response = jsonify(schemas[answer.status].dump(answer.value))
        response.status_code = answer.status
        response.headers.update(answer.headers)
        return response

    return serve
