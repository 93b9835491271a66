"""Golden cross: hold the share while its short moving average is above the long one.

A strategy is an ordinary Python module. Nothing here runs on the server when the file is
submitted: QMTL reads the declarations from the text. The same file runs locally:

    qmtl run examples/golden_cross.py --data prices=examples/data/nasdaq_goog_daily.csv
"""

import math

import pandas as pd

from qmtl.sdk import each, node, source, strategy, window

# Every node below runs once a day, since none of them says otherwise.
strategy("golden_cross", interval="1d", description="Moving-average crossover, sized by volatility")

# A source is a series that comes from outside. A node that takes `prices` gets the last 260 days
# that were known at its own day, as a DataFrame indexed by time: nothing later can reach it.
prices = source(
    "nasdaq.goog",
    columns=["open", "high", "low", "close", "volume"],
    interval="1d",
    period=260,
)

TRADING_DAYS = 252  # in a year


def annualised(daily: float) -> float:
    """Scale a daily deviation to a year. A plain helper: nodes that call it are bound to it."""
    return daily * math.sqrt(TRADING_DAYS)


# A parameter without a default is an input: the source or the node of that name.
@node(tags=["feature"])
def returns(prices: pd.DataFrame) -> pd.Series:
    """Daily log returns."""
    close = prices["close"].astype("float64")
    ratio = (close / close.shift(1)).dropna()
    return ratio.map(math.log).rename("returns")


# `each` makes a family: the nodes sma[10], sma[50] and sma[200], one for each length. Add a length
# and one node is new; everything else keeps its results.
@node(tags=["feature", "trend"])
@each(length=[10, 50, 200])
def sma(prices: pd.DataFrame, length: int) -> pd.Series:
    """Moving average, its last five days."""
    return prices["close"].rolling(length).mean().tail(5)


# `inputs` wires an argument to a node of another name. A parameter with a default, such as `band`,
# is a literal: change it and this node, and what reads it, is computed anew.
@node(tags=["signal"], inputs={"fast": "sma[50]", "slow": "sma[200]"}, timeout="5s", retries=1)
def crossover(fast: pd.Series, slow: pd.Series, *, band: float = 0.0) -> dict:
    """Which side the averages speak for, and how far apart they are."""
    spread = float(fast.iloc[-1] - slow.iloc[-1])
    return {"side": "long" if spread > band else "flat", "spread": spread}


# A window gives earlier results, oldest first; of "self", the node's own. It is empty at the start.
@node(tags=["feature"], inputs={"signal": "crossover", "past": window("self", 1)})
def held_days(signal: dict, past: list) -> int:
    """For how many days in a row the side has been long."""
    return (past[-1] if past else 0) + 1 if signal["side"] == "long" else 0


@node(tags=["risk"])
def volatility(returns: pd.Series, days: int = 20) -> float:
    """Annualised deviation of the latest daily returns."""
    return annualised(float(returns.tail(days).std()))


@node(tags=["risk"])
def drawdown(prices: pd.DataFrame) -> float:
    """How far the last close lies below the highest of the window, as a fraction of it."""
    close = prices["close"]
    return float(1.0 - close.iloc[-1] / close.max())


@node(tags=["signal", "position"], inputs={"signal": "crossover"})
def position(
    signal: dict, volatility: float, drawdown: float, target: float = 0.15, stop: float = 0.35
) -> dict:
    """The fraction of capital to hold: less when prices move more, none after a deep fall."""
    held = signal["side"] == "long" and drawdown < stop
    # A quiet market must not be answered with leverage, nor a silent one with a division by zero.
    size = min(1.0, target / volatility) if volatility > 0 else 1.0
    return {"size": round(size, 4) if held else 0.0, "side": "long" if held else "flat"}
