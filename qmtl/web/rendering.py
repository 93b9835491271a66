"""Values as JSON, for people and for clients without a decoder; the encoded bytes are the truth.

What JSON cannot say stands under a marker: ``{"$float": "NaN" | "Infinity" | "-Infinity"}``,
``{"$integer": text}`` for one over 64 bits (``int(text, 0)`` reads it), ``{"$bytes": base64}``,
``{"$microseconds": int}`` for a duration, ``{"$complex": [re, im]}``.
Tables and arrays show their last rows and say how many there are; rows of polars are numbered.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qmtl.common.timeline import format_time
from qmtl.orchestrator.execution.result_document import WHOLE_NUMBERS

if TYPE_CHECKING:
    import polars as pl

ROWS = 10
MOST_ROWS = 10_000
MOST_CELLS = 200_000
MOST_CHARACTERS = 4 * 1024 * 1024
DECIMAL_BITS = 14_000  # Python refuses to write decimals of more than 4300 digits


class TooLong(Exception):
    """The value has more parts than an answer should hold."""


class Renderer:
    """Renders one value within a budget of cells and characters."""

    def __init__(
        self, *, rows: int = ROWS, cells: int = MOST_CELLS, characters: int = MOST_CHARACTERS
    ) -> None:
        self._rows = rows
        self._cells = cells
        self._characters = characters

    def render(self, value: object) -> Any:
        """Return the value as plain JSON.

        Raises:
            TooLong: It does not fit in the budget.
        """
        self._spend(cells=1)
        if isinstance(value, dict):
            return {self._text(name): self.render(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            if not _says_itself(value):
                return [self.render(inner) for inner in value]
            self._spend(cells=len(value))
            return list(value)
        if isinstance(value, pd.DataFrame):
            return self._frame(value)
        if isinstance(value, pd.Series):
            return self._series(value)
        return self._array(value) if isinstance(value, np.ndarray) else self._other(value)

    def _other(self, value: Any) -> Any:
        if _is_polars(value, "DataFrame"):
            return self._polars_frame(value)
        return self._polars_series(value) if _is_polars(value, "Series") else self._scalar(value)

    def _scalar(self, value: object) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if value in WHOLE_NUMBERS else self._long_integer(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": _float_name(value)}
        if isinstance(value, complex):
            return {"$complex": [self._scalar(value.real), self._scalar(value.imag)]}
        if isinstance(value, str | bytes):
            return self._text(value)
        return _moment(value)

    def _text(self, value: str | bytes) -> Any:
        self._spend(characters=len(value))
        if isinstance(value, str):
            return value
        return {"$bytes": base64.b64encode(value).decode()}

    def _long_integer(self, value: int) -> Any:
        self._spend(characters=value.bit_length() // 4)
        return {"$integer": str(value) if value.bit_length() <= DECIMAL_BITS else hex(value)}

    def _frame(self, frame: pd.DataFrame) -> dict[str, Any]:
        shown = frame.tail(self._rows)
        columns = [[self._cell(v) for v in shown.iloc[:, i]] for i in range(shown.shape[1])]
        return {
            "index": self._index(shown.index),
            "columns": [self._cell(name) for name in shown.columns],
            "data": [list(row) for row in zip(*columns, strict=True)],
            "rows_total": len(frame),
        }

    def _series(self, series: pd.Series[Any]) -> dict[str, Any]:
        shown = series.tail(self._rows)
        return {
            "index": self._index(shown.index),
            "name": self._cell(series.name),
            "data": [self._cell(v) for v in shown],
            "rows_total": len(series),
        }

    def _polars_frame(self, frame: pl.DataFrame) -> dict[str, Any]:
        shown = frame.tail(self._rows)
        columns = [[self._cell(v) for v in _polars_cells(column)] for column in shown]
        return {
            "index": list(range(len(frame) - len(shown), len(frame))),
            "columns": [self._text(name) for name in shown.columns],
            "data": [list(row) for row in zip(*columns, strict=True)],
            "rows_total": len(frame),
        }

    def _polars_series(self, series: pl.Series) -> dict[str, Any]:
        shown = series.tail(self._rows)
        return {
            "index": list(range(len(series) - len(shown), len(series))),
            "name": self._text(series.name),
            "data": [self._cell(v) for v in _polars_cells(shown)],
            "rows_total": len(series),
        }

    def _array(self, array: np.ndarray[Any, Any]) -> dict[str, Any]:
        shown = array if array.ndim == 0 else array[max(0, len(array) - self._rows) :]
        self._spend(cells=shown.size)
        return {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "data": self._nested(shown),
            "rows_total": 1 if array.ndim == 0 else len(array),
        }

    def _nested(self, array: np.ndarray[Any, Any]) -> Any:
        if array.ndim == 0:
            return self._cell(array[()])
        return [self._nested(part) if array.ndim > 1 else self._cell(part) for part in array]

    def _index(self, index: pd.Index[Any]) -> list[Any]:
        return [self._cell(v) for v in index]

    def _cell(self, value: Any) -> Any:
        """Render what stands in a table, where NumPy's and pandas' scalars are met."""
        if isinstance(value, np.datetime64 | np.timedelta64):
            value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
        elif isinstance(value, np.generic):
            value = value.item()
        return self.render(value)

    def _spend(self, *, cells: int = 0, characters: int = 0) -> None:
        self._cells -= cells
        self._characters -= characters
        if self._cells < 0 or self._characters < 0:
            raise TooLong


def _says_itself(values: Sequence[Any]) -> bool:
    """Tell whether JSON says every member as it is: long lists of numbers are told at once."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return math.isfinite(sum(values)) or all(map(math.isfinite, values))
    if kinds == {int}:
        return min(values) in WHOLE_NUMBERS and max(values) in WHOLE_NUMBERS
    return kinds <= {bool, type(None)}


def type_name(value: object) -> str:
    """Return what a decoded value is called in answers."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"polars.{name}" if _is_polars(value, name) else name


def _is_polars(value: object, name: str) -> bool:
    """Tell whether a value is of a class of polars, which need not be installed."""
    polars = sys.modules.get("polars")
    return polars is not None and type(value) is getattr(polars, name, None)


def _polars_cells(series: pl.Series) -> list[Any]:
    """Return cells that pandas could hold: polars' own times would lose their nanoseconds."""
    if series.dtype.base_type().__name__ != "Datetime":
        return series.to_list()
    zone = "UTC" if getattr(series.dtype, "time_zone", None) else None
    counts = series.dt.cast_time_unit("ns").to_physical().to_list()
    return [None if ns is None else pd.Timestamp(ns, tz=zone) for ns in counts]


def _float_name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _moment(value: object) -> Any:
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        text = format_time(value.as_unit("ns").value)
        return text if value.tz is not None else text.removesuffix("Z")
    if isinstance(value, date):  # a datetime too
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return {"$microseconds": value // timedelta(microseconds=1)}
    return str(value)
