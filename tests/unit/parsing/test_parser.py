"""What a source text declares."""

from pathlib import Path

import pytest

from qmtl.common.timeline import parse_interval
from qmtl.models.datanode import AsOfInput, NodeInput, NodeSpec, SourceInput, SourceSpec
from qmtl.parsing.parser import parse_strategy

EXAMPLE = Path(__file__).parents[3] / "examples/golden_cross.py"
HEAD = """from qmtl.sdk import node, source, strategy
strategy("s", interval="1h")
prices = source("a.b", columns=["close"], interval="1d", period=5)
"""


def node(text: str) -> NodeSpec:
    return parse_strategy(HEAD + text).nodes[-1]


def test_the_example_is_a_strategy() -> None:
    spec = parse_strategy(EXAMPLE.read_bytes())
    assert (spec.name, spec.interval_ns) == ("golden_cross", parse_interval("1d"))
    assert spec.description.startswith("Moving-average")
    assert [n.name for n in spec.nodes][-1] == "position"
    crossover = spec.node("crossover")
    assert crossover is not None
    assert crossover.tags == ("SIGNAL",)
    assert (crossover.timeout_s, crossover.retries) == (5.0, 1)
    assert crossover.params == (("band", "0.0"),)
    assert crossover.code.startswith('@node(tags=["signal"]')
    assert crossover.code.endswith('"spread": spread}')
    assert EXAMPLE.read_text().splitlines()[crossover.line - 1].startswith("def crossover")


def test_a_source_keeps_what_it_declares() -> None:
    text = HEAD + 'own = source(columns=["x", "y"], stamp="end")\n@node\ndef a(own): return 1'
    first, second = parse_strategy(text).sources
    assert first == SourceSpec(
        variable="prices",
        name="a.b",
        columns=("close",),
        interval_ns=parse_interval("1d"),
        period=5,
    )
    assert second == SourceSpec(
        variable="own", name="s.own", columns=("x", "y"), interval_ns=None, period=1, stamp="end"
    )


def test_arguments_take_the_source_or_node_of_their_name_or_what_inputs_says() -> None:
    text = """
@node(inputs={"x": "first", "y": "prices"})
def second(x, y, prices, as_of, *, first): return 1
@node
def first(prices): return 1
"""
    assert node(text).inputs == (
        NodeInput(argument="x", binding="first"),
        SourceInput(argument="y", variable="prices"),
        SourceInput(argument="prices", variable="prices"),
        AsOfInput(argument="as_of"),
        NodeInput(argument="first", binding="first"),
    )


def test_nodes_stand_in_topological_order_whatever_the_order_of_definitions() -> None:
    blocks = [
        "@node\ndef c(a, b): return 1",
        "@node\ndef b(a): return 1",
        "@node\ndef a(): return 1",
    ]
    one = parse_strategy(HEAD + "\n".join(blocks))
    other = parse_strategy(HEAD + "\n".join(reversed(blocks)))
    assert [n.name for n in one.nodes] == [n.name for n in other.nodes] == ["a", "b", "c"]
    assert [n.node_id for n in one.nodes] == [n.node_id for n in other.nodes]


def test_keywords_of_a_node_are_read_and_normalised() -> None:
    found = node(
        '@node(tags=["b", "A", "a"], interval="4h", max_history=9, timeout="500ms", retries=2,\n'
        '      memory="512MB", cache=False, publish="my.topic")\ndef a(): return 1'
    )
    assert found.tags == ("A", "B")
    assert found.interval_ns == parse_interval("4h")
    assert (found.max_history, found.timeout_s, found.retries) == (9, 0.5, 2)
    assert (found.memory_bytes, found.cache, found.publish) == (512_000_000, False, "my.topic")


def test_a_node_that_says_nothing_has_the_defaults() -> None:
    found = node("@node\ndef a(): return 1")
    assert found.interval_ns == parse_interval("1h")
    assert (found.tags, found.timeout_s, found.retries, found.memory_bytes) == ((), None, 0, None)
    assert (found.max_history, found.publish, found.cache, found.seeded) == (
        1_000,
        None,
        True,
        False,
    )


@pytest.mark.parametrize(("given", "seconds"), [("2", 2.0), ("0.5", 0.5), ("'2m'", 120.0)])
def test_a_timeout_is_text_or_seconds(given: str, seconds: float) -> None:
    assert node(f"@node(timeout={given})\ndef a(): return 1").timeout_s == seconds


@pytest.mark.parametrize(
    "literal",
    ["None", "True", "-1", "1.5", "'\\xe9'", "b'x'", "(1, [2.0])", "{'a': None}", "()"],
)
def test_a_default_is_kept_as_the_literal_it_is(literal: str) -> None:
    assert node(f"@node\ndef a(p={literal}): return p").params == (("p", literal),)


def test_a_literal_is_kept_in_one_spelling() -> None:
    assert node('@node\ndef a(q=0x10, p="é"): return p').params == (("p", "'\\xe9'"), ("q", "16"))


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\nEPS = np.finfo(float).eps\nW = np.array([1, 2]) / 2",
        "import re\nPATTERN = re.compile('x')\nNAMES = frozenset({'a', *['b']})",
        "import scipy.stats\nimport scipy.signal\ndef h(x): return scipy.stats.zscore(x)",
        "from enum import Enum\nclass Side(Enum):\n  LONG = 'long'\nDEFAULT = Side.LONG",
        "from dataclasses import dataclass, field\n@dataclass(frozen=True, slots=True)\n"
        "class P:\n  x: int = 1\n  def __add__(self, o): return self.x + o.x\n"
        "  @property\n  def y(self): return self.x\n  @classmethod\n  def of(cls): return cls(2)",
        "import functools\ndef h(x):\n  @functools.lru_cache(maxsize=2)\n  def f(n): return n\n"
        "  return f(x)",
        "KEY = lambda pair: pair[1]\ndef h(x): return sorted(x, key=KEY)",
        "def h(x):\n  yield from x",
        "def h(open, input):\n  compile = open\n  return compile + input",
        "def h(x): return getattr(x, 'name', None), type(x), '{:>5} {a}'.format(x, a=1)",
        "def h(x):\n  d = {}\n  d['a'] = x\n  d['b'], c = 1, 2\n  x.flags.writeable = False",
        "def h(x):\n  n = 0\n  def g():\n    nonlocal n\n    n += 1\n  g()\n  return n",
        "def h(x):\n  match x:\n    case {'a': [1, *r]} if r: return r\n    case _: return 0",
        "from datetime import datetime, time, UTC\ndef h(x): return datetime(2020, 1, 1), UTC",
        "from __future__ import annotations\n",
        "def h(x):\n  try: x()\n  except ZeroDivisionError as e:\n    raise ValueError(e) from e",
        "def h(x):\n  with np.errstate(all='ignore'):\n    return np.log(x)\nimport numpy as np",
    ],
)
def test_ordinary_code_is_accepted(text: str) -> None:
    tail = "\n" + HEAD + "@node\ndef a(prices): return h(prices)\n"
    helper = "" if "def h(" in text else "\ndef h(x): return x\n"
    assert parse_strategy(text + helper + tail).nodes[0].name == "a"


def test_the_language_may_be_imported_under_other_names() -> None:
    text = """import qmtl.sdk as q
from qmtl.sdk import node as n
q.strategy(name="s")
p = q.source(columns=["x"])
@n
def a(p): return 1
@q.node(tags=["t"])
def b(a): return 1
"""
    assert [each.name for each in parse_strategy(text).nodes] == ["a", "b"]


def test_windows_line_ends_change_nothing_but_the_version() -> None:
    text = EXAMPLE.read_text()
    crlf = parse_strategy(text.replace("\n", "\r\n"))
    assert crlf == parse_strategy(text)
