"""A strategy as an object: what it declares, and a way to run it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from qmtl.models.datanode import NodeSpec
from qmtl.models.strategy import StrategySpec
from qmtl.parsing.parser import parse_strategy
from qmtl.sdk.display import watched
from qmtl.sdk.files import read_text
from qmtl.sdk.results import Results
from qmtl.sdk.times import AsOf, nanoseconds

if TYPE_CHECKING:
    from qmtl.sdk.backtest import Backtest
    from qmtl.sdk.data import Data
    from qmtl.sdk.execution import LocalEngine, Progress
    from qmtl.sdk.explain import Explanation
    from qmtl.sdk.history import PastResult
    from qmtl.sdk.line import LocalLine


class Pipeline:
    """A parsed strategy.

    ``pipeline = Pipeline.from_file("strategy.py")`` and then
    ``pipeline.execute({"prices": frame})["signal"].value``.
    """

    def __init__(self, spec: StrategySpec, source_text: str) -> None:
        self.spec = spec
        self.source_text = source_text
        self._made_engine: LocalEngine | None = None
        self._made_line: LocalLine | None = None

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Parse the strategy in a file, without running anything of it.

        Raises:
            DataError: The file cannot be read.
            StrategyRejected: It is no strategy; ``problems`` lists everything that must change.
        """
        return cls.from_source(read_text(path))

    @classmethod
    def from_source(cls, text: str) -> Self:
        """Parse the text of a strategy, without running anything of it.

        Raises:
            StrategyRejected: It is no strategy; ``problems`` lists everything that must change.
        """
        return cls(parse_strategy(text), text)

    def __repr__(self) -> str:
        return f"Pipeline({self.spec.name!r}, {len(self.nodes)} nodes)"

    @property
    def nodes(self) -> tuple[NodeSpec, ...]:
        """Return the declared nodes, upstream first."""
        return self.spec.nodes

    def execute(
        self,
        inputs: Mapping[str, Data] | None = None,
        *,
        as_of: AsOf | None = None,
        targets: Sequence[str] = (),
        on_progress: Progress | None = None,
    ) -> Results:
        """Run the strategy in this process.

        Args:
            inputs: Data by the source's variable: a pandas object with a UTC index, rows with
                ``ts``, Points, or the path of a CSV file.
            as_of: RFC 3339 text, nanoseconds or an aware datetime; default: the moment at which
                the last point of the data becomes visible.
            targets: Bindings wanted, with what they rest on; default: all.
            on_progress: Called after each node with nodes done and nodes in all; default: a bar
                for what takes over a second, in a terminal or a notebook.

        Returns:
            The results by binding; a node that failed has its error and no value.

        Raises:
            InvalidRequest: An input names no source, or ``as_of`` is no time.
            DataError: Data cannot be used, or a source that is read has no visible point.
            UnknownTarget: A target is no binding of the strategy.
        """
        from qmtl.sdk.data import default_as_of_ns, read_inputs  # noqa: PLC0415 - pandas is slow

        points = read_inputs(self.spec, inputs or {})
        if as_of is None:
            as_of_ns = default_as_of_ns(self.spec.sources, points)
        else:
            as_of_ns = nanoseconds(as_of)
        with watched("Running", on_progress) as report:
            return self.engine().run(
                points,
                as_of_ns=as_of_ns,
                targets=targets,
                line=self.line(),
                on_progress=report,
            )

    def backtest(
        self,
        data: Mapping[str, Data] | None = None,
        start: AsOf | None = None,
        end: AsOf | None = None,
        step: str | None = None,
        *,
        targets: Sequence[str] = (),
        processes: int = 1,
        on_progress: Progress | None = None,
    ) -> Backtest:
        """Run the strategy at every bucket from start to end, in the order of time.

        Each bucket is run as the server runs it: nodes get a copy of what is visible there and
        nothing later, windows see the buckets before, results that did not change are reused. The
        history begins with the first bucket; what ``execute`` left is not seen.

        Args:
            data: As ``inputs`` of ``execute``.
            start: First bucket; default: the first that sees a point of every source.
            end: Last bucket; default: that at which the last point is visible.
            step: Distance of buckets, such as ``"1d"``; default: the strategy's interval.
            targets: Bindings wanted, with what they rest on; default: all.
            processes: How many processes share the nodes that no window feeds. The digests do not
                depend on it.
            on_progress: Called after each bucket with buckets done and buckets in all; default: a
                bar, as for ``execute``.

        Returns:
            A frame for each binding; ``failed`` and ``skipped`` tell what is missing from them.

        Raises:
            InvalidRequest: An input names no source, or there is no bucket to run.
            DataError: Data cannot be used, or no bucket sees a point of every source.
            UnknownTarget: A target is no binding of the strategy.
        """
        from qmtl.sdk.backtest import run_backtest  # noqa: PLC0415 - pandas is slow
        from qmtl.sdk.data import read_inputs  # noqa: PLC0415

        points = read_inputs(self.spec, data or {})
        with watched("Backtest", on_progress) as report:
            return run_backtest(
                self.engine(),
                points,
                start=start,
                end=end,
                step=step,
                targets=targets,
                processes=processes,
                on_progress=report,
            )

    def get_history(
        self, name: str, interval: str | None = None, count: int = 10
    ) -> list[PastResult]:
        """Return a binding's latest results of ``execute``, newest first.

        Args:
            name: The binding.
            interval: The last result of each bucket of this width, such as ``"1w"``; default:
                every result.
            count: How many at most; a node's ``max_history`` are kept.

        Returns:
            ``bucket``, ``value`` and ``digest`` of each; none for a node without an interval.

        Raises:
            UnknownTarget: The strategy has no such binding.
            InvalidRequest: The interval is no multiple of the node's.
        """
        from qmtl.sdk.history import history  # noqa: PLC0415 - pandas is slow

        return history(self.spec, self.line(), name, interval, count)

    def get_dag_info(self) -> dict[str, Any]:
        """Return the graph as plain data: nodes, edges, levels and sources."""
        from qmtl.sdk.explain import dag_info  # noqa: PLC0415 - most runs never ask

        return dag_info(self.spec)

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        from qmtl.sdk.drawing import Picture, to_mermaid  # noqa: PLC0415 - most runs never ask

        return to_mermaid(Picture.of(self.spec))

    def explain(self, name: str) -> Explanation:
        """Return what a binding is: its code, what it reaches and reads, and what rests on it.

        Raises:
            UnknownTarget: The strategy has no such binding.
        """
        from qmtl.sdk.explain import explain  # noqa: PLC0415 - most runs never ask

        return explain(self.spec, self.source_text, name)

    def _repr_html_(self) -> str:
        from qmtl.sdk.display import pipeline_html  # noqa: PLC0415 - only notebooks ask

        return pipeline_html(self.spec)

    def engine(self) -> LocalEngine:
        """Return what runs this strategy here; made when first asked for."""
        if self._made_engine is None:
            from qmtl.sdk.execution import LocalEngine  # noqa: PLC0415 - parsing needs none

            self._made_engine = LocalEngine(self.spec, self.source_text)
        return self._made_engine

    def line(self) -> LocalLine:
        """Return the history that ``execute`` leaves; made when first asked for."""
        if self._made_line is None:
            from qmtl.sdk.line import LocalLine  # noqa: PLC0415 - parsing needs none

            self._made_line = LocalLine()
        return self._made_line
