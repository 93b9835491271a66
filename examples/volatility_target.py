"""Volatility target: follow the trend, with more capital when prices are calm.

The side is the sign of past returns and the size is inverse to the latest volatility, as in
T. Moskowitz, Y. Ooi and L. Pedersen, Time Series Momentum, Journal of Financial Economics 104(2),
2012. The volatility is the exponentially weighted one of J.P. Morgan and Reuters, RiskMetrics
Technical Document, 4th edition, 1996.

    qmtl run examples/volatility_target.py --data prices=examples/data/nasdaq_aapl_daily.csv
"""

import math
from datetime import timedelta

import pandas as pd

from qmtl.sdk import each, node, source, strategy, window

strategy("volatility_target", interval="1d", description="Trend following at constant risk")

prices = source("nasdaq.aapl", columns=["close"], interval="1d", period=260)

YEAR = 252  # trading days
MONTH = 21


@node(tags=["feature"])
def returns(prices: pd.Series) -> pd.Series:
    """Simple daily returns, as fractions."""
    return (prices / prices.shift(1) - 1.0).dropna()


@node(tags=["risk", "volatility"])
@each(decay=[0.94, 0.97])
def ewma_volatility(returns: pd.Series, decay: float) -> float:
    """Annual volatility sqrt(252 sum d^i r[-i]^2 / sum d^i), a fraction; NaN without a return."""
    if len(returns) == 0:
        return math.nan
    variance = (returns**2).ewm(alpha=1.0 - decay).mean().iloc[-1]
    return math.sqrt(YEAR * float(variance))


@node(tags=["feature", "trend"])
@each(months=[1, 3, 12])
def direction(prices: pd.Series, months: int) -> int:
    """1 where the price rose over the past months, -1 where it fell, 0 while they fill."""
    if len(prices) <= MONTH * months:
        return 0
    change = prices.iloc[-1] - prices.iloc[-1 - MONTH * months]
    return int(change > 0.0) - int(change < 0.0)


@node(
    tags=["feature", "trend"],
    inputs={"month": "direction[1]", "quarter": "direction[3]", "year": "direction[12]"},
)
def trend(month: int, quarter: int, year: int) -> float:
    """Mean of the directions, from -1 to 1."""
    return (month + quarter + year) / 3.0


@node(tags=["risk"], inputs={"volatility": "ewma_volatility[0.94]"})
def leverage(volatility: float, *, target: float = 0.15, most: float = 1.5) -> float:
    """Capital that has the target volatility, as a multiple; 0 where that is not known."""
    if not volatility >= 0.0:
        return 0.0
    return most if volatility * most <= target else target / volatility


@node(tags=["signal", "position"])
def position(trend: float, leverage: float) -> dict:
    """The side of the trend, and the fraction of capital to hold there."""
    size = round(abs(trend) * leverage, 4)
    if size == 0.0:
        return {"side": "flat", "size": 0.0}
    return {"side": "long" if trend > 0.0 else "short", "size": size}


# window("position", 1) is what `position` gave in the bucket before: what was held during the day.
@node(tags=["profit"], inputs={"past": window("position", 1)})
def profit(prices: pd.Series, returns: pd.Series, past: list, as_of) -> float:
    """What the position held since yesterday made today, as a fraction of capital."""
    traded = as_of - prices.index[-1] <= timedelta(days=1)  # no price came in on a holiday
    if not past or not traded or len(returns) == 0:
        return 0.0
    sign = {"long": 1.0, "short": -1.0, "flat": 0.0}[past[-1]["side"]]
    return sign * past[-1]["size"] * float(returns.iloc[-1])


@node(tags=["risk", "volatility"], inputs={"today": "profit", "past": window("profit", 59)})
def realised_volatility(today: float, past: list) -> float:
    """Annual volatility of the profits of the latest sixty days: what the target came to."""
    profits = [*past, today]
    return math.sqrt(YEAR * math.fsum(each_day**2 for each_day in profits) / len(profits))
