"""The calls of one run as the parent sees them: what has ended, and what is still read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qmtl.common.codec import digest
from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.evaluate import failed
from qmtl.sandbox.protocol import Run, WireCall, WireOutcome
from qmtl.sandbox.tables import Layout, Ranges, Selection, places_of, ranges_of

Told = Callable[[list[Outcome]], None]


class Shard:
    """Calls of a table in an order in which every reader follows what it reads.

    Keeps the values that a pending call reads, and no others: a child that dies is replaced by
    one that has none. A child gets a request with all pending calls, reports them in their order,
    and a call is known by its position in that request.

    Args:
        table: Name of the table.
        ranges: Places of the calls.
        changed: The calls that differ from the table's.
        selection: The calls.
        values: Encoded values that they may read, by key.
        on_outcomes: Told each outcome once.
    """

    def __init__(
        self,
        table: str,
        ranges: Ranges,
        changed: Mapping[int, Call],
        selection: Selection,
        values: Mapping[str, bytes],
        on_outcomes: Told,
    ) -> None:
        self._table = table
        self._ranges = ranges
        self._changed = changed
        self._calls = selection.calls  # of the last request, ended or not
        self._layout = selection.layout
        self._values = {key: values[key] for key in selection.layout.outer if key in values}
        self._on_outcomes = on_outcomes
        self._batch: list[Outcome] = []
        self._ended = bytearray(len(self._calls))
        self._next = 0  # position of the first call that may be reported
        self._gaps = len(self._values) < len(selection.layout.outer)

    @property
    def calls(self) -> Sequence[Call]:
        """The calls of the last request, by position."""
        return self._calls

    @property
    def values(self) -> Mapping[str, bytes]:
        """What is kept for the calls that are pending."""
        return self._values

    def runnable(self) -> list[int]:
        """Return the positions of pending calls that have their inputs, or will have them."""
        known = set(self._values)
        positions = []
        for position, call in enumerate(self._calls):
            if not self._ended[position] and known.issuperset(self._layout.needs[position]):
                known.add(call.node_id)
                positions.append(position)
        return positions

    @property
    def over(self) -> bool:
        """Whether no call is left that could be made."""
        if not self._gaps:
            return 0 not in self._ended
        return not self.runnable()

    def request(self) -> Run:
        """Return the message that makes the pending calls, whose positions count anew from here."""
        if any(self._ended):
            self._narrow()
        self._next = 0
        changed = [(place, WireCall.of(call)) for place, call in self._changed.items()]
        return Run(self._table, self._ranges, changed, self._values)

    def _narrow(self) -> None:
        """Leave the calls that have ended out of what follows."""
        left = [position for position, ended in enumerate(self._ended) if not ended]
        places = places_of(self._ranges)
        self._ranges = ranges_of([places[position] for position in left])
        kept = {places[position] for position in left}
        self._changed = {p: call for p, call in self._changed.items() if p in kept}
        self._calls = [self._calls[position] for position in left]
        self._layout = Layout.of(self._calls)
        self._values = {k: v for k, v in self._values.items() if k in self._layout.outer}
        self._ended = bytearray(len(left))
        self._gaps = len(self._values) < len(self._layout.outer)

    def accept(self, items: Sequence[WireOutcome]) -> None:
        """Take outcomes that a child reports; their digests are computed here.

        Raises:
            SandboxFailure: One is of no pending call, out of turn, or contradicts itself.
        """
        calls, ended, values = self._calls, self._ended, self._values
        _, drops, kept, _ = self._layout
        for item in items:
            position, value = item.position, item.value
            if not self._next <= position < len(calls):
                raise SandboxFailure("An executor reported a call that it was not asked to make.")
            if (value is None) == (item.error is None):
                raise SandboxFailure("An executor reported an outcome that contradicts itself.")
            node_id = calls[position].node_id
            if value is None:
                self._gaps = True
            elif kept[position]:
                values[node_id] = value
            self._batch.append(
                Outcome(
                    node_id=node_id,
                    state="FAILED" if value is None else "SUCCEEDED",
                    value=value,
                    digest="" if value is None else digest(value),
                    started_ns=item.started_ns,
                    duration_ns=item.duration_ns,
                    error=item.error,
                    logs=item.logs,
                )
            )
            ended[position] = 1
            while self._next <= position:  # calls before it that are not made read nothing either
                for key in drops[self._next]:
                    values.pop(key, None)
                self._next += 1
        self.tell()

    def end(self, position: int, outcome: Outcome) -> None:
        """Record how a pending call ended that no child reported."""
        self._ended[position] = 1
        self._gaps = True
        self._batch.append(outcome)
        self.tell()

    def fail(self, error: NodeError) -> None:
        """End every pending call with an error."""
        for position, call in enumerate(self._calls):
            if not self._ended[position]:
                self.end(position, failed(call, error))

    def tell(self) -> None:
        """Hand over what has not been told."""
        batch, self._batch = self._batch, []
        if batch:
            self._on_outcomes(batch)
