"""Places of executions in pages: newest first, equal times by id."""

from __future__ import annotations

import re

from qmtl.common.errors import InvalidRequest
from qmtl.models.execution import Execution

_PLACE = re.compile(r"[0-9]{15}:[^\x00]+")


def place(execution: Execution) -> str:
    """Return a text that sorts as its execution does; it is the cursor behind that execution."""
    return f"{execution.created_ms:015d}:{execution.id}"


def check_cursor(before: str) -> None:
    """Refuse a cursor that no page gave.

    Raises:
        InvalidRequest: It is neither empty nor a place.
    """
    if before and not _PLACE.fullmatch(before):
        raise InvalidRequest(
            f"{before!r} is not a cursor of this list.", hint="Begin without a cursor."
        )


def id_at(place: str) -> str:
    """Return the id of the execution at a place."""
    return place.partition(":")[2]
