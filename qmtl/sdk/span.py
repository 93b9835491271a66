"""The buckets that a backtest walks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import LATEST, MILLISECOND, floor_bucket, format_time, parse_interval
from qmtl.models.datanode import NodeSpec
from qmtl.models.points import Points
from qmtl.models.strategy import StrategySpec
from qmtl.sdk.data import default_as_of_ns
from qmtl.sdk.times import AsOf, nanoseconds


def step_ns(spec: StrategySpec, nodes: Sequence[NodeSpec], step: str | None) -> int:
    """Return the distance of buckets: as told, the strategy's interval, or its nodes' finest.

    Raises:
        InvalidRequest: The step is no interval, or there is nothing to take it from.
    """
    if step is not None:
        return parse_interval(step)
    own = [n.interval_ns for n in nodes if n.interval_ns is not None]
    found = spec.interval_ns or min(own, default=None)
    if found is None:
        raise InvalidRequest(
            f"Strategy {spec.name!r} has no interval, so its backtest needs a step.",
            hint='Give one, such as step="1d".',
        )
    return found


def buckets(start_ns: int, end_ns: int, step: int) -> range:
    """Return every bucket from start to end, both included.

    Raises:
        InvalidRequest: There is none.
    """
    first = floor_bucket(start_ns, step)
    if first < start_ns:
        first += step
    found = range(first, end_ns + 1, step)
    if not found:
        raise InvalidRequest(
            f"No bucket lies between {format_time(start_ns)} and {format_time(end_ns)}.",
            hint="The start comes first; buckets are whole multiples of the step.",
        )
    return found


def span(
    spec: StrategySpec, points: Mapping[str, Points], start: AsOf | None, end: AsOf | None
) -> tuple[int, int]:
    """Return start and end: as told, else when the first and the last point become visible.

    Raises:
        InvalidRequest: One is no time, or there is no point to take it from.
    """
    given = [s for s in spec.sources if len(points.get(s.variable, ()))]
    if not given and (start is None or end is None):
        raise InvalidRequest(
            "Without data there is no default for start and end.", hint="Give both."
        )
    start_ns = (
        min(int(points[s.variable].times_ms[0]) * MILLISECOND for s in given)
        if start is None
        else nanoseconds(start)
    )
    end_ns = default_as_of_ns(given, points) if end is None else nanoseconds(end)
    return start_ns, min(end_ns, LATEST)
