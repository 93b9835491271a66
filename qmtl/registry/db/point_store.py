"""Port of the points of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qmtl.models.points import Points

EVERYTHING = 2**53 - 1  # a revision that no source reaches


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: the source's revision after it, and how many points were what."""

    revision: int
    added: int
    corrected: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class PointSummary:
    """How much is stored of a source; times are None where nothing is."""

    revision: int
    count: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """The last ``period`` points of a source stamped at or before ``until_ms``.

    ``revision`` bounds what is seen: a point or a correction of a later revision does not exist.
    """

    source: str
    columns: tuple[str, ...]
    until_ms: int
    period: int
    revision: int


class PointStore(Protocol):
    """Append-only series, by tenant and source name.

    A batch that adds or corrects anything makes one new revision, counted from 1; nothing that an
    earlier revision shows ever changes. Appending a point that is there already with equal values
    does nothing, so an append may be repeated. Atomic by batch; may raise ``Unavailable``.
    """

    def append(self, tenant: str, source: str, points: Points) -> Appended:
        """Add points. A column not seen before reads as NaN in older points, and so does a column
        that ``points`` lacks in newer ones.

        Raises:
            InvalidPoint: The batch has more than 100,000 points; nothing is added.
        """

    def windows(self, tenant: str, requests: Sequence[WindowRequest]) -> list[Points]:
        """Return each window, oldest point first, empty where nothing is visible; one round trip.
        A column that was never stored reads as NaN."""

    def latest(self, tenant: str, requests: Sequence[WindowRequest]) -> list[tuple[int, Points]]:
        """Return each window at its source's current revision, and that revision; one atomic step
        and round trip. The revisions of the requests are passed over."""

    def summaries(self, tenant: str, sources: Sequence[str]) -> list[PointSummary]:
        """Return how much is stored of each source; one round trip."""
