"""The pairs trade, against least squares written out and trades told by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.examples.loading import module, prices

PAIRS = module("pairs_trade")
FLAT = {"side": "flat", "size": 0.0, "legs": {"first": 0.0, "second": 0.0}}
LONG = {"side": "long", "size": 1.0, "legs": {"first": 0.5, "second": -0.5}}
SHORT = {"side": "short", "size": 1.0, "legs": {"first": -0.5, "second": 0.5}}
HEDGE = {"level": 0.0, "ratio": 3.0}


def real_pair(until: int) -> pd.DataFrame:
    first, second = prices("msft")["close"], prices("ibm")["close"]
    pair: pd.DataFrame = PAIRS["log_pair"](first.iloc[:until], second.iloc[:until])
    return pair


def regression(pair: pd.DataFrame, days: int) -> tuple[float, float, list[float]]:
    """Slope, level and residuals, from the sums of the normal equations."""
    y, x = (pair[c].tolist()[-days:] for c in ("first", "second"))
    sx = sy = sxx = sxy = 0.0
    for a, b in zip(x, y, strict=True):
        sx, sy, sxx, sxy = sx + a, sy + b, sxx + a * a, sxy + a * b
    slope = (days * sxy - sx * sy) / (days * sxx - sx * sx)
    level = (sy - slope * sx) / days
    return slope, level, [b - level - slope * a for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize("days", [60, 120])
@pytest.mark.parametrize("until", [120, 300, 520])
def test_hedge_spread_and_scores_are_those_of_least_squares(days: int, until: int) -> None:
    pair = real_pair(until)
    slope, level, residuals = regression(pair, days)
    hedge = PAIRS["hedge"](pair, days)
    assert hedge == pytest.approx({"ratio": slope, "level": level}, rel=1e-6)
    spread = PAIRS["spread"](pair, hedge, days)
    assert spread.tolist() == pytest.approx(residuals, abs=1e-9)
    error = math.sqrt(math.fsum(e * e for e in residuals) / (days - 2))
    assert PAIRS["zscore"](spread, days) == pytest.approx(residuals[-1] / error, rel=1e-6)

    before, change = np.array(residuals[:-1]), np.diff(residuals)
    (g,), (left,), *_ = np.linalg.lstsq(before[:, None], change, rcond=None)
    wanted = g / math.sqrt(left / (days - 2) / np.dot(before, before))
    assert PAIRS["dickey_fuller"](spread, days) == pytest.approx(wanted, rel=1e-6)


def test_only_days_that_both_shares_have_are_compared() -> None:
    index = pd.date_range("2026-01-01", periods=4, tz="UTC")
    first = pd.Series([1.0, math.e, 5.0], index=index[[0, 1, 3]])
    second = pd.Series([math.e, 1.0, 7.0], index=index[:3])
    pair = PAIRS["log_pair"](first, second)
    assert pair.to_dict("list") == {"first": [0.0, 1.0], "second": [1.0, 0.0]}


def test_nothing_is_known_while_the_window_fills() -> None:
    pair = real_pair(59)
    hedge = PAIRS["hedge"](pair, 60)
    spread = PAIRS["spread"](pair, hedge, 60)
    assert math.isnan(hedge["ratio"])
    assert math.isnan(PAIRS["zscore"](spread, 60))
    assert math.isnan(PAIRS["dickey_fuller"](spread, 60))
    assert PAIRS["position"](math.nan, hedge, []) == FLAT


@pytest.mark.parametrize(
    ("zscore", "past", "side"),
    [
        (1.9, [], "flat"),
        (2.0, [], "short"),
        (-2.5, [FLAT], "long"),
        (-0.1, [LONG], "long"),
        (0.0, [LONG], "flat"),
        (0.1, [SHORT], "short"),
        (-0.1, [SHORT], "flat"),
        (-2.0, [SHORT], "long"),
        (math.nan, [LONG], "flat"),
    ],
)
def test_a_trade_opens_two_deviations_away_and_closes_at_the_mean(
    zscore: float, past: list[dict[str, Any]], side: str
) -> None:
    assert PAIRS["position"](zscore, HEDGE, past)["side"] == side


def test_the_legs_have_gross_one_and_stay_while_the_trade_is_open() -> None:
    opened = PAIRS["position"](-3.0, HEDGE, [])
    assert opened["legs"] == {"first": 0.25, "second": -0.75}
    assert PAIRS["position"](-1.0, {"level": 0.0, "ratio": 9.0}, [opened]) == opened


def test_profit_is_what_yesterdays_legs_made_today_and_nothing_on_a_holiday() -> None:
    index = pd.date_range("2026-01-01", periods=2, tz="UTC")
    first, second = pd.Series([10.0, 11.0], index), pd.Series([100.0, 98.0], index)
    at_close = datetime(2026, 1, 3, tzinfo=UTC)
    profit = PAIRS["profit"]
    assert profit(first, second, [LONG], at_close) == pytest.approx(0.5 * 0.1 + 0.5 * 0.02)
    assert profit(first, second, [LONG], at_close + timedelta(days=1)) == 0.0
    assert profit(first, second, [], at_close) == 0.0
