"""What readers see of data that was given whole, bucket by bucket."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from qmtl.common.codec import digest
from qmtl.common.timeline import floor_bucket
from qmtl.models.encoded_points import encode_window
from qmtl.models.points import Points
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.inputs import inline_window
from qmtl.orchestrator.execution.planning import WindowKey
from qmtl.orchestrator.execution.shape import SourceKey
from qmtl.sdk.data import missing_data


class _Seen(NamedTuple):
    times: tuple[int, int, int]  # first and last time, and how many
    value: bytes
    digest: str


class SourceWindows:
    """Encoded windows of sources; one that did not move since the last bucket is not encoded again.

    Args:
        spec: The strategy.
        points: Data by variable.
    """

    def __init__(self, spec: StrategySpec, points: Mapping[str, Points]) -> None:
        self._spec = spec
        self._points = points
        self._seen: dict[SourceKey, _Seen] = {}

    def require(self, sources: Iterable[SourceKey]) -> None:
        """Make sure that there are data for every source.

        Raises:
            MissingData: A source has no point.
        """
        for variable in sorted({key.variable for key in sources}):
            points = self._points.get(variable)
            if points is None or not len(points):
                raise missing_data(self._spec.source(variable), points=points)

    def at(self, key: SourceKey, bucket_ns: int) -> tuple[bytes, str]:
        """Return what readers see at their bucket, encoded, and its digest.

        Raises:
            MissingData: No point is visible.
        """
        window = self._window(key, bucket_ns)
        if not len(window):
            raise missing_data(self._spec.source(key.variable), bucket_ns)
        times = (int(window.times_ms[0]), int(window.times_ms[-1]), len(window))
        seen = self._seen.get(key)
        if seen is None or seen.times != times:
            value = encode_window(window)
            seen = self._seen[key] = _Seen(times, value, digest(value))
        return seen.value, seen.digest

    def first_complete(self, sources: Sequence[SourceKey], times_ns: Sequence[int]) -> int:
        """Return the place of the first of ascending times at which every source has a point."""

        def complete(as_of_ns: int) -> bool:
            return all(len(self._window(k, floor_bucket(as_of_ns, k.interval_ns))) for k in sources)

        return bisect_left(times_ns, True, key=complete)

    def _window(self, key: SourceKey, bucket_ns: int) -> Points:
        asked = WindowKey(key.variable, bucket_ns)
        return inline_window(self._points[key.variable], asked, self._spec)
