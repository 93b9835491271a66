"""What the parser refuses, and how it says so."""

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmtl.common.errors import Problem, StrategyRejected
from qmtl.models.strategy import StrategySpec
from qmtl.parsing.codes import CODES
from qmtl.parsing.parser import parse_strategy

# It holds every part of the language, families, windows and queries among them.
EXAMPLE = (Path(__file__).parents[1] / "graph/golden_strategy.py").read_text()
HEAD = """from qmtl.sdk import node, source, strategy
strategy("s", interval="1h")
prices = source("a.b", columns=["close"], interval="1h", period=5)
"""
NODE = "@node\ndef a(prices): return 1\n"


def problems(source: str | bytes, **options: int) -> list[Problem]:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(source, **options)
    return list(caught.value.problems)


def codes_of(text: str) -> set[str]:
    return {each.code for each in problems(text)}


# --- the text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        (b"x = 1\n\xff", "QMTL-102", 2, 1),
        ("x = '\ud800'", "QMTL-102", 1, 6),
        ("\ufeffx = 1", "QMTL-102", 1, 1),
        ("x = 1\ny = '\0'", "QMTL-102", 2, 6),
        ("# -*- coding: latin-1 -*-\nx = 1", "QMTL-102", 1, 15),
        ("", "QMTL-105", 1, 1),
        (" \n\t\n", "QMTL-105", 1, 1),
        ("# only a comment", "QMTL-105", 1, 1),
        ("x = (\n", "QMTL-103", 1, 5),
        ("é = 'é' $", "QMTL-103", 1, 9),
        ("def f(a, a): pass\n" + HEAD + NODE, "QMTL-103", 1, 10),
        ("def f():\n  break\n" + HEAD + NODE, "QMTL-103", 2, 3),
    ],
)
def test_a_text_that_is_no_python_is_one_problem_at_its_place(
    source: str | bytes, code: str, line: int, column: int
) -> None:
    (found,) = problems(source)
    assert (found.code, found.line, found.column) == (code, line, column)


def test_the_limit_counts_bytes() -> None:
    assert problems("x = 'éé'", limit_bytes=9)[0].code == "QMTL-101"
    assert problems(b"x" * 11, limit_bytes=10)[0].code == "QMTL-101"
    assert problems("a" * (256 * 1024 + 1))[0].code == "QMTL-101"


@pytest.mark.parametrize(
    "text",
    [
        "-" * 100_000 + "1",
        "not " * 50_000 + "1",
        "lambda: " * 30_000 + "1",
        "+".join(["1"] * 100_000),
        "**".join(["1"] * 50_000),
        "a" + ".b" * 100_000,
        "a" + "()" * 100_000,
        "1 if 1 else " * 15_000 + "1",
        "if 1: pass\n" + "elif 1: pass\n" * 500,
        "x = " + "+".join(["1"] * 200),
        "x = " + "[" * 180 + "]" * 180,
    ],
)
def test_what_is_nested_too_deep_is_refused_as_such(text: str) -> None:
    assert [each.code for each in problems(text)] == ["QMTL-104"]


@pytest.mark.parametrize("text", ["x = 1\n  y = 2", "x = " + "9" * 5_000, "case x:"])
def test_other_errors_of_syntax_stand_in_their_line(text: str) -> None:
    (found,) = problems(text)
    assert (found.code, found.line) == ("QMTL-103", text.count("\n") + 1)


@pytest.mark.parametrize("text", ["(" * 100_000, "{" * 100_000, "x[" * 190, 'f"{' * 300])
def test_brackets_without_end_are_refused(text: str) -> None:
    assert problems(text)[0].code == "QMTL-103"


def test_pythons_warnings_about_a_text_stay_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse_strategy(HEAD + NODE + "def h(x): return x is 1, '\\d'\n")


# --- the language --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("if True: pass", "QMTL-110"),
        ("for x in []: pass", "QMTL-110"),
        ("print('hello')", "QMTL-110"),
        ("del prices", "QMTL-110"),
        ("X = Y = 1", "QMTL-110"),
        ("X, Y = 1, 2", "QMTL-110"),
        ("X: int", "QMTL-110"),
        ("X = 1; X += 1", "QMTL-110"),
        ("prices.x = 1", "QMTL-110"),
        ("source('c.d', columns=['x'])", "QMTL-110"),
        ("'a text in the middle'", "QMTL-110"),
        ("import os", "QMTL-111"),
        ("import os.path as p", "QMTL-111"),
        ("from subprocess import run", "QMTL-111"),
        ("import numpy.f2py", "QMTL-111"),
        ("from qmtl.common import errors", "QMTL-111"),
        ("from qmtl.sdk import Client", "QMTL-111"),
        ("import importlib", "QMTL-111"),
        ("from math import *", "QMTL-112"),
        ("from . import x", "QMTL-112"),
        ("def f():\n  import math", "QMTL-112"),
        ("import math\nimport cmath as math", "QMTL-113"),
        ("def prices(): pass", "QMTL-113"),
        ("open = 1", "QMTL-113"),
        ("X = 1\nX = 2", "QMTL-113"),
        ("X = 1\ndef f():\n  global X\n  X = 2", "QMTL-114"),
        ("def f(a=(X := 1)): pass", "QMTL-114"),
        ("X = {}\ndef f(): X['a'] = 1", "QMTL-115"),
        ("X = {}\ndef f():\n  del X['a']", "QMTL-115"),
        ("X = []\ndef f(): X[0].y += 1", "QMTL-115"),
        ("def f(): f.count = 1", "QMTL-115"),
        ("X = []\ndef f(): X.append(1)", "QMTL-115"),
        ("X = {'a': []}\ndef f(): X['a'].append(1)", "QMTL-115"),
        ("X = set()\ndef f(): X.add(1)", "QMTL-115"),
        ("X = []\nY = X.append(1)", "QMTL-115"),
        ("X = []\ndef f(a=X.append(1)): pass", "QMTL-115"),
        ("X = []\nclass C:\n  x = X.append(1)", "QMTL-115"),
        ("class C:\n  seen = []\ndef f(): C.seen.append(1)", "QMTL-115"),
        ("import numpy as np\ndef f(): np.x = 1", "QMTL-115"),
        ("X = [i for i in range(3)]", "QMTL-116"),
        ("def f(): pass\nX = f()", "QMTL-116"),
        ("class C: pass\nX = C()", "QMTL-116"),
        ("X = Y\nY = 1", "QMTL-116"),
        ("import numpy as np\nRNG = np.random.default_rng(1)", "QMTL-116"),
        ("import itertools\nX = itertools.count()", "QMTL-116"),
        ("X = [iter([1])]", "QMTL-116"),
        ("def d(f): return f\n@d\ndef g(): pass", "QMTL-117"),
        ("import numpy as np\n@np.vectorize\ndef g(x): return x", "QMTL-117"),
        ("async def f(): pass", "QMTL-118"),
        ("def f():\n  async def g(): pass", "QMTL-118"),
        ("def f():\n  try: pass\n  except* ValueError: pass", "QMTL-118"),
        ("import abc\nclass C(metaclass=abc.ABCMeta): pass", "QMTL-118"),
    ],
)
def test_what_the_language_does_not_have_is_refused(line: str, code: str) -> None:
    assert code in codes_of(HEAD + NODE + line)


@pytest.mark.parametrize(
    "line",
    [
        "X = [1]\ndef f():\n  X = []\n  X.append(1)\n  return X",
        "X = [1]\ndef f(): return sorted(X), X.count(1), list(X).append(2)",
        "import numpy as np\ndef f(x): return np.append(np.sort(x), 1)",
        "import pandas as pd\nX = pd.Series([1.0])\ndef f(x): return X.add(x)",
        "class C:\n  @staticmethod\n  def update(x): return x\ndef f(): return C.update(1)",
        "X = dict(zip('ab', (1, 2)))",
        "import itertools\nX = tuple(itertools.product((1, 2), repeat=2))",
    ],
)
def test_what_only_looks_like_a_change_of_the_module_is_accepted(line: str) -> None:
    parse_strategy(HEAD + NODE + line)


@pytest.mark.parametrize(
    ("code_line", "code"),
    [
        ("x.__class__", "QMTL-121"),
        ("x._private", "QMTL-121"),
        ("x.gi_frame, x.cr_frame, x.ag_frame", "QMTL-121"),
        ("x.tb_frame.f_globals", "QMTL-121"),
        ("x.eval('1')", "QMTL-121"),
        ("x.to_pickle('f')", "QMTL-121"),
        ("__name__", "QMTL-120"),
        ("x(__y=1)", "QMTL-120"),
        ("lambda __y: 1", "QMTL-120"),
        ("eval('1')", "QMTL-122"),
        ("MemoryError()", "QMTL-122"),
        ("exec('1')", "QMTL-122"),
        ("compile('1', '', 'exec')", "QMTL-122"),
        ("open('f')", "QMTL-122"),
        ("globals(), vars(), locals()", "QMTL-122"),
        ("[f for f in [eval]]", "QMTL-122"),
        ("getattr(x, '__class__')", "QMTL-122"),
        ("getattr(x, 'a' + 'b')", "QMTL-122"),
        ("getattr(x, 'format')", "QMTL-122"),
        ("map(getattr, x)", "QMTL-122"),
        ("type('C', (), {})", "QMTL-122"),
        ("map(type, x)", "QMTL-122"),
        ("__import__('os')", "QMTL-120"),
        ("undefined_name", "QMTL-123"),
        ("dt.datetime.now()", "QMTL-124"),
        ("x.today()", "QMTL-124"),
        ("pd.Timestamp('now')", "QMTL-124"),
        ("np.datetime64('today')", "QMTL-124"),
        ("np", "QMTL-125"),
        ("[np][0].load", "QMTL-125"),
        ("x.format(1)", "QMTL-126"),
        ("str.format('{0.__class__}', x)", "QMTL-126"),
        ("'{0.__class__}'.format(x)", "QMTL-126"),
        ("'{0[a].real._x:{0.f_back}}'.format(x)", "QMTL-126"),
        ("map('{0.__class__}'.format, x)", "QMTL-126"),
        ("'{x}'.format_map(x) + x.format_map(x)", "QMTL-126"),
        ("np.load('f')", "QMTL-127"),
        ("np.lib.npyio", "QMTL-127"),
        ("pd.read_csv('f')", "QMTL-127"),
        ("pd.io.common.os", "QMTL-127"),
        ("pd.eval('1')", "QMTL-121"),
        ("np.ctypeslib", "QMTL-127"),
        ("op.attrgetter('__class__')", "QMTL-127"),
        ("dc.sys.modules", "QMTL-127"),
        ("prices", "QMTL-128"),
        ("a(1)", "QMTL-128"),
        ("source('x.y', columns=['z'])", "QMTL-128"),
    ],
)
def test_the_name_policy_holds_inside_functions(code_line: str, code: str) -> None:
    imports = (
        "import datetime as dt, numpy as np, pandas as pd, operator as op, dataclasses as dc\n"
    )
    found = codes_of(f"{imports}{HEAD}{NODE}def helper(x):\n  return {code_line}\n")
    assert code in found
    assert found <= {code, "QMTL-121", "QMTL-124"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(x):\n  match x:\n    case object(__class__=y): return y", "QMTL-121"),
        ("def __f(): pass", "QMTL-120"),
        ("class C:\n  def __getattribute__(self, n): pass", "QMTL-120"),
        ("class C:\n  __slots__ = ()", "QMTL-120"),
        ("def __init__(): pass", "QMTL-120"),
        ("def f():\n  def __init__(): pass", "QMTL-120"),
        ("class C:\n  x = open", "QMTL-122"),
        ("class C:\n  open = 1\n  x = open", "QMTL-122"),
        ("def f():\n  try: 1\n  except ValueError as __e: pass", "QMTL-120"),
        ("from numpy import load", "QMTL-127"),
        ("from enum import bltns", "QMTL-127"),
        ("from typing import get_type_hints", "QMTL-127"),
        ("import time", "QMTL-124"),
        ("from functools import singledispatch as s", "QMTL-127"),
        ("from random import _os", "QMTL-121"),
        ("from pandas import read_csv as r", "QMTL-127"),
        ("F = lambda: eval('1')", "QMTL-122"),
        ("def f(x: open('f')): pass", "QMTL-122"),
    ],
)
def test_the_name_policy_holds_everywhere(text: str, code: str) -> None:
    assert code in codes_of(HEAD + NODE + text)


# --- declarations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('strategy("s", interval="1h")', "", "QMTL-130"),
        ('strategy("s", interval="1h")', 'strategy("s")\nstrategy("t")', "QMTL-130"),
        ('"s"', '"Big"', "QMTL-133"),
        ('"s"', '"s\\n"', "QMTL-133"),
        ('"s"', "5", "QMTL-133"),
        ('"s", ', "", "QMTL-131"),
        ('"s"', '"s", "t"', "QMTL-131"),
        ('"s"', '"s", name="t"', "QMTL-131"),
        ('"s"', "'s' + 't'", "QMTL-132"),
        ('"s"', '"s", **{}', "QMTL-132"),
        ('"s"', '"s", description="\\ud800"', "QMTL-133"),
        ('"s"', '"s", descripton="x"', "QMTL-131"),
        ('strategy("s", interval="1h")', 'strategy("s", interval="1.5h")', "QMTL-134"),
        ('"a.b"', '"A.B"', "QMTL-133"),
        ('"a.b"', '"a..b"', "QMTL-133"),
        ('["close"]', "[]", "QMTL-133"),
        ('["close"]', '["x", "x"]', "QMTL-133"),
        ('["close"]', '["ts"]', "QMTL-133"),
        ('["close"]', '"close"', "QMTL-133"),
        ('columns=["close"], ', "", "QMTL-131"),
        ("period=5", "period=0", "QMTL-133"),
        ("period=5", "period=True", "QMTL-133"),
        ("period=5", "period=0x" + "f" * 5_000, "QMTL-133"),
        ("period=5", "period=100_001", "QMTL-133"),
        ("period=5", "stamp='middle'", "QMTL-133"),
        ("period=5", "stamp=[]", "QMTL-133"),
        ("prices =", "as_of =", "QMTL-142"),
        ("prices =", "_p =", "QMTL-133"),
        ("prices =", "q = source('a.b', columns=['x'])\nprices =", "QMTL-155"),
    ],
)
def test_strategies_and_sources_that_cannot_be_used_are_refused(
    old: str, new: str, code: str
) -> None:
    assert code in codes_of(HEAD.replace(old, new) + NODE)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("tags='x'", "QMTL-133"),
        ("tags=['']", "QMTL-133"),
        ("tags=[1]", "QMTL-133"),
        ("timeout='5'", "QMTL-133"),
        ("timeout=0", "QMTL-133"),
        ("timeout=3601", "QMTL-133"),
        ("timeout=0x" + "f" * 5_000, "QMTL-133"),
        ("timeout=1e999", "QMTL-133"),
        ("timeout=True", "QMTL-133"),
        ("retries=11", "QMTL-133"),
        ("retries=-1", "QMTL-133"),
        ("memory='1KB'", "QMTL-133"),
        ("memory='1MB'", "QMTL-133"),
        ("memory=512", "QMTL-133"),
        ("max_history=0", "QMTL-133"),
        ("cache=0", "QMTL-133"),
        ("publish='qmtl.results'", "QMTL-133"),
        ("publish='a b'", "QMTL-133"),
        ("interval='0d'", "QMTL-134"),
        ("inputs={'prices': 'prices', 'prices': 'prices'}", "QMTL-131"),
        ("inputs={1: 'prices'}", "QMTL-133"),
        ("inputs={[]: 1}", "QMTL-133"),
        ("inputs={'x': 'prices'}", "QMTL-151"),
        ("inputs={'as_of': 'prices'}", "QMTL-142"),
        ("inputs={'prices': 'nowhere'}", "QMTL-150"),
        ("retry=1", "QMTL-131"),
        ("tags=list('ab')", "QMTL-132"),
    ],
)
def test_arguments_of_a_node_that_cannot_be_used_are_refused(argument: str, code: str) -> None:
    assert codes_of(HEAD + NODE.replace("@node", f"@node({argument})")) == {code}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("@node\ndef b(*args): return 1", "QMTL-140"),
        ("@node\ndef b(**kw): return 1", "QMTL-140"),
        ("@node\ndef b(prices, /): return 1", "QMTL-140"),
        ("@node\ndef b(prices): yield 1", "QMTL-140"),
        ("@node\ndef b(prices): return (yield)", "QMTL-140"),
        ("@node\n@node\ndef b(prices): return 1", "QMTL-140"),
        ("import functools\n@node\n@functools.cache\ndef b(prices): return 1", "QMTL-140"),
        ("X = 1\n@node\ndef b(p=X): return 1", "QMTL-141"),
        ("@node\ndef b(p={1, 2}): return 1", "QMTL-141"),
        ("@node\ndef b(p=1e999): return 1", "QMTL-141"),
        ("@node\ndef b(p={1: 2}): return 1", "QMTL-141"),
        ("@node\ndef b(p=1j): return 1", "QMTL-141"),
        ("@node\ndef b(p=0x" + "f" * 5_000 + "): return 1", "QMTL-141"),
        ("@node\ndef b(as_of=1): return 1", "QMTL-142"),
        ("@node\ndef as_of(): return 1", "QMTL-142"),
        ("@node\ndef b(price): return 1", "QMTL-150"),
        ("@node\ndef b(c): return 1\n@node\ndef c(b): return 1", "QMTL-152"),
        ("@node\ndef b(b): return 1", "QMTL-152"),
        ("@node(interval='1d')\ndef b(a): return 1", "QMTL-153"),
        ("@node(interval='7h')\ndef b(): return 1\n@node\ndef c(b): return 1", None),
        ("@node(interval='90m')\ndef b(): return 1\n@node\ndef c(b): return 1", "QMTL-153"),
        ("@node(interval='3w')\ndef b(): return 1\n@node(interval='3d')\ndef c(b): return 1",
         "QMTL-153"),
        ("@node(interval='2w')\ndef b(): return 1\n@node(interval='1w')\ndef c(b): return 1", None),
    ],
)  # fmt: skip
def test_nodes_that_cannot_be_wired_are_refused(text: str, code: str | None) -> None:
    if code is None:
        assert isinstance(parse_strategy(HEAD + NODE + text), StrategySpec)
    else:
        assert codes_of(HEAD + NODE + text) == {code}


def test_a_node_without_an_interval_reads_any_but_is_read_only_by_its_like() -> None:
    head = HEAD.replace('strategy("s", interval="1h")', 'strategy("s")')
    daily = "@node(interval='1d')\ndef daily({}): return 1\n"
    free = "@node\ndef free({}): return 1\n"
    assert isinstance(parse_strategy(head + daily.format("") + free.format("daily")), StrategySpec)
    assert codes_of(head + daily.format("free") + free.format("")) == {"QMTL-153"}


def test_a_strategy_without_nodes_is_refused() -> None:
    assert codes_of(HEAD) == {"QMTL-154"}


# --- how it is told ------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_in_the_order_of_the_text() -> None:
    text = HEAD + "import os\nX = open('f')\n@node(retries=99)\ndef b(price, p=X): return eval(p)\n"
    found = problems(text)
    assert [each.code for each in found] == [
        "QMTL-111", "QMTL-122", "QMTL-133", "QMTL-150", "QMTL-141", "QMTL-122",
    ]  # fmt: skip
    assert [each.line for each in found] == [4, 5, 6, 7, 7, 7]


def test_columns_count_characters_not_bytes() -> None:
    (found,) = problems(HEAD + NODE + "def h(): return 'é한😀', nothing\n")
    assert (found.line, found.column) == (6, 24)


def test_a_near_miss_is_suggested() -> None:
    (found,) = problems(HEAD + "@node\ndef a(prcies): return 1\n")
    assert found.message == "`prcies` is not a source or node; did you mean `prices`?"
    (found,) = problems(HEAD + "@node(retrys=1)\ndef a(prices): return 1\n")
    assert found.hint == "Did you mean 'retries'?"


def test_a_cycle_is_told_with_its_path() -> None:
    text = "@node\ndef x(z): return 1\n@node\ndef y(x): return 1\n@node\ndef z(y): return 1\n"
    (found,) = problems(HEAD + text)
    assert "x -> z -> y -> x" in found.message


def test_a_clock_is_refused_with_the_way_to_the_time() -> None:
    (found,) = problems("import time\n" + HEAD + NODE)
    assert "as_of" in found.hint


def test_a_forgotten_import_is_told_with_its_line() -> None:
    hints = {each.hint for each in problems(NODE)}
    assert "Write `from qmtl.sdk import node`." in hints


def test_thousands_of_problems_are_cut_to_what_one_reads() -> None:
    assert len(problems("import os\n" * 5_000)) == 100


def test_every_code_has_its_row_and_its_number_in_the_family_of_the_parser() -> None:
    assert all(code == row.code and "QMTL-101" <= code <= "QMTL-199" for code, row in CODES.items())
    assert all(row.title and row.cause and row.mend for row in CODES.values())


# --- nothing else is ever raised -----------------------------------------------------------------


def outcome(source: str | bytes) -> StrategySpec | StrategyRejected:
    try:
        return parse_strategy(source)
    except StrategyRejected as rejected:
        return rejected


def reads_or_refuses(source: str | bytes) -> None:
    found = outcome(source)
    if isinstance(found, StrategySpec):
        assert found.nodes
    else:
        assert found.problems
        assert all(p.line >= 1 and p.column >= 1 and p.code in CODES for p in found.problems)
        assert str(found).encode()  # whatever was sent, what is told can be sent on


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_random_text_is_refused_and_nothing_else(source: str | bytes) -> None:
    reads_or_refuses(source)
    if isinstance(source, str):
        reads_or_refuses(HEAD + NODE + source)


LINES = EXAMPLE.splitlines(keepends=True)
TOKENS = sorted({*EXAMPLE.replace("(", " ( ").replace(")", " ) ").split(), "\n", "    ", "lambda:"})


@st.composite
def mutated(draw: st.DrawFn) -> str:
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "swap", "cut", "insert", "replace"]))
        if kind == "drop":
            lines[at] = ""
        elif kind == "double":
            lines[at] *= 2
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        else:
            place = draw(st.integers(0, len(lines[at])))
            token = draw(st.sampled_from(TOKENS) | st.text(max_size=4))
            skip = len(token) if kind == "replace" else 0
            lines[at] = lines[at][:place] + token + lines[at][place + skip :]
    return "".join(lines)


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_a_mutated_strategy_is_read_or_refused_and_nothing_else(text: str) -> None:
    reads_or_refuses(text)


def test_a_format_is_searched_in_time_that_grows_with_its_length_alone() -> None:
    text = HEAD + NODE + f"X = '{'{.' * 100_000}'.format(1)\n"
    assert isinstance(parse_strategy(text), StrategySpec)
