"""Series and frames that many readers get of one value: decoded once, copied for each.

Under pandas 3 whoever writes into a copy gets memory of its own first. What could be reached past
pandas is memory that nobody can write to, so that no reader sees what another did. Which values
are handed out so depends on nothing but their bytes and pandas' version: a node meets the same
everywhere, whoever else reads the value. (What an index has cached of itself is shared, and shows
in nothing but ``memory_usage``.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from qmtl.common.codec.kinds import COLUMNS
from qmtl.common.codec.plain import MALFORMED, corrupt, decode

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 8 * 2**20  # of the values whose templates are kept
_EACH_BYTES = 2**20


class Template(Protocol):
    """A value of which every reader gets a copy; readers are done before it is dropped."""

    def copy(self) -> object:
        """Return a reader's own value."""


class Templates:
    """Templates by the key of their value; the oldest are dropped where they grow large."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, Template]] = {}
        self._bytes = 0

    def of(self, key: str, data: bytes) -> Template:
        """Return the template of an encoded value, under the key of the place where it lies.

        Raises:
            CorruptValue: The bytes are not an encoded value.
        """
        kept = self._kept.get(key)
        if kept is not None and (kept[0] is data or kept[0] == data):
            return kept[1]
        template = template_of(data)
        if len(data) <= _EACH_BYTES:
            self._keep(key, data, template)
        return template

    def _keep(self, key: str, data: bytes, template: Template) -> None:
        before = self._kept.pop(key, None)
        self._bytes += len(data) - (0 if before is None else len(before[0]))
        self._kept[key] = data, template
        while self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.pop(next(iter(self._kept)))[0])


def made_ready(values: Iterable[bytes]) -> bool:
    """Import what decoding series, frames and arrays takes; tell whether any is among the values.

    One that cannot be decoded is left to whoever reads it.
    """
    tables = [data for data in values if data[:1] == bytes([COLUMNS])]
    for data in tables:
        if "pandas" not in sys.modules:
            with suppress(Exception):
                decode(data)
    return bool(tables)


def template_of(data: bytes) -> Template:
    """Return what makes the readers' values of an encoded one.

    Raises:
        CorruptValue: The bytes are not an encoded value.
    """
    found = None
    if data[:1] == bytes([COLUMNS]) and sys.byteorder == "little":
        try:
            found = _locked(memoryview(data)[1:])
        except MALFORMED as error:
            raise corrupt(error) from error
    return _Decoded(data) if found is None else _Shared(found)


class _Decoded:
    """A value that every reader decodes."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def copy(self) -> object:
        return decode(self._data)


class _Shared:
    """A value that readers share until they write."""

    __slots__ = ("_value",)

    def __init__(self, value: pd.Series[Any] | pd.DataFrame) -> None:
        if value.ndim == 2:  # pandas works out where columns lie, and copies will know it too
            next(iter(value.items()), None)
        self._value = value

    def copy(self) -> object:
        return self._value.copy(deep=False)


def _locked(body: memoryview) -> pd.Series[Any] | pd.DataFrame | None:
    from qmtl.common.codec import columns  # noqa: PLC0415 (plain values pay no NumPy import)

    return columns.read_locked(body)
