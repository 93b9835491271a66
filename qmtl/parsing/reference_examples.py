"""For every code of the parser a text that gives it: `docs/errors.md` shows it, a test tries it.

A text stands between ``HEAD`` and ``NODE``, save where it is told otherwise.
"""

from __future__ import annotations

from qmtl.parsing import codes

HEAD = """\
from qmtl.sdk import each, node, query, source, strategy, window

strategy("example", interval="1d")
prices = source("nasdaq.goog", columns=["close"], interval="1d", period=20)

"""
NODE = """

@node
def last(prices):
    return float(prices.iloc[-1])
"""

EXAMPLES: dict[str, str] = {
    codes.SYNTAX: "THRESHOLDS = [0.1, 0.2",
    codes.STATEMENT: 'print("loading")',
    codes.IMPORT: "import requests",
    codes.IMPORT_PLACE: "def mean(x):\n    import numpy\n    return numpy.mean(x)",
    codes.BOUND_TWICE: "BAND = 0.1\nBAND = 0.2",
    codes.GLOBAL: "CALLS = 0\n\ndef count():\n    global CALLS\n    CALLS = CALLS + 1",
    codes.MUTATION: "SEEN = {}\n\ndef remember(key, value):\n    SEEN[key] = value",
    codes.CONSTANT: "def halved(x):\n    return x / 2\n\nBAND = halved(0.5)",
    codes.DECORATOR: "def traced(f):\n    return f\n\n@traced\ndef mean(x):\n    return sum(x)",
    codes.CONSTRUCT: "async def fetch():\n    return 1",
    codes.LASTING: "def remember(value, seen=[]):\n    seen.append(value)\n    return len(seen)",
    codes.IDENTIFIER: "def __scale(x):\n    return 2 * x",
    codes.ATTRIBUTE: "def blocks(frame):\n    return frame._mgr",
    codes.BUILTIN: 'def read(path):\n    return open(path).read()',
    codes.UNDEFINED: "def scaled(x):\n    return x * FACTOR",
    codes.CLOCK: "import datetime as dt\n\ndef today():\n    return dt.datetime.now()",
    codes.BARE_MODULE: "import numpy as np\n\ndef library():\n    return np",
    codes.FORMATTING: "def shown(template, x):\n    return template.format(x)",
    codes.LIBRARY: 'import pandas as pd\n\ndef extra():\n    return pd.read_csv("extra.csv")',
    codes.MISPLACED: "def newest():\n    return prices.iloc[-1]",
    codes.ADDRESS: "def shown():\n    return str(object())",
    codes.STRATEGY_COUNT: 'strategy("another")',
    codes.ARGUMENTS: "@node(retry=1)\ndef mean(prices):\n    return prices.mean()",
    codes.NOT_LITERAL: "DAY = '1d'\n\n@node(interval=DAY)\ndef mean(prices):\n"
    "    return prices.mean()",
    codes.VALUE: "@node(retries=99)\ndef mean(prices):\n    return prices.mean()",
    codes.INTERVAL: '@node(interval="1.5h")\ndef mean(prices):\n    return prices.mean()',
    codes.NODE_SHAPE: "@node\ndef mean(*series):\n    return series[0].mean()",
    codes.PARAMETER: "@node\ndef mean(prices, weights={1, 2}):\n    return prices.mean()",
    codes.RESERVED: "@node\ndef as_of(prices):\n    return prices.index[-1]",
    codes.MEMBER: "@node\n@each(length=[10, 10])\ndef sma(prices, length):\n"
    "    return prices.rolling(length).mean()",
    codes.UNKNOWN_INPUT: "@node\ndef mean(prcies):\n    return prcies.mean()",
    codes.NO_PARAMETER: '@node(inputs={"price": "prices"})\ndef mean(prices):\n'
    "    return prices.mean()",
    codes.CYCLE: "@node\ndef hen(egg):\n    return egg\n\n@node\ndef egg(hen):\n    return hen",
    codes.MISALIGNED: '@node(interval="1h")\ndef hourly(prices):\n    return prices.mean()\n\n'
    "@node\ndef daily(hourly):\n    return hourly",
    codes.SOURCE_DIFFERS: 'again = source("nasdaq.goog", columns=["close"], interval="1h")',
    codes.LOOKS_BACK: '@node(max_history=10)\ndef mean(prices):\n    return prices.mean()\n\n'
    '@node(inputs={"past": window("mean", 20)})\ndef trend(past):\n    return past[-1] - past[0]',
}  # fmt: skip

# What is too long to show, or no text at all, as Python makes it: the whole module.
MADE: dict[str, tuple[str, str | bytes]] = {
    codes.TOO_LARGE: ('"#" * 300_000', "#" * 300_000),
    codes.NOT_TEXT: ('b"\\xff\\xfe"', b"\xff\xfe"),
    codes.TOO_DEEP: ('"x = " + "+".join(["1"] * 200)', "x = " + "+".join(["1"] * 200)),
    codes.EMPTY: ('"# only a comment"', "# only a comment"),
}

# Texts after which no node stands.
WITHOUT_NODE: dict[str, str] = {
    codes.NO_NODES: "def last(prices):\n    return float(prices.iloc[-1])",
    codes.TOO_MANY: f"@node\n@each(a={[*range(101)]}, b={[*range(100)]})\ndef pair(prices, a, b):\n"
    "    return prices.iloc[-a] - prices.iloc[-b]",
}


def module_of(code: str) -> str | bytes:
    """Return the whole text that gives a code of the parser."""
    if code in MADE:
        return MADE[code][1]
    if code in WITHOUT_NODE:
        return HEAD + WITHOUT_NODE[code] + "\n"
    return HEAD + EXAMPLES[code] + "\n" + NODE


def shown(code: str) -> str:
    """Return what the reference shows of it."""
    if code in MADE:
        return f"# the module is\n{MADE[code][0]}"
    if code == codes.TOO_MANY:
        return (
            "@node\n@each(a=[0, 1, 2, ..., 100], b=[0, 1, 2, ..., 99])  # 10,100 nodes\n"
            "def pair(prices, a, b):\n    return prices.iloc[-a] - prices.iloc[-b]"
        )
    return WITHOUT_NODE[code] if code in WITHOUT_NODE else EXAMPLES[code]
