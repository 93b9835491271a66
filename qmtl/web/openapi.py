"""The OpenAPI document, and what follows from it: what it does not name is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response
from flask_smorest import Api  # type: ignore[import-untyped]  # ships no types
from werkzeug.exceptions import HTTPException

from qmtl.models.api_fields import OPENAPI_TYPES
from qmtl.web import errors
from qmtl.web.resource import SECURITY_SCHEME

DESCRIPTION = (
    "Submit strategies, activate their versions, append points, trigger executions and read "
    "results and lineage. Anybody may read what belongs to the default tenant; whatever writes "
    "needs a key. Every answer of 400 and above is a problem document."
)


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest's API with problem documents as its errors."""

    ERROR_SCHEMA = errors.ProblemView

    def __init__(self, app: Flask) -> None:
        super().__init__(
            app,
            spec_kwargs={
                "info": {"description": DESCRIPTION, "license": {"name": "Apache-2.0"}},
                "servers": [{"url": "/"}],
            },
        )

    def _init_spec(self, **options: Any) -> None:
        super()._init_spec(**options)
        self.spec.components.security_scheme(SECURITY_SCHEME, {"type": "http", "scheme": "bearer"})

    def _register_responses(self) -> None:
        """Describe every status as flask-smorest does, but errors as problem documents."""
        for custom in OPENAPI_TYPES:
            self._register_field(*custom)
        self.DEFAULT_RESPONSE_CONTENT_TYPE = errors.PROBLEM
        try:
            super()._register_responses()
        finally:
            del self.DEFAULT_RESPONSE_CONTENT_TYPE  # back to the class's

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer with a problem document."""
        return errors.from_http_exception(error)


def query_parameters(app: Flask, api: Api) -> Mapping[str, frozenset[str]]:
    """Return the names that each endpoint's query string may hold, as the document has them."""
    paths: Mapping[str, Any] = api.spec.to_dict()["paths"]
    allowed: dict[str, frozenset[str]] = {}
    for rule in app.url_map.iter_rules():
        operations = paths.get(rule.rule.replace("<", "{").replace(">", "}"), {})
        for method in rule.methods or ():
            parameters = operations.get(method.lower(), {}).get("parameters", ())
            if method.lower() in operations:
                allowed[rule.endpoint] = frozenset(
                    p["name"] for p in parameters if p.get("in") == "query"
                )
    return allowed
