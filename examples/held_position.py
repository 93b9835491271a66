"""A position and its profit, kept from day to day by a node that reads its own last result.

What is decided after a close is traded at the next open: the book carries the order overnight.

    qmtl run examples/held_position.py --data prices=examples/data/nasdaq_goog_daily.csv

One run knows one day, so its book is empty; run day after day the book goes on where it was.
"""

import pandas as pd

from qmtl.sdk import node, source, strategy, window

strategy("held_position", interval="1d", description="A book of one share, carried on daily")

prices = source("nasdaq.goog", columns=["open", "close"], interval="1d", period=50)

EMPTY = {
    "day": "",  # the latest trading day that is in the book
    "order": 0,  # shares to hold from the next open on
    "shares": 0,
    "cost": 0.0,  # average price paid for them, dollars
    "realised": 0.0,  # profit of what was sold, dollars
    "fees": 0.0,  # dollars
    "unrealised": 0.0,  # profit of what is held, at the close, dollars
    "profit": 0.0,  # all of it, dollars
}


def traded(book: dict, price: float, fee: float) -> dict:
    """Return the book after its order was carried out at a price."""
    held, wanted = book["shares"], book["order"]
    bought, sold = max(wanted - held, 0), max(held - wanted, 0)
    cost = (held * book["cost"] + bought * price) / (held + bought) if held + bought else 0.0
    return {
        **book,
        "shares": wanted,
        "cost": cost if wanted else 0.0,
        "realised": book["realised"] + sold * (price - cost),
        "fees": book["fees"] + (bought + sold) * fee,
    }


def marked(book: dict, price: float) -> dict:
    """Return the book with what it holds valued at a price."""
    unrealised = book["shares"] * (price - book["cost"])
    profit = book["realised"] + unrealised - book["fees"]
    return {**book, "unrealised": unrealised, "profit": profit}


@node(tags=["signal", "trend"])
def wanted(prices: pd.DataFrame, days: int = 20, lot: int = 100) -> int:
    """Shares to hold: a lot while the close is above its average of some days, none otherwise."""
    close = prices["close"].tail(days)
    return lot if len(close) == days and close.iloc[-1] > close.mean() else 0


# The first run of all finds an empty window.
@node(tags=["book"], inputs={"past": window("self", 1)}, max_history=260)
def book(prices: pd.DataFrame, wanted: int, past: list, *, fee: float = 0.005) -> dict:
    """Shares, cost and profit after today's open and close; `fee` is in dollars a share."""
    before = past[-1] if past else EMPTY
    day = str(prices.index[-1].date())
    if day == before["day"]:
        return before  # a holiday: no new prices, nothing to book twice
    today = marked(
        traded(before, float(prices["open"].iloc[-1]), fee), float(prices["close"].iloc[-1])
    )
    return {**today, "day": day, "order": wanted}


@node(tags=["risk"], inputs={"today": "book", "past": window("book", 250)})
def drawdown(today: dict, past: list) -> float:
    """How far the profit lies below its highest of the window, in dollars."""
    return max([0.0, today["profit"], *(each_day["profit"] for each_day in past)]) - today["profit"]
