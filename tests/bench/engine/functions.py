"""What the nodes of the workloads compute: one definition for every system that runs them.

A function takes the list of its parents' values. The text of each stands in the strategies too
(``strategy.text``), so it keeps to the strategy language: no clock, no import but numpy's.
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Any

import numpy as np

MOD = 1_000_003
POINTS = 1_000
LOOKBACK = 20
STEP = 10
FRAME_ROWS = 262_144  # float64: 2 MiB
ROUNDS_VARIABLE = "QMTL_BENCH_ROUNDS_A_MS"  # how a bench tells its workers what it calibrated
Value = Any


def add(parents):
    """Add one to the sum of the parents."""
    return {"v": (sum(p["v"] for p in parents) + 1) % MOD}


def burn(parents, rounds):
    """Add, after a fixed amount of work in pure Python."""
    x = 1
    for i in range(rounds):
        x = (x * 31 + i) % MOD
    return {"v": (sum(p["v"] for p in parents) + 1 + x * 0) % MOD}


def prices(parents):
    """Walk at random from a number."""
    state, price, out = parents[0]["v"] * 7919 + 12_345, 100.0, []
    for _ in range(POINTS):
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
        price *= 1.0 + (state / 2_147_483_648 - 0.4995) * 0.035
        out.append(round(price, 4))
    return {"s": out}


def moving_average(parents):
    series, total, out = parents[0]["s"], 0.0, []
    for at, price in enumerate(series):
        total += price
        if at >= LOOKBACK:
            total -= series[at - LOOKBACK]
        out.append(round(total / min(at + 1, LOOKBACK), 4))
    return {"s": out}


def volatility(parents):
    series = parents[0]["s"]
    moves = [0.0] + [series[at] / series[at - 1] - 1.0 for at in range(1, len(series))]
    total, squares, out = 0.0, 0.0, []
    for at, move in enumerate(moves):
        total += move
        squares += move * move
        if at >= LOOKBACK:
            total -= moves[at - LOOKBACK]
            squares -= moves[at - LOOKBACK] * moves[at - LOOKBACK]
        seen = min(at + 1, LOOKBACK)
        mean = total / seen
        out.append(round(max(squares / seen - mean * mean, 0.0) ** 0.5, 6))
    return {"s": out}


def momentum(parents):
    series = parents[0]["s"]
    moves = [series[at] / series[at - STEP] - 1.0 for at in range(STEP, len(series))]
    return {"s": [0.0] * STEP + [round(move, 6) for move in moves]}


def signal(parents):
    """Be long, short or out at every point: price, average, volatility, momentum."""
    out = []
    for price, average, risk, move in zip(*[p["s"] for p in parents], strict=True):
        long = price > average and move > 0 and risk < 0.05
        short = price < average and move < 0
        out.append(1 if long else -1 if short else 0)
    return {"s": out, "last": out[-1]}


def sizing(parents):
    """Size the last position by the last volatility."""
    risk = max(parents[1]["s"][-1], 0.000001)
    return {"position": parents[0]["last"] * round(min(0.01 / risk, 1.0), 4), "risk": risk}


def frame(parents):
    """Add the parents' arrays; a root makes one of its number."""
    out = np.ones(FRAME_ROWS)
    for p in parents:
        out = out + (p["v"] if isinstance(p, dict) else p)
    return out


FUNCTIONS = {
    f.__name__: f
    for f in (
        add, burn, prices, moving_average, volatility, momentum, signal, sizing, frame,
    )
}  # fmt: skip
CONSTANTS = ("MOD", "POINTS", "LOOKBACK", "STEP", "FRAME_ROWS")


def calibrate(target_s: float = 0.02, tries: int = 5) -> int:
    """Return how many rounds of ``burn`` take a millisecond of this machine's time, and export it.

    A strategy may not read a clock, so every system burns rounds instead of milliseconds.
    """
    rounds = 20_000
    best = min(_seconds(rounds) for _ in range(tries))
    rounds = int(rounds * target_s / best)
    best = min(_seconds(rounds) for _ in range(tries))
    a_ms = max(1, round(rounds / best / 1_000))
    os.environ[ROUNDS_VARIABLE] = str(a_ms)
    rounds_a_ms.cache_clear()
    return a_ms


def _seconds(rounds: int) -> float:
    began = time.thread_time()
    burn([], rounds)
    return time.thread_time() - began


@cache
def rounds_a_ms() -> int:
    """Return what the bench calibrated; 10,000 outside of one."""
    return int(os.environ.get(ROUNDS_VARIABLE, "10000"))
