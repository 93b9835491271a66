"""A strategy over other strategies: its queries read what they give, all in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from qmtl.common.errors import InvalidRequest
from qmtl.models.datanode import QueryInput
from qmtl.models.points import Points
from qmtl.sdk.backtest import Backtest
from qmtl.sdk.data import Data, default_as_of_ns, read_inputs, read_points
from qmtl.sdk.determinism import like_a_server
from qmtl.sdk.display import watched
from qmtl.sdk.line import LocalLine, Peer
from qmtl.sdk.memo import Memo
from qmtl.sdk.party import Member, Tour, run_together, short_lines, tour_together, wanted
from qmtl.sdk.pipeline import Pipeline
from qmtl.sdk.span import span
from qmtl.sdk.times import AsOf, nanoseconds

if TYPE_CHECKING:
    from qmtl.sdk.execution import Progress
    from qmtl.sdk.results import Results

Inputs = Mapping[str, "Data | Mapping[str, Data]"]
AllPoints = dict[str, dict[str, Points]]  # by strategy and variable


class Analyzer:
    """Runs strategies side by side with the one whose queries read their results.

    Of the others only what the queries match runs, with what it rests on.

    Args:
        analyzer: The strategy that has queries.
        over: The strategies that its queries may match.

    Raises:
        InvalidRequest: Two strategies have one name.
    """

    def __init__(self, analyzer: Pipeline, over: Sequence[Pipeline]) -> None:
        self.analyzer = analyzer
        self.over = tuple(over)
        self._all = (*self.over, analyzer)
        for name, count in Counter(p.spec.name for p in self._all).items():
            if count > 1:
                raise InvalidRequest(f"{count} of the strategies are named {name!r}.")

    def __repr__(self) -> str:
        names = ", ".join(p.spec.name for p in self.over)
        return f"Analyzer({self.analyzer.spec.name!r} over {names or 'nothing'})"

    def matches(self) -> dict[str, tuple[str, ...]]:
        """Return what each query stands for: ``binding.argument`` -> ``strategy.binding``."""
        return {
            f"{node.name}.{given.argument}": tuple(
                sorted(
                    f"{p.spec.name}.{other.name}"
                    for p in self.over
                    for other in p.spec.nodes
                    if given.query.matches(p.spec.name, other)
                )
            )
            for node in self.analyzer.spec.nodes
            for given in node.inputs
            if isinstance(given, QueryInput)
        }

    def execute(
        self,
        inputs: Inputs | None = None,
        *,
        as_of: AsOf | None = None,
        targets: Sequence[str] = (),
    ) -> Results:
        """Run the strategies and the analyzer at a time.

        Their results stay in the histories of the pipelines, where later runs find them.

        Args:
            inputs: Data by the name of a source, for every strategy that reads it, or by the name
                of a strategy, and then by its sources' variables.
            as_of: As for ``Pipeline.execute``.
            targets: Bindings of the analyzer wanted; default: all.

        Returns:
            The analyzer's results; ``get_history`` of the pipelines tells the others'.

        Raises:
            InvalidRequest: An input names no source and no strategy, or ``as_of`` is no time.
            DataError: Data cannot be used, or a source that is read has no visible point.
            UnknownTarget: A target is no binding of the analyzer.
        """
        points = read_all(self._all, inputs or {})
        as_of_ns = self._default_as_of(points) if as_of is None else nanoseconds(as_of)
        lines = {p.spec.name: p.line() for p in self._all}
        members = self._members(points, lines, targets, Memo())
        with like_a_server(p.engine() for p in self._all):
            run_together(members, as_of_ns)
        own = members[-1]
        return own.walk.results(own.commits, as_of_ns)

    def backtest(
        self,
        inputs: Inputs | None = None,
        start: AsOf | None = None,
        end: AsOf | None = None,
        step: str | None = None,
        *,
        targets: Sequence[str] = (),
        processes: int = 1,
        on_progress: Progress | None = None,
    ) -> Backtest:
        """Run each strategy at every bucket of its own, those of one time together.

        One that has no data yet is passed over until it has.

        Args:
            inputs: As for ``execute``.
            start: As for ``Pipeline.backtest``.
            end: Likewise.
            step: Distance of the buckets of all; default: each strategy's own interval.
            targets: Bindings of the analyzer wanted; default: all.
            processes: How many processes share the nodes that no window and no query feeds, of
                all strategies. The digests do not depend on it.
            on_progress: Called after each time with runs done and runs in all.

        Returns:
            The analyzer's; ``peers`` holds the others' by name.

        Raises:
            InvalidRequest: An input names no source and no strategy, or there is no bucket to run.
            DataError: Data cannot be used, or no bucket sees a point of every source.
            UnknownTarget: A target is no binding of the analyzer.
        """
        points = read_all(self._all, inputs or {})
        memo = Memo()
        members = self._members(points, short_lines(self._all), targets, memo)
        start_ns, end_ns = self._span(points, start, end)
        tours = [Tour(m, start_ns, end_ns, step, trimmed=start is None) for m in members]
        with (
            like_a_server(p.engine() for p in self._all),
            watched("Backtest", on_progress) as report,
        ):
            tour_together(tours, memo, processes, report)
        *others, own = tours
        return own.backtest({t.member.pipeline.spec.name: t.backtest() for t in others})

    def _members(
        self, points: AllPoints, lines: Mapping[str, LocalLine], targets: Sequence[str], memo: Memo
    ) -> list[Member]:
        """Return those that take part, the analyzer last."""
        peers = [Peer(p.spec, lines[p.spec.name]) for p in self._all]
        chosen = wanted(self.analyzer, targets, self.over)
        members = [
            Member(p, chosen[p.spec.name], points[p.spec.name], peers, memo)
            for p in self.over
            if p.spec.name in chosen
        ]
        own = points[self.analyzer.spec.name]
        return [*members, Member(self.analyzer, targets, own, peers, memo)]

    def _default_as_of(self, points: AllPoints) -> int:
        sources = [p.spec.sources for p in self._all if points[p.spec.name]]
        given = [points[p.spec.name] for p in self._all if points[p.spec.name]]
        if not given:
            return default_as_of_ns([s for p in self._all for s in p.spec.sources], {})
        return max(map(default_as_of_ns, sources, given))

    def _span(self, points: AllPoints, start: AsOf | None, end: AsOf | None) -> tuple[int, int]:
        given = [p for p in self._all if points[p.spec.name]] or [self.analyzer]
        spans = [span(p.spec, points[p.spec.name], start, end) for p in given]
        return min(first for first, _ in spans), max(last for _, last in spans)


def read_all(pipelines: Sequence[Pipeline], inputs: Inputs) -> AllPoints:
    """Return the points of every strategy's sources, from data by strategy or by source.

    Raises:
        InvalidRequest: A key names neither a strategy nor a source.
        DataError: Data cannot be used.
    """
    points: AllPoints = {p.spec.name: {} for p in pipelines}
    specs = {p.spec.name: p.spec for p in pipelines}
    for name, data in inputs.items():
        if isinstance(data, Mapping):
            if name not in specs:
                raise _unknown(name, pipelines)
            points[name] |= read_inputs(specs[name], data)
            continue
        found = [(p.spec.name, s) for p in pipelines for s in p.spec.sources if s.name == name]
        if not found:
            raise _unknown(name, pipelines)
        for strategy, source in found:
            points[strategy][source.variable] = read_points(source, data)
    return points


def _unknown(name: str, pipelines: Sequence[Pipeline]) -> InvalidRequest:
    sources = sorted({s.name for p in pipelines for s in p.spec.sources})
    strategies = sorted(p.spec.name for p in pipelines)
    return InvalidRequest(
        f"The input {name!r} names no source and no strategy.",
        hint=f"Give data by source ({', '.join(sources) or 'none is declared'}), "
        f"or a mapping by strategy ({', '.join(strategies)}).",
    )
