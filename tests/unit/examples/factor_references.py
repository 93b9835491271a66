"""Every factor computed anew, day by day in loops: the other opinion to compare with.

Each function takes the days in sight and the factor's parameters. Day -1 is the latest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True)
class Days:
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    def __len__(self) -> int:
        return len(self.close)

    def r(self, day: int) -> float:
        return float(self.close[day] / self.close[day - 1] - 1)

    def log_r(self, day: int) -> float:
        return math.log(self.close[day] / self.close[day - 1])

    def typical(self, day: int) -> float:
        return float(self.high[day] + self.low[day] + self.close[day]) / 3

    def true_range(self, day: int) -> float:
        before = float(self.close[day - 1])
        high, low = float(self.high[day]), float(self.low[day])
        return max(high - low, abs(high - before), abs(low - before))


REFERENCES: dict[str, Callable[..., float]] = {}


def needs(rows: Callable[..., int]) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register a reference that is NaN while fewer rows are in sight than ``rows(**params)``."""

    def register(function: Callable[..., float]) -> Callable[..., float]:
        def checked(bars: Days, **params: float) -> float:
            return function(bars, **params) if len(bars) >= rows(**params) else NAN

        REFERENCES[function.__name__] = checked
        return checked

    return register


def of_days(extra: int) -> Callable[..., int]:
    return lambda days, **_: days + extra


def back(days: int) -> range:
    """The latest days, oldest first, counted from the end."""
    return range(-days, 0)


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def deviation(values: Iterable[float], *, ddof: int = 0) -> float:
    listed = list(values)
    centre = mean(listed)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in listed) / (len(listed) - ddof))


def annual(variances: Iterable[float]) -> float:
    return math.sqrt(252 * mean(variances))


# --- Momentum and reversal ---------------------------------------------------------------------


@needs(lambda months, **_: 21 * months + 1)
def momentum(bars: Days, months: int, skip: int) -> float:
    growth = 1.0
    for day in range(-21 * months, -21 * skip):
        growth *= 1 + bars.r(day)
    return growth - 1


@needs(of_days(1))
def reversal(bars: Days, days: int) -> float:
    return -math.expm1(math.fsum(bars.log_r(day) for day in back(days)))


@needs(of_days(0))
def nearness_to_high(bars: Days, days: int) -> float:
    highest = 0.0
    for day in back(days):
        highest = max(highest, bars.close[day])
    return float(bars.close[-1]) / highest


@needs(of_days(0))
def distance_from_average(bars: Days, days: int) -> float:
    average = mean(bars.close[day] for day in back(days))
    return (float(bars.close[-1]) - average) / average


@needs(of_days(1))
def information_discreteness(bars: Days, days: int) -> float:
    falls = rises = 0
    for day in back(days):
        falls += bars.close[day] < bars.close[day - 1]
        rises += bars.close[day] > bars.close[day - 1]
    change = bars.close[-1] - bars.close[-1 - days]
    return (change > 0) * (falls - rises) / days - (change < 0) * (falls - rises) / days


@needs(of_days(1))
def overnight_surplus(bars: Days, days: int) -> float:
    nights = math.fsum(math.log(bars.open[d] / bars.close[d - 1]) for d in back(days))
    return nights - math.fsum(math.log(bars.close[d] / bars.open[d]) for d in back(days))


@needs(of_days(1))
def efficiency_ratio(bars: Days, days: int) -> float:
    path = math.fsum(abs(bars.close[d] - bars.close[d - 1]) for d in back(days))
    return abs(float(bars.close[-1] - bars.close[-1 - days])) / path


# --- Volatility and the shape of returns -------------------------------------------------------


@needs(of_days(1))
def realised_volatility(bars: Days, days: int) -> float:
    return annual(bars.log_r(d) ** 2 for d in back(days))


@needs(of_days(0))
def parkinson_volatility(bars: Days, days: int) -> float:
    spans = (math.log(bars.high[d] / bars.low[d]) for d in back(days))
    return annual(span**2 / (4 * math.log(2)) for span in spans)


@needs(of_days(0))
def garman_klass_volatility(bars: Days, days: int) -> float:
    def variance(d: int) -> float:
        span, body = math.log(bars.high[d] / bars.low[d]), math.log(bars.close[d] / bars.open[d])
        return 0.5 * span**2 - 0.3862943611198906 * body**2

    return annual(variance(d) for d in back(days))


def rogers_satchell(bars: Days, d: int) -> float:
    up, down = math.log(bars.high[d] / bars.open[d]), math.log(bars.low[d] / bars.open[d])
    body = math.log(bars.close[d] / bars.open[d])
    return up * (up - body) + down * (down - body)


@needs(of_days(0))
def rogers_satchell_volatility(bars: Days, days: int) -> float:
    return annual(rogers_satchell(bars, d) for d in back(days))


@needs(of_days(1))
def yang_zhang_volatility(bars: Days, days: int) -> float:
    night = deviation((math.log(bars.open[d] / bars.close[d - 1]) for d in back(days)), ddof=1)
    day = deviation((math.log(bars.close[d] / bars.open[d]) for d in back(days)), ddof=1)
    k = 0.34 / (1.34 + (days + 1) / (days - 1))
    inside = mean(rogers_satchell(bars, d) for d in back(days))
    return math.sqrt(252 * (night**2 + k * day**2 + (1 - k) * inside))


@needs(of_days(1))
def ewma_volatility(bars: Days, decay: float, days: int) -> float:
    weighted = math.fsum(decay**i * bars.log_r(-1 - i) ** 2 for i in range(days))
    return math.sqrt(252 * weighted / ((1 - decay**days) / (1 - decay)))


@needs(of_days(1))
def semi_deviation(bars: Days, days: int) -> float:
    return annual(bars.r(d) ** 2 if bars.r(d) < 0 else 0.0 for d in back(days))


def falls(bars: Days, days: int) -> list[float]:
    """How far each day's close lies below the highest of its window until then."""
    return [1 - bars.close[d] / max(bars.close[e] for e in range(-days, d + 1)) for d in back(days)]


@needs(of_days(0))
def maximum_drawdown(bars: Days, days: int) -> float:
    return max(falls(bars, days))


@needs(of_days(0))
def ulcer_index(bars: Days, days: int) -> float:
    return 100 * math.sqrt(mean(fall**2 for fall in falls(bars, days)))


@needs(of_days(1))
def largest_return(bars: Days, days: int, largest: int) -> float:
    return mean(sorted((bars.r(d) for d in back(days)), reverse=True)[:largest])


def moment(bars: Days, days: int, power: int) -> float:
    return mean(bars.log_r(d) ** power for d in back(days))


@needs(of_days(1))
def skewness(bars: Days, days: int) -> float:
    return moment(bars, days, 3) / moment(bars, days, 2) ** 1.5


@needs(of_days(1))
def kurtosis(bars: Days, days: int) -> float:
    return moment(bars, days, 4) / moment(bars, days, 2) ** 2


@needs(of_days(1))
def variance_ratio(bars: Days, lag: int, days: int) -> float:
    drift = mean(bars.log_r(d) for d in back(days))
    daily = math.fsum((bars.log_r(d) - drift) ** 2 for d in back(days)) / (days - 1)
    longer = 0.0
    for d in range(-days - 1 + lag, 0):
        longer += (math.log(bars.close[d] / bars.close[d - lag]) - lag * drift) ** 2
    return longer / (lag * (days - lag + 1) * (1 - lag / days)) / daily


@needs(of_days(1))
def rescaled_range(bars: Days, days: int) -> float:
    daily = [bars.log_r(d) for d in back(days)]
    centre, total, sums = mean(daily), 0.0, []
    for value in daily:
        total += value - centre
        sums.append(total)
    return (max(sums) - min(sums)) / (deviation(daily) * math.sqrt(days))


# --- Liquidity and volume ----------------------------------------------------------------------


@needs(of_days(1))
def amihud_illiquidity(bars: Days, days: int) -> float:
    return mean(abs(bars.r(d)) / (bars.close[d] * bars.volume[d] / 1e6) for d in back(days))


@needs(of_days(1))
def roll_spread(bars: Days, days: int) -> float:
    earlier = [bars.r(d) for d in range(-days, -1)]
    later = [bars.r(d) for d in range(-days + 1, 0)]
    products = [x * y for x, y in zip(earlier, later, strict=True)]
    together = (mean(products) - mean(earlier) * mean(later)) * len(products) / (len(products) - 1)
    return 2 * math.sqrt(-together) if together < 0 else 0.0


@needs(of_days(0))
def corwin_schultz_spread(bars: Days, days: int) -> float:
    spreads = []
    k = 3 - 2 * math.sqrt(2)
    for d in range(-days + 1, 0):
        top, bottom, before = bars.high[d], bars.low[d], bars.close[d - 1]
        if bottom > before:
            top, bottom = top - (bottom - before), before
        elif top < before:
            top, bottom = before, bottom + (before - top)
        beta = math.log(bars.high[d - 1] / bars.low[d - 1]) ** 2 + math.log(top / bottom) ** 2
        gamma = math.log(max(bars.high[d - 1], top) / min(bars.low[d - 1], bottom)) ** 2
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
        spreads.append(max(0.0, 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))))
    return mean(spreads)


@needs(of_days(0))
def dollar_volume(bars: Days, days: int) -> float:
    return math.log(mean(bars.close[d] * bars.volume[d] for d in back(days)))


@needs(lambda **_: 252)
def relative_turnover(bars: Days, days: int) -> float:
    return mean(bars.volume[d] for d in back(days)) / mean(bars.volume[d] for d in back(252))


@needs(of_days(1))
def volume_rank(bars: Days, days: int) -> float:
    return sum(bars.volume[d] < bars.volume[-1] for d in range(-days - 1, -1)) / days


@needs(of_days(1))
def on_balance_volume(bars: Days, days: int) -> float:
    balance = 0.0
    for d in back(days):
        if bars.close[d] > bars.close[d - 1]:
            balance += bars.volume[d]
        elif bars.close[d] < bars.close[d - 1]:
            balance -= bars.volume[d]
    return balance / math.fsum(bars.volume[d] for d in back(days))


@needs(of_days(0))
def chaikin_money_flow(bars: Days, days: int) -> float:
    flow = 0.0
    for d in back(days):
        span = bars.high[d] - bars.low[d]
        if span:
            above, below = bars.close[d] - bars.low[d], bars.high[d] - bars.close[d]
            flow += (above - below) / span * bars.volume[d]
    return flow / math.fsum(bars.volume[d] for d in back(days))


@needs(of_days(1))
def money_flow_index(bars: Days, days: int) -> float:
    risen = fallen = 0.0
    for d in back(days):
        flow = bars.typical(d) * bars.volume[d]
        if bars.typical(d) > bars.typical(d - 1):
            risen += flow
        elif bars.typical(d) < bars.typical(d - 1):
            fallen += flow
    return 100 - 100 / (1 + risen / fallen)


# --- Oscillators and channels ------------------------------------------------------------------


def wilder_weighted(values: list[float], days: int) -> float:
    """The smoothed value as one weighted sum: no recursion."""
    keep = 1 - 1 / days
    later = values[days:]
    recent = math.fsum(value * keep**age / days for age, value in enumerate(reversed(later)))
    return mean(values[:days]) * keep ** len(later) + recent


@needs(of_days(1))
def relative_strength_index(bars: Days, days: int) -> float:
    changes = [float(bars.close[d] - bars.close[d - 1]) for d in range(1, len(bars))]
    rises = wilder_weighted([max(c, 0.0) for c in changes], days)
    falls_ = wilder_weighted([max(-c, 0.0) for c in changes], days)
    return 100 - 100 / (1 + rises / falls_)


@needs(of_days(1))
def average_true_range(bars: Days, days: int) -> float:
    ranges = [bars.true_range(d) for d in range(1, len(bars))]
    return wilder_weighted(ranges, days) / float(bars.close[-1])


@needs(lambda days: 2 * days)
def average_directional_index(bars: Days, days: int) -> float:
    """By Wilder's worksheet: sums of ranges and movements, from which 1/n is taken each day."""
    ranges = plus = minus = 0.0
    indices = []
    for d in range(1, len(bars)):
        up = float(bars.high[d] - bars.high[d - 1])
        down = float(bars.low[d - 1] - bars.low[d])
        ranges += bars.true_range(d) - (ranges / days if d > days else 0.0)
        plus += (up if up > max(down, 0.0) else 0.0) - (plus / days if d > days else 0.0)
        minus += (down if down > max(up, 0.0) else 0.0) - (minus / days if d > days else 0.0)
        if d >= days:
            positive, negative = 100 * plus / ranges, 100 * minus / ranges
            indices.append(100 * abs(positive - negative) / (positive + negative))
    return wilder_weighted(indices, days)


def exponential(values: list[float], days: int) -> float:
    """The exponential average as one weighted sum: no recursion."""
    alpha = 2 / (days + 1)
    ages = range(len(values) - 1)
    recent = math.fsum(alpha * (1 - alpha) ** age * values[-1 - age] for age in ages)
    return recent + (1 - alpha) ** (len(values) - 1) * values[0]


def macd(bars: Days, until: int, fast: int, slow: int) -> float:
    closes = [float(c) for c in bars.close[:until]]
    return exponential(closes, fast) - exponential(closes, slow)


@needs(lambda slow, **_: slow)
def convergence_divergence(bars: Days, fast: int, slow: int) -> float:
    return macd(bars, len(bars), fast, slow) / float(bars.close[-1])


@needs(lambda slow, signal, **_: slow + signal)
def convergence_histogram(bars: Days, fast: int, slow: int, signal: int) -> float:
    line = [macd(bars, until, fast, slow) for until in range(1, len(bars) + 1)]
    return (line[-1] - exponential(line, signal)) / float(bars.close[-1])


@needs(of_days(0))
def bollinger_position(bars: Days, days: int, width: float) -> float:
    closes = [float(bars.close[d]) for d in back(days)]
    upper = mean(closes) + width * deviation(closes)
    lower = mean(closes) - width * deviation(closes)
    return (closes[-1] - lower) / (upper - lower)


@needs(of_days(0))
def bollinger_width(bars: Days, days: int) -> float:
    closes = [float(bars.close[d]) for d in back(days)]
    upper, lower = (mean(closes) + sign * 2 * deviation(closes) for sign in (1, -1))
    return (upper - lower) / mean(closes)


@needs(lambda days, smooth: days + smooth - 1)
def stochastic(bars: Days, days: int, smooth: int) -> float:
    places = []
    for d in back(smooth):
        highest = max(bars.high[e] for e in range(d - days + 1, d + 1))
        lowest = min(bars.low[e] for e in range(d - days + 1, d + 1))
        places.append(100 * (bars.close[d] - lowest) / (highest - lowest))
    return mean(places)


@needs(of_days(0))
def williams_r(bars: Days, days: int) -> float:
    return REFERENCES["stochastic"](bars, days=days, smooth=1) - 100


@needs(of_days(0))
def commodity_channel_index(bars: Days, days: int) -> float:
    centre = mean(bars.typical(d) for d in back(days))
    away = mean(abs(bars.typical(d) - centre) for d in back(days))
    return (bars.typical(-1) - centre) / (0.015 * away)


@needs(of_days(1))
def donchian_position(bars: Days, days: int) -> float:
    highest = max(bars.high[d] for d in range(-days - 1, -1))
    lowest = min(bars.low[d] for d in range(-days - 1, -1))
    return float((bars.close[-1] - lowest) / (highest - lowest))


@needs(of_days(1))
def aroon_oscillator(bars: Days, days: int) -> float:
    since_high = since_low = 0
    for ago in range(days + 1):
        since_high = ago if bars.high[-1 - ago] > bars.high[-1 - since_high] else since_high
        since_low = ago if bars.low[-1 - ago] < bars.low[-1 - since_low] else since_low
    return 100 * (days - since_high) / days - 100 * (days - since_low) / days


@needs(of_days(0))
def keltner_position(bars: Days, days: int) -> float:
    middle = mean(bars.typical(d) for d in back(days))
    return (float(bars.close[-1]) - middle) / mean(bars.high[d] - bars.low[d] for d in back(days))
