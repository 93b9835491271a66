"""The overview of mappings as queries give them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.examples.loading import module, prices

OVERVIEW = module("overview")
POSITIONS = {
    "golden_cross.position": {"side": "long", "size": 0.8},
    "pairs_trade.position": {"side": "short", "size": 1.0, "legs": {}},
    "volatility_target.position": {"side": "long", "size": 0.5},
}


def test_exposures_are_signed_and_add_up_gross_and_net() -> None:
    exposures = OVERVIEW["exposures"](POSITIONS)
    assert list(exposures.values()) == [0.8, -1.0, 0.5]
    assert OVERVIEW["gross_exposure"](exposures) == pytest.approx(2.3)
    assert OVERVIEW["net_exposure"](exposures) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("sizes", "side", "share"),
    [
        ([0.8, -1.0, 0.5], "long", 2 / 3),
        ([-0.8, -1.0, 0.0], "short", 1.0),
        ([0.5, -0.5], "flat", 0.5),
        ([0.0], "flat", 0.0),
        ([], "flat", 0.0),
    ],
)
def test_those_that_hold_something_agree_or_not(
    sizes: list[float], side: str, share: float
) -> None:
    found = OVERVIEW["agreement"]({f"s{n}.position": size for n, size in enumerate(sizes)})
    assert (found["side"], found["share"]) == (side, pytest.approx(share))


def test_correlations_are_numpys_over_the_days_that_both_have() -> None:
    moves = {share: prices(share)["close"].pct_change().tolist()[1:61] for share in ("goog", "ibm")}
    days = [
        {f"{share}.profit": moves[share][day] for share in moves if day >= 10 or share == "ibm"}
        for day in range(60)
    ]
    found = OVERVIEW["correlation"](days[-1], days[:-1])
    wanted = np.corrcoef(moves["goog"][10:], moves["ibm"][10:])[0, 1]
    assert found == {"goog.profit ~ ibm.profit": pytest.approx(wanted, rel=1e-9)}


def test_a_correlation_is_missing_with_few_days_or_without_movement() -> None:
    few = [{"a.profit": float(day), "b.profit": float(day)} for day in range(20)]
    correlation = OVERVIEW["correlation"]
    assert correlation(few[-1], few[:-1]) == {"a.profit ~ b.profit": pytest.approx(1.0)}
    assert math.isnan(correlation(few[-1], few[1:-1])["a.profit ~ b.profit"])
    still = [{"a.profit": 0.0, "b.profit": float(day)} for day in range(20)]
    assert math.isnan(correlation(still[-1], still[:-1])["a.profit ~ b.profit"])


def test_alone_the_overview_is_empty() -> None:
    exposures = OVERVIEW["exposures"]({})
    assert exposures == {}
    assert OVERVIEW["gross_exposure"](exposures) == 0.0
    assert OVERVIEW["correlation"](OVERVIEW["daily_profits"]({}), []) == {}
