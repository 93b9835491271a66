"""What came of an execution, here or on a server, with the values decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qmtl.models.execution import ErrorRecord, NodeState

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one binding.

    Attributes:
        value: The caller's own copy; None where the node has no result.
        digest: Hash of the encoded value, equal wherever the same was computed.
        size: Bytes of the encoded value.
        error: Why there is no result.
        logs: What the node printed.
    """

    name: str
    node_id: str
    state: NodeState
    value: object = None
    digest: str | None = None
    size: int | None = None
    duration_ns: int | None = None
    error: ErrorRecord | None = None
    logs: str = ""


class Results(Mapping[str, Result]):
    """The results of an execution by binding, in the strategy's order.

    Attributes:
        as_of_ns: The time it was run for; None where the answer does not say.
    """

    def __init__(self, results: Iterable[Result], *, as_of_ns: int | None = None) -> None:
        self._by_name = {result.name: result for result in results}
        self.as_of_ns = as_of_ns

    def __getitem__(self, name: str) -> Result:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        states = ", ".join(f"{name}={result.state}" for name, result in self.items())
        return f"Results({states})"

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the bindings that ended without a result, the skipped ones too."""
        return tuple(n for n, r in self.items() if r.state.ended and not r.state.has_result)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a binding: node_id, state, value, digest, duration_s, error."""
        import pandas as pd  # noqa: PLC0415 - a remote caller may never ask for a frame

        rows = [
            {
                "node_id": r.node_id,
                "state": str(r.state),
                "value": r.value,
                "digest": r.digest,
                "duration_s": None if r.duration_ns is None else r.duration_ns / 1e9,
                "error": None if r.error is None else r.error.message,
            }
            for r in self.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(list(self), name="binding"))
