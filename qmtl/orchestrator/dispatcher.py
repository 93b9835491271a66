"""Port of the fabric that carries work to the node workers; ``qmtl.tasks.canvas`` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qmtl.models.execution import Priority


class Dispatcher(Protocol):
    """Sends messages of ids. A message may be lost, late or doubled: the ledger stands over it.

    Each method returns once the broker has the message, or raises ``Unavailable``.
    """

    def submission(self, tenant: str, submission_id: str) -> None:
        """Have the control worker carry out a submission."""

    def advance(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        """Have a node worker look whether ``stage`` of an execution may begin."""

    def shards(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        shards: Sequence[int],
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        """Have node workers run shards, and ``advance`` to the next stage after the last."""

    def queued(self) -> int:
        """Return how many messages to node workers nobody has taken yet."""
