"""Cursors among the events of an execution: ids that an event had."""

from __future__ import annotations

import re

from qmtl.common.errors import InvalidRequest

_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
BEGIN = "0-0"  # before every event


def checked_cursor(after: str) -> str:
    """Return a cursor; the one before every event where it is empty.

    Raises:
        InvalidRequest: It is neither empty nor what an event could have as its id.
    """
    if after and not _ID.fullmatch(after):
        raise InvalidRequest(
            f"{after[:64]!r} is not the id of an event.",
            hint="Give the id of the last event that was received, or none to begin anew.",
        )
    return after or BEGIN


def parts(event_id: str) -> tuple[int, int]:
    """Return an id as what it is ordered by: milliseconds, and a number among those of one."""
    ms, _, number = event_id.partition("-")
    return int(ms), int(number)
