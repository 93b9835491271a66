"""A strategy run in this process by the server's own planner, calls and encodings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from qmtl.common.codec import decode, digest, encode
from qmtl.common.settings import Settings
from qmtl.models.execution import NodeState, Plan, PlannedNode
from qmtl.models.points import Points
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.inputs import inline_window, sources_of
from qmtl.orchestrator.execution.ledger import NodeCommit
from qmtl.orchestrator.execution.planning import (
    Limits,
    WindowKey,
    plan_execution,
    required,
    window_keys,
)
from qmtl.orchestrator.execution.shard import calls_of, node_commit, skipped
from qmtl.sandbox.calls import Call, NodeError
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.evaluate import evaluate, failed, load_module
from qmtl.sandbox.failure import describe
from qmtl.sdk.data import missing_data
from qmtl.sdk.line import Kept, LocalLine, Peer, local_lookups
from qmtl.sdk.results import Result, Results

Progress = Callable[[int, int], None]  # nodes done, nodes in all
Memo = dict[str, NodeCommit]  # content key -> what it led to


class LocalEngine:
    """Runs one strategy; its module is executed once, at the first run.

    Every value is encoded once and decoded anew for each reader, as between a server's processes.
    A node that fails keeps only its descendants from running. Limits of time and memory are not
    enforced: this is the caller's own process.
    """

    def __init__(self, spec: StrategySpec, source_text: str) -> None:
        self._spec = spec
        self._source_text = source_text
        settings = Settings()
        self._limits = Limits(settings.node_timeout_s, settings.node_memory_bytes)
        self._value_limit_bytes = settings.value_limit_bytes
        self._loaded: dict[str, Any] | NodeError | None = None
        self._uncached = _uncached(spec)

    def run(
        self,
        points: Mapping[str, Points],
        *,
        as_of_ns: int,
        targets: Sequence[str] = (),
        line: LocalLine | None = None,
        peers: Sequence[Peer] = (),
        memo: Memo | None = None,
        on_progress: Progress | None = None,
    ) -> Results:
        """Run the targets and what they rest on, each node at its own bucket.

        Args:
            points: Data by variable.
            as_of_ns: The time of the run.
            targets: Bindings wanted; default: all.
            line: What windows look back at; the run leaves its results there.
            peers: Other strategies that queries may match, with their lines.
            memo: Results that are not computed again; the run adds its own.
            on_progress: Called after each node.

        Raises:
            UnknownTarget: A target is no binding of the strategy.
            MissingData: A source that is read has no visible point.
        """
        nodes = required(self._spec, targets)
        windows = self._windows(sources_of(nodes), window_keys(nodes, as_of_ns), points)
        own = Peer(self._spec, LocalLine() if line is None else line)
        lookups, found = local_lookups(nodes, as_of_ns, own, peers)
        plan = plan_execution(
            nodes,
            as_of_ns=as_of_ns,
            windows={key: digest(data) for key, data in windows.items()},
            pins=(),
            slots=1,
            limits=self._limits,
            lookups=lookups,
        )
        values = found | {str(key): data for key, data in windows.items()}
        commits: dict[str, NodeCommit] = {}
        for node, commit in self._compute(plan, values, {} if memo is None else memo):
            commits[node.node_id] = commit
            _remember(own.line, node, commit)
            if on_progress is not None:
                on_progress(len(commits), len(plan.nodes))
        by_name = {name: _result(name, commits[n.node_id]) for name, n in plan.bindings()}
        return Results((by_name[node.name] for node in nodes), as_of_ns=as_of_ns)

    def _windows(
        self, variables: Sequence[str], keys: Sequence[WindowKey], points: Mapping[str, Points]
    ) -> dict[WindowKey, bytes]:
        for variable in variables:
            if not len(points.get(variable, ())):
                raise missing_data(self._spec.source(variable))
        windows: dict[WindowKey, bytes] = {}
        for key in keys:
            window = inline_window(points[key.variable], key, self._spec)
            if not len(window):
                raise missing_data(self._spec.source(key.variable), key.bucket_ns)
            windows[key] = encode(window.to_pandas())
        return windows

    def _compute(
        self, plan: Plan, values: dict[str, bytes], memo: Memo
    ) -> Iterator[tuple[PlannedNode, NodeCommit]]:
        """Evaluate the nodes in order; ``values`` and ``memo`` take up what they give."""
        for node, call in zip(plan.nodes, calls_of(plan.nodes), strict=True):
            kept = memo.get(node.content_key)
            commit = self._commit(node, call, values) if kept is None else _reused(kept)
            if commit.value is not None:
                values[node.node_id] = commit.value
                if node.node_id not in self._uncached:
                    memo.setdefault(node.content_key, commit)
            yield node, commit

    def _commit(self, node: PlannedNode, call: Call, values: Mapping[str, bytes]) -> NodeCommit:
        read = call.inputs + tuple((argument, key) for argument, _, key in call.lookups)
        if not all(key in values for _, key in read):
            return skipped([node], {}, attempt=1)[0]
        loaded = self._namespace()
        if isinstance(loaded, NodeError):
            return node_commit(failed(call, loaded), attempt=1)
        arguments = {argument: values[key] for argument, key in read}
        outcome = evaluate(loaded, call, arguments, limit_bytes=self._value_limit_bytes)
        return node_commit(outcome, attempt=1)

    def _namespace(self) -> dict[str, Any] | NodeError:
        if self._loaded is None:
            try:
                with Capture():
                    self._loaded = load_module(self._source_text, self._spec.name)
            except (Exception, SystemExit) as raised:  # noqa: BLE001 - a module may raise anything
                self._loaded = describe(raised)
        return self._loaded


def _uncached(spec: StrategySpec) -> frozenset[str]:
    """Return the node ids whose results are never reused: ``cache=False``, and their readers."""
    names: set[str] = set()
    for node in spec.nodes:
        if not node.cache or not names.isdisjoint(node.upstream()):
            names.add(node.name)
    return frozenset(node.node_id for node in spec.nodes if node.name in names)


def _reused(kept: NodeCommit) -> NodeCommit:
    return NodeCommit(record=replace(kept.record, state=NodeState.REUSED), value=kept.value)


def _remember(line: LocalLine, node: PlannedNode, commit: NodeCommit) -> None:
    digest_ = commit.record.digest
    if node.interval_ns is not None and commit.value is not None and digest_ is not None:
        kept = Kept(node.bucket_ns, digest_, commit.value)
        line.add(node.node_id, kept, max_history=node.max_history)


def _result(name: str, commit: NodeCommit) -> Result:
    record = commit.record
    return Result(
        name=name,
        node_id=record.node_id,
        state=record.state,
        value=None if commit.value is None else decode(commit.value),
        digest=record.digest,
        size=record.size,
        duration_ns=record.duration_ns,
        error=record.error,
        logs=record.logs,
    )
