"""A strategy as an object: what it declares, and a way to run it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from qmtl.models.datanode import NodeSpec
from qmtl.models.strategy import StrategySpec
from qmtl.parsing.parser import parse_strategy
from qmtl.sdk.files import read_text
from qmtl.sdk.results import Results
from qmtl.sdk.times import AsOf, nanoseconds

if TYPE_CHECKING:
    from qmtl.sdk.data import Data
    from qmtl.sdk.execution import LocalEngine, Progress
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
            on_progress: Called after each node with nodes done and nodes in all.

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
        return self._engine().run(
            points,
            as_of_ns=as_of_ns,
            targets=targets,
            line=self._line(),
            on_progress=on_progress,
        )

    def _engine(self) -> LocalEngine:
        if self._made_engine is None:
            from qmtl.sdk.execution import LocalEngine  # noqa: PLC0415 - parsing needs none

            self._made_engine = LocalEngine(self.spec, self.source_text)
        return self._made_engine

    def _line(self) -> LocalLine:
        if self._made_line is None:
            from qmtl.sdk.line import LocalLine  # noqa: PLC0415 - parsing needs none

            self._made_line = LocalLine()
        return self._made_line
