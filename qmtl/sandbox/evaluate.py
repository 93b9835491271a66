"""Load a strategy's module and call its nodes: shared by executors and by local runs."""

from __future__ import annotations

import linecache
import signal
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from copy import deepcopy
from itertools import takewhile
from types import ModuleType
from typing import Any

from qmtl.common.clock import now_ns
from qmtl.common.codec import decode, digest, encode
from qmtl.common.codec.kinds import PLAIN
from qmtl.common.codec.templates import Template, Templates
from qmtl.common.errors import CorruptValue, UnsupportedValue
from qmtl.sandbox.backoff import pause_s
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.constants import Constants
from qmtl.sandbox.failure import FILE_PREFIX, describe
from qmtl.sandbox.lookups import unpack
from qmtl.sandbox.seeding import seeded
from qmtl.sandbox.times import as_of_time

_COMPOSED = (list, dict, set, tuple)  # of literals; a tuple may hold a list
_PLAIN = bytes([PLAIN])
_MANY = 64  # arguments from which on they are given by place


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


class Evaluator:
    """Calls the nodes of one module; one thread at a time may use it.

    Args:
        namespace: Of ``load_module``.
        limit_bytes: Largest encoded result.
        digests: Whether outcomes have a digest.
    """

    def __init__(
        self,
        namespace: MutableMapping[str, Any],
        *,
        limit_bytes: int | None = None,
        digests: bool = True,
    ) -> None:
        self._namespace = namespace
        self._constants = Constants(namespace)
        self._limit_bytes = limit_bytes
        self._digests = digests
        self._capture = Capture()
        self._templates = Templates()

    def expect(self, values: Mapping[str, bytes]) -> None:
        """Decode values that calls may read, so that these need not; one that is broken is theirs
        to tell of."""
        for key, data in values.items():
            if data[:1] != _PLAIN:
                with suppress(CorruptValue, UnsupportedValue):
                    self._templates.of(key, data)

    def evaluate(
        self,
        call: Call,
        values: Mapping[str, bytes],
        *,
        on_attempt: Callable[[int], None] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Make a call, and make it again after an exception as often as its retries say.

        Every attempt gets values and parameters of its own, and every call the module's constants
        as they were at first, so that nothing a node does to them is seen by another.
        ``SystemExit`` fails the node; so does ``KeyboardInterrupt``, except where Python itself
        raises it on Ctrl-C. ``call.timeout_s`` and ``call.memory_bytes`` are not enforced.

        Args:
            call: What to call.
            values: Encoded values by key; those of ``call.needs()`` are among them.
            on_attempt: Told the number of each attempt, from 0, before it starts.
            sleep: Pauses for so many seconds between two attempts; without it there is no pause.
        """
        self._constants.restore(call.function)
        attempt = 0
        while True:
            if on_attempt is not None:
                on_attempt(attempt)
            outcome = self._attempt(call, values)
            if outcome.error is None or attempt >= call.retries:
                return outcome
            attempt += 1
            if sleep is not None:
                sleep(pause_s(attempt))

    def _attempt(self, call: Call, values: Mapping[str, bytes]) -> Outcome:
        value, error = None, None
        outer = sys.stdout, sys.stderr
        started_ns, began = time.time_ns(), time.perf_counter_ns()
        sys.stdout = sys.stderr = self._capture
        try:
            if call.seed is None:
                value = self._call(call, values)
            else:
                with seeded(call.seed):
                    value = self._call(call, values)
        except BaseException as raised:
            if _is_ctrl_c(raised):
                raise
            error = describe(raised)
        finally:
            sys.stdout, sys.stderr = outer
        duration_ns = time.perf_counter_ns() - began
        return Outcome(
            node_id=call.node_id,
            state="FAILED" if value is None else "SUCCEEDED",
            value=value,
            digest=digest(value) if self._digests and value is not None else "",
            started_ns=started_ns,
            duration_ns=duration_ns,
            error=error,
            logs=self._logs() if self._capture.used else "",
        )

    def _call(self, call: Call, values: Mapping[str, bytes]) -> bytes:
        named: dict[str, Any] = {}
        templates: list[Template] = []  # outlive their copies
        for argument, key in call.inputs:
            data = values[key]
            if data[:1] == _PLAIN:
                named[argument] = decode(data)
            else:
                templates.append(self._templates.of(key, data))
                named[argument] = templates[-1].copy()
        for argument, kind, key in call.lookups:
            named[argument] = unpack(kind, values[key])
        for argument, literal in call.params:  # a node may change what it is given
            named[argument] = deepcopy(literal) if type(literal) in _COMPOSED else literal
        for argument, at_ns in call.as_of_ns:
            named[argument] = as_of_time(at_ns)
        function = self._namespace[call.function]
        code = getattr(function, "__code__", None)
        if code is None or (len(named) < _MANY and code.co_posonlyargcount == 0):
            return encode(function(**named), limit_bytes=self._limit_bytes)
        # Python looks for each name among all parameters, which thousands of them would feel.
        places = takewhile(named.__contains__, code.co_varnames[: code.co_argcount])
        result = function(*[named.pop(name) for name in places], **named)
        return encode(result, limit_bytes=self._limit_bytes)

    def _logs(self) -> str:
        """Return what was printed; the next call, or a thread that goes on, prints elsewhere."""
        capture, self._capture = self._capture, Capture()
        return capture.text()


def _is_ctrl_c(error: BaseException) -> bool:
    return (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def failed(call: Call, error: NodeError) -> Outcome:
    """Return the outcome of a call that could not be made."""
    return Outcome(node_id=call.node_id, state="FAILED", started_ns=now_ns(), error=error)
