"""What becomes of DAGs whose best plan can be seen."""

from collections.abc import Sequence

import pytest

from qmtl.graph.plan import Cut, cut

CROSSING_S = 0.004
HEAVY_S = 0.1  # much more than a crossing
CHEAP_S = 0.0001  # much less

Edges = dict[str, list[str]]


def plan(edges: Edges, cost_s: float | dict[str, float], slots: int = 2) -> Cut:
    names = list(edges)
    costs = cost_s if isinstance(cost_s, dict) else dict.fromkeys(names, cost_s)
    return cut(
        names,
        [[names.index(each) for each in edges[name]] for name in names],
        [costs[name] for name in names],
        slots=slots,
        crossing_s=CROSSING_S,
    )


def stages(edges: Edges, cost_s: float | dict[str, float], slots: int = 2) -> list[list[list[str]]]:
    names = list(edges)
    found = plan(edges, cost_s, slots).stages
    return [sorted([names[v] for v in shard] for shard in stage) for stage in found]


DIAMOND: Edges = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_nothing_to_run_is_no_stage() -> None:
    assert plan({}, HEAVY_S) == Cut((), (), 0.0, 0.0)


def test_one_node_is_one_shard() -> None:
    assert stages({"a": []}, HEAVY_S) == [[["a"]]]


def test_a_cheap_diamond_is_one_shard() -> None:
    assert stages(DIAMOND, CHEAP_S) == [[["a", "b", "c", "d"]]]


def test_a_heavy_diamond_runs_its_sides_at_once() -> None:
    assert stages(DIAMOND, HEAVY_S) == [[["a"]], [["b"], ["c"]], [["d"]]]


def test_a_diamond_is_one_shard_where_only_one_side_is_heavy() -> None:
    costs = {"a": CHEAP_S, "b": HEAVY_S, "c": CHEAP_S, "d": CHEAP_S}
    assert stages(DIAMOND, costs) == [[["a", "b", "c", "d"]]]


def test_a_chain_is_one_shard_however_heavy() -> None:
    chain: Edges = {"a": [], "b": ["a"], "c": ["b"]}
    assert stages(chain, HEAVY_S, slots=4) == [[["a", "b", "c"]]]


def test_one_slot_is_one_shard() -> None:
    assert stages({"a": [], "b": []}, HEAVY_S, slots=1) == [[["a", "b"]]]


def test_independent_nodes_are_spread_evenly_in_one_stage() -> None:
    [stage] = stages({name: [] for name in "abcdefgh"}, HEAVY_S, slots=4)
    assert [len(shard) for shard in stage] == [2, 2, 2, 2]


def test_the_longest_of_independent_nodes_runs_alone() -> None:
    costs = {"a": 0.01, "b": 0.02, "c": 0.1, "d": 0.03}
    assert stages({name: [] for name in "abcd"}, costs) == [[["a", "b", "d"], ["c"]]]


def test_slots_that_would_save_no_time_stay_empty() -> None:
    costs = {"a": 0.1, "b": 0.01, "c": 0.02, "d": 0.03}
    assert stages({name: [] for name in "abcd"}, costs, slots=4) == [[["a"], ["b", "c", "d"]]]


def test_two_heavy_branches_run_side_by_side_from_end_to_end() -> None:
    branches: Edges = {"a1": [], "a2": ["a1"], "a3": ["a2"], "b1": [], "b2": ["b1"], "b3": ["b2"]}
    joined = branches | {"c": ["a3", "b3"]}
    assert stages(branches, HEAVY_S) == [[["a1", "a2", "a3"], ["b1", "b2", "b3"]]]
    assert stages(joined, HEAVY_S) == [[["a1", "a2", "a3"], ["b1", "b2", "b3"]], [["c"]]]


def test_a_cheap_root_of_two_heavy_branches_is_a_stage_of_its_own() -> None:
    edges: Edges = {"r": [], "a": ["r"], "a2": ["a"], "b": ["r"], "b2": ["b"]}
    costs = dict.fromkeys(edges, HEAVY_S) | {"r": CHEAP_S}
    assert stages(edges, costs) == [[["r"]], [["a", "a2"], ["b", "b2"]]]


def test_a_fan_in_waits_for_shards_that_run_at_once() -> None:
    edges: Edges = {f"n{i}": [] for i in range(6)}
    edges["sum"] = list(edges)
    first, second = stages(edges, HEAVY_S)
    assert [len(shard) for shard in first] == [3, 3]
    assert second == [["sum"]]


def test_eight_layers_that_read_across_take_two_stages_of_cones() -> None:
    """Two slots grow two cones of 8 + 7 + ... + 1 nodes; what is between them comes after."""
    names = [(layer, j) for layer in range(8) for j in range(16)]
    upstream = [
        [(layer - 1) * 16 + j, (layer - 1) * 16 + (j + 5) % 16] if layer else []
        for layer, j in names
    ]
    found = cut(
        [f"{layer}:{j:02}" for layer, j in names],
        upstream,
        [0.005] * len(names),
        slots=2,
        crossing_s=CROSSING_S,
    )
    assert sizes(found.stages) == [[36, 36], [28, 28]]
    assert found.estimate_s == pytest.approx(0.320 + 2 * CROSSING_S)
    assert found.serial_s == pytest.approx(0.640 + CROSSING_S)


def test_a_long_node_moves_to_the_stage_that_waits_for_a_long_one_anyway() -> None:
    edges: Edges = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "long": [], "other": []}
    costs = {"a": 0.01, "b": 0.3, "c": 0.3, "d": 0.2, "long": 0.2, "other": 0.01}
    found = plan(edges, costs)
    assert found.estimate_s == pytest.approx(0.01 + 0.3 + 0.2 + 3 * CROSSING_S)


def test_three_equal_chains_on_two_slots_take_no_longer_than_half_of_them() -> None:
    """One chain is begun by a slot and ended by the other, while each runs one of the others."""
    chains: Edges = {f"{c}{i}": [f"{c}{i - 1}"] if i else [] for c in "abc" for i in range(4)}
    found = plan(chains, HEAVY_S)
    assert sizes(found.stages) == [[2, 2], [4, 4]] or sizes(found.stages) == [[4, 4], [2, 2]]
    assert found.estimate_s == pytest.approx(6 * HEAVY_S + 2 * CROSSING_S)


@pytest.mark.parametrize(("count", "slots"), [(7, 2), (5, 4), (7, 3), (11, 4)])
@pytest.mark.parametrize("length", [20, 60])
def test_equal_chains_take_little_longer_than_their_share_of_the_slots(
    count: int, slots: int, length: int
) -> None:
    chains: Edges = {
        f"{c}:{i:02}": [f"{c}:{i - 1:02}"] if i else [] for c in range(count) for i in range(length)
    }
    found = plan(chains, HEAVY_S, slots)
    share_s = max(length, count * length / slots) * HEAVY_S
    assert found.estimate_s <= 1.06 * share_s + slots * CROSSING_S


def test_chains_are_not_parted_where_a_crossing_costs_more_than_it_saves() -> None:
    chains: Edges = {f"{c}{i}": [f"{c}{i - 1}"] if i else [] for c in "abc" for i in range(2)}
    assert sizes(plan(chains, 0.003).stages) == [[4, 2]]


def test_a_node_before_its_input_is_refused() -> None:
    with pytest.raises(ValueError, match="node 0 stands before one that it reads"):
        cut(["a", "b"], [[1], []], [1.0, 1.0], slots=2, crossing_s=CROSSING_S)


def test_a_plan_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        cut(["a"], [[]], [1.0], slots=0, crossing_s=CROSSING_S)


def sizes(stages: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    return [[len(shard) for shard in stage] for stage in stages]
