"""The canonical form of definitions."""

import ast
from textwrap import dedent

import pytest

from qmtl.graph.canonical import canonical, constant_text


def form(text: str) -> str:
    return canonical(ast.parse(dedent(text)).body[0]).text


def test_the_form_spells_fields_by_name_and_leaves_empty_ones_out() -> None:
    assert form("def f(x): return -x") == (
        "FunctionDef{args:arguments{args:[arg{arg:x;},];};"
        "body:[Return{value:UnaryOp{op:USub{};operand:Name{x};};},];name:f;}"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x):\n  '''Doc.'''\n  return x", "def f(x): return x  # comment"),
        ("def f(x):\n  '''Doc.'''", "def f(x): pass"),
        ("def f(x: int) -> str: return x", "def f(x): return x"),
        ("def f(x: 'a | b' = 1): return x", "def f(x: list[int] | None = 1): return x"),
        ("def f():\n  y: int = 1\n  return y", "def f():\n  y = 1\n  return y"),
        ("def f():\n  def g(y: int): return y", "def f():\n  def g(y): return y"),
        ("def f():\n  def g():\n    'Doc.'\n    return 1", "def f():\n  def g(): return 1"),
        ("class C:\n  'Doc.'\n  x = 1", "class C:\n  x = 1"),
        ("x = 'a' 'b'", 'x = "ab"'),
        ("x = u'ab'", "x = 'ab'"),
        ("x = f'ab'", "x = 'ab'"),
        ("x = f'a' 'b' f'{c}' 'd'", "x = f'ab{c}d'"),
        ("x = f'{c:}'", "x = f'{c}'"),
        ("x = 1_000", "x = 0x3e8"),
        ("x = 1e-1", "x = 0.1"),
        ("x: int = 1", "x = 1"),
        ("x = (a\n  + b)", "x = a + b"),
        (
            "def f(a):\n  if a: return 1\n  elif a: return 2",
            "def f(a):\n  if a: return 1\n  else:\n    if a: return 2",
        ),
    ],
)
def test_what_cannot_change_a_result_does_not_change_the_form(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0", "x = None"),
        ("x = 'a'", "x = b'a'"),
        ("x = 0.0", "x = -0.0"),
        ("x = 1j", "x = 1.0"),
        ("x = ...", "x = 'Ellipsis'"),
        ("x = (1, 2)", "x = [1, 2]"),
        ("x = ['a;', 'b']", "x = ['a', ';b']"),
        ("x = '\\ud800'", "x = '\\ud801'"),
        ("x = {**a}", "x = {None: a}"),
        ("x = f'{c!r}'", "x = f'{c}'"),
        ("x = f'{c:>3}'", "x = f'{c}'"),
        ("def f(a, b): return a", "def f(b, a): return a"),
        ("def f(a, *, b): return a", "def f(a, b): return a"),
        ("def f(*, a, b=1): return a", "def f(*, a=1, b): return a"),
        ("def f(a=1): return a", "def f(a=2): return a"),
        ("def f(): return", "def f(): return None"),
        ("def f():\n  x: int\n  return x", "def f():\n  return x"),
        ("@d\ndef f(a: int): return a", "@d\ndef f(a: str): return a"),
        ("@d\ndef f(a): return a", "def f(a): return a"),
        ("def f(a: g()): return a", "def f(a): return a"),
        ("class C:\n  x: int = 1", "class C:\n  x: str = 1"),
        ("class C:\n  x: int", "class C:\n  y: int"),
        ("x = a.b", "x = a.c"),
        ("x = a < b < c", "x = a < (b < c)"),
    ],
)
def test_what_can_change_a_result_changes_the_form(one: str, other: str) -> None:
    assert form(one) != form(other)


def test_constants_of_unlike_type_have_unlike_texts() -> None:
    values = [0, 0.0, -0.0, False, None, "0", b"0", 0j, ..., "", b"", "None", "int:0"]
    assert len({constant_text(each) for each in values}) == len(values)


def test_huge_integers_have_a_form() -> None:
    assert form("x = 0x" + "f" * 20_000).count("f") == 20_000


def test_names_in_dropped_annotations_are_not_in_the_form() -> None:
    tree = ast.parse("def f(a: Frame) -> Frame: return a").body[0]
    names = canonical(tree).names
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) in names}
    assert loaded == {"a"}
