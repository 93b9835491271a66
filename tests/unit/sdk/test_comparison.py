"""What an edit changes, and the cause that is named for it."""

from __future__ import annotations

import msgspec
import pytest

from qmtl.models.datanode import Input, QueryInput, QuerySpec, WindowInput
from qmtl.parsing.parser import parse_strategy
from qmtl.sdk.comparison import Change, Difference, Side, compare
from tests.support.registry import id_of, make_node, make_spec

OLD = """
import math
from qmtl.sdk import node, source, strategy

strategy("s", interval="1h")
prices = source("px", columns=["close"], interval="1h", period=5)
volumes = source(columns=["volume"], interval="1h", period=5)
SCALE = 2

def scaled(x):
    return x * SCALE

@node
def mean(prices, length=3):
    return scaled(float(prices.tail(length).mean()))

@node
def total(volumes):
    return float(volumes.sum())

@node(tags=["signal"])
def ratio(mean, total):
    return mean / total
"""


def side(text: str) -> Side:
    return Side(parse_strategy(text), text)


def edited(*edits: tuple[str, str], text: str = OLD) -> dict[str, Difference]:
    new = text
    for old_part, new_part in edits:
        assert old_part in new
        new = new.replace(old_part, new_part)
    return {d.name: d for d in compare(side(text), side(new))}


def causes(difference: Difference) -> list[str]:
    return [cause.message for cause in difference.causes]


def test_equal_strategies_reuse_every_node() -> None:
    assert {d.change for d in edited().values()} == {Change.REUSED}


def test_a_comment_changes_nothing() -> None:
    assert {d.change for d in edited(("SCALE = 2", "SCALE = 2  # twice")).values()} == {
        Change.REUSED
    }


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (("tail(length)", "head(length)"), "its own code changed"),
        (("SCALE = 2", "SCALE = 3"), "helper SCALE changed"),
        (("x * SCALE", "SCALE * x"), "helper scaled changed"),
        (("length=3", "length=4"), "parameter length: 3 became 4"),
        (
            ("@node\ndef mean", '@node(interval="2h")\ndef mean'),
            "interval: 1h became 2h",
        ),
        (("@node\ndef mean", "@node(cache=False)\ndef mean"), "cache: True became False"),
        (('source("px"', 'source("other"'), "source prices: series px became other"),
        (
            ('"px", columns=["close"]', '"px", columns=["close", "open"]'),
            "source prices: columns close became close, open",
        ),
        (
            ('"px", columns=["close"], interval="1h", period=5',
             '"px", columns=["close"], interval="1h", period=9'),
            "source prices: period 5 became 9",
        ),
    ],
)  # fmt: skip
def test_one_edit_is_told_as_one_cause_and_its_reader_by_its_upstream(
    edit: tuple[str, str], cause: str
) -> None:
    found = edited(edit)
    assert found["mean"].change is Change.CHANGED
    assert causes(found["mean"]) == [cause]
    assert causes(found["ratio"]) == ["upstream mean changed"]
    assert found["total"].change is Change.REUSED


def test_an_import_that_a_helper_comes_to_use_is_named_with_the_helper() -> None:
    found = edited(("return x * SCALE", "return math.floor(x) * SCALE"))
    assert causes(found["mean"]) == ["helper scaled changed", "import `import math` was added"]


def test_new_and_removed_nodes_and_inputs_are_told() -> None:
    found = edited(
        (
            "def total(volumes):\n    return float(volumes.sum())",
            "def count(volumes):\n    return 1",
        ),
        (
            "def ratio(mean, total):\n    return mean / total",
            "def ratio(mean, count):\n    return 1",
        ),
    )
    assert found["total"].change is Change.REMOVED
    assert found["count"].change is Change.NEW
    assert causes(found["ratio"]) == [
        "its own code changed",
        "input count was added",
        "input total was dropped",
    ]


def test_a_rename_is_no_change_of_the_node_nor_of_what_reads_it() -> None:
    found = edited(
        ("def total(", "def volume_sum("),
        ("@node(tags=", '@node(inputs={"total": "volume_sum"}, tags='),
    )
    assert found["volume_sum"].change is Change.RENAMED
    assert found["volume_sum"].was == "total"
    assert found["ratio"].change is Change.REUSED
    assert "total" not in found


def test_a_second_name_of_a_known_computation_is_reused() -> None:
    found = edited(
        ("@node(tags=", "@node\ndef twin(volumes):\n    return float(volumes.sum())\n\n@node(tags=")
    )
    assert (found["twin"].change, found["twin"].was) == (Change.REUSED, "total")


def test_another_upstream_is_told_by_the_argument() -> None:
    text = OLD.replace("@node(tags=", '@node(inputs={"total": "mean"}, tags=')
    found = {d.name: d for d in compare(side(OLD), side(text))}
    assert causes(found["ratio"]) == ["input total: total became mean"]


def test_a_series_of_the_strategy_s_own_stays_what_it_is_under_another_strategy() -> None:
    assert {d.change for d in edited(('strategy("s"', 'strategy("t"')).values()} == {Change.REUSED}


def lone(declared: Input, node_id: str) -> Side:
    node = msgspec.structs.replace(make_node("a", node_id=node_id), inputs=(declared,))
    other = make_node("b")
    return Side(make_spec("s", [node, other]), "def a(x): return x\ndef b(): return 1\n")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            WindowInput(argument="x", binding="a", count=1),
            WindowInput(argument="x", binding="a", count=5),
            ["window x: 1 results became 5"],
        ),
        (
            WindowInput(argument="x", binding="a", count=1),
            WindowInput(argument="x", binding="b", count=1),
            ["input x: a became b"],
        ),
        (
            QueryInput(argument="x", query=QuerySpec(all_tags=("SIGNAL",))),
            QueryInput(argument="x", query=QuerySpec(all_tags=("RISK",))),
            ["query x asks for others"],
        ),
        (
            QueryInput(argument="x", query=QuerySpec()),
            WindowInput(argument="x", binding="b", count=2),
            ["input x: a query became a window of b"],
        ),
    ],
)
def test_windows_and_queries_are_compared_by_what_they_ask(
    old: Input, new: Input, told: list[str]
) -> None:
    found = compare(lone(old, id_of("old")), lone(new, id_of("new")))
    assert causes(found[0]) == told
