"""What ``qmtl new`` writes."""

from __future__ import annotations

import math

from qmtl.testing.samples import series

DAYS = 90

STRATEGY = '''\
"""NAME: follow the trend of one price, as an example to change.

Look at it:     qmtl check NAME.py; qmtl graph NAME.py
Run it:         qmtl run NAME.py
Test it:        pytest test_NAME.py
"""

from qmtl.sdk import each, node, source, strategy, window

# One file is one strategy. Its nodes run once a day, since none of them says otherwise.
strategy("NAME", interval="1d", description="Follows the trend of one price")

# A source is a series from outside. A node that takes `prices` gets the last 30 closes that were
# known at its own day, as a Series indexed by time; nothing later can reach it. `qmtl run` takes
# them from NAME.prices.csv, which stands beside this file, unless you say --data prices=FILE.
prices = source(columns=["close"], interval="1d", period=30)


# A node is a pure function. Its parameter `prices` is an input: the source or node of that name.
# `each` makes a family of it: the nodes average[5] and average[20].
@node(tags=["feature", "trend"])
@each(length=[5, 20])
def average(prices, length: int) -> float:
    """Mean of the last closes."""
    return float(prices.tail(length).mean())


# `inputs` names what an argument takes where that is called otherwise. A parameter with a default
# is a literal: change it, and this node and what rests on it are computed anew; nothing else is.
@node(tags=["signal"], inputs={"fast": "average[5]", "slow": "average[20]"})
def side(fast, slow, *, band: float = 0.005) -> str:
    """Long while the short average is above the long one by more than the band."""
    return "long" if fast > slow * (1 + band) else "flat"


# A window gives the latest results of earlier days, oldest first; of the node itself, too. A run
# here has none but its own day's, so it begins at 1; on a server the count goes on every day.
@node(tags=["risk"], inputs={"past": window("self", 1)})
def days_long(side, past) -> int:
    """For how many days in a row the side has been long."""
    before = past[-1] if past else 0
    return before + 1 if side == "long" else 0
'''

TEST = '''\
"""Tests of NAME: run them with pytest."""

import pytest
from qmtl.testing import assert_node, series

# Thirty days of one price; `series` can also have gaps, repeats and late points.
RISING = {"prices": series("2026-01-01", "1d", [100.0 + day for day in range(30)])}
FALLING = {"prices": series("2026-01-01", "1d", [130.0 - day for day in range(30)])}


# The fixture `pipeline` comes with qmtl; it reads a strategy that stands beside this test.
def test_an_average_is_that_of_the_last_closes(pipeline):
    assert_node(pipeline("NAME.py"), "average[5]", inputs=RISING, expected=127.0)


@pytest.mark.parametrize(("data", "side"), [(RISING, "long"), (FALLING, "flat")])
def test_a_rising_price_is_followed_and_a_falling_one_is_not(pipeline, data, side):
    assert_node(pipeline("NAME.py"), "side", inputs=data, expected=side)


def test_a_missing_day_is_passed_over(pipeline):
    data = {"prices": RISING["prices"].with_gap("2026-01-28")}
    assert_node(pipeline("NAME.py"), "average[5]", inputs=data, expected=126.4)
'''


def starter_files(name: str) -> dict[str, str]:
    """Return the text of every file of a new strategy, by file name."""
    closes = [
        round(100 * (1 + 0.0015 * day + 0.06 * math.sin(day / 12) + 0.01 * math.sin(day * 2.1)), 2)
        for day in range(DAYS)
    ]
    return {
        f"{name}.py": STRATEGY.replace("NAME", name),
        f"test_{name}.py": TEST.replace("NAME", name),
        f"{name}.prices.csv": series("2026-01-01", "1d", closes).to_csv(),
    }
