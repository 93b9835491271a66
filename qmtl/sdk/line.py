"""The history that local runs of a strategy leave, and that its windows and queries read."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import Found, Lookup
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.lookups import Question, packed, questions, resolve


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """A result in a history: the encoded value, and its digest."""

    bucket_ns: int
    digest: str = field(compare=False)
    value: bytes = field(compare=False)


class LocalLine:
    """Results by node id and bucket, the latest ``max_history`` of each node."""

    def __init__(self) -> None:
        self._points: dict[str, list[Kept]] = {}

    def add(self, node_id: str, kept: Kept, *, max_history: int) -> None:
        """Keep a result, in the place of an earlier one of its bucket."""
        points = self._points.setdefault(node_id, [])
        at = bisect_right(points, kept)
        if at and points[at - 1].bucket_ns == kept.bucket_ns:
            points[at - 1] = kept
        else:
            insort(points, kept)
        del points[:-max_history]

    def latest(self, node_id: str, *, until_ns: int, count: int) -> list[Kept]:
        """Return the latest results at buckets up to ``until_ns``, newest first."""
        points = self._points.get(node_id, [])
        end = bisect_right(points, until_ns, key=lambda kept: kept.bucket_ns)
        return points[max(0, end - count) : end][::-1]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another strategy that queries may match, and its line."""

    spec: StrategySpec
    line: LocalLine


def local_lookups(
    nodes: Sequence[NodeSpec],
    as_of_ns: int,
    own: Peer,
    peers: Sequence[Peer],
) -> tuple[list[Lookup], dict[str, bytes]]:
    """Return what the windows and queries of nodes stand for, and their packed values by key."""
    asked = questions(nodes, as_of_ns, own.spec, [p.spec for p in peers])
    lines = {p.spec.name: p.line for p in peers} | {own.spec.name: own.line}
    values: dict[Found, bytes] = {}
    answers: list[list[Found]] = []
    for question in asked:
        latest = lines[question.strategy].latest(
            question.node_id, until_ns=question.until_ns, count=question.count
        )
        results = {_found(question, kept): kept.value for kept in latest}
        answers.append(list(results))
        values |= results
    lookups = resolve(nodes, asked, answers)
    return lookups, {each.key: packed(each, [values[f] for f in each.found]) for each in lookups}


def _found(question: Question, kept: Kept) -> Found:
    return Found(
        name=question.name,
        bucket_ns=kept.bucket_ns,
        execution_id="",  # a local run has none
        node_id=question.node_id,
        digest=kept.digest,
    )
