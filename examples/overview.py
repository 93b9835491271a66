"""Overview: what the strategies of an environment hold together, and whether they move together.

An analyzer is a strategy whose inputs are queries. It reads whatever strategies are active with it:
those of golden_cross.py, pairs_trade.py and volatility_target.py tag a node POSITION, with a `side`
and a `size`, and the latter two one PROFIT; a further strategy that does so is in the overview
without a change here.

    qmtl run examples/overview.py

A run of its own finds nobody beside it, and shows an empty overview.
"""

import math
from itertools import combinations

import numpy as np

from qmtl.sdk import node, query, strategy, window

strategy("overview", interval="1d", description="Exposure and agreement of all strategies")

SIGNS = {"long": 1.0, "short": -1.0, "flat": 0.0}


# A query gives a mapping: "strategy.binding" -> the latest result.
@node(tags=["analyzer"], inputs={"positions": query(tags=["position"], interval="1d")})
def exposures(positions: dict) -> dict:
    """What each strategy holds, as a fraction of its capital, negative where it is short."""
    return {name: SIGNS[held["side"]] * held["size"] for name, held in positions.items()}


@node(tags=["analyzer", "risk"])
def gross_exposure(exposures: dict) -> float:
    """Sum of all that is held, long or short, in capitals of one strategy."""
    return math.fsum(abs(size) for size in exposures.values())


@node(tags=["analyzer", "risk"])
def net_exposure(exposures: dict) -> float:
    """What is held long less what is held short, in capitals of one strategy."""
    return math.fsum(exposures.values())


@node(tags=["analyzer", "signal"])
def agreement(exposures: dict) -> dict:
    """Which side most strategies that hold anything are on, and the share of them that are."""
    longs = sum(size > 0.0 for size in exposures.values())
    shorts = sum(size < 0.0 for size in exposures.values())
    if longs == shorts:
        return {"side": "flat", "share": 0.5 if longs else 0.0}
    side = "long" if longs > shorts else "short"
    return {"side": side, "share": max(longs, shorts) / (longs + shorts)}


@node(tags=["analyzer"], inputs={"profits": query(tags=["profit"], interval="1d")})
def daily_profits(profits: dict) -> dict:
    """Each strategy's profit of the day, kept here so that it can be looked back at."""
    return profits


@node(
    tags=["analyzer", "correlation"],
    inputs={"today": "daily_profits", "past": window("daily_profits", 59)},
)
def correlation(today: dict, past: list, *, least: int = 20) -> dict:
    """Correlation of each two strategies' profits over the days, at most sixty, that have both.

    NaN with fewer than `least` such days, or where one of them never made or lost anything.
    """
    days = [*past, today]
    found = {}
    for one, other in combinations(sorted(today), 2):
        shared = [(day[one], day[other]) for day in days if one in day and other in day]
        x, y = (values - np.mean(values) for values in np.array(shared, dtype="float64").T)
        spread = math.sqrt(float(np.sum(x * x)) * float(np.sum(y * y)))
        enough = len(shared) >= least and spread > 0.0
        found[f"{one} ~ {other}"] = float(np.sum(x * y)) / spread if enough else math.nan
    return found
