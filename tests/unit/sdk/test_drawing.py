"""Pictures of a strategy, as data, as text, and drawn."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import msgspec
import pytest

from qmtl.models.datanode import AsOfInput, QueryInput, QuerySpec, WindowInput
from qmtl.models.strategy import StrategySpec
from qmtl.sdk.drawing import Picture, to_dot, to_mermaid
from qmtl.sdk.drawing_layout import MOST_IN_A_LEVEL, PASSING, lay_out
from qmtl.sdk.drawing_svg import to_svg
from tests.support.registry import DAY_NS, make_node, make_source, make_spec

SVG = "{http://www.w3.org/2000/svg}"


def with_all_kinds() -> StrategySpec:
    """Return a source, two nodes that read on, and one that asks, looks back and knows the time."""
    agreement = msgspec.structs.replace(
        make_node("agreement", tags=["ANALYZER"]),
        inputs=(
            QueryInput(
                argument="signals", query=QuerySpec(all_tags=("SIGNAL",), interval_ns=DAY_NS)
            ),
            WindowInput(argument="past", binding="signal", count=20),
            WindowInput(argument="own", binding="agreement", count=1),
            AsOfInput(argument="as_of"),
        ),
    )
    nodes = [
        make_node("sma[10]", sources=["prices"]),
        make_node("signal", reads=["sma[10]"], tags=["SIGNAL"]),
        agreement,
    ]
    return make_spec("kinds", nodes, [make_source("nasdaq.goog", variable="prices")])


PICTURE = Picture.of(with_all_kinds())


def test_the_document_names_nodes_and_edges_with_their_kinds() -> None:
    document = PICTURE.document()
    kinds = {node["key"]: node["kind"] for node in document["nodes"]}
    assert kinds == {
        "source:prices": "source",
        "query:SIGNAL; every 1d": "query",
        "node:sma[10]": "node",
        "node:signal": "node",
        "node:agreement": "node",
    }
    assert document["edges"][-1] == {
        "read": "node:agreement",
        "reader": "node:agreement",
        "argument": "own",
        "kind": "window",
        "count": 1,
    }


def test_mermaid_has_rounded_sources_hexagons_for_queries_and_dashed_windows() -> None:
    lines = to_mermaid(PICTURE).splitlines()
    assert lines[0] == "flowchart LR"
    assert '    n0(["prices<br/>nasdaq.goog, 1d"]):::source' in lines
    assert '    n1{{"query<br/>SIGNAL; every 1d"}}:::query' in lines
    assert '    n2["sma[10]"]:::node' in lines
    assert '    n3 -. "past: 20" .-> n4' in lines


def test_dot_quotes_names_and_dashes_windows() -> None:
    text = to_dot(PICTURE)
    assert '    "node:sma[10]" [label="sma[10]", shape=box];' in text
    assert '    "node:signal" -> "node:agreement" [style=dashed, label="past: 20"];' in text


def test_text_of_a_name_cannot_leave_its_place() -> None:
    spec = make_spec("s", [make_node('a"]<b>#')])
    assert '["a#quot;]#lt;b#gt;#35;"]' in to_mermaid(Picture.of(spec))
    assert 'label="a\\"]<b>#"' in to_dot(Picture.of(spec))
    assert ET.fromstring(to_svg(Picture.of(spec))) is not None


def svg_of(spec: StrategySpec) -> ET.Element:
    return ET.fromstring(to_svg(Picture.of(spec)))


def test_the_drawing_has_a_shape_and_the_texts_of_every_box() -> None:
    root = svg_of(with_all_kinds())
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[:2] == ["prices", "nasdaq.goog, 1d"]
    assert "sma[10]" in texts
    assert len(root.findall(f".//{SVG}polygon[@class='query']")) == 1
    assert len(root.findall(f".//{SVG}path[@class='edge window']")) == 2


def test_a_long_text_is_cut_and_told_whole_when_pointed_at() -> None:
    root = svg_of(make_spec("s", [make_node("a" * 60)]))
    assert max(len(text.text or "") for text in root.iter(f"{SVG}text")) < 60
    assert any((title.text or "").startswith("a" * 60) for title in root.iter(f"{SVG}title"))


def wide(count: int) -> StrategySpec:
    nodes = [make_node(f"f{i}", sources=["prices"], tags=["FEATURE"]) for i in range(count - 2)]
    middle = make_node("middle", reads=["f0"])
    last = make_node("last", reads=[*(f"f{i}" for i in range(count - 2)), "middle"])
    return make_spec("wide", [*nodes, middle, last], [make_source("prices")])


@pytest.mark.parametrize("count", [5, 60, 200])
def test_no_two_boxes_of_a_drawing_meet(count: int) -> None:
    rects = [
        tuple(float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
        for rect in svg_of(wide(count)).findall(f".//{SVG}g/{SVG}rect")
    ]
    assert len(rects) == count + 1
    for (x, y, _, height), (next_x, next_y, _, _) in pairwise(sorted(rects)):
        assert next_x > x or next_y >= y + height


def test_a_level_is_bounded_and_readers_stand_to_the_right_of_what_they_read() -> None:
    upstream: dict[str, list[str]] = {"s": [], **{f"f{i}": ["s"] for i in range(100)}}
    upstream["last"] = [f"f{i}" for i in range(100)]
    layout = lay_out(upstream, dict.fromkeys(upstream, 20.0))
    level = {name: i for i, column in enumerate(layout.columns) for name in column}
    assert all(level[u] < level[name] for name, reads in upstream.items() for u in reads)
    boxes = [[n for n in column if not n.startswith(PASSING)] for column in layout.columns]
    assert max(map(len, boxes)) <= MOST_IN_A_LEVEL


def test_edges_out_of_one_box_share_their_way_through_a_level() -> None:
    layout = lay_out({"s": [], "a": ["s"], "b": ["a", "s"], "c": ["b", "s"]}, {})
    passages = [name for column in layout.columns for name in column if name.startswith(PASSING)]
    assert len(passages) == 2  # one in the level of a, one in that of b
    assert layout.ends["s", "c"][0] == passages[1]


def test_a_strategy_without_sources_is_drawn() -> None:
    assert len(svg_of(make_spec("s", [make_node("a")])).findall(f".//{SVG}g")) == 1
