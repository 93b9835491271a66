"""What an executor is asked to call, and what became of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

LookupKind = Literal["window", "query"]
OutcomeState = Literal["SUCCEEDED", "FAILED", "TIMED_OUT"]


class Call(Struct, frozen=True, kw_only=True):
    """One call of one node's function.

    Attributes:
        node_id: Names the call in its shard; its result is stored under this key.
        function: Name of the function in the strategy's module.
        inputs: ``(argument, key)`` pairs; a key is an earlier call's ``node_id`` or names a value
            that was handed in.
        params: ``(argument, literal)`` pairs.
        as_of_ns: ``(argument, bucket)`` pairs for arguments that take the reserved ``as_of``.
        lookups: ``(argument, kind, key)`` of windows and queries; under the key lies what
            ``lookups.pack_window`` or ``pack_query`` returned.
        timeout_s: Limit of one attempt; an executor enforces it, a local call does not.
        retries: How often the call is made again after an exception, in an executor after a pause
            (``backoff``). A call that exceeds its limit or kills its executor is not made again.
        memory_bytes: What the call may use beyond the libraries and what is held for other
            calls; an executor's own where 0.
        seed: From 0 to 2**64 - 1 where the random generators must be seeded.
    """

    node_id: str
    function: str
    inputs: tuple[tuple[str, str], ...] = ()
    params: tuple[tuple[str, object], ...] = ()
    as_of_ns: tuple[tuple[str, int], ...] = ()
    lookups: tuple[tuple[str, LookupKind, str], ...] = ()
    timeout_s: float = 60.0
    retries: int = 0
    memory_bytes: int = 0
    seed: int | None = None

    def needs(self) -> tuple[str, ...]:
        """Return the keys of all values that the call reads."""
        inputs = tuple([key for _, key in self.inputs])
        if not self.lookups:
            return inputs
        return inputs + tuple([key for _, _, key in self.lookups])


class NodeError(Struct, frozen=True):
    """Why a call failed.

    Attributes:
        code: One of the ``NODE_...`` codes, or that of an error of the value.
        message: ``Type: text`` of the exception, or one sentence.
        traceback: The strategy's own lines; empty where none was reached.
    """

    code: str
    message: str
    traceback: str = ""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one call.

    Attributes:
        node_id: Of the call.
        state: How it ended.
        value: The encoded result where it succeeded.
        digest: Of ``value``; empty without one.
        started_ns: Start of the last attempt, nanoseconds UTC.
        duration_ns: How long the last attempt took.
        error: Why it did not succeed.
        logs: What it printed.
    """

    node_id: str
    state: OutcomeState
    value: bytes | None = None
    digest: str = ""
    started_ns: int = 0
    duration_ns: int = 0
    error: NodeError | None = None
    logs: str = ""
