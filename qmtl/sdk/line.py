"""The history that local runs of a strategy leave, and that its windows and queries read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from qmtl.common.timeline import floor_bucket, results_behind
from qmtl.models.datanode import NodeSpec, WindowInput
from qmtl.models.execution import Found, Lookup
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.lookups import Question, packed, questions, resolve

_bucket = attrgetter("bucket_ns")


class Kept(NamedTuple):
    """A result in a history: the encoded value, and its digest."""

    bucket_ns: int
    digest: str
    value: bytes


class LocalLine:
    """Results by node id and bucket, the latest ``max_history`` of each node.

    Args:
        only: How many results are kept of the nodes that are named, and none of others; default:
            all that ``max_history`` allows.
    """

    def __init__(self, only: Mapping[str, int] | None = None) -> None:
        self._only = only
        self._points: dict[str, list[Kept]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._points.values()))

    def wants(self, node_id: str) -> bool:
        """Whether results of a node are kept."""
        return self._only is None or node_id in self._only

    def add(self, node_id: str, kept: Kept, *, max_history: int) -> None:
        """Keep a result, in the place of an earlier one of its bucket."""
        if not self.wants(node_id):
            return
        if self._only is not None:
            max_history = min(max_history, self._only[node_id])
        points = self._points.setdefault(node_id, [])
        if not points or points[-1].bucket_ns < kept.bucket_ns:
            points.append(kept)
        else:
            at = bisect_left(points, kept.bucket_ns, key=_bucket)
            points[at : at + (points[at].bucket_ns == kept.bucket_ns)] = [kept]
        if len(points) > max_history:
            del points[: len(points) - max_history]

    def latest(self, node_id: str, *, until_ns: int | None = None, count: int) -> list[Kept]:
        """Return the latest results, at buckets up to ``until_ns`` where given, newest first."""
        points = self._points.get(node_id, [])
        end = len(points) if until_ns is None else bisect_right(points, until_ns, key=_bucket)
        return points[max(0, end - count) : end][::-1]


@dataclass(frozen=True, slots=True)
class Peer:
    """A strategy and its line, as windows and queries find them."""

    spec: StrategySpec
    line: LocalLine


class LineReader:
    """Resolves the windows and queries of nodes at one bucket after the other.

    What they ask is the same at every bucket but for the time, so it is worked out once.

    Args:
        nodes: What runs.
        own: Their strategy and its line.
        peers: Other strategies that queries may match.
    """

    def __init__(self, nodes: Sequence[NodeSpec], own: Peer, peers: Sequence[Peer]) -> None:
        self._nodes = [n for n in nodes if n.looks_back_at() or n.queries()]
        intervals = {n.node_id: n.interval_ns for n in self._nodes}
        lines = {p.spec.name: p.line for p in peers} | {own.spec.name: own.line}
        self._asked = [
            _Asked(
                question,
                intervals[question.reader],
                question.until_ns - floor_bucket(0, intervals[question.reader]),
                lines[question.strategy],
            )
            for question in questions(self._nodes, 0, own.spec, [p.spec for p in peers])
        ]

    def at(self, as_of_ns: int) -> list[tuple[Lookup, bytes]]:
        """Return what every window and query stands for at a time, with its packed value."""
        values: dict[Found, bytes] = {}
        answers: list[list[Found]] = []
        for asked in self._asked:
            answer = dict(asked.answer(as_of_ns))
            answers.append(list(answer))
            values |= answer
        lookups = resolve(self._nodes, [a.question for a in self._asked], answers)
        return [(each, packed(each, [values[f] for f in each.found])) for each in lookups]


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    interval_ns: int | None  # of the reader
    offset_ns: int  # from the reader's bucket to the latest that it may see
    line: LocalLine

    def answer(self, as_of_ns: int) -> Iterator[tuple[Found, bytes]]:
        question = self.question
        until_ns = floor_bucket(as_of_ns, self.interval_ns) + self.offset_ns
        for kept in self.line.latest(question.node_id, until_ns=until_ns, count=question.count):
            found = Found(
                name=question.name,
                bucket_ns=kept.bucket_ns,
                execution_id="",  # a local run has none
                node_id=question.node_id,
                digest=kept.digest,
            )
            yield found, kept.value


def looked_back(spec: StrategySpec, nodes: Sequence[NodeSpec]) -> dict[str, int]:
    """Return how many results of which node ids the windows of nodes need in a walk in order."""
    needed: dict[str, int] = {}
    for reader in nodes:
        for given in reader.inputs:
            if isinstance(given, WindowInput):
                target = spec.node(given.binding) or reader
                count = given.count + passed(reader, target)
                needed[target.node_id] = max(count, needed.get(target.node_id, 0))
    return needed


def queried(readers: Sequence[NodeSpec], peer: StrategySpec) -> dict[str, int]:
    """Return how many results of which node ids of a peer the queries of readers need."""
    needed: dict[str, int] = {}
    for reader in readers:
        for query in reader.queries():
            for node in peer.nodes:
                if query.matches(peer.name, node):
                    count = 1 + passed(reader, node)
                    needed[node.node_id] = max(count, needed.get(node.node_id, 0))
    return needed


def passed(reader: NodeSpec, target: NodeSpec) -> int:
    """Return how many results of ``target`` may lie behind the bucket of a reader."""
    if reader.interval_ns is None or target.interval_ns is None:
        return 1
    return results_behind(reader.interval_ns, target.interval_ns)
