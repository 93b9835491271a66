"""Strategies small enough to see at a glance, and points for them."""

from __future__ import annotations

from typing import Any

# prices -> mean, spread -> score
DIAMOND = """\
from qmtl.sdk import node, source, strategy

strategy("diamond", interval="1d", description="Two features and a score")

prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)


@node(tags=["feature"])
def mean(prices):
    return float(prices.mean())


@node(tags=["feature"])
def spread(prices):
    return float(prices.max() - prices.min())


@node(tags=["signal"])
def score(mean, spread, *, scale: float = 10.0):
    return {"score": scale * spread / mean, "mean": mean}
"""

# prices -> good;  prices -> bad -> behind_bad
HALF_BROKEN = """\
from qmtl.sdk import node, source, strategy

strategy("half_broken", interval="1d")

prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)


@node
def good(prices):
    return len(prices)


@node
def bad(prices):
    return helper(prices)


def helper(prices):
    raise ValueError("the shop is closed")


@node
def behind_bad(bad, good):
    return bad + good
"""

CLOSES = {"2026-11-16": 10.0, "2026-11-17": 12.0, "2026-11-18": 11.0, "2026-11-19": 14.0}
AFTER_THE_LAST = "2026-11-20T00:00:00Z"


def rows(closes: dict[str, float] = CLOSES) -> list[dict[str, Any]]:
    """Return points of ``shop.prices``."""
    return [{"ts": day, "close": close} for day, close in closes.items()]
