"""Where two values part, within a tolerance for numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

SHOWN = 80  # characters of a value that a message repeats


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may lie apart and still be equal."""

    rel: float
    abs: float

    def equal(self, a: float, b: float) -> bool:
        """Whether two numbers are equal; NaN equals NaN."""
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return math.isclose(a, b, rel_tol=self.rel, abs_tol=self.abs)


def first_difference(actual: object, expected: object, within: Tolerance) -> str | None:
    """Return where two values part, as one line; None where they are equal."""
    return _difference(actual, expected, within, "value")


def _difference(actual: object, expected: object, within: Tolerance, at: str) -> str | None:
    if _is_number(actual) and _is_number(expected):
        return None if within.equal(actual, expected) else _unlike(actual, expected, at)
    if isinstance(expected, list) and isinstance(actual, pd.Series | pd.Index | np.ndarray):
        actual = np.asarray(actual).tolist()
    if type(actual) is not type(expected):
        kinds = f"{type(actual).__name__}, expected {type(expected).__name__}"
        return f"{_unlike(actual, expected, at)} (it is {kinds})"
    return _of_one_type(actual, expected, within, at)


def _of_one_type(actual: Any, expected: object, within: Tolerance, at: str) -> str | None:
    match expected:
        case dict():
            return _mapping(actual, expected, within, at)
        case list() | tuple():
            return _sequence(actual, expected, within, at)
        case np.ndarray():
            return _array(actual, expected, within, at)
        case pd.Series() | pd.DataFrame():
            return _pandas(actual, expected, within, at)
    if type(expected).__module__.partition(".")[0] == "polars":
        return _polars(actual, expected, within, at)
    return None if actual == expected else _unlike(actual, expected, at)


def _mapping(
    actual: dict[object, object], expected: dict[object, object], within: Tolerance, at: str
) -> str | None:
    for key in expected:
        if key not in actual:
            return f"{at} has no key {key!r}"
    for key in actual:
        if key not in expected:
            return f"{at} has the key {key!r}, which is not expected"
    return _first(
        _difference(actual[key], expected[key], within, f"{at}[{key!r}]") for key in expected
    )


def _sequence(
    actual: list[object] | tuple[object, ...],
    expected: list[object] | tuple[object, ...],
    within: Tolerance,
    at: str,
) -> str | None:
    if len(actual) != len(expected):
        return f"{at} has {len(actual)} members, expected {len(expected)}"
    pairs = enumerate(zip(actual, expected, strict=True))
    return _first(_difference(a, e, within, f"{at}[{i}]") for i, (a, e) in pairs)


def _array(
    actual: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    expected: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    within: Tolerance,
    at: str,
) -> str | None:
    if actual.shape != expected.shape:
        return f"{at} has the shape {actual.shape}, expected {expected.shape}"
    return _difference(actual.tolist(), expected.tolist(), within, at)


def _pandas(
    actual: Any, expected: pd.Series[Any] | pd.DataFrame, within: Tolerance, at: str
) -> str | None:
    """Ask pandas, and tell what it says in one line."""
    tolerant: dict[str, Any] = {
        "check_dtype": False,
        "check_freq": False,
        "check_index_type": False,
        "rtol": within.rel,
        "atol": within.abs,
        "obj": at,
    }
    try:
        if isinstance(expected, pd.Series):
            pd.testing.assert_series_equal(actual, expected, **tolerant)
        else:
            pd.testing.assert_frame_equal(actual, expected, **tolerant)
    except AssertionError as error:
        return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return None


def _polars(actual: Any, expected: Any, within: Tolerance, at: str) -> str | None:
    if hasattr(expected, "columns"):
        pairs = [(".columns", actual.columns, expected.columns)]
        pairs += [("", actual.to_dict(as_series=False), expected.to_dict(as_series=False))]
    else:
        pairs = [(".name", actual.name, expected.name), ("", actual.to_list(), expected.to_list())]
    return _first(_difference(a, e, within, f"{at}{part}") for part, a, e in pairs)


def _first(differences: Iterable[str | None]) -> str | None:
    return next((d for d in differences if d is not None), None)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unlike(actual: object, expected: object, at: str) -> str:
    return f"{at} is {_shown(actual)}, expected {_shown(expected)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
