"""What an execution reads of its sources: stored points at a pinned revision, or given inline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from qmtl.common.codec import decode, encode
from qmtl.common.errors import InvalidPoint, InvalidRequest, MissingData
from qmtl.common.timeline import format_time
from qmtl.models.encoded_points import encode_window
from qmtl.models.execution import Execution, Pin
from qmtl.models.points import Points, points_from_rows
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.planning import WindowKey, latest_visible_ms, window_of
from qmtl.orchestrator.execution.shape import SourceKey
from qmtl.registry.db.point_store import PointStore, WindowRequest


class InlineInputs(Protocol):
    """What was given with a trigger; a ``Ledger`` is one."""

    def inputs(self, execution_id: str) -> dict[str, bytes]:
        """Return the encoded points by variable; empty where none were given."""


class InputReader:
    """Reads windows of sources; the same pins give the same bytes whenever they are read."""

    def __init__(self, points: PointStore, given: InlineInputs) -> None:
        self._points = points
        self._given = given

    def pin(
        self, execution: Execution, keys: Sequence[SourceKey], spec: StrategySpec
    ) -> tuple[list[Pin], dict[SourceKey, bytes]]:
        """Return a pin for each source variable, its revision now or 0 where it is inline, and the
        encoded window of every key there; at most two round trips.

        Raises:
            MissingData: A window holds no point; the message names the source and the time.
        """
        revisions: dict[str, int] = {}

        def latest(windows: Sequence[WindowKey]) -> list[Points]:
            requests = [_request(window, spec, 0) for window in windows]
            found = self._points.latest(execution.tenant, requests)
            pairs = zip(windows, found, strict=True)
            revisions.update({window.variable: revision for window, (revision, _) in pairs})
            return [points for _, points in found]

        encoded = self._encoded(execution, keys, spec, latest)
        pins = [
            Pin(variable=v, source=spec.source(v).name, revision=revisions.get(v, 0))
            for v in sorted({key.variable for key in keys})
        ]
        return pins, encoded

    def read(
        self,
        execution: Execution,
        keys: Sequence[SourceKey],
        pins: Sequence[Pin],
        spec: StrategySpec,
    ) -> dict[SourceKey, bytes]:
        """Return the encoded window of every key at its pin; at most two round trips.

        Raises:
            MissingData: A window holds no point; the message names the source and the time.
        """
        revisions = {p.variable: p.revision for p in pins}

        def pinned(windows: Sequence[WindowKey]) -> list[Points]:
            requests = [_request(w, spec, revisions[w.variable]) for w in windows]
            return self._points.windows(execution.tenant, requests)

        return self._encoded(execution, keys, spec, pinned)

    def _encoded(
        self,
        execution: Execution,
        keys: Sequence[SourceKey],
        spec: StrategySpec,
        stored: Callable[[Sequence[WindowKey]], list[Points]],
    ) -> dict[SourceKey, bytes]:
        """Return what ``stored`` gives, or what was given inline."""
        if not keys:
            return {}
        inline = self._given.inputs(execution.id) if execution.adhoc else {}
        asked = {key: window_of(key, execution.as_of_ns) for key in keys}
        there = list(dict.fromkeys(w for w in asked.values() if w.variable not in inline))
        windows = dict(zip(there, stored(there), strict=True)) if there else {}
        for window in asked.values():
            if window.variable in inline:
                given = decode_points(inline[window.variable])
                windows[window] = inline_window(given, window, spec)
            if not len(windows[window]):
                raise missing(spec, window)
        encoded = {window: encode_window(points) for window, points in windows.items()}
        return {key: encoded[window] for key, window in asked.items()}


def missing(spec: StrategySpec, key: WindowKey) -> MissingData:
    """Return the error for a window that holds no point, with the way out."""
    source = spec.source(key.variable)
    return MissingData(
        f"Source {source.name!r} has no point that is visible at {format_time(key.bucket_ns)}.",
        hint=f"Send some with POST /v1/sources/{source.name}/points, give them with the trigger "
        f"as inputs.{key.variable}, or choose a later as_of.",
    )


def inline_window(points: Points, key: WindowKey, spec: StrategySpec) -> Points:
    """Return what a reader at the key's bucket sees of points that were given whole."""
    source = spec.source(key.variable)
    return points.window(until_ms=latest_visible_ms(source, key), period=source.period)


def points_from_inputs(
    inputs: Mapping[str, Sequence[Mapping[str, Any]]], spec: StrategySpec
) -> dict[str, Points]:
    """Read inline inputs: variable -> rows.

    Raises:
        InvalidRequest: A variable is no source of the strategy.
        InvalidPoint: A row cannot be used.
    """
    known = {s.variable for s in spec.sources}
    for variable in inputs:
        if variable not in known:
            raise InvalidRequest(
                f"inputs.{variable}: strategy {spec.name!r} declares no such source.",
                hint=f"It declares {', '.join(sorted(known)) or 'none'}.",
                fields={f"inputs.{variable}": ["No such source."]},
            )
    return {v: _inline_points(v, rows, spec) for v, rows in inputs.items()}


def _inline_points(variable: str, rows: Sequence[Mapping[str, Any]], spec: StrategySpec) -> Points:
    try:
        return points_from_rows(rows, spec.source(variable).columns)
    except InvalidPoint as error:
        raise InvalidPoint(f"inputs.{variable}: {error.detail}", hint=error.hint) from error


def encode_points(points: Points) -> bytes:
    """Return points as bytes, for the ledger."""
    return encode([list(points.columns), points.times_ms, points.values])


def decode_points(data: bytes) -> Points:
    """Read back what ``encode_points`` wrote."""
    columns, times_ms, values = cast("list[Any]", decode(data))
    return Points(tuple(columns), times_ms, values)


def _request(key: WindowKey, spec: StrategySpec, revision: int) -> WindowRequest:
    source = spec.source(key.variable)
    return WindowRequest(
        source=source.name,
        columns=source.columns,
        until_ms=latest_visible_ms(source, key),
        period=source.period,
        revision=revision,
    )
