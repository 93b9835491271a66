"""A run in the caller's own process: one BLAS thread, and a word about sets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from qmtl.common.errors import MissingData
from qmtl.sdk.analyzer import Analyzer
from qmtl.sdk.determinism import nodes_in_set_order, one_blas_thread
from qmtl.sdk.execution import LocalEngine
from qmtl.sdk.pipeline import Pipeline

HEADER = """
from qmtl.sdk import node, source, strategy
strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=1)
"""
ONE = "@node()\ndef one(prices):\n    return 1\n"
SETS = """
def names():
    return list({"a", "b"})

@node()
def listed(prices):
    return names()

@node()
def counted(prices):
    return len({"a", "b"})

@node()
def read_again(listed):
    return listed
"""
PRICES = [{"ts": "2026-01-01", "close": 1.0}, {"ts": "2026-01-02", "close": 2.0}]
RUN_TWICE = """
import sys, warnings
from qmtl.sdk.analyzer import Analyzer
from qmtl.sdk.pipeline import Pipeline
pipeline = Pipeline.from_source(sys.argv[1])
prices = [{"ts": "2026-01-01", "close": 1.0}, {"ts": "2026-01-02", "close": 2.0}]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pipeline.execute({"prices": prices})
    pipeline.execute({"prices": prices})
    pipeline.backtest({"prices": prices})
    Analyzer(pipeline, []).execute({"tiny": {"prices": prices}})
for each in caught:
    print(each.category.__name__, each.filename, each.message)
"""


def blas_threads() -> list[int]:
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


@pytest.fixture
def two_threads() -> Iterator[list[int]]:
    """Let BLAS have two threads, and return what its libraries then say."""
    with threadpool_limits(limits=2, user_api="blas"):
        found = blas_threads()
        assert set(found) == {2}
        yield found


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every node that runs adds the numbers of BLAS threads."""
    found: list[int] = []
    evaluator = LocalEngine.evaluator

    def spy(engine: LocalEngine) -> object:
        loaded = evaluator(engine)
        found.extend(blas_threads())
        return loaded

    monkeypatch.setattr(LocalEngine, "evaluator", spy)
    return found


def run(kind: str) -> None:
    pipeline = Pipeline.from_source(HEADER + ONE)
    if kind == "execute":
        pipeline.execute({"prices": PRICES})
    elif kind == "backtest":
        pipeline.backtest({"prices": PRICES})
    elif kind == "analyzer execute":
        Analyzer(pipeline, []).execute({"tiny": {"prices": PRICES}})
    else:
        Analyzer(pipeline, []).backtest({"tiny": {"prices": PRICES}})


@pytest.mark.parametrize("kind", ["execute", "backtest", "analyzer execute", "analyzer backtest"])
def test_nodes_run_with_one_blas_thread_and_the_caller_keeps_its_own(
    kind: str, two_threads: list[int], seen: list[int]
) -> None:
    run(kind)
    assert set(seen) == {1}
    assert blas_threads() == two_threads


def test_threads_come_back_behind_the_last_of_several_runs(two_threads: list[int]) -> None:
    with one_blas_thread:
        with one_blas_thread:
            pass
        assert set(blas_threads()) == {1}
    assert blas_threads() == two_threads


def test_threads_come_back_after_an_error(two_threads: list[int]) -> None:
    with pytest.raises(MissingData):
        Pipeline.from_source(HEADER + ONE).execute({"prices": PRICES}, as_of="2025-01-01")
    assert blas_threads() == two_threads


def test_nodes_whose_code_goes_through_a_set_are_named_and_no_others() -> None:
    text = HEADER + SETS
    assert nodes_in_set_order(Pipeline.from_source(text).spec, text) == ("listed",)


def warned(seed: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", RUN_TWICE, HEADER + SETS],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


def test_a_pipeline_warns_once_where_hashes_are_not_fixed() -> None:
    (only,) = warned("random")
    assert only.startswith("LocalRunWarning <string> tiny: listed may give another digest")


def test_with_fixed_hashes_nothing_is_said() -> None:
    assert warned("0") == []


POLARS = """
import polars as pl
from qmtl.sdk import node, strategy
strategy("columnar", interval="1d")

@node
def total():
    return pl.Series([1, 2]).sum()
"""
RUN_POLARS = """
import os, sys, warnings
if sys.argv[2] == "before":
    import polars
from qmtl.sdk.pipeline import Pipeline
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    results = Pipeline.from_source(sys.argv[1]).execute(as_of="2026-01-01")
assert results["total"].value == 3
import polars
print(polars.thread_pool_size(), "POLARS_MAX_THREADS" in os.environ)
for each in caught:
    print(each.category.__name__, each.filename, each.message)
"""


def ran_polars(when: str, text: str = POLARS, **environ: str) -> list[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "POLARS_MAX_THREADS"}
    run = subprocess.run(
        [sys.executable, "-c", RUN_POLARS, text, when],
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


def test_a_strategy_that_is_the_first_to_import_polars_gets_it_with_one_thread() -> None:
    assert ran_polars("never") == ["1 False"]


def test_a_polars_that_has_several_threads_already_is_warned_of() -> None:
    first, warning = ran_polars("before", POLARS_MAX_THREADS="2")
    assert first == "2 True"
    assert warning.startswith("LocalRunWarning <string> columnar may give other digests")


def test_a_polars_with_one_thread_is_not_warned_of() -> None:
    assert ran_polars("before", POLARS_MAX_THREADS="1") == ["1 True"]


def test_a_strategy_without_polars_is_not_warned() -> None:
    text = POLARS.replace("import polars as pl\n", "").replace("pl.Series([1, 2]).sum()", "3")
    assert ran_polars("before", text, POLARS_MAX_THREADS="2") == ["2 True"]
