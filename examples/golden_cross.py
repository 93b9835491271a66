"""Golden cross: hold the share while its short moving average is above the long one.

A strategy is an ordinary Python module. Nothing here runs on the server when the file is
submitted: QMTL reads the declarations from the text. The same file runs locally:

    qmtl run examples/golden_cross.py --data prices=examples/data/nasdaq_goog_daily.csv
"""

import math

import pandas as pd

from qmtl.sdk import node, source, strategy

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


# A parameter with a default is a literal. Change it and this node, and what reads it, is computed
# anew; everything else keeps its results.
@node(tags=["feature", "trend"])
def sma_fast(prices: pd.DataFrame, length: int = 50) -> pd.Series:
    """Short moving average, its last five days."""
    return prices["close"].rolling(length).mean().tail(5)


@node(tags=["feature", "trend"])
def sma_slow(prices: pd.DataFrame, length: int = 200) -> pd.Series:
    """Long moving average, its last five days."""
    return prices["close"].rolling(length).mean().tail(5)


# `inputs` wires an argument to a node of another name.
@node(tags=["signal"], inputs={"fast": "sma_fast", "slow": "sma_slow"}, timeout="5s", retries=1)
def crossover(fast: pd.Series, slow: pd.Series, *, band: float = 0.0) -> dict:
    """Which side the averages speak for, and how far apart they are."""
    spread = float(fast.iloc[-1] - slow.iloc[-1])
    return {"side": "long" if spread > band else "flat", "spread": spread}


@node(tags=["risk"])
def volatility(returns: pd.Series, days: int = 20) -> float:
    """Annualised deviation of the latest daily returns."""
    return annualised(float(returns.tail(days).std()))


@node(tags=["risk"])
def drawdown(prices: pd.DataFrame) -> float:
    """How far the last close lies below the highest of the window, as a fraction of it."""
    close = prices["close"]
    return float(1.0 - close.iloc[-1] / close.max())


@node(tags=["signal"], inputs={"signal": "crossover"})
def position(
    signal: dict, volatility: float, drawdown: float, target: float = 0.15, stop: float = 0.35
) -> dict:
    """The fraction of capital to hold: less when prices move more, none after a deep fall."""
    held = signal["side"] == "long" and drawdown < stop
    # A quiet market must not be answered with leverage, nor a silent one with a division by zero.
    size = min(1.0, target / volatility) if volatility > 0 else 1.0
    return {"size": round(size, 4) if held else 0.0, "side": "long" if held else "flat"}
