"""A strategy run at one bucket after the other, and the frames that this gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from qmtl.common.timeline import format_interval, format_time
from qmtl.models.points import Points
from qmtl.sdk.determinism import like_a_server
from qmtl.sdk.display import counts_html
from qmtl.sdk.execution import LocalEngine, Progress, Walk
from qmtl.sdk.history import bucket_index
from qmtl.sdk.line import LocalLine, looked_back
from qmtl.sdk.memo import Memo
from qmtl.sdk.span import buckets, span, step_ns
from qmtl.sdk.spread import Part, spread
from qmtl.sdk.track import Failure, Row, Track, Tracks, failures, failures_frame, wide

if TYPE_CHECKING:
    from qmtl.sdk.times import AsOf


class Backtest(Mapping[str, pd.DataFrame]):
    """What a backtest gave: a frame for each binding, indexed by bucket.

    A node that returns a number, a text or the like has the column ``value``; one that returns
    dicts has a column for each key; of any other the column ``value`` holds the objects. Values
    stay encoded until a frame is asked for.

    Attributes:
        strategy: Its name.
        step: Distance of the buckets, such as ``"1d"``.
        peers: What an analyzer's other strategies gave.
    """

    def __init__(
        self,
        strategy: str,
        times_ns: range,
        first: int,
        tracks: Mapping[str, Track],
        *,
        peers: Mapping[str, Backtest] | None = None,
    ) -> None:
        self.strategy = strategy
        self.step = format_interval(times_ns.step)
        self.peers = dict(peers or {})
        self._times_ns = times_ns
        self._first = first
        self._tracks = dict(tracks)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._tracks[name].frame()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tracks)

    def __len__(self) -> int:
        return len(self._tracks)

    def __repr__(self) -> str:
        return f"Backtest({self.told()})"

    def told(self) -> str:
        """Return in a line what was run and what failed."""
        walked = self._times_ns[self._first :]
        told = f"{len(walked)} buckets of {self.step}"
        if walked:
            told += f" from {format_time(walked[0])} to {format_time(walked[-1])}"
        if self._first:
            told += f", {self._first} skipped before all data"
        failed = sum(len(track.failures) for track in self._tracks.values())
        return f"{self.strategy}: {told}, {len(self)} bindings, {failed} failures"

    def _repr_html_(self) -> str:
        counts = {name: self.counts(name) for name in self}
        return counts_html(self.told(), counts, ("results", "failures"))

    def rows(self, name: str) -> Iterator[Row]:
        """Return a binding's results one by one: bucket in nanoseconds, digest and value."""
        return self._tracks[name].rows()

    def last(self, name: str) -> Row | None:
        """Return a binding's last result."""
        return next(self._tracks[name].rows(-1), None)

    def counts(self, name: str) -> tuple[int, int]:
        """Return how many results and how many failures a binding has."""
        return len(self._tracks[name].values), len(self._tracks[name].failures)

    @cached_property
    def buckets(self) -> pd.DatetimeIndex:
        """Return the times at which it ran."""
        return bucket_index(self._times_ns[self._first :])

    @cached_property
    def skipped(self) -> pd.DatetimeIndex:
        """Return the times before the first at which every source had a visible point."""
        return bucket_index(self._times_ns[: self._first])

    @property
    def failed(self) -> pd.DataFrame:
        """Return binding, state, error and traceback of every bucket without a result."""
        return failures_frame(self.failures())

    def failures(self) -> list[Failure]:
        """Return the same one by one, in the order of buckets."""
        return failures(self._tracks.items())

    @property
    def digests(self) -> pd.DataFrame:
        """Return the digest of every result: a column for each binding."""
        named = {name: track.digest_series() for name, track in self._tracks.items()}
        return pd.DataFrame(named).rename_axis("bucket")

    def to_frame(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """Return the bindings side by side: ``signal``, ``signal.side``.

        Args:
            names: Which, in this order; default: all.
        """
        return wide([(name, self[name]) for name in names or self])


def run_backtest(
    engine: LocalEngine,
    points: Mapping[str, Points],
    *,
    start: AsOf | None,
    end: AsOf | None,
    step: str | None,
    targets: Sequence[str],
    processes: int,
    on_progress: Progress | None,
) -> Backtest:
    """Run the targets at every bucket in the order of time; see ``Pipeline.backtest``."""
    spec = engine.spec
    shape = engine.shape(targets)
    memo = Memo()
    line = LocalLine(looked_back(spec, shape.nodes))
    walk = Walk(engine, points, targets=targets, line=line, memo=memo)
    times_ns = buckets(*span(spec, points, start, end), step_ns(spec, shape.nodes, step))
    first = first_time(walk, times_ns)
    if start is None:
        times_ns, first = times_ns[first:], 0
    walked = times_ns[first:]
    tracks = Tracks(shape)
    with ExitStack() as stack:
        stack.enter_context(like_a_server([engine]))
        (ready,) = spread([Part(engine, points, shape, walked)], processes, stack)
        for done, (as_of_ns, given) in enumerate(zip(walked, ready, strict=True), 1):
            if given is not None and len(given) == len(shape.steps):
                tracks.add(as_of_ns, [given[s.node.node_id] for s in shape.steps])
            else:
                tracks.add(as_of_ns, walk.at(as_of_ns, given=given))
                memo.turn()
            if on_progress is not None:
                on_progress(done, len(walked))
    return Backtest(spec.name, times_ns, first, tracks.by_name)


def first_time(walk: Walk, times_ns: range) -> int:
    """Return the place of the first time at which every source has a visible point.

    Raises:
        MissingData: There is none.
    """
    first = walk.windows.first_complete(walk.shape.sources, times_ns)
    if first == len(times_ns):
        walk.at(times_ns[-1])  # tells which source has none
    return first
