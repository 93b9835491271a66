"""Server-sent events: lines in, messages out.

See https://html.spec.whatwg.org/multipage/server-sent-events.html for the format. What only a
browser needs (``retry``, messages without data) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with the latest id that the stream gave; empty where it gave none."""

    event: str
    data: str
    id: str = ""


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Yield the messages of a stream; one that is cut off is none."""
    event, last_id, data = "", "", list[str]()
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield Message(event or "message", "\n".join(data), last_id)
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                event = value
            case "data":
                data.append(value)
            case "id":
                last_id = value
