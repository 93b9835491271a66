"""Load a strategy's module and call its nodes: shared by executors and by local runs."""

from __future__ import annotations

import linecache
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from qmtl.common.clock import now_ns
from qmtl.common.codec import decode, digest, encode
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.failure import FILE_PREFIX, describe
from qmtl.sandbox.seeding import seeded

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def load_module(source_text: str, name: str) -> dict[str, Any]:
    """Execute a strategy's source and return its namespace.

    The module is known to ``sys.modules``, so that dataclasses work, and its lines to
    ``linecache``, so that tracebacks show them, both as ``<strategy NAME>``.

    Raises:
        BaseException: Whatever the source raises; ``failure.describe`` makes a record of it.
    """
    filename = f"{FILE_PREFIX}{name}>"
    lines = source_text.splitlines(keepends=True)
    linecache.cache[filename] = (len(source_text), None, lines, filename)
    module = ModuleType(filename)
    sys.modules[filename] = module
    code = compile(source_text, filename, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 (to execute strategies is what a sandbox is for)
    return module.__dict__


def evaluate(
    namespace: Mapping[str, Any],
    call: Call,
    arguments: Mapping[str, bytes],
    *,
    limit_bytes: int | None = None,
    on_attempt: Callable[[int], None] | None = None,
) -> Outcome:
    """Make a call, and make it again after an exception as often as its retries say.

    Every attempt decodes its arguments anew, so that nothing a node does to them is seen by
    another. ``SystemExit`` fails the node; so does ``KeyboardInterrupt``, except where Python
    itself raises it on Ctrl-C. ``call.timeout_s`` and ``call.memory_bytes`` are not enforced.

    Args:
        namespace: Of ``load_module``.
        call: What to call.
        arguments: Encoded value of each argument that ``call.inputs`` names.
        limit_bytes: Largest encoded result.
        on_attempt: Told the number of each attempt, from 0, before it starts.
    """
    attempt = 0
    while True:
        if on_attempt is not None:
            on_attempt(attempt)
        outcome = _attempt(namespace, call, arguments, limit_bytes)
        if outcome.error is None or attempt >= call.retries:
            return outcome
        attempt += 1


def _attempt(
    namespace: Mapping[str, Any],
    call: Call,
    arguments: Mapping[str, bytes],
    limit_bytes: int | None,
) -> Outcome:
    value, error = None, None
    started_ns, began = now_ns(), time.perf_counter_ns()
    with Capture() as capture, nullcontext() if call.seed is None else seeded(call.seed):
        try:
            result = _call(namespace[call.function], call, arguments)
            value = encode(result, limit_bytes=limit_bytes)
        except BaseException as raised:
            if _is_ctrl_c(raised):
                raise
            error = describe(raised)
    return Outcome(
        node_id=call.node_id,
        state="SUCCEEDED" if error is None else "FAILED",
        value=value,
        digest="" if value is None else digest(value),
        started_ns=started_ns,
        duration_ns=time.perf_counter_ns() - began,
        error=error,
        logs=capture.text(),
    )


def _call(function: Any, call: Call, arguments: Mapping[str, bytes]) -> object:
    named: dict[str, Any] = {argument: decode(data) for argument, data in arguments.items()}
    named.update(call.params)
    for argument, at_ns in call.as_of_ns:
        named[argument] = as_of_time(at_ns)
    code = getattr(function, "__code__", None)
    if code is None or code.co_posonlyargcount == 0:
        return function(**named)
    first = [n for n in code.co_varnames[: code.co_posonlyargcount] if n in named]
    return function(*[named.pop(name) for name in first], **named)


def as_of_time(at_ns: int) -> datetime:
    """Return a bucket as an aware time in UTC; a pandas Timestamp where it has nanoseconds."""
    microseconds, rest = divmod(at_ns, 1_000)
    if rest:
        import pandas as pd  # noqa: PLC0415 (buckets of whole microseconds are the rule)

        return pd.Timestamp(at_ns, unit="ns", tz="UTC")
    return _EPOCH + timedelta(microseconds=microseconds)


def _is_ctrl_c(error: BaseException) -> bool:
    return (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def failed(call: Call, error: NodeError) -> Outcome:
    """Return the outcome of a call that could not be made."""
    return Outcome(node_id=call.node_id, state="FAILED", started_ns=now_ns(), error=error)
