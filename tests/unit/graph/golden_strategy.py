"""Everything that an identity covers, once: its ids are recorded and must never change."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pandas as pd

from qmtl.sdk import each, node, query, source, strategy, window

strategy("golden", interval="1h", description="Golden ids")

prices = source("nasdaq.goog", columns=["open", "close"], interval="1d", period=260, stamp="end")
own = source(columns=["x"])

EPS = np.finfo(float).eps
NAMES = frozenset({"é", "\ud800", 'quo"te'})
SCALE = {"a": 1, "b": 1.0, "c": True, "d": None, "e": -2, "f": 1e-300, "g": 2j, "h": b"\0"}


class Side(Enum):
    """A side."""

    LONG = "long"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two numbers."""

    first: float
    second: list[int] = field(default_factory=list)

    @property
    def total(self) -> float:
        return self.first + sum(self.second)


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)


def described(x: object) -> str:
    width = 8
    match x:
        case {"side": Side.LONG, **rest} if rest:
            return f"{x!r:>{width}.3} and {len(rest)=}"
        case [1, *_] | (2 | 3):
            return "onetwo"
        case Pair(first=0.5) as half:
            return f"{half}"
        case _:
            return ""


@node(tags=["feature"], interval="1d")
@each(length=[10, 50], kind=["fast", None, 1.5, True])
def sma(prices: pd.DataFrame, length: int, kind: object) -> pd.Series:
    """Moving average."""
    return prices["close"].rolling(length).mean() * SCALE.get(str(kind), EPS)


@node(inputs={"ma": "sma[{n},fast]", "before": window("sma[50,None]", 3)}, interval="1d")
@each([{"n": 10}, {"n": 50}])
def slope(ma, before, own, as_of, n, *, band: float = 0.25, words: tuple = ("é", [1], {"k": b"x"})):
    try:
        total = [y for x in ma if (y := x) > band for _ in range(n)]
    except (ValueError, KeyError) as error:
        raise ArithmeticError(described(words)) from error
    else:
        while total and not even(len(total)):
            total.pop()
    return lambda k=1: (total[::2], as_of, before, own, k)


@node(inputs={"signal": "slope[10]", "past": window("self", 1)}, interval="1d", cache=False)
def held(signal, past):
    return (past[-1] if past else 0) + Pair(1.0, [2]).total


@node(inputs={"all": query(tags=["signal"], any_tags=["risk", "trend"], interval="1d")})
def agreement(all):  # noqa: A002 - a builtin's name is an ordinary name here
    return {name: value for name, value in all.items() if name not in NAMES}


@node(inputs={"theirs": query(strategy="other"), "h": window("held", 20)})
def last(theirs, h):
    return len(theirs), *h
