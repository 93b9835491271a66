"""A library of published price and volume factors, each a family of nodes.

    qmtl run examples/factors.py --data prices=examples/data/nasdaq_goog_daily.csv

Every factor is one number a day. It is NaN while fewer days are visible than it needs, where one of
the values it reads is missing, and where it would divide by zero or take its logarithm. Prices are
in dollars, volumes in shares, one row a trading day; O, H, L, C and V are a day's open, high, low,
close and volume, r = C / C[-1] - 1, and n is `days`. "A year" is 252 trading days, "a month" 21.

To use a family elsewhere, copy its function with the helpers it calls: an equal computation on an
equal source has the same node id, and is computed once for all who ask for it.
"""

import math

import numpy as np
import pandas as pd

from qmtl.sdk import each, node, source, strategy

strategy("factors", interval="1d", description="Published price and volume factors")

prices = source(
    "nasdaq.goog",
    columns=["open", "high", "low", "close", "volume"],
    interval="1d",
    period=260,
)

YEAR = 252
MONTH = 21
MILLION = 1_000_000.0


def last(column: pd.Series, count: int) -> np.ndarray:
    """Return the latest `count` values, NaN in front where there are fewer.

    What is computed from them by arithmetic is then NaN by itself while the window fills.
    """
    values = column.to_numpy(dtype="float64")[-count:]
    return np.concatenate([np.full(count - len(values), np.nan), values])


def over(numerator: np.ndarray | float, denominator: np.ndarray | float) -> np.ndarray:
    """Divide, giving NaN where the denominator is zero."""
    nothing = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=np.not_equal(denominator, 0.0))


def share(condition: np.ndarray, values: np.ndarray) -> float:
    """Return the share of days on which a condition on `values` holds; NaN where one is missing."""
    return float(np.mean(np.where(np.isnan(values), np.nan, condition)))


def logarithms(values: np.ndarray) -> np.ndarray:
    """Return natural logarithms, NaN where there is none, one by one.

    NumPy's own differ in the last bit between processors; those of the C library do not.
    """
    flat = [math.log(number) if number > 0.0 else math.nan for number in values.ravel().tolist()]
    return np.array(flat).reshape(values.shape)


def annual(daily_variances: np.ndarray | float) -> float:
    """Return the annual volatility for a mean of daily variances."""
    return float(np.sqrt(YEAR * np.mean(daily_variances)))


def wilder(values: np.ndarray, days: int) -> np.ndarray:
    """Smooth as Wilder (1978) does: the mean of the first n, then (n - 1) / n of it and 1 / n new.

    Returns the averages from the n-th value on; empty where there are fewer than n values.
    """
    if len(values) < days:
        return np.array([])
    average = float(np.mean(values[:days]))
    averages = [average]
    for value in values[days:].tolist():
        average += (value - average) / days
        averages.append(average)
    return np.array(averages)


def exponential(values: np.ndarray, days: int) -> np.ndarray:
    """Return the exponential averages with weight 2 / (n + 1), begun with the first value."""
    average = float(values[0])
    averages = [average]
    for value in values[1:].tolist():
        average += 2.0 / (days + 1) * (value - average)
        averages.append(average)
    return np.array(averages)


def typical(prices: pd.DataFrame) -> pd.Series:
    """Return the typical price (H + L + C) / 3, in dollars."""
    return (prices["high"] + prices["low"] + prices["close"]) / 3.0


# --- What several families read ----------------------------------------------------------------


@node(tags=["feature"])
def returns(prices: pd.DataFrame) -> pd.Series:
    """Simple daily returns r, as fractions; one fewer than days."""
    close = prices["close"]
    return (close / close.shift(1) - 1.0).iloc[1:]


@node(tags=["feature"])
def log_prices(prices: pd.DataFrame) -> pd.DataFrame:
    """Natural logarithms o, h, l and c of the four prices of each day."""
    four = prices[["open", "high", "low", "close"]]
    return pd.DataFrame(logarithms(four.to_numpy()), index=four.index, columns=four.columns)


@node(tags=["feature"])
def log_returns(log_prices: pd.DataFrame) -> pd.Series:
    """Daily log returns c - c[-1]; one fewer than days."""
    return log_prices["close"].diff().iloc[1:]


@node(tags=["feature", "volatility"])
def true_range(prices: pd.DataFrame) -> pd.Series:
    """The greatest of H - L, |H - C[-1]| and |L - C[-1]|, in dollars; one fewer than days.

    J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    before = prices["close"].shift(1)
    high, low = np.maximum(prices["high"], before), np.minimum(prices["low"], before)
    return (high - low).iloc[1:]


# --- Momentum and reversal ---------------------------------------------------------------------


@node(tags=["feature", "trend"])
@each(months=[3, 6, 9, 12], skip=[0, 1])
def momentum(prices: pd.DataFrame, months: int, skip: int) -> float:
    """Return over the past months without the latest `skip`, as a fraction.

    C[-21 skip] / C[-21 months] - 1. N. Jegadeesh and S. Titman, Returns to Buying Winners and
    Selling Losers, Journal of Finance 48(1), 1993; without the latest month it is "12-1".
    """
    close = last(prices["close"], MONTH * months + 1)
    return float(over(close[-1 - MONTH * skip], close[0])) - 1.0


@node(tags=["feature"])
@each(days=[1, 2, 5, 10, 21])
def reversal(prices: pd.DataFrame, days: int) -> float:
    """The past return with its sign turned, 1 - C / C[-n], as a fraction.

    N. Jegadeesh, Evidence of Predictable Behavior of Security Returns, Journal of Finance 45(3),
    1990 (a month); B. Lehmann, Fads, Martingales, and Market Efficiency, Quarterly Journal of
    Economics 105(1), 1990 (a week).
    """
    close = last(prices["close"], days + 1)
    return 1.0 - float(over(close[-1], close[0]))


@node(tags=["feature", "trend"])
@each(days=[63, 126, 189, 252])
def nearness_to_high(prices: pd.DataFrame, days: int) -> float:
    """Close as a fraction of the highest close, C / max(C over n days).

    T. George and C. Hwang, The 52-Week High and Momentum Investing, Journal of Finance 59(5), 2004.
    """
    close = last(prices["close"], days)
    return float(over(close[-1], np.max(close)))


@node(tags=["feature", "trend"])
@each(days=[5, 10, 20, 50, 100, 200])
def distance_from_average(prices: pd.DataFrame, days: int) -> float:
    """How far the close lies above its moving average, C / mean(C over n days) - 1, a fraction.

    W. Brock, J. Lakonishok and B. LeBaron, Simple Technical Trading Rules and the Stochastic
    Properties of Stock Returns, Journal of Finance 47(5), 1992.
    """
    close = last(prices["close"], days)
    return float(over(close[-1], np.mean(close))) - 1.0


@node(tags=["feature", "trend"])
@each(days=[63, 126, 252])
def information_discreteness(returns: pd.Series, days: int) -> float:
    """Sign of the past return times (share of falls - share of rises), from -1 to 1.

    Low where many small moves made the return. Z. Da, U. Gurun and M. Warachka, Frog in the Pan:
    Continuous Information and Momentum, Review of Financial Studies 27(7), 2014.
    """
    daily = last(returns, days)
    past = np.prod(1.0 + daily) - 1.0
    return float(np.sign(past)) * (share(daily < 0.0, daily) - share(daily > 0.0, daily))


@node(tags=["feature"])
@each(days=[21, 63, 126])
def overnight_surplus(log_prices: pd.DataFrame, days: int) -> float:
    """Log return of the nights less that of the days, sum(o - c[-1]) - sum(c - o).

    D. Lou, C. Polk and S. Skouras, A Tug of War: Overnight versus Intraday Expected Returns,
    Journal of Financial Economics 134(1), 2019.
    """
    opened, close = last(log_prices["open"], days), last(log_prices["close"], days + 1)
    return float(np.sum(opened - close[:-1]) - np.sum(close[1:] - opened))


@node(tags=["feature", "trend"])
@each(days=[5, 10, 21, 63])
def efficiency_ratio(prices: pd.DataFrame, days: int) -> float:
    """Net move over the path walked, |C - C[-n]| / sum |C - C[-1]|, from 0 to 1.

    P. Kaufman, Smarter Trading, 1995.
    """
    close = last(prices["close"], days + 1)
    return float(over(np.abs(close[-1] - close[0]), np.sum(np.abs(np.diff(close)))))


# --- Volatility and the shape of returns -------------------------------------------------------


@node(tags=["feature", "risk", "volatility"])
@each(days=[5, 10, 21, 63, 126])
def realised_volatility(log_returns: pd.Series, days: int) -> float:
    """Annual volatility from squared log returns, sqrt(252 / n * sum (c - c[-1])^2), a fraction.

    T. Andersen, T. Bollerslev, F. Diebold and P. Labys, Modeling and Forecasting Realized
    Volatility, Econometrica 71(2), 2003; here of daily returns.
    """
    return annual(last(log_returns, days) ** 2)


@node(tags=["feature", "risk", "volatility"])
@each(days=[5, 10, 21, 63, 126])
def parkinson_volatility(log_prices: pd.DataFrame, days: int) -> float:
    """Annual volatility from ranges, sqrt(252 / (4 n ln 2) * sum (h - l)^2), a fraction.

    M. Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return,
    Journal of Business 53(1), 1980.
    """
    spans = last(log_prices["high"], days) - last(log_prices["low"], days)
    return annual(spans**2 / (4.0 * math.log(2.0)))


@node(tags=["feature", "risk", "volatility"])
@each(days=[5, 10, 21, 63, 126])
def garman_klass_volatility(log_prices: pd.DataFrame, days: int) -> float:
    """Annual volatility, sqrt(252 / n * sum [(h - l)^2 / 2 - (2 ln 2 - 1) (c - o)^2]), a fraction.

    M. Garman and M. Klass, On the Estimation of Security Price Volatilities from Historical Data,
    Journal of Business 53(1), 1980.
    """
    opened, high, low, close = (last(log_prices[c], days) for c in log_prices.columns)
    return annual((high - low) ** 2 / 2.0 - (2.0 * math.log(2.0) - 1.0) * (close - opened) ** 2)


@node(tags=["feature", "risk", "volatility"])
@each(days=[5, 10, 21, 63, 126])
def rogers_satchell_volatility(log_prices: pd.DataFrame, days: int) -> float:
    """Annual volatility free of drift, sqrt(252 / n * sum [(h - c)(h - o) + (l - c)(l - o)]).

    A fraction. L. Rogers and S. Satchell, Estimating Variance from High, Low and Closing Prices,
    Annals of Applied Probability 1(4), 1991.
    """
    opened, high, low, close = (last(log_prices[c], days) for c in log_prices.columns)
    return annual((high - close) * (high - opened) + (low - close) * (low - opened))


@node(tags=["feature", "risk", "volatility"])
@each(days=[5, 10, 21, 63, 126])
def yang_zhang_volatility(log_prices: pd.DataFrame, days: int) -> float:
    """Annual volatility with the nights, sqrt(252 (S_o + k S_c + (1 - k) S_rs)), a fraction.

    S_o and S_c are the sample variances of o - c[-1] and c - o, S_rs is the variance of Rogers and
    Satchell, k = 0.34 / (1.34 + (n + 1) / (n - 1)). D. Yang and Q. Zhang, Drift-Independent
    Volatility Estimation, Journal of Business 73(3), 2000.
    """
    opened, high, low, close = (last(log_prices[c], days) for c in log_prices.columns)
    night = opened - last(log_prices["close"], days + 1)[:-1]
    inside = (high - close) * (high - opened) + (low - close) * (low - opened)
    k = 0.34 / (1.34 + (days + 1) / (days - 1))
    day = np.var(close - opened, ddof=1)
    return annual(np.var(night, ddof=1) + k * day + (1.0 - k) * np.mean(inside))


@node(tags=["feature", "risk", "volatility"])
@each([{"decay": 0.94, "days": 74}, {"decay": 0.97, "days": 151}])
def ewma_volatility(log_returns: pd.Series, decay: float, days: int) -> float:
    """Annual volatility with falling weights, sqrt(252 sum d^i r[-i]^2 / sum d^i), a fraction.

    i runs from 0 to n - 1, r are log returns. J.P. Morgan and Reuters, RiskMetrics Technical
    Document, 4th edition, 1996: 0.94 for daily data and 0.97 for monthly, with the days that hold
    99 % of the weight.
    """
    weights = np.cumprod(np.full(days, decay))[::-1]
    squares = last(log_returns, days) ** 2
    return annual(np.sum(weights * squares) / np.sum(weights))


@node(tags=["feature", "risk", "volatility"])
@each(days=[5, 10, 21, 63, 126])
def semi_deviation(returns: pd.Series, days: int) -> float:
    """Annual deviation of the falls alone, sqrt(252 / n * sum min(r, 0)^2), a fraction.

    H. Markowitz, Portfolio Selection: Efficient Diversification of Investments, 1959, chapter 9.
    """
    return annual(np.minimum(last(returns, days), 0.0) ** 2)


@node(tags=["feature", "risk"])
@each(days=[21, 63, 126, 252])
def maximum_drawdown(prices: pd.DataFrame, days: int) -> float:
    """The deepest fall of the close from its highest before, as a fraction of that.

    M. Magdon-Ismail and A. Atiya, Maximum Drawdown, Risk 17(10), 2004.
    """
    close = last(prices["close"], days)
    return float(np.max(1.0 - over(close, np.maximum.accumulate(close))))


@node(tags=["feature", "risk"])
@each(days=[14, 28, 63])
def ulcer_index(prices: pd.DataFrame, days: int) -> float:
    """Root mean square of the falls from the highest close before, in percent.

    P. Martin and B. McCann, The Investor's Guide to Fidelity Funds, 1989.
    """
    close = last(prices["close"], days)
    falls = 100.0 * (1.0 - over(close, np.maximum.accumulate(close)))
    return float(np.sqrt(np.mean(falls**2)))


@node(tags=["feature", "risk"])
@each(days=[10, 21, 63], largest=[1, 5])
def largest_return(returns: pd.Series, days: int, largest: int) -> float:
    """Mean of the greatest daily returns, as a fraction.

    T. Bali, N. Cakici and R. Whitelaw, Maxing Out: Stocks as Lotteries and the Cross-Section of
    Expected Returns, Journal of Financial Economics 99(2), 2011.
    """
    return float(np.mean(np.sort(last(returns, days))[-largest:]))


@node(tags=["feature", "risk"])
@each(days=[21, 63, 126, 252])
def skewness(log_returns: pd.Series, days: int) -> float:
    """Realised skewness, sqrt(n) sum r^3 / (sum r^2)^(3/2), of log returns; a pure number.

    D. Amaya, P. Christoffersen, K. Jacobs and A. Vasquez, Does Realized Skewness Predict the
    Cross-Section of Equity Returns?, Journal of Financial Economics 118(1), 2015.
    """
    daily = last(log_returns, days)
    squares = np.sum(daily**2)
    return float(over(np.sqrt(days) * np.sum(daily**3), squares * np.sqrt(squares)))


@node(tags=["feature", "risk"])
@each(days=[21, 63, 126, 252])
def kurtosis(log_returns: pd.Series, days: int) -> float:
    """Realised kurtosis, n sum r^4 / (sum r^2)^2, of log returns; a pure number.

    D. Amaya, P. Christoffersen, K. Jacobs and A. Vasquez, 2015, as for the skewness.
    """
    daily = last(log_returns, days)
    return float(over(days * np.sum(daily**4), np.sum(daily**2) ** 2))


@node(tags=["feature"])
@each(lag=[2, 4, 8, 16], days=[126, 252])
def variance_ratio(log_prices: pd.DataFrame, lag: int, days: int) -> float:
    """Variance of q-day returns over q times that of daily ones; 1 for a random walk.

    With q = `lag`, m the mean daily return and n returns:
    [sum (c - c[-q] - q m)^2 / (q (n - q + 1)(1 - q / n))] / [sum (c - c[-1] - m)^2 / (n - 1)].
    A. Lo and C. MacKinlay, Stock Market Prices Do Not Follow Random Walks, Review of Financial
    Studies 1(1), 1988.
    """
    close = last(log_prices["close"], days + 1)
    mean = (close[-1] - close[0]) / days
    daily = np.sum((np.diff(close) - mean) ** 2) / (days - 1)
    longer = np.sum((close[lag:] - close[:-lag] - lag * mean) ** 2)
    return float(over(longer / (lag * (days - lag + 1) * (1.0 - lag / days)), daily))


@node(tags=["feature"])
@each(days=[63, 126, 252])
def rescaled_range(log_returns: pd.Series, days: int) -> float:
    """Range of the sums of deviations from the mean, over sqrt(n) standard deviations.

    A pure number: about 1.25 on average for independent returns, more with long memory.
    H. Hurst, Long-Term Storage Capacity of Reservoirs, Transactions of the ASCE 116, 1951, as
    A. Lo writes it in Long-Term Memory in Stock Market Prices, Econometrica 59(5), 1991.
    """
    daily = last(log_returns, days)
    sums = np.cumsum(daily - np.mean(daily))
    return float(over(np.max(sums) - np.min(sums), np.std(daily) * np.sqrt(days)))


# --- Liquidity and volume ----------------------------------------------------------------------


@node(tags=["feature"])
@each(days=[5, 21, 63, 126, 252])
def amihud_illiquidity(prices: pd.DataFrame, returns: pd.Series, days: int) -> float:
    """Mean of |r| / (C V), as a fraction of the price a million dollars traded.

    Y. Amihud, Illiquidity and Stock Returns, Journal of Financial Markets 5(1), 2002.
    """
    dollars = last(prices["close"], days) * last(prices["volume"], days)
    return float(MILLION * np.mean(over(np.abs(last(returns, days)), dollars)))


@node(tags=["feature"])
@each(days=[21, 63, 126, 252])
def roll_spread(returns: pd.Series, days: int) -> float:
    """Effective spread 2 sqrt(-cov(r, r[-1])), as a fraction of the price; 0 where cov > 0.

    The covariance is that of the n - 1 pairs in n returns. R. Roll, A Simple Implicit Measure of
    the Effective Bid-Ask Spread in an Efficient Market, Journal of Finance 39(4), 1984.
    """
    daily = last(returns, days)
    first, second = daily[:-1], daily[1:]
    together = np.sum((first - np.mean(first)) * (second - np.mean(second))) / (days - 2)
    return float(2.0 * np.sqrt(np.maximum(-together, 0.0)))


@node(tags=["feature"])
@each(days=[21, 63, 126, 252])
def corwin_schultz_spread(prices: pd.DataFrame, days: int) -> float:
    """Spread from the highs and lows of pairs of days, as a fraction; mean of n - 1 pairs.

    2 (e^a - 1) / (e^a + 1), 0 where negative, with a = (sqrt(2 b) - sqrt(b)) / k - sqrt(g / k),
    k = 3 - 2 sqrt(2), b the sum of the two days' squared ln(H / L), and g the squared ln(H / L) of
    both days taken together. Where the second day lies wholly above or below the first close it is
    first moved there. S. Corwin and P. Schultz, A Simple Way to Estimate Bid-Ask Spreads from Daily
    High and Low Prices, Journal of Finance 67(2), 2012.
    """
    high, low, close = (last(prices[c], days) for c in ("high", "low", "close"))
    gap = np.maximum(low[1:] - close[:-1], 0.0) + np.minimum(high[1:] - close[:-1], 0.0)
    top, bottom = high[1:] - gap, low[1:] - gap
    spans = logarithms(over(high[:-1], low[:-1])) ** 2 + logarithms(over(top, bottom)) ** 2
    both = logarithms(over(np.maximum(high[:-1], top), np.minimum(low[:-1], bottom)))
    k = 3.0 - 2.0 * math.sqrt(2.0)
    alpha = (np.sqrt(2.0 * spans) - np.sqrt(spans)) / k - np.abs(both) / math.sqrt(k)
    return float(np.mean(np.maximum(2.0 * np.tanh(alpha / 2.0), 0.0)))


@node(tags=["feature"])
@each(days=[5, 21, 63, 126])
def dollar_volume(prices: pd.DataFrame, days: int) -> float:
    """Natural logarithm of the mean of C V, in dollars a day.

    M. Brennan, T. Chordia and A. Subrahmanyam, Alternative Factor Specifications, Security
    Characteristics, and the Cross-Section of Expected Stock Returns, Journal of Financial
    Economics 49(3), 1998.
    """
    dollars = float(np.mean(last(prices["close"], days) * last(prices["volume"], days)))
    return math.log(dollars) if dollars > 0.0 else math.nan


@node(tags=["feature"])
@each(days=[5, 21, 63])
def relative_turnover(prices: pd.DataFrame, days: int) -> float:
    """Mean volume of n days over that of a year; the number of shares issued cancels out.

    V. Datar, N. Naik and R. Radcliffe, Liquidity and Stock Returns: An Alternative Test, Journal
    of Financial Markets 1(2), 1998, whose turnover is V over the shares issued.
    """
    volume = last(prices["volume"], YEAR)
    return float(over(np.mean(volume[-days:]), np.mean(volume)))


@node(tags=["feature", "anomaly"])
@each(days=[20, 49, 100])
def volume_rank(prices: pd.DataFrame, days: int) -> float:
    """Share of the n days before whose volume was smaller, from 0 to 1.

    S. Gervais, R. Kaniel and D. Mingelgrin, The High-Volume Return Premium, Journal of Finance
    56(3), 2001 (49 days).
    """
    volume = last(prices["volume"], days + 1)
    earlier = volume[:-1] - volume[-1]
    return share(earlier < 0.0, earlier)


@node(tags=["feature"])
@each(days=[10, 21, 63, 126])
def on_balance_volume(prices: pd.DataFrame, days: int) -> float:
    """Volume of rises less that of falls, sum(sign(C - C[-1]) V) / sum V, from -1 to 1.

    J. Granville, Granville's New Key to Stock Market Profits, 1963; as a share of all volume.
    """
    signs = np.sign(np.diff(last(prices["close"], days + 1)))
    volume = last(prices["volume"], days)
    return float(over(np.sum(signs * volume), np.sum(volume)))


@node(tags=["feature"])
@each(days=[10, 21, 63])
def chaikin_money_flow(prices: pd.DataFrame, days: int) -> float:
    """Volume weighted by where the close lies in the range, from -1 to 1.

    sum(((C - L) - (H - C)) / (H - L) * V) / sum V; a day without range counts 0. M. Chaikin, as in
    S. Achelis, Technical Analysis from A to Z, 2nd edition, 2000.
    """
    high, low, close, volume = (last(prices[c], days) for c in ("high", "low", "close", "volume"))
    place = np.where(high == low, 0.0, over(2.0 * close - low - high, high - low))
    return float(over(np.sum(place * volume), np.sum(volume)))


@node(tags=["feature"])
@each(days=[10, 14, 28])
def money_flow_index(prices: pd.DataFrame, days: int) -> float:
    """100 times the share of typical price times volume on days when that price rose.

    Days on which it did not change count on neither side. G. Quong and A. Soudack,
    Volume-Weighted RSI: Money Flow, Technical Analysis of Stocks & Commodities 7(3), 1989.
    """
    price = last(typical(prices), days + 1)
    flows = np.sign(np.diff(price)) * price[1:] * last(prices["volume"], days)
    risen = np.sum(np.maximum(flows, 0.0))
    return float(100.0 * over(risen, np.sum(np.abs(flows))))


# --- Oscillators and channels ------------------------------------------------------------------


@node(tags=["feature"])
@each(days=[7, 14, 21, 28])
def relative_strength_index(prices: pd.DataFrame, days: int) -> float:
    """100 * rises / (rises + falls), both smoothed by Wilder over all days in sight.

    J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    changes = np.diff(prices["close"].to_numpy())
    rises = wilder(np.maximum(changes, 0.0), days)[-1:]
    falls = wilder(np.maximum(-changes, 0.0), days)[-1:]
    return float(100.0 * over(rises, rises + falls)[0]) if len(rises) else math.nan


@node(tags=["feature", "volatility"])
@each(days=[7, 14, 21, 28])
def average_true_range(prices: pd.DataFrame, true_range: pd.Series, days: int) -> float:
    """True range smoothed by Wilder over all days in sight, as a fraction of the close.

    J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    smooth = wilder(true_range.to_numpy(), days)[-1:]
    return float(over(smooth, last(prices["close"], 1))[0]) if len(smooth) else math.nan


@node(tags=["feature", "trend"])
@each(days=[7, 14, 21, 28])
def average_directional_index(prices: pd.DataFrame, true_range: pd.Series, days: int) -> float:
    """How directed prices move, 0 to 100: 100 |D+ - D-| / (D+ + D-), smoothed like its parts.

    D+ smooths H - H[-1] where that is positive and above L[-1] - L, D- the other way round; the
    true range by which both are divided cancels out, and a day without direction counts 0.
    J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    up, down = np.diff(prices["high"].to_numpy()), -np.diff(prices["low"].to_numpy())
    missing = np.where(np.isnan(up + down + true_range.to_numpy()), np.nan, 0.0)
    plus = wilder(np.where((up > down) & (up > 0.0), up, missing), days)
    minus = wilder(np.where((down > up) & (down > 0.0), down, missing), days)
    total = plus + minus
    directed = np.where(total == 0.0, 0.0, 100.0 * over(np.abs(plus - minus), total))
    smooth = wilder(directed, days)
    return float(smooth[-1]) if len(smooth) else math.nan


@node(tags=["feature", "trend"])
@each([{"fast": 12, "slow": 26}, {"fast": 8, "slow": 17}, {"fast": 5, "slow": 35}])
def convergence_divergence(prices: pd.DataFrame, fast: int, slow: int) -> float:
    """Difference of two exponential averages of the close, as a fraction of the close.

    Both begin with the oldest close in sight; `slow` days at least. G. Appel, Technical Analysis:
    Power Tools for Active Investors, 2005 (MACD).
    """
    close = prices["close"].to_numpy()
    if len(close) < slow:
        return math.nan
    difference = exponential(close, fast)[-1] - exponential(close, slow)[-1]
    return float(over(difference, close[-1]))


@node(tags=["feature", "trend"])
@each([{"fast": 12, "slow": 26, "signal": 9}, {"fast": 5, "slow": 35, "signal": 5}])
def convergence_histogram(prices: pd.DataFrame, fast: int, slow: int, signal: int) -> float:
    """MACD less its own exponential average over `signal` days, as a fraction of the close.

    `slow` + `signal` days at least. G. Appel, Technical Analysis: Power Tools for Active
    Investors, 2005.
    """
    close = prices["close"].to_numpy()
    if len(close) < slow + signal:
        return math.nan
    line = exponential(close, fast) - exponential(close, slow)
    return float(over(line[-1] - exponential(line, signal)[-1], close[-1]))


@node(tags=["feature"])
@each(days=[10, 20, 50], width=[1.5, 2.0, 2.5])
def bollinger_position(prices: pd.DataFrame, days: int, width: float) -> float:
    """Where the close lies between mean - w s and mean + w s: 0 at the lower band, 1 at the upper.

    s is the population's standard deviation of n closes. J. Bollinger, Bollinger on Bollinger
    Bands, 2001 (%b).
    """
    close = last(prices["close"], days)
    half = width * np.std(close)
    return float(over(close[-1] - np.mean(close) + half, 2.0 * half))


@node(tags=["feature", "volatility"])
@each(days=[10, 20, 50])
def bollinger_width(prices: pd.DataFrame, days: int) -> float:
    """Distance of the bands at two deviations, 4 s / mean(C), a fraction.

    J. Bollinger, Bollinger on Bollinger Bands, 2001 (BandWidth).
    """
    close = last(prices["close"], days)
    return float(over(4.0 * np.std(close), np.mean(close)))


@node(tags=["feature"])
@each(days=[5, 9, 14, 21], smooth=[1, 3])
def stochastic(prices: pd.DataFrame, days: int, smooth: int) -> float:
    """Where the close lies in the range of n days, 0 to 100, as the mean of `smooth` days.

    100 (C - min L) / (max H - min L). G. Lane, Lane's Stochastics, Technical Analysis of Stocks &
    Commodities 2(3), 1984.
    """
    count = days + smooth - 1
    high, low, close = (last(prices[c], count) for c in ("high", "low", "close"))
    places = []
    for start in range(smooth):
        top, bottom = np.max(high[start : start + days]), np.min(low[start : start + days])
        places.append(float(over(close[start + days - 1] - bottom, top - bottom)))
    return 100.0 * float(np.mean(places))


@node(tags=["feature"])
@each(days=[10, 14, 28])
def williams_r(prices: pd.DataFrame, days: int) -> float:
    """How far the close lies below the highest high, -100 (max H - C) / (max H - min L).

    L. Williams, How I Made One Million Dollars Last Year Trading Commodities, 1973 (%R).
    """
    high, low = np.max(last(prices["high"], days)), np.min(last(prices["low"], days))
    return -100.0 * float(over(high - last(prices["close"], 1)[0], high - low))


@node(tags=["feature"])
@each(days=[14, 20, 40])
def commodity_channel_index(prices: pd.DataFrame, days: int) -> float:
    """Typical price less its mean, over 0.015 mean absolute deviations from that mean.

    D. Lambert, Commodity Channel Index: Tool for Trading Cyclic Trends, Commodities 9(10), 1980.
    """
    price = last(typical(prices), days)
    away = price - np.mean(price)
    return float(over(away[-1], 0.015 * np.mean(np.abs(away))))


@node(tags=["feature", "trend"])
@each(days=[10, 20, 55, 100])
def donchian_position(prices: pd.DataFrame, days: int) -> float:
    """Where the close lies in the channel of the n days before: above 1 or below 0 it broke out.

    (C - min L) / (max H - min L). R. Donchian, High Finance in Copper, Financial Analysts Journal
    16(6), 1960, whose rule has four weeks.
    """
    high = np.max(last(prices["high"], days + 1)[:-1])
    low = np.min(last(prices["low"], days + 1)[:-1])
    return float(over(last(prices["close"], 1)[0] - low, high - low))


@node(tags=["feature", "trend"])
@each(days=[14, 25, 50])
def aroon_oscillator(prices: pd.DataFrame, days: int) -> float:
    """100 (days since the lowest low - days since the highest high) / n, from -100 to 100.

    Today and n days before count; of equal extremes the latest. T. Chande, A Time Price Oscillator,
    Technical Analysis of Stocks & Commodities 13(9), 1995.
    """
    high, low = last(prices["high"], days + 1)[::-1], last(prices["low"], days + 1)[::-1]
    if np.isnan(high).any() or np.isnan(low).any():
        return math.nan
    return 100.0 * float(np.argmin(low) - np.argmax(high)) / days


@node(tags=["feature", "trend"])
@each(days=[10, 20, 50])
def keltner_position(prices: pd.DataFrame, days: int) -> float:
    """Close less the mean typical price, in mean ranges: 1 at the upper line, -1 at the lower.

    (C - mean((H + L + C) / 3)) / mean(H - L) over n days. C. Keltner, How to Make Money in
    Commodities, 1960 (ten days).
    """
    spans = last(prices["high"], days) - last(prices["low"], days)
    middle = np.mean(last(typical(prices), days))
    return float(over(last(prices["close"], 1)[0] - middle, np.mean(spans)))
