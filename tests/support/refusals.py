"""Short texts for the parser, behind a module that imports all that they may speak of."""

from __future__ import annotations

import pytest

from qmtl.common.errors import StrategyRejected
from qmtl.parsing.parser import parse_strategy

HEAD = """from qmtl.sdk import node, source, strategy
import bisect, collections, dataclasses, datetime as dt, decimal, enum, functools, heapq, math
import operator, random, re, typing
import numpy as np, pandas as pd, polars as pl
strategy("s", interval="1h")
prices = source("a.b", columns=["close"], interval="1h", period=5)
@node
def a(prices): return 1
"""


def codes_of(text: str) -> set[str]:
    """Return the codes of everything that is refused of a text; fail where nothing is."""
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + text)
    return {each.code for each in caught.value.problems}
