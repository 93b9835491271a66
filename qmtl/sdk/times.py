"""Times as callers write them, in nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import EARLIEST, LATEST, SECOND, parse_time

AsOf = str | int | datetime
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(as_of: AsOf) -> int:
    """Return nanoseconds UTC of RFC 3339 text, nanoseconds or an aware datetime.

    Raises:
        InvalidRequest: It is no such time, names no time zone, or is outside 1678 to 2261.
    """
    if isinstance(as_of, str):
        return parse_time(as_of)
    at_ns = as_of if isinstance(as_of, int) else _since_epoch(as_of)
    if not EARLIEST <= at_ns <= LATEST:
        raise InvalidRequest(f"{as_of} is outside the years 1678 to 2261.")
    return at_ns


def _since_epoch(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise InvalidRequest(
            "as_of has no time zone.", hint="Use an aware datetime, such as one in datetime.UTC."
        )
    since = moment - _EPOCH
    finer = int(getattr(since, "nanoseconds", 0))  # of a pandas Timestamp
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000 + finer
