"""A binding's latest results in the line of local runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qmtl.common.codec import decode
from qmtl.common.errors import InvalidRequest, UnknownTarget
from qmtl.common.timeline import floor_bucket, format_interval, parse_interval
from qmtl.models.datanode import NodeSpec
from qmtl.models.strategy import StrategySpec
from qmtl.sandbox.times import as_of_time
from qmtl.sdk.line import Kept, LocalLine


class PastResult(NamedTuple):
    """A result in a history; several make a frame by ``pd.DataFrame``."""

    bucket: datetime
    value: Any
    digest: str


def history(
    spec: StrategySpec, line: LocalLine, name: str, interval: str | None, count: int
) -> list[PastResult]:
    """Return the latest results of a binding, newest first.

    Args:
        spec: The strategy.
        line: Its line.
        name: The binding.
        interval: The last result of each bucket of this width; default: every result.
        count: How many at most.

    Raises:
        UnknownTarget: The strategy has no such binding.
        InvalidRequest: The interval is no multiple of the node's, or the count is not positive.
    """
    node = binding(spec, name)
    if count < 1:
        raise InvalidRequest(f"count is {count}; it must be at least 1.")
    kept = line.latest(node.node_id, count=count if interval is None else node.max_history)
    if interval is not None:
        kept = _last_of_each(kept, node, parse_interval(interval))[:count]
    return [PastResult(as_of_time(k.bucket_ns), decode(k.value), k.digest) for k in kept]


def binding(spec: StrategySpec, name: str) -> NodeSpec:
    """Return the node bound to a name.

    Raises:
        UnknownTarget: There is none; the hint names those there are.
    """
    node = spec.node(name)
    if node is None:
        raise UnknownTarget(
            f"Strategy {spec.name!r} binds no node {name!r}.",
            hint=f"It binds {', '.join(sorted(n.name for n in spec.nodes)) or 'none'}.",
        )
    return node


def bucket_index(buckets_ns: Sequence[int]) -> pd.DatetimeIndex:
    """Return buckets as an index of UTC times."""
    moments = np.array(buckets_ns, dtype=np.int64).view("datetime64[ns]")
    return pd.DatetimeIndex(moments, name="bucket").tz_localize("UTC")


def objects(values: Sequence[object]) -> NDArray[np.object_]:
    """Return values as a column of objects, lists and frames among them as they are."""
    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column


def _last_of_each(kept: Sequence[Kept], node: NodeSpec, interval_ns: int) -> list[Kept]:
    if node.interval_ns is None or interval_ns % node.interval_ns:
        own = "none" if node.interval_ns is None else format_interval(node.interval_ns)
        raise InvalidRequest(
            f"{format_interval(interval_ns)} is no multiple of the interval of {node.name!r}.",
            hint=f"Its interval is {own}.",
        )
    newest: dict[int, Kept] = {}
    for each in kept:
        newest.setdefault(floor_bucket(each.bucket_ns, interval_ns), each)
    return list(newest.values())
