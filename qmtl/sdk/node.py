"""The words in which a strategy declares itself.

QMTL reads them from the text of the module and never runs it for that. When Python runs the
module, they do next to nothing, so that a node stays the plain function that a test can call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, overload

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


@overload
def node(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def node(
    *,
    tags: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
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

    A parameter with a default is a literal parameter. Every other is an input: the source or node
    of that name, or what ``inputs`` says; ``as_of`` takes the node's bucket.

    Args:
        function: The function, where the decorator stands bare.
        **declared: ``tags``: labels to find it by. ``inputs``: argument -> source or node.
            ``interval``: width of its buckets, the strategy's unless said. ``max_history``: how
            many of its results are kept. ``timeout``: of one call, such as ``"5s"``.
            ``retries``: after a failure. ``memory``: such as ``"512MB"``. ``cache``: False where
            equal inputs may give unequal results. ``publish``: a further topic for its results.
    """
    del declared  # read from the text
    return (lambda each: each) if function is None else function
