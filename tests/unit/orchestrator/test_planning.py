"""Plans of tiny strategies; the names below the pictures are bindings."""

from collections.abc import Callable

import pytest

from qmtl.common.errors import UnknownTarget
from qmtl.common.timeline import UNITS, parse_time
from qmtl.graph.plan import Stages
from qmtl.models.datanode import AsOfInput, NodeInput, NodeSpec, SourceInput, SourceSpec
from qmtl.models.execution import Plan
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.keys import CallKeys, input_keys, seeds
from qmtl.orchestrator.execution.planning import (
    NODE_US,
    Fabric,
    Planner,
    WindowKey,
    latest_visible_ms,
    window_of,
)
from qmtl.orchestrator.execution.shape import Limits, Shape, SourceKey, required

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


def apart(count: int) -> StrategySpec:
    """Return nodes that do not read each other."""
    return StrategySpec(
        name="apart",
        interval_ns=DAY,
        description="",
        sources=GOLDEN.sources,
        nodes=tuple(node(f"n{i}", PRICES) for i in range(count)),
    )


APART = apart(12)
D, E = "d" * 32, "e" * 32  # digests of windows
MILLISECOND_US = 1_000


def shape_of(spec: StrategySpec, *targets: str) -> Shape:
    return Shape.of(spec, targets, Limits(timeout_s=60.0, memory_bytes=1))


def planned(
    spec: StrategySpec,
    *targets: str,
    slots: int = 2,
    cost_us: int = 50 * MILLISECOND_US,
    there: tuple[str, ...] = (),
) -> Plan:
    shape = shape_of(spec, *targets)
    return Planner(Fabric(slots, crossing_us=MILLISECOND_US)).plan(
        shape,
        as_of_ns=NOON,
        windows=dict.fromkeys(shape.sources, D),
        pins=(),
        cost_us=[cost_us] * len(shape.nodes),
        there=there,
    )


def call_keys(
    spec: StrategySpec, *, digest: str = D, runtime: str = "r", as_of_ns: int = NOON
) -> dict[str, str]:
    shape = shape_of(spec)
    given = input_keys(shape, as_of_ns, dict.fromkeys(shape.sources, digest), ())
    found = CallKeys(shape, runtime).at(given)
    return {name: found[place] for name, place in shape.named()}


def names_of(plan: Plan) -> list[list[list[str]]]:
    return [
        [sorted(plan.nodes[i].names[0] for i in shard) for shard in stage] for stage in plan.stages
    ]


def test_targets_bring_their_ancestors_and_nothing_else() -> None:
    assert [n.name for n in required(GOLDEN, ["cross"])] == ["fast", "slow", "cross"]
    assert [n.name for n in required(GOLDEN, ["slow"])] == ["slow"]


def test_an_unknown_target_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownTarget, match="cross, fast, slow, volume"):
        required(GOLDEN, ["corss"])


def test_a_node_runs_at_its_own_bucket_and_reads_windows_cut_there() -> None:
    hourly, daily = SourceKey("prices", HOUR), SourceKey("prices", DAY)
    assert window_of(hourly, NOON) == WindowKey("prices", parse_time("2026-11-23T12:00:00Z"))
    assert window_of(daily, NOON) == WindowKey("prices", MIDNIGHT)


def test_a_point_is_visible_from_the_end_of_its_interval() -> None:
    stamped_at_start = GOLDEN.sources[0]
    key = WindowKey("prices", MIDNIGHT)
    assert latest_visible_ms(stamped_at_start, key) * 1_000_000 == MIDNIGHT - DAY


def test_costly_nodes_that_do_not_read_each_other_run_side_by_side() -> None:
    first, second = names_of(planned(GOLDEN))
    assert (len(first), len(second)) == (2, 2)
    assert ["cross"] in second


def test_cheap_nodes_run_in_one_shard() -> None:
    assert names_of(planned(GOLDEN, cost_us=1)) == [[["cross", "fast", "slow", "volume"]]]


def test_nodes_that_cost_less_than_their_results_run_in_one_shard_however_many() -> None:
    many = apart(5_000)
    assert len(planned(many, cost_us=NODE_US // 2).stages[0]) == 1
    assert len(planned(many, cost_us=NODE_US * 10).stages[0]) == 2


def test_one_slot_needs_one_shard() -> None:
    assert len(names_of(planned(GOLDEN, slots=1))) == 1


def test_what_is_there_runs_in_no_shard() -> None:
    assert names_of(planned(GOLDEN, there=("id-fast", "id-slow"), slots=1)) == [
        [["cross", "volume"]]
    ]
    everything = tuple(node.node_id for node in GOLDEN.nodes)
    assert planned(GOLDEN, there=everything).stages == ()


def planned_again(spec: StrategySpec = GOLDEN) -> Callable[..., Stages]:
    """Return what plans one shape with one planner, by the cost of each node."""
    shape = shape_of(spec)
    planner = Planner(Fabric(2, crossing_us=MILLISECOND_US))
    windows = dict.fromkeys(shape.sources, D)

    def stages(*cost_us: int) -> Stages:
        return planner.plan(shape, as_of_ns=NOON, windows=windows, pins=(), cost_us=cost_us).stages

    return stages


def test_a_cut_serves_again_while_it_loses_less_than_another_search_takes() -> None:
    stages = planned_again()
    first = stages(50_000, 50_000, 50_000, 50_000)
    assert stages(50_010, 49_990, 50_020, 50_000) is first
    assert stages(1, 1, 1, 900_000) != first


def test_a_cut_that_loses_a_little_each_time_is_searched_again_once_it_adds_up() -> None:
    stages = planned_again()
    first = stages(50_000, 50_000, 50_000, 50_000)
    found = [stages(50_020, 50_000, 50_020, 50_000) for _ in range(20)]
    assert found[0] is first
    assert found[-1] is not first


def test_one_shard_that_was_best_at_odd_costs_is_not_kept_for_ever() -> None:
    twins = (node("a", PRICES), node("b", PRICES))
    stages = planned_again(
        StrategySpec(name="t", interval_ns=DAY, description="", sources=GOLDEN.sources, nodes=twins)
    )
    assert stages(50_000, 5_000) == (((0, 1),),)
    found = [stages(20_000, 20_000) for _ in range(5)]
    assert found[-1] == (((0,), (1,)),)


def test_a_kept_cut_that_is_worse_than_one_shard_is_left_at_once() -> None:
    stages = planned_again()
    assert len(stages(50_000, 50_000, 50_000, 50_000)) == 2
    assert stages(600, 600, 600, 600) == (((0, 1, 2, 3),),)


def test_a_stage_has_as_many_shards_as_living_workers_run_at_once() -> None:
    shape = shape_of(APART)
    windows = dict.fromkeys(shape.sources, D)

    def shards(planner: Planner, slots: int) -> int:
        costs = [50_000] * len(shape.nodes)
        plan = planner.plan(
            shape, as_of_ns=NOON, windows=windows, pins=(), cost_us=costs, slots=slots
        )
        return len(plan.stages[0])

    planner = Planner(Fabric(2, crossing_us=MILLISECOND_US))
    assert [shards(planner, slots) for slots in (4, 3, 1, 4)] == [4, 3, 1, 4]
    assert shards(planner, slots=0) == 2  # nobody told
    fixed = Planner(Fabric(2, crossing_us=MILLISECOND_US, fixed_slots=3))
    assert [shards(fixed, slots) for slots in (0, 1, 4)] == [3, 3, 3]


def test_two_names_of_one_computation_run_once_under_the_larger_limits() -> None:
    twins = (
        node("a", PRICES, node_id="same", timeout_s=1.0, retries=3),
        node("b", PRICES, node_id="same", timeout_s=9.0, max_history=5),
        node("sum", reads("a"), reads("b")),
    )
    spec = StrategySpec(
        name="t", interval_ns=DAY, description="", sources=GOLDEN.sources, nodes=twins
    )
    first, second = shape_of(spec).nodes
    assert first.names == ("a", "b")
    assert (first.timeout_s, first.retries, first.max_history) == (9.0, 3, 1_000)
    assert [i.binding for i in second.inputs if isinstance(i, NodeInput)] == ["same", "same"]


def test_a_call_key_changes_with_data_and_runtime_and_with_nothing_else() -> None:
    keys = call_keys(GOLDEN)
    assert keys == call_keys(GOLDEN)
    for other in (call_keys(GOLDEN, digest=E), call_keys(GOLDEN, runtime="s")):
        assert all(keys[name] != other[name] for name in keys)


def test_what_is_not_cached_and_what_reads_it_has_no_call_key() -> None:
    drawn = node("drawn", PRICES, cache=False)
    spec = StrategySpec(
        name="t",
        interval_ns=DAY,
        description="",
        sources=GOLDEN.sources,
        nodes=(node("fast", PRICES), drawn, node("sum", reads("drawn"), reads("fast"))),
    )
    keys = call_keys(spec)
    assert (bool(keys["fast"]), keys["drawn"], keys["sum"]) == (True, "", "")


def test_the_time_is_part_of_a_key_only_where_it_is_asked_for() -> None:
    clockwork = node("clockwork", AsOfInput(argument="as_of"), interval_ns=HOUR, seeded=True)
    spec = StrategySpec(name="t", interval_ns=HOUR, description="", sources=(), nodes=(clockwork,))
    at = [call_keys(spec, as_of_ns=t)["clockwork"] for t in (NOON, NOON + 1, NOON + HOUR)]
    assert at[0] == at[1] != at[2]
    drawn = [
        seeds(shape_of(spec), t, {}, ())["id-clockwork"] for t in (NOON, NOON + 1, NOON + HOUR)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_node_whose_time_plays_no_part_has_one_key_at_every_time() -> None:
    assert call_keys(GOLDEN, as_of_ns=NOON) == call_keys(GOLDEN, as_of_ns=NOON + 5 * DAY)
