"""The DAGs of the engine bench: what runs of them must come to, and how that is checked."""

from __future__ import annotations

import numpy as np
import pytest

from qmtl.sdk import Pipeline
from tests.bench.engine.strategy import SOURCE, text
from tests.bench.engine.workloads import (
    MAKERS,
    WrongValue,
    chain,
    check,
    frames,
    layered,
    number_of,
    same,
    small,
    wide,
    workload,
)


def test_the_issued_workloads_have_the_shapes_that_they_are_known_by():
    sizes = {name: len(workload(name).nodes) for name in MAKERS}

    assert sizes == {
        "w1": 202,
        "w2": 1_000,
        "w3": 200,
        "w4": 128,
        "w5": 6,
        "growth": 10_000,
        "skewed": 200,
        "random": 300,
        "frames": 20,
        "wide": 10_000,
    }


@pytest.mark.parametrize("name", MAKERS)
def test_every_parent_stands_before_its_readers(name: str):
    seen: set[str] = set()
    for node in workload(name).nodes:
        assert seen.issuperset(node.parents)
        seen.add(node.name)


def test_a_node_adds_one_to_the_sum_of_its_parents():
    assert wide("w", 3).run(10) == {
        "first": {"v": 11},
        "n00000": {"v": 12},
        "n00001": {"v": 12},
        "n00002": {"v": 12},
        "last": {"v": 37},
    }


def test_levels_and_readers_follow_the_edges():
    made = small("w")

    assert made.levels == [["walk"], ["average", "risk", "move"], ["side"], ["size"]]
    assert made.children["risk"] == ("side", "size")


@pytest.mark.parametrize(
    "made",
    [
        wide("wide", 3),
        chain("chain", 3),
        layered("layers", 3, 4, (0, 1), cost_ms=0.1),
        small("small"),
        frames("frames"),
    ],
    ids=lambda made: made.name,
)
def test_a_workload_as_a_strategy_comes_to_the_values_of_the_plain_loop(made):
    pipeline = Pipeline.from_source(text(made))

    results = pipeline.execute({SOURCE: [{"ts": "2026-01-01", "v": 5.0}]}, as_of="2026-01-02")

    assert len({r.node_id for r in results.values()}) == len(made.nodes)  # none stands for two
    check(made, 5, {name: r.value for name, r in results.items()})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"n000": {"v": 6}}, "n001 has no value"),
        ({"n000": {"v": 6}, "n001": {"v": 8}}, r"n001 is \{'v': 8\}, not \{'v': 7\}"),
        ({"n000": {"v": 6}, "n001": {"v": 7}, "x": 1}, r"\['x'\] are no nodes"),
    ],
)
def test_a_wrong_or_missing_value_is_an_error_that_names_it(values, said: str):
    with pytest.raises(WrongValue, match=said):
        check(chain("chain", 2), 5, values)


def test_arrays_are_compared_by_their_elements():
    assert same(np.ones(2), np.ones(2))
    assert not same(np.ones(2), np.zeros(2))
    assert not same(np.ones(2), {"v": 1})


def test_no_two_runs_are_given_the_same_number():
    assert len({number_of(run) for run in range(10_000)}) == 10_000
