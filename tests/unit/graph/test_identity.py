"""Identities: what changes one, and what does not."""

import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmtl.graph.dag import Dag
from qmtl.graph.identity import content_key, source_digest, strategy_version
from qmtl.parsing.parser import parse_strategy

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).with_name("golden_cross_ids.json")

HEAD = """
import math
import random
from datetime import timedelta
from qmtl.sdk import node, source, strategy
strategy("s", interval="1d")
prices = source("a.b", columns=["close"], interval="1d", period=5)
"""


def ids(body: str, head: str = HEAD) -> dict[str, str]:
    return {n.name: n.node_id for n in parse_strategy(head + dedent(body)).nodes}


def only(body: str, head: str = HEAD) -> str:
    (node_id,) = ids(body, head).values()
    return node_id


PLAIN = """
K = 2
def helper(x): return x * K
@node
def a(prices, length=3): return helper(prices.tail(length))
"""


def test_the_ids_of_the_example_stay_what_they_are() -> None:
    nodes = parse_strategy((ROOT / "examples/golden_cross.py").read_text()).nodes
    assert {n.name: n.node_id for n in nodes} == msgspec.json.decode(GOLDEN.read_bytes())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def a(", "def b("),
        ("@node\n", "@node()\n"),
        ("@node\n", "@node(tags=['x'], retries=3, timeout='1s', publish='t', memory='1GB')\n"),
        ("@node\n", "@node(interval='1d', cache=True, max_history=7)\n"),
        ("@node\n", "@node(inputs={'prices': 'prices'})\n"),
        ("K = 2", "K = 2  # two"),
        ("K = 2", "K: int = 2"),
        ("K = 2", "K = 0x2"),
        ("x * K", "(x\n    * K)"),
        ("def helper(x): return", "def helper(x: float) -> float:\n  '''Doc.'''\n  return"),
        ("a(prices, length=3): return", "a(prices: list, length: int = 3):\n  'Doc'\n  return"),
        ("K = 2", "UNUSED = 5\nK = 2"),
        ("K = 2", "K = 2\nimport json"),
    ],
)  # fmt: skip
def test_what_computes_the_same_is_the_same_node(old: str, new: str) -> None:
    assert only(PLAIN.replace(old, new)) == only(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("K = 2", "K = 3"),
        ("K = 2", "K = 2.0"),
        ("K = 2", "K = True"),
        ("x * K", "K * x"),
        ("length=3", "length=4"),
        ("length=3", "length=3.0"),
        ("length=3", "length=3, other=None"),
        ("length", "span"),
        ("(length))", "(length + 0))"),
        ("@node\n", "@node(interval='1h')\n"),
        ("@node\n", "@node(cache=False)\n"),
        ("K = 2", "K = 2\nL = 1"),
        ("helper", "helped"),
        ("def helper(x):", "import functools\n@functools.partial(max)\ndef helper(x):"),
        ("def a(prices,", "def a(prices, as_of,"),
    ],
)
def test_what_computes_something_else_is_another_node(old: str, new: str) -> None:
    changed = PLAIN.replace(old, new).replace("x * K", "x * K" if "L =" not in new else "x * K + L")
    assert only(changed) != only(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"a.b"', '"a.c"'),
        ('"a.b", ', ""),
        ('["close"]', '["open"]'),
        ('["close"]', '["close", "open"]'),
        ("period=5", "period=6"),
        ("period=5", "period=5, stamp='end'"),
        ('interval="1d", period', 'interval="1h", period'),
        ('strategy("s", interval="1d")', 'strategy("s", interval="1h")'),
    ],
)
def test_what_a_source_declares_is_part_of_its_readers(old: str, new: str) -> None:
    assert only(PLAIN, HEAD.replace(old, new)) != only(PLAIN)


def test_the_variable_of_a_named_source_is_no_part_of_it_where_the_argument_stays() -> None:
    wired = PLAIN.replace("@node\n", "@node(inputs={'prices': 'p'})\n")
    assert only(wired, HEAD.replace("prices =", "p =")) == only(PLAIN)


def test_a_series_of_its_own_counts_by_its_variable_whatever_the_strategy() -> None:
    own = HEAD.replace('"a.b", ', "")
    assert only(PLAIN, own) == only(PLAIN, own.replace('"s"', '"t"'))


def test_equal_computations_under_two_names_are_one_node() -> None:
    both = PLAIN + PLAIN[PLAIN.index("@node") :].replace("def a(", "def b(")
    found = ids(both)
    assert found["a"] == found["b"]


def test_a_local_of_the_nodes_name_is_no_reference_to_it() -> None:
    text = "@node\ndef a(prices):\n  x = prices.mean()\n  return x\n"
    assert only(text.replace("x", "a")) == only(text.replace("x", "a").replace("def a(", "def b("))


def test_a_node_that_calls_itself_may_be_renamed() -> None:
    text = "@node\ndef a(prices): return a(prices[1:]) if len(prices) > 1 else 0\n"
    assert only(text) == only(text.replace("a(p", "b(p"))


def test_helpers_that_call_each_other_are_no_special_case() -> None:
    text = """
    def even(n): return n == 0 or odd(n - 1)
    def odd(n): return n != 0 and even(n - 1)
    @node
    def a(prices): return even(len(prices))
    """
    assert only(text) != only(text.replace("!= 0", "> 0"))


def test_a_helper_that_a_local_shadows_is_not_reached() -> None:
    text = (
        "def helper(): return 1\n@node\ndef a(prices):\n  helper = max\n  return helper(prices)\n"
    )
    assert only(text) == only(text.replace("return 1", "return 2"))


def test_which_module_a_name_was_imported_from_counts() -> None:
    text = "from math import {} as f\n@node\ndef a(prices): return f(prices.iloc[0])\n"
    assert only(text.format("sin")) != only(text.format("cos"))
    swapped = (
        "import math as m, cmath as c\n@node\ndef a(prices): return m.sqrt(2) + c.sqrt(2).real"
    )
    other = swapped.replace("math as m, cmath as c", "cmath as m, math as c")
    assert only(swapped) != only(other)


def test_a_class_is_reached_whole_with_its_annotations() -> None:
    text = """
    from dataclasses import dataclass
    @dataclass
    class Pair:
        '''Doc.'''
        x: int = 1
    @node
    def a(prices): return Pair().x
    """
    assert only(text) == only(text.replace("Doc.", "Words."))
    assert only(text) != only(text.replace("x: int", "x: float"))
    assert only(text) != only("from __future__ import annotations\n" + HEAD + dedent(text), "")


def test_plain_annotations_reach_nothing() -> None:
    text = "class Frame: pass\n@node\ndef a(prices: Frame): return 1\n"
    assert only(text) == only(text.replace("pass", "x = 1"))


@pytest.mark.parametrize(
    ("body", "seeded"),
    [
        ("import numpy as np\n@node\ndef a(prices): return np.sum(prices)", False),
        ("import numpy as np\n@node\ndef a(prices): return np.random.normal()", True),
        ("import numpy as np\ndef h(): np.random.normal()\n@node\ndef a(prices): 1", False),
        ("import numpy as np\nd = np.random\n@node\ndef a(prices): return d.normal()", True),
        ("from numpy import random as r\n@node\ndef a(prices): return r.normal()", True),
        ("from numpy.random import default_rng\n@node\ndef a(prices): return default_rng()", True),
        (
            "from scipy import stats\ndef h(x): return stats\n@node\ndef a(prices): return h(1)",
            True,
        ),
        ("@node\ndef a(prices): return random.random()", True),
        ("@node\ndef a(prices): return prices.sample(3)", True),
        ("@node\ndef a(prices): return getattr(prices, 'sample')(3)", True),
        ("@node\ndef a(prices): return math.sqrt(2)", False),
    ],
)
def test_what_may_draw_random_numbers_is_seeded(body: str, seeded: bool) -> None:
    assert parse_strategy(HEAD + body).nodes[0].seeded is seeded


def test_the_content_key_depends_on_every_input_by_its_argument() -> None:
    keys = {
        content_key("n", {"a": "1", "b": "2"}),
        content_key("n", {"a": "2", "b": "1"}),
        content_key("m", {"a": "1", "b": "2"}),
        content_key("n", {"a": "1"}),
    }
    assert len(keys) == 4
    assert content_key("n", {"b": "2", "a": "1"}) in keys
    assert all(len(key) == 32 for key in keys)


def test_a_version_is_a_name_with_a_text() -> None:
    assert strategy_version("a", "x") != strategy_version("b", "x")
    assert strategy_version("a", "x") != strategy_version("a", "y")
    assert strategy_version("a", "x") == strategy_version("a", "x")
    assert source_digest("x") != source_digest("y")


# --- laws, over modules made at random -----------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """Nodes over helpers over constants; a number is what an edit changes."""

    constants: tuple[int, ...]
    helpers: tuple[tuple[int, int, tuple[int, ...]], ...]  # body, constant, earlier helpers
    nodes: tuple[tuple[int, int, tuple[int, ...], tuple[int, ...]], ...]  # + parameter, reads
    order: int = 0
    words: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        doc = self.words.get("doc", "")
        note = self.words.get("annotation", "")
        blocks = [f"C{i} = {value}" for i, value in enumerate(self.constants)]
        for i, (body, constant, calls) in enumerate(self.helpers):
            called = "".join(f" + h{j}(x)" for j in calls)
            blocks.append(f"def h{i}(x{note}):{doc}\n    return x + {body} + C{constant}{called}")
        for i, (body, parameter, calls, reads) in enumerate(self.nodes):
            inputs = {f"i{k}": f"n{j}" for k, j in enumerate(reads)}
            called = "".join(f" + h{j}({body})" for j in calls)
            names = ", ".join(f"{each}{note}" for each in ["prices", *inputs])
            blocks.append(
                f"@node(inputs={inputs})\ndef n{i}({names}, p={parameter}):{doc}\n"
                f"    return {body} + p{called}"
            )
        random.Random(self.order).shuffle(blocks)
        return HEAD + self.words.get("between", "\n\n").join(blocks)

    def ids(self) -> dict[str, str]:
        return {n.name: n.node_id for n in parse_strategy(self.text()).nodes}

    def reaching(self, helpers: set[int]) -> set[str]:
        """Return the nodes that reach one of the helpers, and their descendants."""
        for i, (_, _, calls) in enumerate(self.helpers):
            if helpers & set(calls):
                helpers = helpers | {i}
        return self.with_descendants({i for i, n in enumerate(self.nodes) if helpers & set(n[2])})

    def with_descendants(self, nodes: set[int]) -> set[str]:
        dag = Dag.of({f"n{i}": [f"n{j}" for j in n[3]] for i, n in enumerate(self.nodes)})
        given = {f"n{i}" for i in nodes}
        return given | dag.descendants(given)


@st.composite
def modules(draw: st.DrawFn) -> Module:
    def earlier(i: int) -> tuple[int, ...]:
        some = draw(st.sets(st.integers(0, i - 1), max_size=2)) if i else set()
        return tuple(sorted(some))

    constants = draw(st.integers(1, 3))
    helpers = draw(st.integers(1, 4))
    bodies = iter(range(100, 200))  # distinct, so that no two nodes happen to be one
    return Module(
        constants=tuple(range(constants)),
        helpers=tuple(
            (next(bodies), draw(st.integers(0, constants - 1)), earlier(i)) for i in range(helpers)
        ),
        nodes=tuple(
            (next(bodies), i, tuple(sorted(draw(st.sets(st.integers(0, helpers - 1))))), earlier(i))
            for i in range(draw(st.integers(1, 6)))
        ),
    )


def changed(before: Module, after: Module) -> set[str]:
    old, new = before.ids(), after.ids()
    return {name for name in old if old[name] != new[name]}


def swapped(items: tuple, index: int, place: int) -> tuple:
    item = list(items[index])
    item[place] = 999
    return (*items[:index], tuple(item), *items[index + 1 :])


@given(modules(), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_comments_docstrings_annotations_and_order_change_nothing(m: Module, order: int) -> None:
    words = {"between": "\n\n# a comment\n\n", "doc": "\n    '''Doc.'''", "annotation": ": int"}
    assert changed(m, replace(m, words=words, order=order)) == set()


@given(modules(), st.data())
@settings(max_examples=30, deadline=None)
def test_a_helpers_edit_changes_exactly_what_reaches_it(m: Module, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(m.helpers) - 1))
    assert changed(m, replace(m, helpers=swapped(m.helpers, i, 0))) == m.reaching({i})


@given(modules(), st.data())
@settings(max_examples=30, deadline=None)
def test_a_constants_edit_changes_exactly_what_reaches_it(m: Module, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(m.constants) - 1))
    edited = replace(m, constants=(*m.constants[:i], 999, *m.constants[i + 1 :]))
    users = {k for k, (_, constant, _) in enumerate(m.helpers) if constant == i}
    assert changed(m, edited) == m.reaching(users)


@given(modules(), st.data(), st.sampled_from([0, 1]))
@settings(max_examples=30, deadline=None)
def test_a_nodes_edit_changes_exactly_it_and_its_descendants(
    m: Module, data: st.DataObject, place: int
) -> None:
    i = data.draw(st.integers(0, len(m.nodes) - 1))
    assert changed(m, replace(m, nodes=swapped(m.nodes, i, place))) == m.with_descendants({i})
