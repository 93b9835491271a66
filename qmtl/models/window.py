"""What a node that looks back gets: earlier results, oldest first, and their buckets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from qmtl.common.errors import DataError

T = TypeVar("T")


class Window(list[T]):
    """The latest results of a node before a bucket: a list, oldest first, empty before the first.

    A slice of it is a plain list. A window cannot be a node's result; ``list(window)`` can.

    Args:
        values: The results.
        buckets: Of each result, aware in UTC; may be left out where nothing reads them.

    Raises:
        DataError: There are buckets, but not as many as values.

    Attributes:
        buckets: Aware datetimes in UTC, one for each value.
    """

    def __init__(self, values: Iterable[T] = (), buckets: Iterable[datetime] = ()) -> None:
        super().__init__(values)
        self.buckets = tuple(buckets)
        if self.buckets and len(self.buckets) != len(self):
            raise DataError(f"A window of {len(self)} values has {len(self.buckets)} buckets.")
