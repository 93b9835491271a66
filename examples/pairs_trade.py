"""Pairs trade: sell what has become dear of two related shares and buy the other.

The hedge ratio is the slope of a regression over a rolling window, as in the first step of R. Engle
and C. Granger, Co-Integration and Error Correction, Econometrica 55(2), 1987. The trade is opened
two deviations from there and closed where the spread crosses its mean, the rule of E. Gatev,
W. Goetzmann and K. Rouwenhorst, Pairs Trading: Performance of a Relative-Value Arbitrage Rule,
Review of Financial Studies 19(3), 2006.

    qmtl run examples/pairs_trade.py \
        --data first=examples/data/nasdaq_msft_daily.csv \
        --data second=examples/data/nyse_ibm_daily.csv
"""

import math
from datetime import timedelta

import numpy as np
import pandas as pd

from qmtl.sdk import each, node, source, strategy, window

strategy("pairs_trade", interval="1d", description="Microsoft against IBM, back to their mean")

# One column: nodes get a Series.
first = source("nasdaq.msft", columns=["close"], interval="1d", period=130)
second = source("nyse.ibm", columns=["close"], interval="1d", period=130)


def move(close: pd.Series) -> float:
    """Return the latest daily return, as a fraction."""
    return float(close.iloc[-1] / close.iloc[-2] - 1.0) if len(close) > 1 else 0.0


@node(tags=["feature"])
def log_pair(first: pd.Series, second: pd.Series) -> pd.DataFrame:
    """Natural logarithms of both closes, on the days that have both."""
    both = pd.concat({"first": first, "second": second}, axis=1, join="inner").dropna()
    return both.map(math.log)


# `each` makes one node of every length: hedge[60] and hedge[120].
@node(tags=["feature"])
@each(days=[60, 120])
def hedge(log_pair: pd.DataFrame, days: int) -> dict:
    """Least squares of first = level + ratio * second, in logs; NaN while the window fills."""
    if len(log_pair) < days:
        return {"level": math.nan, "ratio": math.nan}
    y, x = (log_pair[name].to_numpy()[-days:] for name in ("first", "second"))
    ratio = float(np.sum((x - np.mean(x)) * (y - np.mean(y))) / np.sum((x - np.mean(x)) ** 2))
    return {"level": float(np.mean(y) - ratio * np.mean(x)), "ratio": ratio}


# Inside a family, `{days}` stands for the member's own: spread[60] reads hedge[60].
@node(tags=["feature"], inputs={"hedge": "hedge[{days}]"})
@each(days=[60, 120])
def spread(log_pair: pd.DataFrame, hedge: dict, days: int) -> pd.Series:
    """What the regression leaves unexplained, in logs: how dear the first is, day by day."""
    window_of_days = log_pair.tail(days)
    return window_of_days["first"] - hedge["level"] - hedge["ratio"] * window_of_days["second"]


@node(tags=["feature", "anomaly"], inputs={"spread": "spread[{days}]"})
@each(days=[60, 120])
def zscore(spread: pd.Series, days: int) -> float:
    """The latest spread in standard errors of the regression, sqrt(sum spread^2 / (n - 2))."""
    error = math.sqrt(float((spread**2).sum()) / (days - 2))
    return float(spread.iloc[-1]) / error if error > 0.0 else math.nan


@node(tags=["risk"], inputs={"spread": "spread[{days}]"})
@each(days=[60, 120])
def dickey_fuller(spread: pd.Series, days: int) -> float:
    """The t value of g in e - e[-1] = g e[-1], the second step of Engle and Granger.

    Below about -3.4 the two are cointegrated at 5 % (n = 100). NaN while the window fills.
    """
    values = spread.to_numpy()
    before, change = values[:-1], np.diff(values)
    squares = float(np.sum(before**2))
    if len(values) < days or squares == 0.0:
        return math.nan
    g = float(np.sum(before * change)) / squares
    error = math.sqrt(float(np.sum((change - g * before) ** 2)) / (days - 2) / squares)
    return g / error if error > 0.0 else math.nan


# window("self", 1) is this node's own latest result before today: whether a trade is open.
@node(
    tags=["signal", "position"],
    inputs={"zscore": "zscore[60]", "hedge": "hedge[60]", "past": window("self", 1)},
)
def position(zscore: float, hedge: dict, past: list, *, enter: float = 2.0) -> dict:
    """The open trade: `legs` are fractions of capital, of gross 1 where one is open.

    `side` is that of the first share. The legs stay as they were when the trade was opened.
    """
    held = (
        past[-1] if past else {"side": "flat", "size": 0.0, "legs": {"first": 0.0, "second": 0.0}}
    )
    open_long = held["side"] == "long" and zscore < 0.0
    open_short = held["side"] == "short" and zscore > 0.0
    if open_long or open_short:
        return held
    if not abs(zscore) >= enter:  # also where it is NaN
        return {"side": "flat", "size": 0.0, "legs": {"first": 0.0, "second": 0.0}}
    sign, gross = -math.copysign(1.0, zscore), 1.0 + abs(hedge["ratio"])
    legs = {"first": sign / gross, "second": -sign * hedge["ratio"] / gross}
    return {"side": "long" if sign > 0.0 else "short", "size": 1.0, "legs": legs}


@node(tags=["profit"], inputs={"past": window("position", 1)})
def profit(first: pd.Series, second: pd.Series, past: list, as_of) -> float:
    """What the legs held since yesterday made today, as a fraction of capital, without costs."""
    # On a holiday no price came in.
    traded = as_of - min(first.index[-1], second.index[-1]) <= timedelta(days=1)
    if not past or not traded:
        return 0.0
    legs = past[-1]["legs"]
    return legs["first"] * move(first) + legs["second"] * move(second)
