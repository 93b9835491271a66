"""A strategy run in this process by the server's own planner, calls and encodings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from qmtl.common.settings import Settings
from qmtl.common.timeline import floor_bucket
from qmtl.models.execution import NodeState
from qmtl.models.points import Points
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.commits import record_of, skipped
from qmtl.orchestrator.execution.ledger_types import NodeCommit
from qmtl.orchestrator.execution.lookups import lookup_digest
from qmtl.orchestrator.execution.shape import Limits
from qmtl.sandbox.calls import NodeError
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.evaluate import Evaluator, failed, load_module
from qmtl.sandbox.failure import describe
from qmtl.sdk.determinism import like_a_server, one_blas_thread
from qmtl.sdk.line import Kept, LineReader, LocalLine, Peer
from qmtl.sdk.memo import Memo
from qmtl.sdk.queries import warn_of_empty_queries
from qmtl.sdk.results import Result, Results
from qmtl.sdk.shape import Shape, Step
from qmtl.sdk.windows import SourceWindows

Progress = Callable[[int, int], None]  # done, of how many
Given = Mapping[str, NodeCommit]  # results of a bucket that are there already, by node id


class LocalEngine:
    """Runs one strategy; its module is executed once, when a node first runs.

    Every value is encoded once, and each reader gets its own, as in a server's processes.
    A node that fails keeps only its descendants from running. Limits of time and memory are not
    enforced: this is the caller's own process.
    """

    def __init__(self, spec: StrategySpec, source_text: str) -> None:
        self.spec = spec
        self.source_text = source_text
        settings = Settings()
        self._limits = Limits(settings.node_timeout_s, settings.node_memory_bytes)
        self._value_limit_bytes = settings.value_limit_bytes
        self.prepared = False  # by like_a_server
        self.warned: set[str] = set()  # of which queries
        self._loaded: Evaluator | NodeError | None = None
        self._shapes: dict[tuple[str, ...], Shape] = {}

    def shape(self, targets: Sequence[str] = ()) -> Shape:
        """Return what runs of the targets do at every bucket alike.

        Raises:
            UnknownTarget: A target is no binding of the strategy.
        """
        key = tuple(targets)
        if key not in self._shapes:
            self._shapes[key] = Shape.of(self.spec, key, self._limits)
        return self._shapes[key]

    def run(
        self,
        points: Mapping[str, Points],
        *,
        as_of_ns: int,
        targets: Sequence[str] = (),
        line: LocalLine | None = None,
        peers: Sequence[Peer] = (),
        on_progress: Progress | None = None,
    ) -> Results:
        """Run the targets and what they rest on, each node at its own bucket.

        Args:
            points: Data by variable.
            as_of_ns: The time of the run.
            targets: Bindings wanted; default: all.
            line: What windows look back at; the run leaves its results there.
            peers: Other strategies that queries may match, with their lines.
            on_progress: Called after each node.

        Raises:
            UnknownTarget: A target is no binding of the strategy.
            MissingData: A source that is read has no visible point.
        """
        walk = Walk(self, points, targets=targets, line=line, peers=peers)
        with like_a_server([self]):
            return walk.results(walk.at(as_of_ns, on_progress=on_progress), as_of_ns)

    def evaluator(self) -> Evaluator | NodeError:
        """Return what calls the nodes, or why the strategy's module cannot be executed."""
        if self._loaded is None:
            try:
                with Capture():
                    namespace = load_module(self.source_text, self.spec.name)
                self._loaded = Evaluator(namespace, limit_bytes=self._value_limit_bytes)
            except (Exception, SystemExit) as raised:  # noqa: BLE001 - a module may raise anything
                self._loaded = describe(raised)
            one_blas_thread.extend()
        return self._loaded


class Walk:
    """Runs of the same targets on the same data, at one time after the other.

    Args:
        engine: Of the strategy.
        points: Data by variable.
        targets: Bindings wanted; default: all.
        line: What windows look back at; the runs leave their results there.
        peers: Other strategies that queries may match, with their lines.
        memo: Results that are not computed again; the runs add their own.

    Raises:
        UnknownTarget: A target is no binding of the strategy.
        MissingData: A source that is read has no point.
    """

    def __init__(
        self,
        engine: LocalEngine,
        points: Mapping[str, Points],
        *,
        targets: Sequence[str] = (),
        line: LocalLine | None = None,
        peers: Sequence[Peer] = (),
        memo: Memo | None = None,
    ) -> None:
        self.shape = engine.shape(targets)
        self.windows = SourceWindows(engine.spec, points)
        self.windows.require(self.shape.sources)
        self.engine = engine
        self.line = LocalLine() if line is None else line
        warn_of_empty_queries(engine, self.shape.nodes, peers)
        self.reader = LineReader(self.shape.nodes, Peer(engine.spec, self.line), peers)
        self.memo = memo
        self.uncached = _uncached(engine.spec) if memo is not None else frozenset[str]()

    def at(
        self, as_of_ns: int, *, given: Given | None = None, on_progress: Progress | None = None
    ) -> list[NodeCommit]:
        """Run at a time, and return what became of each step of the shape.

        Raises:
            MissingData: A source that is read has no visible point.
        """
        bucket = _Bucket(self, as_of_ns)
        commits: list[NodeCommit] = []
        for step in self.shape.steps:
            commit = given.get(step.node.node_id) if given else None
            if commit is None:
                commit = bucket.commit(step)
            else:
                bucket.take(step, commit)
            commits.append(commit)
            if on_progress is not None:
                on_progress(len(commits), len(self.shape.steps))
        return commits

    def results(self, commits: Sequence[NodeCommit], as_of_ns: int) -> Results:
        """Return what became of the steps by binding."""
        named = ((name, commits[place]) for name, place in self.shape.named())
        return Results((_result(name, commit) for name, commit in named), as_of_ns=as_of_ns)


class _Bucket:
    """One run of a walk: the values at hand, and what each of them is determined by."""

    def __init__(self, walk: Walk, as_of_ns: int) -> None:
        shape = walk.shape
        self._walk = walk
        self._at = {i: floor_bucket(as_of_ns, i) for i in shape.intervals}
        self._values: dict[str, bytes] = {}
        self._keys: dict[str, str] = {}
        self._keyed = walk.memo is not None or shape.seeded
        self._broken = False  # whether a step has no result
        for source in shape.sources:
            name = str(source)
            found = walk.windows.at(source, self._at[source.interval_ns])
            self._values[name], self._keys[name] = found
        for lookup, packed in walk.reader.at(as_of_ns):
            self._values[lookup.key], self._keys[lookup.key] = packed, lookup_digest(lookup)

    def commit(self, step: Step) -> NodeCommit:
        """Evaluate a step, unless its result is known or something that it reads has none."""
        node_id, bucket_ns = step.node.node_id, self._at[step.node.interval_ns]
        key, memo = "", self._walk.memo
        if self._keyed:
            key = self._keys[node_id] = step.content_key(self._keys, bucket_ns)
        if memo is not None and (known := memo.get(key)) is not None:
            commit = NodeCommit(replace(known.record, state=NodeState.REUSED), known.value)
        else:
            commit = self._evaluated(step, bucket_ns, key)
            if memo is not None and commit.value and node_id not in self._walk.uncached:
                memo.keep(key, commit)
        self._keep(step, commit, bucket_ns)
        return commit

    def take(self, step: Step, commit: NodeCommit) -> None:
        """Take a result that is there already."""
        bucket_ns = self._at[step.node.interval_ns]
        if self._keyed:
            self._keys[step.node.node_id] = step.content_key(self._keys, bucket_ns)
        self._keep(step, commit, bucket_ns)

    def _evaluated(self, step: Step, bucket_ns: int, key: str) -> NodeCommit:
        if self._broken and not all(read in self._values for _, read in step.reads):
            return NodeCommit(skipped(step.node, 1))
        evaluator = self._walk.engine.evaluator()
        if isinstance(evaluator, NodeError):
            return NodeCommit(record_of(failed(step.call, evaluator), 1))
        outcome = evaluator.evaluate(step.call_at(bucket_ns, key), self._values)
        return NodeCommit(record_of(outcome, 1), outcome.value)

    def _keep(self, step: Step, commit: NodeCommit, bucket_ns: int) -> None:
        """Hand a result to the readers of this bucket, and to the line."""
        value, digest, node = commit.value, commit.record.digest, step.node
        if value is None or digest is None:
            self._broken = True
            return
        self._values[node.node_id] = value
        line = self._walk.line
        if node.interval_ns is not None and line.wants(node.node_id):
            line.add(node.node_id, Kept(bucket_ns, digest, value), max_history=node.max_history)


def _uncached(spec: StrategySpec) -> frozenset[str]:
    """Return the node ids whose results are never reused: ``cache=False``, and their readers."""
    names: set[str] = set()
    for node in spec.nodes:
        if not node.cache or not names.isdisjoint(node.upstream()):
            names.add(node.name)
    return frozenset(node.node_id for node in spec.nodes if node.name in names)


def _result(name: str, commit: NodeCommit) -> Result:
    record = commit.record
    return Result(
        name=name,
        node_id=record.node_id,
        state=record.state,
        encoded=commit.value,
        digest=record.digest,
        size=record.size,
        duration_ns=record.duration_ns,
        error=record.error,
        logs=record.logs,
    )
