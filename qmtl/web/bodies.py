"""Bodies of requests: their content type first, then their text, then their schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn, cast

import msgspec
from flask import request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import abort
from werkzeug.exceptions import HTTPException

from qmtl.web.context import services

JSON = "application/json"
CSV = "text/csv"
PYTHON = "text/x-python"


def require_content_type(*allowed: str) -> str:
    """Return which of the allowed media types the body has; else answer 415."""
    if request.content_encoding not in {None, "", "identity"}:
        abort(415, message=f"The content encoding {request.content_encoding!r} is not supported.")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        abort(415, message=f"The charset {charset!r} is not supported.", hint="Send UTF-8.")
    if request.mimetype in allowed:
        return request.mimetype
    sent = repr(request.mimetype) if request.mimetype else "missing"
    return abort(
        415,
        message=f"The content type is {sent}.",
        hint=f"Send one of: {', '.join(allowed)}.",
    )


@cache
def _made(schema: type[Schema]) -> Schema:
    """Return the one instance of a schema: to make it takes longer than to read a body with it."""
    return schema()


def load_json(schema: type[Schema]) -> dict[str, Any]:
    """Return the JSON body as the schema reads it.

    Answers 413 over the limit of bodies, 400 where it is no JSON, 422 where the schema refuses it.
    """
    require_content_type(JSON)
    value = parse_json(body_bytes())
    try:
        return cast("dict[str, Any]", _made(schema).load(value))
    except ValidationError as error:
        abort(422, exc=error, messages={"json": error.messages})


def load_optional_json(schema: type[Schema]) -> dict[str, Any]:
    """Return the JSON body as ``load_json`` does, and that of ``{}`` where there is none."""
    if not request.mimetype and not body_bytes():
        return cast("dict[str, Any]", _made(schema).load({}))
    return load_json(schema)


def load_text(what: str) -> str:
    """Return the body as text; answers 413 over the limit of bodies, 422 where it is not UTF-8."""
    try:
        return body_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        abort(422, exc=error, message=f"The {what} is not UTF-8: byte {error.start} is wrong.")


def body_bytes() -> bytes:
    """Return the whole body; answers 413 with the limit named where it is larger."""
    limit = services().settings.request_limit_bytes
    if request.content_length is not None and request.content_length > limit:
        refuse_size("body", limit)
    try:
        data = request.get_data(cache=False)
    except HTTPException:
        _refuse_late()
        raise
    except Exception as error:  # noqa: BLE001 - each WSGI server has its own for broken chunks
        _refuse_late()
        abort(400, exc=error, message="The body cannot be read: its chunks are malformed.")
    if request.content_length is not None and len(data) < request.content_length:
        _refuse_late()  # a server that ends the stream itself gives what has come, without a word
        abort(400, message=f"The body ended after {len(data)} of {request.content_length} bytes.")
    if request.content_length is None and len(data) >= limit:
        refuse_size("body", limit)  # a chunked body would be cut off there, without a word
    return data


def _refuse_late() -> None:
    """Answer 408 where the server gave the body up because it came too slowly."""
    if getattr(request.environ.get("gunicorn.socket"), "late", False):
        abort(408, message="The body did not come in time.")


def refuse_size(what: str, limit: int) -> NoReturn:
    """Answer 413 and name the limit."""
    abort(413, message=f"The {what} is over the limit of {limit} bytes.")


def check_text_size(what: str, text: str, limit: int) -> None:
    """Answer 413 where the text in UTF-8 is over the limit."""
    if len(text) > limit or len(text.encode()) > limit:
        refuse_size(what, limit)


def parse_json(data: bytes) -> Any:
    """Return the value of strict JSON: no NaN, no lone surrogates, no bottomless nesting."""
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        abort(400, exc=error, message="The JSON is nested too deeply.")
    except UnicodeDecodeError as error:
        abort(400, exc=error, message="The JSON is not UTF-8.")
    except msgspec.DecodeError as error:
        _refuse_surrogates(data)
        abort(400, exc=error, message=f"The body is no JSON: {error}.")


def _refuse_surrogates(data: bytes) -> None:
    """Tell a lone surrogate from other mistakes; only what the strict parser refused comes here."""
    try:
        json.dumps(json.loads(data), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        abort(
            422,
            exc=error,
            message="The JSON holds a lone surrogate, which is no character.",
            hint="Escape characters outside the basic plane as a pair, or send them as UTF-8.",
        )
    except (ValueError, RecursionError):
        return


def body_doc(contents: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return OpenAPI's description of a body: media type -> schema class or schema object."""
    return {
        "required": required,
        "content": {media: {"schema": schema} for media, schema in contents.items()},
    }
