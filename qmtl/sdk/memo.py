"""Results that need not be computed again, by what they are determined by."""

from __future__ import annotations

from qmtl.orchestrator.execution.ledger_types import NodeCommit


class Memo:
    """Results by content key; ``turn`` drops those that were not used since the turn before."""

    def __init__(self) -> None:
        self._now: dict[str, NodeCommit] = {}
        self._before: dict[str, NodeCommit] = {}

    def __len__(self) -> int:
        return len(self._now) + len(self._before)

    def get(self, key: str) -> NodeCommit | None:
        """Return a result, which then stays for another turn."""
        kept = self._now.get(key)
        if kept is None:
            kept = self._before.pop(key, None)
            if kept is not None:
                self._now[key] = kept
        return kept

    def keep(self, key: str, commit: NodeCommit) -> None:
        """Keep a result."""
        self._now[key] = commit

    def turn(self) -> None:
        """Go on to the next bucket."""
        self._before, self._now = self._now, {}
