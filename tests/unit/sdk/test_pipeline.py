"""A strategy run in this process: what runs, on what, and what becomes of failures."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from qmtl.common.codec import digest, encode
from qmtl.common.errors import InvalidRequest, MissingData, StrategyRejected, UnknownTarget
from qmtl.common.timeline import parse_time
from qmtl.models.execution import NodeState
from qmtl.sdk.pipeline import Pipeline

HEADER = """
from qmtl.sdk import node, source, strategy
strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=3)
"""
PRICES = pd.Series(
    [1.0, 2.0, 3.0, 4.0], index=pd.date_range("2026-01-01", periods=4, freq="D", tz="UTC")
)


def pipeline(body: str) -> Pipeline:
    return Pipeline.from_source(HEADER + body)


def test_a_node_reads_the_latest_points_of_its_source_and_gives_a_value_with_its_digest() -> None:
    results = pipeline("@node()\ndef total(prices):\n    return float(prices.sum())\n").execute(
        {"prices": PRICES}
    )
    assert results["total"].value == 9.0  # the last three of four
    assert results["total"].digest == digest(encode(9.0))
    assert results["total"].state is NodeState.SUCCEEDED
    assert results.as_of_ns == parse_time("2026-01-05")
    assert not results.failed


@pytest.mark.parametrize(
    "as_of",
    ["2026-01-03", parse_time("2026-01-03"), datetime(2026, 1, 3, 23, 59, tzinfo=UTC)],
)
def test_nothing_later_than_its_bucket_reaches_a_node(as_of: str | int | datetime) -> None:
    results = pipeline("@node()\ndef last(prices):\n    return float(prices.iloc[-1])\n").execute(
        {"prices": PRICES}, as_of=as_of
    )
    assert results["last"].value == 2.0  # of 2 January: that of the 3rd is known on the 4th


def test_as_of_needs_a_time_zone() -> None:
    with pytest.raises(InvalidRequest, match="no time zone"):
        pipeline("@node()\ndef one(prices):\n    return 1\n").execute(
            {"prices": PRICES},
            as_of=datetime(2026, 1, 3),  # noqa: DTZ001 - wrong on purpose
        )


FAILING = """
@node()
def broken(prices):
    print("about to divide")
    return 1 / 0

@node()
def child(broken):
    return broken

@node()
def grandchild(child, fine):
    return child

@node()
def fine(prices):
    return 1
"""


def test_a_node_that_fails_keeps_only_its_descendants_from_running() -> None:
    results = pipeline(FAILING).execute({"prices": PRICES})
    states = {name: str(result.state) for name, result in results.items()}
    assert states == {
        "broken": "FAILED",
        "child": "SKIPPED",
        "grandchild": "SKIPPED",
        "fine": "SUCCEEDED",
    }
    assert set(results.failed) == {"broken", "child", "grandchild"}


def test_a_failure_is_told_with_the_strategy_s_own_lines_and_what_it_printed() -> None:
    broken = pipeline(FAILING).execute({"prices": PRICES})["broken"]
    assert broken.error is not None
    assert broken.error.message == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in broken.error.traceback
    assert broken.logs == "about to divide\n"
    assert broken.value is None


def test_what_a_reader_does_to_its_input_no_other_reader_sees() -> None:
    results = pipeline("""
@node()
def base(prices):
    return {"n": [1]}

@node()
def first(base):
    base["n"].append(2)
    return base

@node()
def second(base, first):
    base["n"].append(3)
    return base
""").execute({"prices": PRICES})
    assert results["base"].value == {"n": [1]}
    assert results["first"].value == {"n": [1, 2]}
    assert results["second"].value == {"n": [1, 3]}


def test_targets_run_with_what_they_rest_on_and_nothing_else() -> None:
    results = pipeline(FAILING).execute({"prices": PRICES}, targets=["fine"])
    assert list(results) == ["fine"]


def test_an_unknown_target_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownTarget, match="broken, child, fine, grandchild"):
        pipeline(FAILING).execute({"prices": PRICES}, targets=["fin"])


def test_two_names_of_one_computation_are_computed_once_and_both_shown() -> None:
    results = pipeline("""
@node()
def one(prices):
    print("computed")
    return float(prices.iloc[0])

@node()
def same(prices):
    print("computed")
    return float(prices.iloc[0])
""").execute({"prices": PRICES})
    assert results["one"].node_id == results["same"].node_id
    assert results["one"].value == results["same"].value == 2.0


TWO_SOURCES = """
volumes = source(columns=["volume"], interval="1d", period=3)

@node()
def price(prices):
    return 1

@node()
def volume(volumes):
    return 1
"""


def test_a_source_without_data_is_named_before_anything_runs() -> None:
    with pytest.raises(MissingData, match=r"'volumes'.*--data volumes=FILE\.csv"):
        pipeline(TWO_SOURCES).execute({"prices": PRICES})


def test_a_source_that_no_target_reads_needs_no_data() -> None:
    results = pipeline(TWO_SOURCES).execute({"prices": PRICES}, targets=["price"])
    assert results["price"].value == 1


def test_a_time_before_all_data_is_told_with_the_source() -> None:
    with pytest.raises(MissingData, match=r"'prices'.*visible at 2020-01-01T00:00:00Z"):
        pipeline(TWO_SOURCES).execute({"prices": PRICES}, as_of="2020-01-01", targets=["price"])


def test_a_module_that_raises_fails_its_nodes_with_the_line() -> None:
    results = pipeline("""
LIMIT = 1 / 0

@node()
def first(prices):
    return LIMIT
""").execute({"prices": PRICES})
    assert results["first"].error is not None
    assert "LIMIT = 1 / 0" in results["first"].error.traceback


def test_progress_counts_every_node() -> None:
    seen: list[tuple[int, int]] = []
    pipeline(FAILING).execute(
        {"prices": PRICES}, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_results_become_a_frame_with_a_row_for_each_binding() -> None:
    frame = pipeline(FAILING).execute({"prices": PRICES}).to_frame()
    assert frame.loc["fine", "value"] == 1
    assert frame.loc["broken", "error"] == "ZeroDivisionError: division by zero"


def test_a_text_that_is_no_strategy_is_rejected_without_running_it() -> None:
    with pytest.raises(StrategyRejected) as raised:
        Pipeline.from_source("import os\nos.system('true')\n")
    assert raised.value.problems[0].line >= 1
