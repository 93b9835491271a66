"""Which names of a definition mean the module's."""

import ast
from textwrap import dedent

import pytest

from qmtl.graph.scope import module_names


def loads(text: str) -> set[str]:
    return {name.id for name in module_names(ast.parse(dedent(text)).body[0]).loads}


def stores(text: str) -> set[str]:
    return {name.id for name in module_names(ast.parse(dedent(text)).body[0]).stores}


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return x",
        "def f(*x): return x",
        "def f(**x): return x",
        "def f(*, x): return x",
        "def f(x, /): return x",
        "def f():\n x = 1\n return x",
        "def f():\n for x in []: x",
        "def f():\n with 1 as x: x",
        "def f():\n try: 1\n except E as x: x",
        "def f():\n import x\n x",
        "def f():\n import x.y\n x",
        "def f():\n from y import z as x\n x",
        "def f():\n def x(): 1\n return x",
        "def f():\n class x: 1\n return x",
        "def f():\n return [x for x in []]",
        "def f():\n return {x: 1 for x in []}",
        "def f():\n [(x := 1) for a in []]\n return x",
        "def f():\n match 1:\n  case [x, *_]: x",
        "def f():\n match 1:\n  case [*x]: x",
        "def f():\n match 1:\n  case {**x}: x",
        "def f():\n match 1:\n  case {'a': int() as x}: x",
        "def f():\n return lambda x: x",
        "def f(x):\n def g(): return x\n return g",
        "def f(x):\n def g():\n  nonlocal x\n  x = 2\n return g",
        "def f():\n x: int\n return x",
        "def f():\n del x",
        "f = lambda x: x",
    ],
)
def test_a_name_that_is_bound_locally_does_not_reach_the_module(text: str) -> None:
    assert "x" not in loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "def f(): return x",
        "def f(a=x): return a",
        "def f(*, a=x): return a",
        "def f(x=x): return x",
        "def f(a: x): return a",
        "def f() -> x: return 1",
        "@x\ndef f(): 1",
        "def f():\n return [x for x in x]",
        "def f():\n return [a for a in [] if x]",
        "def f():\n [x for x in []]\n return x",
        "def f():\n (lambda x: x)\n return x",
        "def f():\n def g(x): return x\n return g(x)",
        "def f():\n global x\n return x",
        "def f():\n global x\n x = 1\n def g(): return x",
        "def f():\n class C:\n  x = 1\n  def m(self): return x",
        "def f():\n match 1:\n  case x.y: 1",
        "class C:\n x = x",
        "class C(x): 1",
        "class C:\n def m(self): return x",
        "class C:\n x = 1\n y = [x for a in []]",
        "def f():\n x.y = 1",
        "def f():\n x[0] = 1",
        "def f():\n return f'{x}'",
        "def f():\n return f'{1:{x}}'",
    ],
)
def test_a_name_that_is_bound_nowhere_near_reaches_the_module(text: str) -> None:
    assert "x" in loads(text)


def test_binding_a_module_level_name_from_within_is_seen() -> None:
    assert stores("def f():\n global x\n x = 1") == {"x"}
    assert stores("def f(a=(x := 1)): return a") == {"x"}
    assert stores("def f():\n x = 1") == set()
