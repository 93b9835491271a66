"""The history that local runs leave, and how it is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from qmtl.common.codec import digest, encode
from qmtl.common.errors import InvalidRequest, UnknownTarget
from qmtl.sdk.pipeline import Pipeline

PRICES = pd.Series(
    range(1, 21), dtype=float, index=pd.date_range("2026-01-01", periods=20, freq="D", tz="UTC")
)


@pytest.fixture
def pipeline() -> Pipeline:
    made = Pipeline.from_source("""
from qmtl.sdk import node, source, strategy
strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=2)

@node(max_history=12)
def last(prices):
    return float(prices.iloc[-1])
""")
    for day in PRICES.index[1:]:
        made.execute({"prices": PRICES}, as_of=day.to_pydatetime())
    return made


def test_the_latest_results_come_first_with_bucket_value_and_digest(pipeline: Pipeline) -> None:
    newest, second = pipeline.get_history("last", count=2)
    assert newest.bucket == datetime(2026, 1, 20, tzinfo=UTC)
    assert (newest.value, second.value) == (19.0, 18.0)
    assert newest.digest == digest(encode(19.0))


def test_as_many_results_are_kept_as_max_history_says(pipeline: Pipeline) -> None:
    assert len(pipeline.get_history("last", count=100)) == 12


def test_a_coarser_interval_gives_the_last_result_of_each_bucket(pipeline: Pipeline) -> None:
    weeks = pipeline.get_history("last", interval="1w")
    assert [past.bucket.day for past in weeks] == [20, 18, 11]  # weeks end on Sundays


def test_an_interval_that_is_no_multiple_of_the_nodes_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidRequest, match=r"no multiple.*1d"):
        pipeline.get_history("last", interval="36h")


def test_an_unknown_binding_is_refused_with_those_there_are(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownTarget, match="It binds last"):
        pipeline.get_history("first")


def test_a_run_of_the_same_bucket_replaces_its_result(pipeline: Pipeline) -> None:
    pipeline.execute({"prices": PRICES * 10}, as_of="2026-01-20")
    assert [past.value for past in pipeline.get_history("last", count=2)] == [190.0, 18.0]


def test_a_count_below_one_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidRequest, match="count"):
        pipeline.get_history("last", count=0)
