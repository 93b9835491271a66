"""The words of the language, when Python runs them."""

import importlib
import subprocess
import sys

import pytest

import qmtl.sdk
from qmtl.sdk import PREDEFINED_TAGS, each, node, query, source, strategy, window


def test_a_node_stays_the_function_it_is() -> None:
    def double(x: int) -> int:
        return 2 * x

    assert node(double) is double
    assert node(tags=["a"], timeout="5s", cache=False)(double) is double


def test_a_source_is_a_small_frozen_value() -> None:
    prices = source("a.b", columns=["x", "y"], interval="1d", period=3)
    assert (prices.name, prices.columns, prices.period) == ("a.b", ("x", "y"), 3)
    with pytest.raises(AttributeError):
        prices.period = 4  # type: ignore[misc]


def test_naming_the_strategy_does_nothing() -> None:
    assert strategy("s", interval="1d", description="One.") is None


def test_a_family_stays_the_one_function_it_is() -> None:
    def scaled(x: int, by: int) -> int:
        return by * x

    assert each(by=[1, 2])(scaled) is scaled
    assert each([{"by": 1}, {"by": 2}])(scaled) is scaled
    assert node(tags=["a"])(each(by=[1])(scaled))(3, by=2) == 6


def test_windows_and_queries_are_small_frozen_values() -> None:
    past = window("self", 3)
    assert (past.node, past.count) == ("self", 3)
    asked = query(tags=["signal"], any_tags=["a", "b"], interval="1d", strategy="other")
    assert (asked.tags, asked.any_tags) == (("signal",), ("a", "b"))
    assert (asked.interval, asked.strategy) == ("1d", "other")
    assert node(inputs={"x": past, "y": asked})(len) is len


def test_the_predefined_tags_are_upper_case_and_distinct() -> None:
    assert len(set(PREDEFINED_TAGS)) == 12
    assert all(tag == tag.upper() for tag in PREDEFINED_TAGS)


def test_importing_the_language_loads_neither_pandas_nor_the_client() -> None:
    heavy = ["pandas", "numpy", "click", "rich", "qmtl.sdk.client", "qmtl.sdk.pipeline"]
    code = f"import sys, qmtl.sdk; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_client_and_pipeline_are_loaded_when_asked_for() -> None:
    module = importlib.import_module("qmtl.sdk.client")
    assert qmtl.sdk.Client is module.Client
    assert {"Client", "Pipeline", "Window", "each", "node", "query", "window"} <= set(dir(qmtl.sdk))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Clinet'"):
        qmtl.sdk.Clinet  # noqa: B018 - asking is the test
