"""A module's constants, as they were when it was loaded: no call sees what another did to them.

The parser refuses code that changes a constant by name. What reaches one through a parameter, such
as ``helper(TABLE)``, cannot be told from honest code; so whatever can be changed is copied for each
call that reaches it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_FIXED = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    dt.date,
    dt.time,
    dt.timedelta,
    dt.tzinfo,
    decimal.Decimal,
    fractions.Fraction,
    enum.Enum,
    re.Pattern,
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
)


class Constants:
    """Puts the constants back that a function reaches.

    Args:
        namespace: Of a module that has just been executed. It is changed in place, so that the
            module's functions see it.
    """

    def __init__(self, namespace: MutableMapping[str, Any]) -> None:
        self._namespace = namespace
        self._kept = _copies(namespace)
        self._reached: dict[str, tuple[str, ...]] = {}

    def restore(self, function: str) -> None:
        """Bind what a function may have seen changed to what it was at first."""
        if not self._kept:
            return
        names = self._reached.get(function)
        if names is None:
            names = self._reached[function] = tuple(self._reach(function))
        if names:  # in one copy, so that what two constants share stays shared
            self._namespace.update(deepcopy({name: self._kept[name] for name in names}))

    def _reach(self, function: str) -> Iterator[str]:
        """Return the kept constants that a function names, or anything that it names does."""
        seen = {function}
        waiting = [function]
        while waiting:
            for name in _names(self._namespace.get(waiting.pop())):
                if name in self._namespace and name not in seen:
                    seen.add(name)
                    waiting.append(name)
        return (name for name in sorted(seen) if name in self._kept)


def _copies(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of every constant that can be changed; what has no copy is left as it is."""
    changeable = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("__") and not _is_fixed(value)
    }
    try:
        return deepcopy(changeable)
    except Exception:  # noqa: BLE001 - a class of the strategy may refuse in its own way
        kept = {}
        for name, value in changeable.items():
            try:
                kept[name] = deepcopy(value)
            except Exception:  # noqa: BLE001, S112 - likewise
                continue
        return kept


def _is_fixed(value: object) -> bool:
    if isinstance(value, tuple | frozenset):
        return type(value) in (tuple, frozenset) and all(map(_is_fixed, value))
    numpy = sys.modules.get("numpy")  # a strategy without it does not pay for its import
    return isinstance(value, _FIXED) or (
        numpy is not None and isinstance(value, (numpy.generic, numpy.dtype))
    )


def _names(value: object) -> Iterator[str]:
    """Return every global name that a function's or a class's code may use."""
    waiting: list[object] = [value]
    while waiting:
        match waiting.pop():
            case FunctionType() as function:
                waiting.append(function.__code__)
            case CodeType() as code:
                yield from code.co_names
                waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
            case type() as kind:
                waiting += [each for each in vars(kind).values() if not isinstance(each, type)]
            case property() as own:
                waiting += [own.fget, own.fset, own.fdel]
            case staticmethod() | classmethod() as method:
                waiting.append(method.__func__)
            case _:
                pass
