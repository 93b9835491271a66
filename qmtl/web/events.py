"""What happens to an execution, told as it happens: server-sent events.

See https://html.spec.whatwg.org/multipage/server-sent-events.html for the format. A stream holds a
thread, so it needs a place (``waiting``) and ends after a while: whoever wants more asks again with
the id of the last event, which browsers do by themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from flask import Response
from marshmallow import Schema, fields

from qmtl.common.errors import QmtlError
from qmtl.models import api_orchestrator as wire
from qmtl.models.execution import Event
from qmtl.web.context import caller, services
from qmtl.web.resource import Resource

EVENT_STREAM = "text/event-stream"
HEARTBEAT_S = 5.0  # without an event; by the next one it is known that a client has gone
LONGEST_STREAM_S = 60.0
RETRY_MS = 1_000  # that a browser waits before it asks again
HEADERS = {"X-Accel-Buffering": "no"}  # a proxy would hold the events back
Read = Callable[..., tuple[Sequence[Event], bool]]

events = Resource("events", "What happens to an execution, as it happens")
_view = wire.EventView()


class LastEventHeader(Schema):
    """The header by which a stream goes on where another one ended."""

    last_event_id = fields.String(
        data_key="Last-Event-ID",
        load_default="",
        metadata={"description": "The id of the last event that was received; all when left out."},
    )


@events.route(
    "GET",
    "/v1/executions/<execution_id>/events",
    {200: wire.EventView},
    media=EVENT_STREAM,
    headers=LastEventHeader,
    problems=(404,),
    doc={
        "description": "Server-sent events: `id`, `event` (the kind) and `data`, an object. The "
        "stream ends behind `ended`; before that it may end at any time, and goes on from the "
        "last `id`, sent as `Last-Event-ID`. Comments keep it open. 503 where the server has as "
        "many streams as it takes."
    },
)
def get_events(headers: dict[str, Any], execution_id: str) -> Response:
    """Follow an execution: its start, the nodes that were committed, its stages, its end."""
    found = services()
    read = partial(found.orchestrator.get_events, caller().tenant, execution_id)
    after = headers["last_event_id"]
    first, over = read(after=after)
    leave = None if over else found.streams.enter()
    response = Response(_told(read, after, first, over=over), mimetype=EVENT_STREAM)
    response.headers.update(HEADERS)
    if leave is not None:
        response.call_on_close(leave)
    return response


def _told(read: Read, after: str, found: Sequence[Event], *, over: bool) -> Iterator[str]:
    """Write events until the last one, or until the stream is long enough."""
    ends = time.monotonic() + LONGEST_STREAM_S
    yield f"retry: {RETRY_MS}\n\n"
    while True:
        yield "".join(map(_written, found)) or ":\n\n"
        left_s = ends - time.monotonic()
        if over or left_s <= 0:
            return
        after = found[-1].id if found else after
        try:
            found, over = read(after=after, timeout_s=min(HEARTBEAT_S, left_s))
        except QmtlError:  # nobody can be told any more; whoever asks again is
            return


def _written(event: Event) -> str:
    data = {name: value for name, value in _view.dump(event).items() if value not in (None, {}, [])}
    numbered = f"id: {event.id}\n" if event.id else ""
    return f"{numbered}event: {event.kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
