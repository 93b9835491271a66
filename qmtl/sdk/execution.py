"""A strategy run in this process by the server's own planner, calls and encodings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qmtl.common.codec import decode, digest, encode
from qmtl.common.settings import Settings
from qmtl.models.execution import Plan
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
from qmtl.sandbox.calls import NodeError
from qmtl.sandbox.capture import Capture
from qmtl.sandbox.evaluate import evaluate, failed, load_module
from qmtl.sandbox.failure import describe
from qmtl.sdk.data import missing_data
from qmtl.sdk.results import Result, Results

Progress = Callable[[int, int], None]  # nodes done, nodes in all


def execute(
    spec: StrategySpec,
    source_text: str,
    points: Mapping[str, Points],
    *,
    as_of_ns: int,
    targets: Sequence[str] = (),
    on_progress: Progress | None = None,
) -> Results:
    """Run the targets and what they rest on, each node at its own bucket.

    Every value is encoded once and decoded anew for each reader, as between a server's processes.
    A node that fails keeps only its descendants from running. Limits of time and memory are not
    enforced: this is the caller's own process.

    Args:
        spec: What the parser made of ``source_text``.
        source_text: The strategy's module.
        points: Data by variable.
        as_of_ns: The time of the run.
        targets: Bindings wanted; default: all.
        on_progress: Called after each node.

    Raises:
        UnknownTarget: A target is no binding of the strategy.
        MissingData: A source that is read has no visible point.
    """
    nodes = required(spec, targets)
    windows = _windows(spec, sources_of(nodes), window_keys(nodes, as_of_ns), points)
    settings = Settings()
    plan = plan_execution(
        nodes,
        as_of_ns=as_of_ns,
        windows={key: digest(data) for key, data in windows.items()},
        pins=(),
        slots=1,
        limits=Limits(settings.node_timeout_s, settings.node_memory_bytes),
    )
    values = {str(key): data for key, data in windows.items()}
    commits = _compute(spec, source_text, plan, values, on_progress)
    by_name = {name: _result(name, commits[n.node_id]) for n in plan.nodes for name in n.names}
    return Results((by_name[node.name] for node in nodes), as_of_ns=as_of_ns)


def _windows(
    spec: StrategySpec,
    variables: Sequence[str],
    keys: Sequence[WindowKey],
    points: Mapping[str, Points],
) -> dict[WindowKey, bytes]:
    for variable in variables:
        if not len(points.get(variable, ())):
            raise missing_data(spec.source(variable))
    windows: dict[WindowKey, bytes] = {}
    for key in keys:
        window = inline_window(points[key.variable], key, spec)
        if not len(window):
            raise missing_data(spec.source(key.variable), key.bucket_ns)
        windows[key] = encode(window.to_pandas())
    return windows


def _compute(
    spec: StrategySpec,
    source_text: str,
    plan: Plan,
    values: dict[str, bytes],
    on_progress: Progress | None,
) -> dict[str, NodeCommit]:
    """Evaluate the nodes in order; ``values`` takes up what they give."""
    calls = calls_of(plan.nodes)
    loaded = _load(spec, source_text)
    if isinstance(loaded, NodeError):
        return {call.node_id: node_commit(failed(call, loaded), attempt=1) for call in calls}
    limit_bytes = Settings().value_limit_bytes
    commits: dict[str, NodeCommit] = {}
    for node, call in zip(plan.nodes, calls, strict=True):
        if all(key in values for _, key in call.inputs):
            arguments = {argument: values[key] for argument, key in call.inputs}
            outcome = evaluate(loaded, call, arguments, limit_bytes=limit_bytes)
            commit = node_commit(outcome, attempt=1)
        else:
            (commit,) = skipped([node], {}, attempt=1)
        commits[node.node_id] = commit
        if commit.value is not None:
            values[node.node_id] = commit.value
        if on_progress is not None:
            on_progress(len(commits), len(plan.nodes))
    return commits


def _load(spec: StrategySpec, source_text: str) -> dict[str, Any] | NodeError:
    try:
        with Capture():
            return load_module(source_text, spec.name)
    except (Exception, SystemExit) as raised:  # noqa: BLE001 - a module may raise anything
        return describe(raised)


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
