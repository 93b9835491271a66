"""The volatility target, against weights written out and cases told by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from tests.unit.examples.loading import module, prices

TARGET = module("volatility_target")
CLOSE = prices("aapl")["close"]
LONG = {"side": "long", "size": 0.5}


@pytest.mark.parametrize("decay", [0.94, 0.97])
@pytest.mark.parametrize("until", [2, 50, 520])
def test_the_volatility_weighs_each_return_by_its_age(decay: float, until: int) -> None:
    closes = CLOSE.tolist()[:until]
    weighted = weights = 0.0
    for age in range(until - 1):
        change = closes[-1 - age] / closes[-2 - age] - 1
        weighted += decay**age * change**2
        weights += decay**age
    returns = TARGET["returns"](CLOSE.iloc[:until])
    found = TARGET["ewma_volatility"](returns, decay)
    assert found == pytest.approx(math.sqrt(252 * weighted / weights), rel=1e-9)


def test_without_a_return_nothing_is_known_and_nothing_held() -> None:
    volatility = TARGET["ewma_volatility"](TARGET["returns"](CLOSE.iloc[:1]), 0.94)
    assert math.isnan(volatility)
    assert TARGET["leverage"](volatility) == 0.0
    assert TARGET["position"](1.0, 0.0) == {"side": "flat", "size": 0.0}


def test_the_direction_is_the_sign_of_the_past_months() -> None:
    direction = TARGET["direction"]
    rising = pd.Series([float(day) for day in range(1, 300)])
    assert [direction(rising, m) for m in (1, 3, 12)] == [1, 1, 1]
    assert direction(rising[::-1], 12) == -1
    assert direction(rising.tail(21), 1) == 0
    assert direction(rising.tail(22), 1) == 1
    assert direction(rising * 0 + 5, 1) == 0


def test_the_trend_is_the_mean_of_the_directions() -> None:
    assert TARGET["trend"](1, 1, -1) == pytest.approx(1 / 3)
    assert TARGET["trend"](-1, -1, -1) == -1.0


@pytest.mark.parametrize(
    ("volatility", "multiple"), [(0.15, 1.0), (0.30, 0.5), (0.10, 1.5), (0.05, 1.5), (0.0, 1.5)]
)
def test_more_is_held_when_prices_are_calm_up_to_a_limit(
    volatility: float, multiple: float
) -> None:
    assert TARGET["leverage"](volatility) == pytest.approx(multiple)


def test_a_position_has_the_side_of_the_trend_and_its_size() -> None:
    assert TARGET["position"](1.0, 0.5) == LONG
    assert TARGET["position"](-1 / 3, 1.5) == {"side": "short", "size": 0.5}
    assert TARGET["position"](0.0, 1.5) == {"side": "flat", "size": 0.0}


def test_profit_is_what_yesterdays_position_made_today_and_nothing_on_a_holiday() -> None:
    close = pd.Series([10.0, 11.0], pd.date_range("2026-01-01", periods=2, tz="UTC"))
    returns = TARGET["returns"](close)
    known = datetime(2026, 1, 3, tzinfo=UTC)
    profit = TARGET["profit"]
    assert profit(close, returns, [LONG], known) == pytest.approx(0.05)
    assert profit(close, returns, [{"side": "short", "size": 0.5}], known) == pytest.approx(-0.05)
    assert profit(close, returns, [LONG], known + timedelta(days=1)) == 0.0
    assert profit(close, returns, [], known) == 0.0


def test_the_volatility_that_came_of_it_counts_today_and_the_days_before() -> None:
    found = TARGET["realised_volatility"](0.01, [0.02, -0.02])
    assert found == pytest.approx(math.sqrt(252 * 0.0009 / 3))
