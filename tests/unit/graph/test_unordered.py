"""Which code goes through a set in the order of its hashes, as far as its text shows."""

from __future__ import annotations

import ast

import pytest

from qmtl.graph.module import ModuleIndex
from qmtl.graph.unordered import functions_in_set_order

HELPERS = """
import math
TAGS = {"slow", "fast"}
ALIAS = TAGS
SIZES = {1, 2, 3}

def helper(names):
    return [name for name in set(names)]

def quiet(names):
    return sorted(set(names))
"""


def goes_through(body: str) -> bool:
    text = HELPERS + "\ndef f(x, y):\n    " + body.replace("\n", "\n    ")
    return "f" in functions_in_set_order(ModuleIndex.of(ast.parse(text)), ["f"])


@pytest.mark.parametrize(
    "body",
    [
        "for name in {x, y}:\n    print(name)",
        "for name in set(x):\n    print(name)",
        "return [name for name in frozenset(x)]",
        "return {name: 1 for name in {n.lower() for n in x}}",
        "return list(set(x) - set(y))",
        "return tuple({x, y})",
        "return next(iter({x, y}))",
        "return ','.join({x, y})",
        "return list(enumerate(set(x)))",
        "return [*set(x)]",
        "first, second = {x, y}\nreturn first",
        "return set(x).pop()",
        "return list(set(x).union(y))",
        "names = set(x)\nnames |= y\nreturn list(names)",
        "names: set[str] = set()\nothers = names | set(y)\nreturn list(others)",
        "return list(TAGS)",
        "return sum(y[name] for name in set(x))",
        "return sorted(set(x), key=y.get)",
        "return max(set(x), key=y.get)",
        "return helper(x)",
    ],
)
def test_the_order_of_a_set_may_show(body: str) -> None:
    assert goes_through(body)


@pytest.mark.parametrize(
    "body",
    [
        "return sorted(set(x))",
        "return sorted(list(set(x)))",
        "return sorted(name.lower() for name in set(x))",
        "return len({x, y})",
        "return x in {'a', 'b'}",
        "return x in TAGS",
        "return min(set(x)) + max(set(x))",
        "return sum(set(x))",
        "return sum(1 for name in set(x))",
        "return any(name == y for name in set(x))",
        "return {name.lower() for name in set(x)}",
        "return list({1, 2, 3})",
        "return list(SIZES)",
        "names = set(x)\nnames = sorted(names)\nreturn list(names)",
        "TAGS = [x]\nreturn list(TAGS)",
        "set = list\nreturn list(set(x))",
        "return list(dict.fromkeys(x))",
        "return quiet(x)",
    ],
)
def test_the_order_of_a_set_does_not_show(body: str) -> None:
    assert not goes_through(body)
