"""The documentation page: Swagger UI from our own files, so that it works without a network."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

docs = Blueprint("docs", __name__, template_folder="templates")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@docs.get("/docs")
def show_docs() -> Response:
    """Show every operation, to be tried in place."""
    page = make_response(render_template("docs.html"))
    page.headers["Content-Security-Policy"] = POLICY
    return page


@docs.get("/")
def show_home() -> BaseResponse:
    """Lead to the documentation."""
    return redirect(url_for("docs.show_docs"))
