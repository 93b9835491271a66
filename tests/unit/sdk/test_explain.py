"""What a binding is made of, and the graph as plain data."""

from __future__ import annotations

import json

import pytest

from qmtl.common.errors import UnknownTarget
from qmtl.sdk.pipeline import Pipeline

TEXT = """
import math

from qmtl.sdk import each, node, query, source, strategy, window

strategy("tiny", interval="1d", description="Small & <plain>")

prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)

SCALE = 2.0


def scaled(value):
    return SCALE * math.sqrt(value)


@node(tags=["feature"])
@each(length=[2, 3])
def mean(prices, length: int):
    return scaled(float(prices.tail(length).mean()))


@node(inputs={"fast": "mean[2]", "past": window("self", 1)})
def state(fast, past, as_of):
    return fast


@node(inputs={"before": window("state", 5), "signals": query(tags=["signal"], interval="1d")})
def report(before, signals):
    return len(before)
"""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.from_source(TEXT)


def test_an_explanation_names_code_helpers_imports_and_parameters(pipeline: Pipeline) -> None:
    told = pipeline.explain("mean[2]")
    assert told.params == {"length": "2"}
    assert told.helpers == {
        "SCALE": "SCALE = 2.0",
        "scaled": "def scaled(value):\n    return SCALE * math.sqrt(value)",
    }
    assert told.imports == ("import math",)
    assert "def mean(prices, length: int):" in told.code
    assert (told.interval, told.tags) == ("1d", ("FEATURE",))


def test_an_explanation_names_each_input_with_what_counts_for_the_id(pipeline: Pipeline) -> None:
    inputs = {given.argument: given for given in pipeline.explain("state").inputs}
    assert {argument: (i.kind, i.reads) for argument, i in inputs.items()} == {
        "fast": ("node", "mean[2]"),
        "past": ("window", "state"),
        "as_of": ("as_of", "as_of"),
    }
    assert inputs["fast"].identity == pipeline.explain("mean[2]").node_id


def test_an_explanation_names_what_rests_on_a_binding_through_windows_too(
    pipeline: Pipeline,
) -> None:
    told = pipeline.explain("mean[2]")
    assert told.readers == ("state",)
    assert set(told.reaches) == {"state", "report"}
    assert set(pipeline.explain("report").rests_on) == {"mean[2]", "state"}
    assert pipeline.explain("mean[3]").readers == ()


def test_an_explanation_reads_as_text_and_as_plain_data(pipeline: Pipeline) -> None:
    told = pipeline.explain("report")
    assert "before <- window state (the latest 5 results of earlier buckets)" in str(told)
    assert "signals <- query all of SIGNAL; 1d (of other strategies)" in str(told)
    assert json.loads(json.dumps(told.to_dict()))["name"] == "report"
    assert "&lt;- window state" in told._repr_html_()


def test_an_unknown_binding_is_refused_with_those_there_are(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownTarget, match=r"mean\[2\], mean\[3\], report, state"):
        pipeline.explain("mean")


def test_dag_info_is_plain_data_of_sources_nodes_edges_and_levels(pipeline: Pipeline) -> None:
    info = json.loads(json.dumps(pipeline.get_dag_info()))
    assert [source["name"] for source in info["sources"]] == ["shop.prices"]
    assert info["levels"] == [["mean[2]", "mean[3]", "report"], ["state"]]
    assert {"from": "mean[2]", "to": "state", "argument": "fast", "kind": "node"} in info["edges"]
    window = {"from": "state", "to": "report", "argument": "before", "kind": "window", "count": 5}
    assert window in info["edges"]


def test_a_pipeline_draws_itself_in_mermaid_and_in_a_notebook(pipeline: Pipeline) -> None:
    assert pipeline.to_mermaid().startswith("flowchart")
    html = pipeline._repr_html_()
    assert "<svg" in html
    assert "Small &amp; &lt;plain&gt;" in html
