"""A dispatcher whose messages a test holds in its hands: to deliver, to double or to lose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qmtl.bootstrap import System
from qmtl.common.clock import now_ms
from qmtl.models.execution import Priority

Message = tuple[str, tuple[object, ...]]


@dataclass
class Fabric:
    """Keeps messages in order; ``deliver`` hands each to the system as a worker would.

    A chord's body comes behind its header, as Celery has it.
    """

    copies: int = 1
    waiting: list[Message] = field(default_factory=list)

    def submission(self, tenant: str, submission_id: str) -> None:
        self._send("submission", tenant, submission_id)

    def advance(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        self._send("advance", tenant, execution_id, stage)

    def shards(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        shards: Sequence[int],
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        for shard in shards:
            self._send("shard", tenant, execution_id, stage, shard)
        self._send("advance", tenant, execution_id, stage + 1)

    def queued(self) -> int:
        """Return how many messages wait."""
        return len(self.waiting)

    def deliver(self, system: System, *, lose: Callable[[Message], bool] = lambda _: False) -> None:
        """Hand over every message, and those that are sent meanwhile, but the ones to lose."""
        while self.waiting:
            message = self.waiting.pop(0)
            if not lose(message):
                _handle(system, *message)

    def _send(self, kind: str, *ids: object) -> None:
        self.waiting += [(kind, ids)] * self.copies


def _handle(system: System, kind: str, ids: tuple[object, ...]) -> None:
    match kind:
        case "submission":
            system.submissions.carry_out(*ids, at_ms=now_ms())  # type: ignore[arg-type]
        case "advance":
            system.advancer.advance(*ids)  # type: ignore[arg-type]
        case _:
            system.advancer.run_shard(*ids)  # type: ignore[arg-type]
