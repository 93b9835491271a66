"""Where results stand in the history of their line, and how new what they rest on is."""

from __future__ import annotations

import pytest

from qmtl.models.datanode import Input, NodeInput, NodeSpec, SourceInput, SourceSpec, WindowInput
from qmtl.models.execution import Pin, Plan
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.ledger_types import HistoryPlace
from qmtl.orchestrator.execution.places import places_of
from qmtl.orchestrator.execution.shape import Limits, Shape
from tests.support.ledgers import DAY_MS, DAY_NS, new_execution


def node(name: str, *inputs: Input, interval_ns: int | None = DAY_NS, keep: int = 1) -> NodeSpec:
    return NodeSpec(
        name=name,
        node_id=f"id-{name}",
        function=name,
        inputs=inputs,
        params=(),
        interval_ns=interval_ns,
        max_history=keep,
    )


def source(variable: str) -> SourceSpec:
    return SourceSpec(
        variable=variable, name="feed", columns=("close",), interval_ns=DAY_NS, period=3
    )


PRICES = SourceInput(argument="prices", variable="prices")


def places(*nodes: NodeSpec, adhoc: bool = False) -> dict[str, HistoryPlace | None]:
    spec = StrategySpec(
        name="golden",
        interval_ns=DAY_NS,
        description="",
        sources=(source("prices"), source("again")),
        nodes=nodes,
    )
    shape = Shape.of(spec, (), Limits(timeout_s=60.0, memory_bytes=1))
    plan = Plan(
        shape=shape.name,
        as_of_ns=20 * DAY_NS + 1,
        nodes=shape.nodes,
        stages=(),
        pins=tuple(Pin(variable=v, source="feed", revision=7) for v in ("prices", "again")),
    )
    found = places_of(new_execution(adhoc=adhoc), plan, shape)
    return {node_id.removeprefix("id-"): place for node_id, place in found.items()}


def test_a_node_counts_what_it_reads_through_nodes_and_windows() -> None:
    found = places(
        node("a", PRICES),
        node("b", NodeInput(argument="a", binding="a")),
        node(
            "c",
            WindowInput(argument="past", binding="c", count=2),
            WindowInput(argument="b", binding="b", count=2),
        ),
        node("d"),
    )
    revisions = {name: place and place.pinned.revision for name, place in found.items()}
    assert revisions == {"a": 7, "b": 7, "c": 7, "d": 0}


def test_two_variables_of_one_source_count_once() -> None:
    (place,) = places(node("a", PRICES, SourceInput(argument="b", variable="again"))).values()
    assert place is not None
    assert place.pinned.revision == 7


def test_a_place_is_the_bucket_and_keeps_what_the_longest_history_of_its_interval_needs() -> None:
    found = places(node("a", keep=3), node("b", keep=9))
    for place in found.values():
        assert place is not None
        assert (place.interval_ms, place.bucket_ms, place.keep) == (DAY_MS, 20 * DAY_MS, 9)


def test_a_node_without_interval_stands_nowhere() -> None:
    assert places(node("a", interval_ns=None)) == {"a": None}


@pytest.mark.parametrize("adhoc", [True, False])
def test_only_results_of_a_deployment_stand_in_its_line(adhoc: bool) -> None:
    assert bool(places(node("a"), adhoc=adhoc)) is not adhoc
