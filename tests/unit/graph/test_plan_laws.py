"""The laws of every plan, whatever the DAG, its costs, the slots and the crossing."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmtl.graph.plan import Cut, cut

LAW = settings(deadline=None)
COSTS = st.sampled_from([0.0, 1e-6, 0.001, 0.005, 0.0051, 0.3, 2.0])


@dataclass(frozen=True)
class Case:
    upstream: list[list[int]]
    cost_s: list[float]
    slots: int
    crossing_s: float

    @property
    def names(self) -> list[str]:
        return [f"n{i * 7 % 101:03}" for i in range(len(self.upstream))]

    def plan(self) -> Cut:
        return cut(
            self.names, self.upstream, self.cost_s, slots=self.slots, crossing_s=self.crossing_s
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(0, 40))
    near = draw(st.sampled_from([3, 10, 40]))
    return Case(
        upstream=[
            draw(st.lists(st.integers(max(0, i - near), i - 1), max_size=4)) if i else []
            for i in range(count)
        ],
        cost_s=draw(st.lists(COSTS, min_size=count, max_size=count)),
        slots=draw(st.integers(1, 9)),
        crossing_s=draw(st.sampled_from([0.0, 0.0001, 0.004, 0.05])),
    )


@LAW
@given(cases())
def test_every_node_stands_in_exactly_one_shard(case: Case) -> None:
    placed = [v for stage in case.plan().stages for shard in stage for v in shard]
    assert sorted(placed) == list(range(len(case.names)))


@LAW
@given(cases())
def test_each_input_is_in_an_earlier_stage_or_earlier_in_the_same_shard(case: Case) -> None:
    place = {
        v: (s, k, i)
        for s, stage in enumerate(case.plan().stages)
        for k, shard in enumerate(stage)
        for i, v in enumerate(shard)
    }
    for v, inputs in enumerate(case.upstream):
        for u in inputs:
            same_shard = place[u][:2] == place[v][:2]
            assert place[u][0] < place[v][0] or (same_shard and place[u][2] < place[v][2])


@LAW
@given(cases())
def test_no_stage_has_more_shards_than_slots_and_none_is_empty(case: Case) -> None:
    for stage in case.plan().stages:
        assert 1 <= len(stage) <= case.slots
        assert all(stage)


@LAW
@given(cases())
def test_the_longest_shard_of_a_stage_comes_first(case: Case) -> None:
    for stage in case.plan().stages:
        loads = [sum(case.cost_s[v] for v in shard) for shard in stage]
        assert loads == pytest.approx(sorted(loads, reverse=True))


@LAW
@given(cases(), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_insertion_order(case: Case, rng: random.Random) -> None:
    order = topological(case.upstream, rng)
    number = {old: new for new, old in enumerate(order)}
    upstream = [[number[u] for u in case.upstream[old]] for old in order]
    for inputs in upstream:
        rng.shuffle(inputs)
    names = [case.names[old] for old in order]
    cost_s = [case.cost_s[old] for old in order]
    other = cut(names, upstream, cost_s, slots=case.slots, crossing_s=case.crossing_s)
    plan = case.plan()
    assert named(other, names) == named(plan, case.names)
    assert (other.stage_s, other.estimate_s) == (plan.stage_s, plan.estimate_s)


@LAW
@given(cases())
def test_the_estimate_is_what_the_cost_model_gives_for_the_stages(case: Case) -> None:
    plan = case.plan()
    stage_s = [
        case.crossing_s + max(sum(case.cost_s[v] for v in shard) for shard in stage)
        for stage in plan.stages
    ]
    assert list(plan.stage_s) == pytest.approx(stage_s)
    assert plan.estimate_s == pytest.approx(sum(stage_s))
    assert plan.serial_s == pytest.approx(case.crossing_s + sum(case.cost_s) if case.names else 0.0)


@LAW
@given(cases())
def test_no_plan_is_estimated_slower_than_the_serial_one(case: Case) -> None:
    plan = case.plan()
    assert plan.estimate_s <= plan.serial_s


@LAW
@given(cases())
def test_a_dag_that_costs_less_than_one_crossing_is_one_shard(case: Case) -> None:
    cheap = Case(case.upstream, case.cost_s, case.slots, crossing_s=sum(case.cost_s) + 0.001)
    if case.names:
        assert [len(stage) for stage in cheap.plan().stages] == [1]


def topological(upstream: list[list[int]], rng: random.Random) -> list[int]:
    """Return the nodes in a random order in which each stands after what it reads."""
    left, order = set(range(len(upstream))), list[int]()
    while left:
        ready = sorted(v for v in left if left.isdisjoint(upstream[v]))
        order.append(rng.choice(ready))
        left.remove(order[-1])
    return order


def named(plan: Cut, names: list[str]) -> list[list[list[str]]]:
    return [[[names[v] for v in shard] for shard in stage] for stage in plan.stages]
