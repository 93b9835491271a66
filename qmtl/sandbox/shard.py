"""The calls of one run, and which of them have ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from qmtl.common.codec import digest
from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.calls import Call, Outcome
from qmtl.sandbox.protocol import Run, WireCall


class Shard:
    """Calls in an order in which every reader follows what it reads.

    Args:
        calls: With distinct node ids.
        values: Encoded values that they may read, by key.
        on_outcome: Told each outcome once.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        values: Mapping[str, bytes],
        on_outcome: Callable[[Outcome], None] | None,
    ) -> None:
        self._pending = {call.node_id: call for call in calls}
        self._values = dict(values)
        self._on_outcome = on_outcome
        self.outcomes: list[Outcome] = []

    @property
    def pending(self) -> list[Call]:
        return list(self._pending.values())

    def runnable(self) -> list[Call]:
        """Return the pending calls that have their inputs, or will have if earlier ones succeed."""
        known = set(self._values)
        calls = []
        for call in self._pending.values():
            if known.issuperset(call.needs()):
                known.add(call.node_id)
                calls.append(call)
        return calls

    def request(self, calls: Sequence[Call]) -> Run:
        """Return the message that makes these calls, with the values that they read."""
        keys = {key for call in calls for key in call.needs()}
        values = {key: self._values[key] for key in keys & self._values.keys()}
        return Run([WireCall.of(call) for call in calls], values)

    def accept(self, outcome: Outcome) -> None:
        """Take an outcome that a child reports; its digest is computed anew.

        Raises:
            SandboxFailure: It is of no pending call, or contradicts itself.
        """
        if outcome.node_id not in self._pending:
            raise SandboxFailure("An executor reported a call that it was not asked to make.")
        succeeded = outcome.state == "SUCCEEDED"
        if succeeded != (outcome.value is not None) or succeeded != (outcome.error is None):
            raise SandboxFailure("An executor reported an outcome that contradicts itself.")
        data = outcome.value
        self.end(replace(outcome, digest="" if data is None else digest(data)))

    def end(self, outcome: Outcome) -> None:
        """Record how a call ended."""
        del self._pending[outcome.node_id]
        if outcome.value is not None:
            self._values[outcome.node_id] = outcome.value
        self.outcomes.append(outcome)
        if self._on_outcome is not None:
            self._on_outcome(outcome)
