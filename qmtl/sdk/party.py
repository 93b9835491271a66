"""Strategies that run side by side, each with its line, so that queries find one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from heapq import merge
from itertools import groupby, repeat
from typing import TYPE_CHECKING

from qmtl.models.datanode import NodeSpec
from qmtl.models.points import Points
from qmtl.orchestrator.execution.ledger_types import NodeCommit
from qmtl.orchestrator.execution.lookups import rests_on_a_query
from qmtl.sdk.backtest import Backtest, first_time
from qmtl.sdk.execution import Walk
from qmtl.sdk.line import LocalLine, Peer, looked_back, queried
from qmtl.sdk.memo import Memo
from qmtl.sdk.pipeline import Pipeline
from qmtl.sdk.span import buckets, step_ns
from qmtl.sdk.spread import Part, spread
from qmtl.sdk.track import Tracks

if TYPE_CHECKING:
    from qmtl.sdk.execution import Given, Progress

Lines = Mapping[str, LocalLine]  # by strategy


class Member:
    """A strategy of a party: what of it rests on no query runs first, then the rest."""

    def __init__(
        self,
        pipeline: Pipeline,
        targets: Sequence[str],
        points: Mapping[str, Points],
        peers: Sequence[Peer],
        memo: Memo,
    ) -> None:
        def walk(names: Sequence[str]) -> Walk:
            line = next(p.line for p in peers if p.spec is pipeline.spec)
            return Walk(engine, points, targets=names, line=line, peers=peers, memo=memo)

        engine = pipeline.engine()
        self.points = points
        late = rests_on_a_query(pipeline.spec)
        nodes = engine.shape(targets).nodes
        early = [n.name for n in nodes if n.name not in late]
        self.pipeline = pipeline
        self.walk = walk(targets)
        self.commits: list[NodeCommit] = []
        self._early = walk(early) if 0 < len(early) < len(nodes) else None
        self._all_early = len(early) == len(nodes)

    def begin(self, as_of_ns: int, given: Given | None = None) -> None:
        """Run what rests on no query, and of that what is not given."""
        walk = self.walk if self._all_early else self._early
        self.commits = [] if walk is None else walk.at(as_of_ns, given=given)

    def finish(self, as_of_ns: int) -> list[NodeCommit]:
        """Run the rest, and return what became of each step."""
        if not self._all_early:
            steps = () if self._early is None else self._early.shape.steps
            ready = {s.node.node_id: c for s, c in zip(steps, self.commits, strict=True)}
            self.commits = self.walk.at(as_of_ns, given=ready)
        return self.commits


class Tour:
    """A member at every bucket of its own.

    Args:
        member: It.
        start_ns: First time.
        end_ns: Last time.
        step: Distance of the buckets; default: its interval.
        trimmed: Whether it begins with the first bucket that sees data, with none skipped.
    """

    def __init__(
        self, member: Member, start_ns: int, end_ns: int, step: str | None, *, trimmed: bool
    ) -> None:
        spec, shape = member.pipeline.spec, member.walk.shape
        self.member = member
        self.times_ns = buckets(start_ns, end_ns, step_ns(spec, shape.nodes, step))
        self.first = first_time(member.walk, self.times_ns)
        if trimmed:
            self.times_ns, self.first = self.times_ns[self.first :], 0
        self.tracks = Tracks(shape)
        self.ready: Iterator[Given | None] = repeat(None)

    @property
    def part(self) -> Part:
        """Return what other processes may do of it."""
        member = self.member
        walked = self.times_ns[self.first :]
        return Part(member.pipeline.engine(), member.points, member.walk.shape, walked)

    def backtest(self, peers: Mapping[str, Backtest] | None = None) -> Backtest:
        """Return what the tour gave."""
        name = self.member.pipeline.spec.name
        return Backtest(name, self.times_ns, self.first, self.tracks.by_name, peers=peers)


def run_together(
    members: Sequence[Member], as_of_ns: int, given: Iterable[Given | None] = repeat(None)
) -> None:
    """Run members at a time; what rests on a query runs when everything else has.

    Args:
        members: They.
        as_of_ns: The time.
        given: Results of each that are there already.
    """
    for member, ready in zip(members, given, strict=False):
        member.begin(as_of_ns, ready)
    for member in members:
        member.finish(as_of_ns)


def tour_together(
    tours: Sequence[Tour], memo: Memo, processes: int, on_progress: Progress | None
) -> None:
    """Run every tour's member at each of its buckets, those of one time together."""
    with ExitStack() as stack:
        ready = spread([tour.part for tour in tours], processes, stack)
        for tour, given in zip(tours, ready, strict=True):
            tour.ready = given
        _walk(tours, memo, on_progress)


def _walk(tours: Sequence[Tour], memo: Memo, on_progress: Progress | None) -> None:
    total = sum(len(tour.times_ns) - tour.first for tour in tours)
    done = 0
    for as_of_ns, due in groupby(_due(tours), key=lambda each: each[0]):
        now = [tours[place] for _, place in due]
        given = [next(tour.ready) for tour in now]
        run_together([tour.member for tour in now], as_of_ns, given)
        for tour in now:
            tour.tracks.add(as_of_ns, tour.member.commits)
        memo.turn()
        done += len(now)
        if on_progress is not None:
            on_progress(done, total)


def _due(tours: Sequence[Tour]) -> Iterator[tuple[int, int]]:
    """Return (time, place of a tour that runs then), ascending."""

    def times(place: int, tour: Tour) -> Iterator[tuple[int, int]]:
        return ((as_of_ns, place) for as_of_ns in tour.times_ns[tour.first :])

    return merge(*(times(place, tour) for place, tour in enumerate(tours)))


def wanted(
    analyzer: Pipeline, targets: Sequence[str], over: Sequence[Pipeline]
) -> dict[str, tuple[str, ...]]:
    """Return the bindings of each strategy that queries read, directly or through one another."""
    found: dict[str, tuple[str, ...]] = {}
    while True:
        readers = list(analyzer.engine().shape(targets).nodes)
        for pipeline in over:
            if pipeline.spec.name in found:
                readers += pipeline.engine().shape(found[pipeline.spec.name]).nodes
        grown = {p.spec.name: names for p in over if (names := _matched(readers, p))}
        if grown == found:
            return found
        found = grown


def short_lines(pipelines: Sequence[Pipeline]) -> dict[str, LocalLine]:
    """Return lines that keep what windows and queries need in a walk in order, and no more."""
    lines: dict[str, LocalLine] = {}
    for pipeline in pipelines:
        spec = pipeline.spec
        others = [n for p in pipelines if p is not pipeline for n in p.spec.nodes]
        needed = looked_back(spec, spec.nodes)
        for node_id, count in queried(others, spec).items():
            needed[node_id] = max(count, needed.get(node_id, 0))
        lines[spec.name] = LocalLine(needed)
    return lines


def _matched(readers: Sequence[NodeSpec], pipeline: Pipeline) -> tuple[str, ...]:
    queries = [query for reader in readers for query in reader.queries()]
    name = pipeline.spec.name
    return tuple(n.name for n in pipeline.spec.nodes if any(q.matches(name, n) for q in queries))
