"""The words in which a strategy declares itself.

QMTL reads them from the text of the module and never runs it for that. When Python runs the
module, they do next to nothing, so that a node stays the plain function that a test can call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, overload

# What tags commonly say; any other may be used as well. They are matched without case.
PREDEFINED_TAGS = (
    "RAW",
    "CANDLE",
    "FEATURE",
    "ORDERBOOK",
    "RISK",
    "SIGNAL",
    "ML_PRED",
    "ANALYZER",
    "CORRELATION",
    "VOLATILITY",
    "TREND",
    "ANOMALY",
)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Source:
    """A declared external time series; nodes read it by an argument of its variable's name."""

    name: str | None
    columns: tuple[str, ...]
    interval: str | None
    period: int
    stamp: Literal["start", "end"]


def strategy(name: str, *, interval: str | None = None, description: str = "") -> None:
    """Name the strategy that this module is.

    Args:
        name: Lower-case letters, digits and underscores, a letter first.
        interval: Of the nodes that name none, such as ``"15m"`` or ``"1d"``.
        description: One sentence for whoever finds it in a list.
    """
    del name, interval, description  # read from the text


def source(
    name: str | None = None,
    *,
    columns: Sequence[str],
    interval: str | None = None,
    period: int = 1,
    stamp: Literal["start", "end"] = "start",
) -> Source:
    """Declare an external time series.

    Args:
        name: Its name among all series of the tenant; without one the series is the strategy's
            own, ``strategy.variable``.
        columns: What its readers get: a Series for one column, a DataFrame for several, indexed
            by time.
        interval: Spacing of its points; None where they are irregular.
        period: How many of its latest visible points a reader gets.
        stamp: ``"start"`` where a point bears the time its interval began, so that it is known an
            interval later; ``"end"`` where it bears the time it was known.
    """
    return Source(name, tuple(columns), interval, period, stamp)


@dataclass(frozen=True, slots=True)
class PastOf:
    """A declared window: what ``window`` gives, for ``inputs`` of ``node``."""

    node: str
    count: int


@dataclass(frozen=True, slots=True)
class Query:
    """A declared query: what ``query`` gives, for ``inputs`` of ``node``."""

    tags: tuple[str, ...]
    any_tags: tuple[str, ...]
    interval: str | None
    strategy: str | None


def window(node: str, count: int) -> PastOf:
    """Take the latest results of a node in buckets before this one, oldest first.

    The argument is a list with ``.buckets``; it is empty before the first result.

    Args:
        node: Its name, or ``"self"`` for the node that reads, which so carries a state from
            bucket to bucket.
        count: How many; at most the node's ``max_history``.
    """
    return PastOf(node, count)


def query(
    *,
    tags: Sequence[str] = (),
    any_tags: Sequence[str] = (),
    interval: str | None = None,
    strategy: str | None = None,
) -> Query:
    """Take the latest results of all nodes of other strategies that match.

    The argument is a dict ``strategy.binding`` -> value, sorted by name. Case does not count in
    tags. What is left out matches all, but something must be said.

    Args:
        tags: All of which a node must bear.
        any_tags: Of which it must bear one.
        interval: Which it must have.
        strategy: Which must bind it.
    """
    return Query(tuple(tags), tuple(any_tags), interval, strategy)


Parameter = str | int | float | bool | None


def each(
    *members: Sequence[Mapping[str, Parameter]], **values: Sequence[Parameter]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a family of nodes of one function, a member for each combination of values.

    ``@each(length=[10, 50])`` over ``sma`` gives the nodes ``sma[10]`` and ``sma[50]``; several
    keywords give their cross product, named in the keywords' order: ``band[10,fast]``.

    Args:
        *members: Instead of keywords, one list of dicts: the members themselves.
        **values: By parameter, the literals that it takes.
    """
    del members, values  # read from the text
    return lambda function: function


@overload
def node(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def node(
    *,
    tags: Sequence[str] = (),
    inputs: Mapping[str, str | PastOf | Query] | None = None,
    interval: str | None = None,
    max_history: int = 1_000,
    timeout: str | float | None = None,
    retries: int = 0,
    memory: str | None = None,
    cache: bool = True,
    publish: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def node(function: Callable[..., Any] | None = None, /, **declared: Any) -> Any:
    """Make a pure function a node of the strategy's graph; the function itself stays as it is.

    A parameter that has a default or that ``each`` names is a literal parameter. Every other is an
    input: the source or node of that name, or what ``inputs`` says; ``as_of`` takes the node's
    bucket.

    Args:
        function: The function, where the decorator stands bare.
        **declared: ``tags``: labels to find it by, such as those of ``PREDEFINED_TAGS``.
            ``inputs``: argument -> source or node by name, ``window(...)`` or ``query(...)``.
            ``interval``: width of its buckets, the strategy's unless said. ``max_history``: how
            many of its results are kept. ``timeout``: of one call, such as ``"5s"``.
            ``retries``: after a failure. ``memory``: such as ``"512MB"``. ``cache``: False where
            equal inputs may give unequal results. ``publish``: a further topic for its results.
    """
    del declared  # read from the text
    return (lambda each: each) if function is None else function
