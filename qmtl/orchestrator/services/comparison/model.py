"""Two executions side by side, and why values of one are not those of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qmtl.models.datanode import NodeSpec, SourceSpec
from qmtl.models.execution import Lookup


class CauseKind(StrEnum):
    """Which part of what determines a result differs."""

    CODE = "code"
    PARAMETER = "parameter"
    INPUT = "input"  # wired otherwise, or a source, window or query declared otherwise
    DECLARATION = "declaration"  # interval, cache
    DATA = "data"
    HISTORY = "history"
    TIME = "time"  # the bucket, where a node reads ``as_of``
    RUNTIME = "runtime"
    NONDETERMINISM = "nondeterminism"


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row of a window that differs; a side is None where it has no such row.

    A value is None where it is missing.
    """

    ts_ms: int
    left: Mapping[str, float | None] | None
    right: Mapping[str, float | None] | None


@dataclass(frozen=True, slots=True)
class DataChange:
    """What differs between two windows of a source: how many rows, of how many, and the first."""

    differing: int
    rows: int
    first: tuple[RowChange, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why values differ, and where nothing above it does.

    Attributes:
        kind: Which part differs.
        subject: The function, helper, parameter, argument, source or binding in question.
        message: One clause, such as ``parameter band of crossover: 0.0 became 0.5``.
        interval_ns: Of the readers of a source, where it is data.
        reaches: The bindings whose values differ because of it, upstream first.
        data: What differs, where it is data that can still be read.
    """

    kind: CauseKind
    subject: str
    message: str
    interval_ns: int | None = None
    reaches: tuple[str, ...] = ()
    data: DataChange | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A binding with two results."""

    binding: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two executions have in common.

    Attributes:
        left: Id of the one.
        right: Id of the other.
        compared: How many bindings have a result in both.
        equal: How many of them have the same.
        first: The first in topological order that has not.
        only_left: Bindings with a result in the one alone.
        only_right: Bindings with a result in the other alone.
        causes: Why results differ: none of them because of another.
    """

    left: str
    right: str
    compared: int
    equal: int
    first: Difference | None
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """An execution as it is compared.

    Attributes:
        execution_id: Which one.
        as_of_ns: Its time.
        nodes: By binding, upstream first.
        sources: By variable.
        digests: Of each binding that has a result.
        windows: Digests of what readers see, by variable and interval.
        lookups: What windows and queries resolved to, by node id and argument.
        keys: Call keys by node id; empty or absent where there is none.
        mixed: Whether workers of several runtimes computed it.
        seeds: By node id, of nodes that draw random numbers.
        code: What each function rests on: a name for each part, and its digest. The function's
            own part has the empty name; defaults count as parameters.
    """

    execution_id: str
    as_of_ns: int
    nodes: Mapping[str, NodeSpec]
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[tuple[str, int | None], str] = field(default_factory=dict)
    lookups: Mapping[tuple[str, str], Lookup] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    mixed: bool = False
    seeds: Mapping[str, int] = field(default_factory=dict)
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
