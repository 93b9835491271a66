"""The book, day by day: told by hand, and against a second way of counting on real prices."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.unit.examples.loading import module, prices

HELD = module("held_position")


def keep_books(frame: pd.DataFrame, orders: list[int], fee: float) -> list[dict[str, Any]]:
    """Run the book over the days as windows would feed it."""
    books: list[dict[str, Any]] = []
    for day, order in enumerate(orders):
        seen = frame.iloc[: day + 1]
        books.append(HELD["book"](seen, order, books[-1:], fee=fee))
    return books


def days(opens: list[float], closes: list[float]) -> pd.DataFrame:
    index = pd.date_range("2026-01-01", periods=len(opens), tz="UTC")
    return pd.DataFrame({"open": opens, "close": closes}, index=index)


def test_an_order_is_carried_out_at_the_next_open() -> None:
    frame = days([10.0, 11.0, 12.0, 15.0], [10.5, 11.5, 14.0, 15.0])
    first, second, third, fourth = keep_books(frame, [100, 100, 0, 0], fee=0.01)
    assert (first["shares"], first["order"], first["profit"]) == (0, 100, 0.0)
    assert (second["shares"], second["cost"], second["fees"]) == (100, 11.0, 1.0)
    assert (second["unrealised"], second["profit"]) == (50.0, 49.0)
    assert (third["unrealised"], third["profit"]) == (300.0, 299.0)
    assert (fourth["shares"], fourth["cost"], fourth["realised"]) == (0, 0.0, 400.0)
    assert (fourth["fees"], fourth["profit"]) == (2.0, 398.0)


def test_the_cost_is_the_average_of_what_was_paid() -> None:
    frame = days([1.0, 10.0, 20.0, 30.0], [1.0, 10.0, 20.0, 30.0])
    books = keep_books(frame, [100, 300, 150, 0], fee=0.0)
    assert books[2]["cost"] == pytest.approx(5000 / 300)
    assert books[3]["shares"] == 150
    assert books[3]["cost"] == pytest.approx(5000 / 300)
    assert books[3]["realised"] == pytest.approx(150 * (30 - 5000 / 300))


def test_a_holiday_books_nothing_twice() -> None:
    frame = days([10.0, 11.0], [10.0, 12.0])
    books = keep_books(frame, [100, 100], fee=0.01)
    assert HELD["book"](frame, 100, books[-1:], fee=0.01) == books[-1]


def test_on_real_prices_the_profit_is_the_sum_of_all_cash_and_the_value_held() -> None:
    frame = prices("goog")[["open", "close"]]
    orders = [HELD["wanted"](frame.iloc[max(0, day - 49) : day + 1]) for day in range(200)]
    books = keep_books(frame, orders, fee=0.005)
    cash, shares = 0.0, 0
    for day in range(1, 200):
        traded = orders[day - 1] - shares
        cash -= traded * frame["open"].iloc[day] + abs(traded) * 0.005
        shares = orders[day - 1]
        worth = cash + shares * frame["close"].iloc[day]
        assert books[day]["profit"] == pytest.approx(worth, abs=1e-6)
    assert set(orders) == {0, 100}


def test_a_lot_is_wanted_while_the_close_is_above_its_average() -> None:
    wanted = HELD["wanted"]
    rising = days([1.0] * 20, [float(day) for day in range(20)])
    assert wanted(rising) == 100
    assert wanted(rising[::-1]) == 0
    assert wanted(rising.tail(19)) == 0


def test_the_drawdown_is_counted_from_the_highest_profit_and_from_nothing() -> None:
    drawdown = HELD["drawdown"]
    assert drawdown({"profit": 70.0}, [{"profit": 20.0}, {"profit": 100.0}]) == 30.0
    assert drawdown({"profit": -5.0}, []) == 5.0
    assert drawdown({"profit": 100.0}, [{"profit": 20.0}]) == 0.0
