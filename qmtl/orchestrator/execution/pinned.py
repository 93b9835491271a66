"""How new the data is that a result rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qmtl.common.codec import digest
from qmtl.models.execution import Pin


@dataclass(frozen=True, slots=True)
class Pinned:
    """How new the data is that a node rests on, itself and through what it reads.

    Attributes:
        revision: The sum of its sources' pinned revisions. A plan pins all of them at one moment
            and revisions only grow, so that of two plans the one with newer pins has more.
        sources: Which sources these are, 8 hex characters; revisions of others do not compare.
    """

    revision: int = 0
    sources: str = ""

    @classmethod
    def of(cls, pins: Iterable[Pin]) -> Pinned:
        """Return how new these pins are together; variables of one source count once."""
        revisions = {pin.source: pin.revision for pin in pins}
        return cls(sum(revisions.values()), digest("\n".join(sorted(revisions)).encode())[:8])

    def outdates(self, other: Pinned) -> bool:
        """Whether a result of these pins stays where one of the others comes."""
        return self.sources == other.sources and self.revision > other.revision
