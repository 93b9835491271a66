"""What came of an execution, here or on a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from qmtl.common.codec import decode
from qmtl.models.execution import ErrorRecord, NodeState

if TYPE_CHECKING:
    import pandas as pd


class Result:
    """What came of one binding.

    Args:
        value: The value, where it is at hand.
        encoded: The encoded value otherwise; it is decoded when ``value`` is first asked for.

    Attributes:
        digest: Hash of the encoded value, equal wherever the same was computed.
        size: Bytes of the encoded value.
        error: Why there is no result.
        logs: What the node printed.
    """

    __slots__ = (
        "_encoded",
        "_value",
        "digest",
        "duration_ns",
        "error",
        "logs",
        "name",
        "node_id",
        "size",
        "state",
    )

    def __init__(
        self,
        *,
        name: str,
        node_id: str,
        state: NodeState,
        value: object = None,
        encoded: bytes | None = None,
        digest: str | None = None,
        size: int | None = None,
        duration_ns: int | None = None,
        error: ErrorRecord | None = None,
        logs: str = "",
    ) -> None:
        self.name = name
        self.node_id = node_id
        self.state = state
        self.digest = digest
        self.size = size
        self.duration_ns = duration_ns
        self.error = error
        self.logs = logs
        self._value = value
        self._encoded = encoded

    @property
    def value(self) -> object:
        """Return the caller's own copy; None where the node has no result."""
        if self._encoded is not None:
            self._value, self._encoded = decode(self._encoded), None
        return self._value

    def __repr__(self) -> str:
        told = f"value={self.value!r}" if self.state.has_result else f"error={self.error!r}"
        return f"Result({self.name!r}, {self.state}, {told})"


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

    def _repr_html_(self) -> str:
        from qmtl.sdk.display import results_html  # noqa: PLC0415 - only notebooks ask for it

        return results_html(self)

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
