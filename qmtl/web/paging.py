"""Lists by pages: a limit, a cursor, and the address of the next page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request
from marshmallow import Schema, fields, validate

from qmtl.models.api_fields import Wire
from qmtl.web.resource import Answer

T = TypeVar("T")
LIMIT = 50
MOST = 200
CURSOR = validate.Length(max=256)


class PageQuery(Wire):
    """How many items, and behind which one to begin."""

    limit = fields.Integer(load_default=LIMIT, validate=validate.Range(1, MOST))
    after = fields.String(
        load_default="",
        validate=CURSOR,
        metadata={"description": "Cursor of the page, as 'next' gives it."},
    )


class BackwardsQuery(Wire):
    """How many items, newest first, and before which one to begin."""

    limit = fields.Integer(load_default=LIMIT, validate=validate.Range(1, MOST))
    before = fields.String(
        load_default="",
        validate=CURSOR,
        metadata={"description": "Cursor of the page, as 'next' gives it."},
    )


def page_of(item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of such items."""
    return Wire.from_dict(
        {
            "items": fields.List(fields.Nested(item)),
            "next": fields.String(
                allow_none=True, metadata={"description": "Cursor of the next page."}
            ),
            "next_url": fields.String(
                allow_none=True, metadata={"description": "Address of the next page."}
            ),
        },
        name=item.__name__.removesuffix("Item").removesuffix("View") + "Page",
    )


def page(
    items: Sequence[T], limit: int, cursor: Callable[[T], str], *, parameter: str = "after"
) -> Answer:
    """Return a page of at most ``limit`` items; one more than that says that others follow."""
    shown = items[:limit]
    following = cursor(shown[-1]) if len(items) > limit else ""
    return page_with_cursor(shown, following, parameter=parameter)


def page_with_cursor(items: Sequence[Any], cursor: str, *, parameter: str) -> Answer:
    """Return a page whose successor begins at ``cursor``; empty for the last one."""
    if not cursor:
        return Answer({"items": items, "next": None, "next_url": None})
    query = {**request.args.to_dict(), parameter: cursor}
    following = f"{request.path}?{urlencode(query)}"
    return Answer(
        {"items": items, "next": cursor, "next_url": following},
        headers={"Link": f'<{following}>; rel="next"'},
    )
