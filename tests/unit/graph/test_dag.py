"""The algebra of DAGs over names."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmtl.graph.dag import Dag, find_cycle

DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}


@st.composite
def dags(draw: st.DrawFn) -> dict[str, list[str]]:
    count = draw(st.integers(0, 12))
    names = [f"n{i}" for i in draw(st.permutations(range(count)))]
    edges = {
        name: draw(st.lists(st.sampled_from(names[:i]), max_size=3)) if i else []
        for i, name in enumerate(names)
    }
    return dict(draw(st.permutations(list(edges.items()))))


def test_order_puts_every_node_after_its_upstreams() -> None:
    assert Dag.of(DIAMOND).order == ("a", "b", "c", "d")


def test_levels_are_longest_paths_from_a_root() -> None:
    dag = Dag.of({**DIAMOND, "e": ["a", "d"]})
    assert dag.levels() == (("a",), ("b", "c"), ("d",), ("e",))
    assert dag.level("e") == 3


def test_ancestors_and_descendants_leave_out_the_nodes_asked_about() -> None:
    dag = Dag.of(DIAMOND)
    assert dag.ancestors(["b"]) == {"a"}
    assert dag.descendants(["b", "c"]) == {"d"}
    assert dag.ancestors(["a"]) == frozenset()


def test_the_empty_graph_is_a_graph() -> None:
    assert Dag.of({}).order == ()
    assert Dag.of({}).levels() == ()


def test_a_cycle_is_found_as_a_path_that_closes() -> None:
    assert find_cycle({"a": ["c"], "b": ["a"], "c": ["b"], "x": ["a"]}) == ("a", "c", "b", "a")
    assert find_cycle({"a": ["a"]}) == ("a", "a")
    assert find_cycle(DIAMOND) is None


def test_a_cyclic_or_dangling_mapping_makes_no_graph() -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        Dag.of({"a": ["b"], "b": ["a"]})
    with pytest.raises(ValueError, match="'a' reads 'z'"):
        Dag.of({"a": ["z"]})


def test_ten_thousand_nodes_in_a_chain_or_a_fan_need_no_recursion() -> None:
    count = 10_000
    chain = Dag.of({str(i): [str(i - 1)] if i else [] for i in range(count)})
    assert chain.level(str(count - 1)) == count - 1
    assert len(chain.ancestors([str(count - 1)])) == count - 1
    fan = Dag.of({"root": [], **{f"leaf{i}": ["root"] for i in range(count)}})
    assert len(fan.descendants(["root"])) == count
    ring = {str(i): [str((i + 1) % count)] for i in range(count)}
    assert len(find_cycle(ring) or ()) == count + 1


@given(dags(), st.randoms(use_true_random=False))
def test_nothing_depends_on_insertion_order(edges: dict[str, list[str]], r: random.Random) -> None:
    items = list(edges.items())
    r.shuffle(items)
    assert Dag.of(dict(items)) == Dag.of(edges)


@given(dags())
def test_an_acyclic_mapping_has_no_cycle_and_an_order(edges: dict[str, list[str]]) -> None:
    assert find_cycle(edges) is None
    place = {name: i for i, name in enumerate(Dag.of(edges).order)}
    assert all(place[u] < place[name] for name, inputs in edges.items() for u in inputs)


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"))))
def test_a_found_cycle_is_made_of_edges(edges: dict[str, list[str]]) -> None:
    cycle = find_cycle(edges)
    if cycle is None:
        closed = {n: [u for u in inputs if u in edges] for n, inputs in edges.items()}
        assert set(Dag.of(closed).order) == set(edges)
    else:
        assert cycle[0] == cycle[-1]
        assert all(after in edges[before] for before, after in pairwise(cycle))
