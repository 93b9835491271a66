"""The part of backtests that other processes can do: nodes that no window and no query feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from qmtl.common.errors import InvalidRequest
from qmtl.orchestrator.execution.inputs import encode_points
from qmtl.sdk.backtest_worker import Job
from qmtl.sdk.backtest_workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmtl.models.points import Points
    from qmtl.sdk.execution import Given, LocalEngine
    from qmtl.sdk.shape import Shape


class Part(NamedTuple):
    """What one strategy does in a backtest, and the buckets at which it does it."""

    engine: LocalEngine
    points: Mapping[str, Points]
    shape: Shape
    times_ns: Sequence[int]


def spread(parts: Sequence[Part], processes: int, stack: ExitStack) -> list[Iterator[Given | None]]:
    """Return, for each bucket of each part, the results that other processes have computed.

    Args:
        parts: The strategies; all share the processes.
        processes: How many at most; with one, nothing is computed elsewhere.
        stack: Ends the processes when it is closed.

    Raises:
        InvalidRequest: There is to be no process.
    """
    if processes < 1:
        raise InvalidRequest(f"processes is {processes}; it must be at least 1.")
    jobs = {place: _job(part) for place, part in enumerate(parts)} if processes > 1 else {}
    jobs = {place: job for place, job in jobs.items() if job.targets}
    if not jobs:
        return [repeat(None, len(part.times_ns)) for part in parts]
    most = max(len(parts[place].times_ns) for place in jobs)
    workers = stack.enter_context(Workers(min(processes, most), list(jobs.values())))
    places = {place: at for at, place in enumerate(jobs)}
    return [
        _given(part, jobs[place], workers, places[place])
        if place in jobs
        else repeat(None, len(part.times_ns))
        for place, part in enumerate(parts)
    ]


def _given(part: Part, job: Job, workers: Workers, place: int) -> Iterator[Given | None]:
    ids = [step.node.node_id for step in part.engine.shape(job.targets).steps]
    for commits in workers.walk(part.times_ns, place):
        yield dict(zip(ids, commits, strict=True))


def _job(part: Part) -> Job:
    """Return what may run in any order of buckets; no targets where that is nothing."""
    late: set[str] = set()
    for node in part.shape.nodes:
        if node.looks_back_at() or node.queries() or not late.isdisjoint(node.upstream()):
            late.add(node.name)
    free = tuple(node.name for node in part.shape.nodes if node.name not in late)
    if len(part.times_ns) < 2 or not free:
        return Job("", (), {})
    points = {variable: encode_points(each) for variable, each in part.points.items()}
    return Job(part.engine.source_text, free, points)
