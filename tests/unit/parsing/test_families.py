"""Families: what `each` expands to, and what it refuses."""

import pytest

from qmtl.common.errors import Problem, StrategyRejected
from qmtl.models.datanode import NodeInput, NodeSpec, WindowInput
from qmtl.parsing.parser import parse_strategy

HEAD = """from qmtl.sdk import each, node, source, strategy, window
strategy("s", interval="1d")
prices = source("a.b", columns=["close"], interval="1d", period=5)
"""
SMA = "@node\n@each(length=[10, 50])\ndef sma(prices, length): return 1\n"


def nodes(text: str) -> dict[str, NodeSpec]:
    return {n.name: n for n in parse_strategy(HEAD + text).nodes}


def problems(text: str) -> list[Problem]:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + text)
    return list(caught.value.problems)


def test_a_member_has_its_value_in_its_name_and_as_its_parameter() -> None:
    found = nodes(SMA)
    assert list(found) == ["sma[10]", "sma[50]"]
    assert {n.function for n in found.values()} == {"sma"}
    assert [n.params for n in found.values()] == [(("length", "10"),), (("length", "50"),)]
    assert len({n.node_id for n in found.values()}) == 2
    assert found["sma[50]"].code == SMA.rstrip()


def test_several_parameters_give_the_cross_product_in_the_order_of_the_keywords() -> None:
    found = nodes("@node\n@each(b=[1, 2], a=['x', 'y'])\ndef f(a, b): return 1\n")
    assert sorted(found) == ["f[1,x]", "f[1,y]", "f[2,x]", "f[2,y]"]
    assert found["f[2,x]"].params == (("a", "'x'"), ("b", "2"))


def test_a_list_of_dicts_names_the_members_in_the_order_of_the_first_ones_keys() -> None:
    text = '@node\n@each([{"n": 10, "k": "a"}, {"k": "b", "n": 20}])\ndef f(n, k): return 1\n'
    assert sorted(nodes(text)) == ["f[10,a]", "f[20,b]"]


def test_values_of_every_kind_stand_in_names_as_python_writes_them() -> None:
    text = "@node\n@each(v=[None, True, 1, 1.0, -0.5, 1e-7, 'a.b+c-d_1'])\ndef f(v): return 1\n"
    shown = ["None", "True", "1", "1.0", "-0.5", "1e-07", "a.b+c-d_1"]
    found = nodes(text)
    assert set(found) == {f"f[{each}]" for each in shown}
    assert len({n.node_id for n in found.values()}) == len(shown)


def test_each_may_stand_above_node_and_in_place_of_a_default() -> None:
    above = "@each(n=[1])\n@node(tags=['x'])\ndef f(prices, n=7, m=8): return 1\n"
    assert nodes(above)["f[1]"].params == (("m", "8"), ("n", "1"))
    assert nodes(above)["f[1]"].tags == ("X",)


def test_inputs_name_a_member_or_fill_in_the_readers_own_values() -> None:
    text = """
@node(inputs={"ma": "sma[{n}]", "past": window("sma[{n}]", 3), "slow": "sma[50]"})
@each(n=[10, 50])
def f(ma, past, slow, n): return 1
"""
    assert nodes(SMA + text)["f[10]"].inputs == (
        NodeInput(argument="ma", binding="sma[10]"),
        WindowInput(argument="past", binding="sma[10]", count=3),
        NodeInput(argument="slow", binding="sma[50]"),
    )


def test_ten_thousand_nodes_are_read_and_one_more_is_refused() -> None:
    values = list(range(100))
    family = f"@node\n@each(a={values}, b={values})\ndef f(a, b): return 1\n"
    assert len(parse_strategy(HEAD + family).nodes) == 10_000
    (found,) = problems(family + "@node\ndef g(): return 1\n")
    assert (found.code, found.line) == ("QMTL-144", 8)


def test_a_product_too_large_to_count_in_digits_is_refused_at_once() -> None:
    names = [f"x{i}" for i in range(15_000)]
    values = ", ".join(f"{name}=[1, 2]" for name in names)
    text = f"@node\n@each({values})\ndef f({', '.join(names)}): return 1\n"
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + text, limit_bytes=2**20)
    assert [each.code for each in caught.value.problems] == ["QMTL-144"]


@pytest.mark.parametrize(
    "text",
    [
        "def f(n, {}): return 1\n".format(", ".join(f"x{i}" for i in range(100))),
        f"def f(n):\n    '''{'x' * 50_000}'''\n",
    ],
)
def test_what_all_members_hold_together_is_limited(text: str) -> None:
    found = problems(f"@node\n@each(n={list(range(5_000))})\n{text}")
    assert [each.code for each in found] == ["QMTL-144"]


@pytest.mark.parametrize(
    ("decorator", "code"),
    [
        ("@each", "QMTL-131"),
        ("@each()", "QMTL-131"),
        ("@each([{'n': 1}], n=[1])", "QMTL-131"),
        ("@each([{'n': 1}], [{'n': 2}])", "QMTL-131"),
        ("@each(**{'n': [1]})", "QMTL-132"),
        ("@each([{'n': 1, 'n': 2}])", "QMTL-131"),
        ("@each(n=range(3))", "QMTL-132"),
        ("@each([{'n': 1}] * 2)", "QMTL-132"),
        ("@each([{**{}}])", "QMTL-132"),
        ("@each(n=5)", "QMTL-143"),
        ("@each(n=[])", "QMTL-143"),
        ("@each([])", "QMTL-143"),
        ("@each([1])", "QMTL-143"),
        ("@each([{}])", "QMTL-143"),
        ("@each(n=[[1]])", "QMTL-143"),
        ("@each(n=[b'x'])", "QMTL-143"),
        ("@each(n=[1e999])", "QMTL-143"),
        ("@each(n=['a b'])", "QMTL-143"),
        ("@each(n=['a,b'])", "QMTL-143"),
        ("@each(n=['é'])", "QMTL-143"),
        ("@each(n=[''])", "QMTL-143"),
        (f"@each(n=['{'x' * 33}'])", "QMTL-143"),
        (f"@each(n=[{'1' * 130}])", "QMTL-143"),
        ("@each(n=[x])", "QMTL-143"),
        ("@each(n=[1, 1])", "QMTL-143"),
        ("@each(n=[1, '1'])", "QMTL-143"),
        ("@each([{'n': 1}, {'m': 1}])", "QMTL-143"),
        ("@each(m=[1])", "QMTL-151"),
        ("@each(as_of=[1])", "QMTL-142"),
        ("@each(n=[1])\n@each(n=[1])", "QMTL-140"),
    ],
)
def test_values_that_make_no_family_are_refused(decorator: str, code: str) -> None:
    found = problems(f"@node\n{decorator}\ndef f(n): return 1\n")
    assert {each.code for each in found} == {code}


def test_a_function_with_each_alone_is_told_that_it_is_no_node() -> None:
    (found,) = problems("@node\ndef a(): return 1\n@each(n=[1])\ndef f(n): return 1\n")
    assert (found.code, found.line) == ("QMTL-140", 6)


def test_a_family_is_no_input_by_itself() -> None:
    (found,) = problems(SMA + "@node\ndef f(sma): return 1\n")
    assert found.code == "QMTL-150"
    assert "`sma[10]`" in found.hint


@pytest.mark.parametrize(
    ("written", "meant"),
    [("sma[5]", "sma[50]"), ("smaa[10]", "sma[10]"), ("sam[50]", "sma[50]"), ("smaa", "sma[10]")],
)
def test_a_near_miss_suggests_the_member(written: str, meant: str) -> None:
    (found,) = problems(SMA + f"@node(inputs={{'x': '{written}'}})\ndef f(x): return 1\n")
    assert found.message == f"`{written}` is not a source or node; did you mean `{meant}`?"


def test_all_members_are_told_of_one_mistake_once_and_where_it_stands() -> None:
    inputs = '{"x": "sma[{m}]", "y": "smb[{n}]"}'
    text = f"@node(inputs={inputs})\n@each(n=[1, 2])\ndef f(x, y, n): return 1"
    found = problems(SMA + text)
    assert [(each.code, each.column) for each in found] == [("QMTL-151", 20), ("QMTL-150", 37)]


def test_a_family_that_could_not_be_expanded_is_not_missed_by_its_readers() -> None:
    broken = SMA.replace("[10, 50]", "[10, 10]")
    found = problems(broken + '@node(inputs={"x": "sma[10]"})\ndef f(x): return 1\n')
    assert [each.code for each in found] == ["QMTL-143"]
