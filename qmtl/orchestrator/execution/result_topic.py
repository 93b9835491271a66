"""Port of the topics that results are mirrored to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

DEDUPE_HEADER = "dedupe-id"  # equal ones are the same record


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record: ``key`` is a node id, ``value`` JSON, headers are text."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str]


class ResultTopic(Protocol):
    """Where records go. Sending the same record twice is allowed; readers drop equal dedupe ids.

    May raise ``Unavailable`` or, where sending again is of no use (a name or a size that is not
    allowed, a topic that this user may not write), ``Refused``; nothing of a batch may then be
    taken as sent.
    """

    def ping(self) -> None:
        """Return once a broker answered."""

    def identify(self, topics: Sequence[str]) -> dict[str, str]:
        """Make those that are missing, and return each one's id, which no other topic ever has.

        A topic that was lost and made again has another id. A topic is left out that this broker
        refuses to make or to tell of; one whose id it does not tell has an empty one.
        """

    def send(self, records: Sequence[TopicRecord]) -> None:
        """Return once the broker acknowledged every record; makes missing topics first."""

    def read_all(self, topic: str, *, idle_s: float, limit: int) -> list[TopicRecord]:
        """Return the topic's records from its beginning, until nothing came for ``idle_s``
        seconds or ``limit`` were read; empty where the topic does not exist."""

    def close(self) -> None:
        """Let go of the connections."""
