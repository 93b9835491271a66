"""Inputs that go along with a trigger: whatever form they have, the server is sent rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from qmtl.common.errors import InvalidRequest
from qmtl.models.datanode import SourceSpec
from qmtl.models.points import Points
from qmtl.sdk.bodies import rows_of

if TYPE_CHECKING:
    from qmtl.sdk.data import Data

Rows: TypeAlias = "Sequence[Mapping[str, Any]]"
Inputs: TypeAlias = "Mapping[str, Data | Rows]"


def rows_given(
    inputs: Inputs, declared: Callable[[], Sequence[Mapping[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each input.

    Args:
        inputs: By variable: what ``Pipeline.execute`` takes.
        declared: Gives the sources of the version that runs, as the API shows them. Asked where an
            input is a file or a table, of which the declared columns are read.

    Raises:
        InvalidRequest: An input that was to be read is no source of the version.
        DataError: A file cannot be read.
        InvalidPoint: The source and what of its data cannot be used.
    """
    read = {v: data for v, data in inputs.items() if not isinstance(data, list | tuple | Points)}
    found: dict[str, Points | Rows] = {
        v: cast("Points | Rows", data) for v, data in inputs.items() if v not in read
    }
    if read:
        sources = {each["variable"]: each for each in declared()}
        found |= {v: _points(v, cast("Data", data), sources) for v, data in read.items()}
    return {
        v: rows_of(data) if isinstance(data, Points) else [dict(row) for row in data]
        for v, data in ((v, found[v]) for v in inputs)
    }


def _points(variable: str, data: Data, sources: Mapping[str, Mapping[str, Any]]) -> Points:
    from qmtl.sdk.data import read_points  # noqa: PLC0415 - pandas is slow

    if variable not in sources:
        raise InvalidRequest(
            f"The strategy has no source {variable!r}.",
            hint=f"Its sources are {', '.join(sources)}." if sources else "It declares no source.",
        )
    spec = SourceSpec(
        variable=variable,
        name=sources[variable]["name"],
        columns=tuple(sources[variable]["columns"]),
        interval_ns=None,
        period=1,
    )
    return read_points(spec, data)
