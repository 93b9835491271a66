"""The factor library on series so plain that each answer can be told without a program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from qmtl.parsing.parser import parse_strategy
from tests.unit.examples.loading import compute, text

LN2 = math.log(2)
COLUMNS = ("open", "high", "low", "close", "volume")
Values = Sequence[float] | float


def days(close: Values, count: int = 0, **columns: Values) -> pd.DataFrame:
    """Days of which only what is said moves: prices are the close, the volume is one share."""
    count = count or (len(close) if isinstance(close, Sequence) else 0)
    given: dict[str, Values] = {
        "close": close, "open": close, "high": close, "low": close, "volume": 1.0, **columns
    }  # fmt: skip
    index = pd.date_range("2026-01-01", periods=count, freq="D", tz="UTC")
    return pd.DataFrame({c: given[c] for c in COLUMNS}, index=index, dtype="float64")


def growing(count: int, rate: float) -> list[float]:
    return [100 * (1 + rate) ** day for day in range(count)]


def alternating(first: float, second: float, count: int) -> list[float]:
    return [second if day % 2 else first for day in range(count)]


RISING = [float(price) for price in range(1, 300)]
FALLING = RISING[::-1]
A_YEAR = [100.0] * 231 + [150.0] + [170.0] * 20 + [300.0]  # 253 closes
ONE_JUMP = [100.0] + [110.0] * 21
HALVES = [math.exp(abs(63 - day) / 10) for day in range(127)]  # 63 falls, then 63 rises

ANSWERS: list[tuple[str, dict[str, Any], pd.DataFrame, float]] = [
    ("momentum", {"months": 12, "skip": 1}, days(A_YEAR), 0.5),
    ("momentum", {"months": 12, "skip": 0}, days(A_YEAR), 2.0),
    ("reversal", {"days": 1}, days([100, 110]), -0.1),
    ("nearness_to_high", {"days": 63}, days([100.0] + [80.0] * 62), 0.8),
    ("distance_from_average", {"days": 5}, days([1, 2, 3, 4, 5]), 2 / 3),
    ("information_discreteness", {"days": 63}, days(RISING), -1.0),
    ("overnight_surplus", {"days": 21}, days(100, 22, open=200, high=200), 42 * LN2),
    ("efficiency_ratio", {"days": 10}, days(RISING), 1.0),
    ("efficiency_ratio", {"days": 10}, days(alternating(1, 2, 11)), 0.0),
    ("realised_volatility", {"days": 5}, days(alternating(1, 2, 6)), math.sqrt(252) * LN2),
    ("parkinson_volatility", {"days": 5}, days(2, 5, low=1), math.sqrt(252 * LN2 / 4)),
    (
        "garman_klass_volatility",
        {"days": 5},
        days(2, 5, open=1, low=1, high=4),
        math.sqrt(252 * (2 - (2 * LN2 - 1))) * LN2,
    ),
    ("rogers_satchell_volatility", {"days": 5}, days(2, 5, open=1, low=1), 0.0),
    ("rogers_satchell_volatility", {"days": 5}, days(1, 5, high=2), math.sqrt(252) * LN2),
    ("yang_zhang_volatility", {"days": 5}, days(2, 6, open=1, low=1), 0.0),
    (
        "yang_zhang_volatility",
        {"days": 5},
        days(1, 6, high=2),
        math.sqrt(252 * (1 - 0.34 / 2.84)) * LN2,
    ),
    (
        "ewma_volatility",
        {"decay": 0.94, "days": 74},
        days(alternating(1, 2, 75)),
        math.sqrt(252) * LN2,
    ),
    ("semi_deviation", {"days": 5}, days(RISING), 0.0),
    ("semi_deviation", {"days": 5}, days([8, 8, 8, 8, 4, 4]), 0.5 * math.sqrt(252 / 5)),
    ("maximum_drawdown", {"days": 21}, days([100] * 18 + [120, 60, 90]), 0.5),
    ("ulcer_index", {"days": 14}, days([100] + [90] * 13), 10 * math.sqrt(13 / 14)),
    ("largest_return", {"days": 21, "largest": 1}, days(ONE_JUMP), 0.1),
    ("largest_return", {"days": 21, "largest": 5}, days(ONE_JUMP), 0.02),
    ("skewness", {"days": 21}, days(ONE_JUMP), math.sqrt(21)),
    ("kurtosis", {"days": 21}, days(ONE_JUMP), 21.0),
    ("variance_ratio", {"lag": 2, "days": 126}, days(alternating(1, 2, 127)), 0.0),
    ("rescaled_range", {"days": 126}, days(HALVES), 63 / math.sqrt(126)),
    (
        "amihud_illiquidity",
        {"days": 5},
        days(growing(6, 0.01), volume=[1e6 / close for close in growing(6, 0.01)]),
        0.01,
    ),
    ("roll_spread", {"days": 21}, days(growing(22, 0.01)), 0.0),
    ("corwin_schultz_spread", {"days": 21}, days(100, 21, high=101, low=99), 0.02),
    ("dollar_volume", {"days": 5}, days(10, 5, volume=1000), math.log(10_000)),
    (
        "relative_turnover",
        {"days": 5},
        days(1, 252, volume=[1.0] * 247 + [2.0] * 5),
        2 * 252 / 257,
    ),
    ("volume_rank", {"days": 20}, days(1, 21, volume=range(21)), 1.0),
    ("volume_rank", {"days": 20}, days(1, 21, volume=range(21, 0, -1)), 0.0),
    ("on_balance_volume", {"days": 10}, days(RISING), 1.0),
    ("on_balance_volume", {"days": 10}, days(FALLING), -1.0),
    ("chaikin_money_flow", {"days": 10}, days(2, 10, low=1), 1.0),
    ("chaikin_money_flow", {"days": 10}, days(2, 10), 0.0),
    ("money_flow_index", {"days": 10}, days(RISING), 100.0),
    ("money_flow_index", {"days": 10}, days(FALLING), 0.0),
    ("relative_strength_index", {"days": 14}, days(RISING), 100.0),
    ("relative_strength_index", {"days": 14}, days(alternating(1, 2, 15)), 50.0),
    ("average_true_range", {"days": 14}, days(100, 15, high=101, low=99), 0.02),
    ("average_true_range", {"days": 14}, days([100] * 14 + [128]), 2 / 128),
    ("average_directional_index", {"days": 14}, days(RISING), 100.0),
    (
        "convergence_divergence",
        {"fast": 12, "slow": 26},
        days([100] * 50 + [200]),
        1 / 13 - 1 / 27,
    ),
    (
        "convergence_histogram",
        {"fast": 12, "slow": 26, "signal": 9},
        days([100] * 50 + [200]),
        0.8 * (1 / 13 - 1 / 27),
    ),
    ("bollinger_position", {"days": 10, "width": 2.0}, days(alternating(1, 3, 10)), 0.75),
    ("bollinger_width", {"days": 10}, days(alternating(1, 3, 10)), 2.0),
    ("stochastic", {"days": 5, "smooth": 1}, days(15, 5, high=20, low=10), 50.0),
    (
        "stochastic",
        {"days": 5, "smooth": 3},
        days([10] * 5 + [15, 20], high=20, low=10),
        50.0,
    ),
    ("williams_r", {"days": 10}, days(12, 10, high=20, low=10), -80.0),
    ("commodity_channel_index", {"days": 14}, days(alternating(1, 3, 14)), 1 / 0.015),
    ("donchian_position", {"days": 10}, days([15] * 10 + [25], high=20, low=10), 1.5),
    ("aroon_oscillator", {"days": 14}, days(RISING), 100.0),
    ("aroon_oscillator", {"days": 14}, days(FALLING), -100.0),
    ("keltner_position", {"days": 10}, days(11, 10, high=11, low=9), 1 / 3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("factor", "params", "frame", "answer"),
    ANSWERS,
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(ANSWERS)],
)
def test_a_plain_series_has_the_answer_that_can_be_told(
    factor: str, params: dict[str, Any], frame: pd.DataFrame, answer: float
) -> None:
    found = compute("factors", factor, {"prices": frame}, **params)
    assert found == pytest.approx(answer, rel=1e-9, abs=1e-9)


def test_every_factor_has_such_an_answer() -> None:
    families = {n.function for n in parse_strategy(text("factors")).nodes if "[" in n.name}
    assert {name for name, *_ in ANSWERS} == families


def test_a_price_that_bounces_between_bid_and_ask_has_the_spread_of_the_bounce() -> None:
    bid, ask = 99.5, 100.5
    found = compute(
        "factors", "roll_spread", {"prices": days(alternating(bid, ask, 253))}, days=252
    )
    assert found == pytest.approx(2 * (ask - bid) / 100, rel=0.01)


def test_what_is_shared_is_computed_from_one_day_to_the_next() -> None:
    frame = days([1.0, 2.0, 1.0], high=[1.0, 3.0, 1.0], low=[1.0, 2.0, 0.5])
    found = {
        name: compute("factors", name, {"prices": frame})
        for name in ("returns", "log_returns", "true_range")
    }
    assert found["returns"].tolist() == [1.0, -0.5]
    assert found["log_returns"].tolist() == [LN2, -LN2]
    assert found["true_range"].tolist() == [2.0, 1.5]
    assert compute("factors", "log_prices", {"prices": frame})["high"].tolist()[1] == math.log(3)
