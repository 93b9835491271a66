"""Plans of tiny strategies; the names below the pictures are bindings."""

import pytest

from qmtl.common.errors import UnknownTarget
from qmtl.common.timeline import UNITS, parse_time
from qmtl.models.datanode import AsOfInput, NodeInput, NodeSpec, SourceInput, SourceSpec
from qmtl.models.execution import Plan
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.planning import (
    Limits,
    WindowKey,
    latest_visible_ms,
    plan_execution,
    required,
    window_keys,
)

DAY, HOUR = UNITS["d"], UNITS["h"]
NOON = parse_time("2026-11-23T12:34:56Z")
MIDNIGHT = parse_time("2026-11-23")


def node(
    name: str,
    *inputs: SourceInput | NodeInput | AsOfInput,
    node_id: str | None = None,
    interval_ns: int | None = DAY,
    **declared: object,
) -> NodeSpec:
    return NodeSpec(
        name=name,
        node_id=node_id or f"id-{name}",
        function=name,
        inputs=inputs,
        params=(),
        interval_ns=interval_ns,
        **declared,  # type: ignore[arg-type]
    )


def reads(binding: str) -> NodeInput:
    return NodeInput(argument=binding, binding=binding)


PRICES = SourceInput(argument="prices", variable="prices")

#     prices -> fast, slow -> cross;   prices -> volume
GOLDEN = StrategySpec(
    name="golden",
    interval_ns=DAY,
    description="",
    sources=(
        SourceSpec(variable="prices", name="x.y", columns=("close",), interval_ns=DAY, period=3),
    ),
    nodes=(
        node("fast", PRICES),
        node("slow", PRICES),
        node("cross", reads("fast"), reads("slow")),
        node("volume", PRICES),
    ),
)


def planned(spec: StrategySpec, *targets: str, slots: int = 2, digest: str = "d") -> Plan:
    nodes = required(spec, targets)
    return plan_execution(
        nodes,
        as_of_ns=NOON,
        windows=dict.fromkeys(window_keys(nodes, NOON), digest),
        pins=(),
        slots=slots,
        limits=Limits(timeout_s=60.0, memory_bytes=1),
    )


def test_targets_bring_their_ancestors_and_nothing_else() -> None:
    assert [n.name for n in required(GOLDEN, ["cross"])] == ["fast", "slow", "cross"]
    assert [n.name for n in required(GOLDEN, ["slow"])] == ["slow"]


def test_an_unknown_target_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownTarget, match="cross, fast, slow, volume"):
        required(GOLDEN, ["corss"])


def test_a_node_runs_at_its_own_bucket_and_reads_windows_cut_there() -> None:
    hourly = node("hourly", PRICES, interval_ns=HOUR)
    daily = node("daily", PRICES)
    keys = window_keys([hourly, daily], NOON)
    assert keys == (
        WindowKey("prices", parse_time("2026-11-23T12:00:00Z")),
        WindowKey("prices", MIDNIGHT),
    )


def test_a_point_is_visible_from_the_end_of_its_interval() -> None:
    stamped_at_start = GOLDEN.sources[0]
    key = WindowKey("prices", MIDNIGHT)
    assert latest_visible_ms(stamped_at_start, key) * 1_000_000 == MIDNIGHT - DAY


def test_a_plan_puts_readers_behind_what_they_read() -> None:
    plan = planned(GOLDEN)
    stage_of = {
        plan.nodes[i].names[0]: s
        for s, shards in enumerate(plan.stages)
        for shard in shards
        for i in shard
    }
    assert stage_of == {"fast": 0, "slow": 0, "volume": 0, "cross": 1}
    assert [len(shards) for shards in plan.stages] == [2, 1]


def test_two_names_of_one_computation_run_once_under_the_larger_limits() -> None:
    twins = (
        node("a", PRICES, node_id="same", timeout_s=1.0, retries=3),
        node("b", PRICES, node_id="same", timeout_s=9.0, max_history=5),
        node("sum", reads("a"), reads("b")),
    )
    spec = StrategySpec(
        name="t", interval_ns=DAY, description="", sources=GOLDEN.sources, nodes=twins
    )
    first, second = planned(spec).nodes
    assert first.names == ("a", "b")
    assert (first.timeout_s, first.retries, first.max_history) == (9.0, 3, 1_000)
    assert [i.binding for i in second.inputs if isinstance(i, NodeInput)] == ["same", "same"]


def test_a_content_key_changes_with_the_data_and_with_nothing_else() -> None:
    keys = {n.names[0]: n.content_key for n in planned(GOLDEN).nodes}
    again = {n.names[0]: n.content_key for n in planned(GOLDEN, slots=1).nodes}
    other = {n.names[0]: n.content_key for n in planned(GOLDEN, digest="e").nodes}
    assert keys == again
    assert all(keys[name] != other[name] for name in keys)


def test_the_time_is_part_of_a_content_key_only_where_it_is_asked_for() -> None:
    clockwork = node("clockwork", AsOfInput(argument="as_of"), interval_ns=HOUR)
    spec = StrategySpec(name="t", interval_ns=HOUR, description="", sources=(), nodes=(clockwork,))
    at = [
        plan_execution(
            spec.nodes, as_of_ns=t, windows={}, pins=(), slots=1, limits=Limits(1.0, 1)
        ).nodes[0]
        for t in (NOON, NOON + 1, NOON + HOUR)
    ]
    assert at[0].content_key == at[1].content_key != at[2].content_key
