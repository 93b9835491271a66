"""A strategy that thinks in polars, in this process and in an executor."""

from __future__ import annotations

import pandas as pd
import polars as pl

from qmtl.common.codec import decode, digest, encode
from qmtl.sandbox.calls import Call
from qmtl.sandbox.executor import Executor
from qmtl.sdk import Pipeline

STRATEGY = """
import polars as pl
from qmtl.sdk import node, source, strategy

strategy("ranks", interval="1d")
prices = source(columns=["close"], interval="1d", period=3)

@node()
def table(prices):
    days = prices.index.tz_localize(None).to_numpy()
    frame = pl.DataFrame({"day": days, "close": prices.to_numpy()})
    return frame.with_columns(change=pl.col("close").diff())

@node()
def best(table):
    return table.filter(pl.col("change") == pl.col("change").max())

@node()
def drawn(table):
    return table["close"].shuffle()
"""
CLOSES = pd.Series([10.0, 11.0, 13.0], index=pd.date_range("2026-01-01", periods=3, tz="UTC"))
MIB = 1024**2
LAZY = """
import polars as pl

def table():
    frame = pl.LazyFrame({"side": ["a", "b", "a"], "size": [1, 2, 3]})
    return frame.group_by("side").agg(pl.col("size").sum()).sort("side").collect()
"""


def test_nodes_hand_polars_frames_to_one_another() -> None:
    results = Pipeline.from_source(STRATEGY).execute({"prices": CLOSES})
    table, best = results["table"], results["best"].value
    assert isinstance(table.value, pl.DataFrame)
    assert table.value["change"].to_list() == [None, 1.0, 2.0]
    assert table.digest == digest(encode(table.value))
    assert isinstance(best, pl.DataFrame)
    assert best["close"].to_list() == [13.0]


def test_what_polars_draws_depends_on_the_node_alone() -> None:
    first, second = (Pipeline.from_source(STRATEGY).execute({"prices": CLOSES}) for _ in range(2))
    assert first["drawn"].digest is not None
    assert first["drawn"].digest == second["drawn"].digest


def test_the_threads_of_polars_count_for_nothing_under_a_limit_of_memory() -> None:
    with Executor.start(LAZY, "lazy", memory_bytes=192 * MIB) as executor:
        [outcome] = executor.run([Call(node_id="t", function="table")], {})
    assert outcome.error is None
    assert outcome.value is not None
    value = decode(outcome.value)
    assert isinstance(value, pl.DataFrame)
    assert value.to_dict(as_series=False) == {"side": ["a", "b"], "size": [4, 2]}
