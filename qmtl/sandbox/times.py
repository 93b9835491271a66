"""Buckets as a node's function gets them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_of_time(at_ns: int) -> datetime:
    """Return a bucket as an aware time in UTC; a pandas Timestamp where it has nanoseconds."""
    microseconds, rest = divmod(at_ns, 1_000)
    if rest:
        import pandas as pd  # noqa: PLC0415 (buckets of whole microseconds are the rule)

        return pd.Timestamp(at_ns, unit="ns", tz="UTC")
    return _EPOCH + timedelta(microseconds=microseconds)
