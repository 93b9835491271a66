"""Plans of stages and shards, and their laws."""

import random

from hypothesis import given
from hypothesis import strategies as st

from qmtl.graph.plan import stages

Edges = dict[str, list[str]]


@st.composite
def dags(draw: st.DrawFn) -> Edges:
    names = [f"n{i}" for i in range(draw(st.integers(0, 15)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:i]), max_size=3)) if i else []
        for i, name in enumerate(names)
    }


def named(order: list[str], edges: Edges, slots: int) -> list[list[list[str]]]:
    return [[[order[i] for i in shard] for shard in stage] for stage in stages(order, edges, slots)]


def test_a_level_is_a_stage_cut_into_as_many_shards_as_there_are_slots() -> None:
    edges = {"a": [], "b": ["a"], "c": ["a"], "d": ["a"], "e": ["b", "c", "d"]}
    assert named(list(edges), edges, 2) == [[["a"]], [["b", "c"], ["d"]], [["e"]]]


def test_upstreams_that_need_not_run_are_passed_over() -> None:
    assert stages(["b", "c"], {"b": ["a"], "c": ["b"]}, 4) == (((0,),), ((1,),))


def test_nothing_to_run_is_no_stage() -> None:
    assert stages([], {}, 2) == ()


@given(dags(), st.integers(1, 5))
def test_every_node_stands_in_exactly_one_shard(edges: Edges, slots: int) -> None:
    plan = stages(list(edges), edges, slots)
    assert sorted(i for stage in plan for shard in stage for i in shard) == list(range(len(edges)))
    assert all(1 <= len(stage) <= slots for stage in plan)
    assert all(shard for stage in plan for shard in stage)


@given(dags(), st.integers(1, 5))
def test_each_input_is_in_an_earlier_stage_or_earlier_in_the_shard(
    edges: Edges, slots: int
) -> None:
    plan = named(list(edges), edges, slots)
    place = {
        name: (s, k, i)
        for s, stage in enumerate(plan)
        for k, shard in enumerate(stage)
        for i, name in enumerate(shard)
    }
    for name, inputs in edges.items():
        for each in inputs:
            earlier = place[each][0] < place[name][0]
            assert earlier or (place[each][:2] == place[name][:2] and place[each] < place[name])


@given(dags(), st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_insertion_order(
    edges: Edges, slots: int, r: random.Random
) -> None:
    order = list(edges)
    r.shuffle(order)
    assert named(order, {n: edges[n] for n in order}, slots) == named(list(edges), edges, slots)
