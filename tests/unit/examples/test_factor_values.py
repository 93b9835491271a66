"""The factor library on real prices, against loops written for these tests alone."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qmtl.models.datanode import NodeSpec
from qmtl.parsing.parser import parse_strategy
from tests.unit.examples.factor_references import REFERENCES, Days
from tests.unit.examples.loading import compute, prices, text

NODES = parse_strategy(text("factors")).nodes
FACTORS = [node for node in NODES if node.function in REFERENCES]
SHARED = {"returns", "log_prices", "log_returns", "true_range"}
PERIOD = 260
LENGTHS = (1, 2, 20, 130, 260, 403, 520)  # of the history, from the first day on


def in_sight(share: str, length: int) -> pd.DataFrame:
    return prices(share).iloc[max(0, length - PERIOD) : length]


def params(node: NodeSpec) -> dict[str, Any]:
    return {name: ast.literal_eval(literal) for name, literal in node.params}


def value(node: NodeSpec, frame: pd.DataFrame) -> float:
    return float(compute("factors", node.function, {"prices": frame}, **params(node)))


def expected(node: NodeSpec, frame: pd.DataFrame) -> float:
    return REFERENCES[node.function](Days(*frame.to_numpy().T), **params(node))


def test_there_are_at_least_30_families_and_150_nodes_and_each_has_a_reference() -> None:
    assert {node.function for node in NODES} == {*REFERENCES, *SHARED}
    assert len(REFERENCES) >= 30
    assert len(FACTORS) >= 150


@pytest.mark.parametrize("node", FACTORS, ids=lambda node: node.name)
def test_a_factor_of_real_prices_is_what_the_loops_say(node: NodeSpec) -> None:
    for share in ("goog", "ibm"):
        for length in LENGTHS:
            frame = in_sight(share, length)
            found, wanted = value(node, frame), expected(node, frame)
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True), (share, length)
    assert math.isfinite(value(node, in_sight("goog", 520)))


READS_TODAY = [node for node in FACTORS if ("skip", "1") not in node.params]


@pytest.mark.parametrize("node", READS_TODAY, ids=lambda node: node.name)
def test_a_factor_is_missing_where_today_is(node: NodeSpec) -> None:
    frame = in_sight("goog", 520).copy()
    frame.iloc[-1] = np.nan
    assert math.isnan(value(node, frame))


@pytest.mark.parametrize("node", FACTORS, ids=lambda node: node.name)
def test_prices_that_never_move_without_volume_raise_nothing(node: NodeSpec) -> None:
    frame = pd.DataFrame(50.0, index=prices("goog").index[:PERIOD], columns=prices("goog").columns)
    frame["volume"] = 0.0
    with np.errstate(all="raise"):
        found = value(node, frame)
    assert math.isnan(found) or math.isfinite(found)


@pytest.mark.parametrize("node", FACTORS, ids=lambda node: node.name)
def test_a_factor_leaves_what_it_reads_as_it_was(node: NodeSpec) -> None:
    frame = in_sight("goog", 520)
    before = frame.copy()
    value(node, frame)
    pd.testing.assert_frame_equal(frame, before)
