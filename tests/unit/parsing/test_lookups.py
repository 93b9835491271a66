"""Windows and queries: what `inputs=` may ask of the past and of other strategies."""

import pytest

from qmtl.common.errors import Problem, StrategyRejected
from qmtl.common.timeline import parse_interval
from qmtl.models.datanode import NodeSpec, QueryInput, QuerySpec, WindowInput
from qmtl.parsing.parser import parse_strategy

HEAD = """from qmtl.sdk import Window, each, node, query, source, strategy, window
strategy("s", interval="1d")
prices = source("a.b", columns=["close"], interval="1d", period=5)
@node(max_history=10)
def a(prices): return 1
"""


def last(text: str) -> NodeSpec:
    return parse_strategy(HEAD + text).nodes[-1]


def reading(declared: str, **options: str) -> str:
    given = "".join(f", {name}={value}" for name, value in options.items())
    return f"@node(inputs={{'x': {declared}}}{given})\ndef z(x): return 1\n"


def problems(text: str) -> list[Problem]:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(text)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("declared", "binding", "count"),
    [
        ("window('a', 10)", "a", 10),
        ("window(node='a', count=1)", "a", 1),
        ("window('self', 1000)", "z", 1000),
        ("window('z', 3)", "z", 3),
    ],
)
def test_a_window_is_bound_to_the_node_whose_past_it_holds(
    declared: str, binding: str, count: int
) -> None:
    found = last(reading(declared))
    assert found.inputs == (WindowInput(argument="x", binding=binding, count=count),)
    assert found.upstream() == ()


def test_a_node_stands_after_those_it_looks_back_at() -> None:
    text = reading("window('zz', 1)") + "@node\ndef zz(prices): return 1\n"
    assert [n.name for n in parse_strategy(HEAD + text).nodes] == ["a", "zz", "z"]


def test_a_member_of_a_family_looks_back_at_itself() -> None:
    text = "@node(inputs={'x': window('self', 2)})\n@each(n=[1, 2])\ndef z(x, n): return 1\n"
    assert last(text).inputs == (WindowInput(argument="x", binding="z[2]", count=2),)


def test_a_window_may_have_any_interval_beside_its_readers() -> None:
    for interval in ["'1h'", "'7h'", "'1w'"]:
        assert last(reading("window('a', 1)", interval=interval)).name == "z"


def test_a_query_keeps_what_it_asks_for_in_one_spelling() -> None:
    text = "query(tags=['b', 'A'], any_tags=['c', 'C'], interval='60m', strategy='other')"
    spec = QuerySpec(
        all_tags=("A", "B"),
        any_tags=("C",),
        interval_ns=parse_interval("1h"),
        strategy="other",
    )
    assert last(reading(text)).inputs == (QueryInput(argument="x", query=spec),)


def test_a_window_is_a_type_that_code_may_name() -> None:
    text = "@node(inputs={'x': window('a', 1)})\ndef z(x: Window): return isinstance(x, Window)\n"
    assert last(text).name == "z"


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ("window('a', 11)", "QMTL-156"),
        ("window('prices', 1)", "QMTL-156"),
        ("window('nowhere', 1)", "QMTL-150"),
        ("window('a', 0)", "QMTL-133"),
        ("window('a', True)", "QMTL-133"),
        ("window('a', 100_001)", "QMTL-133"),
        ("window('a b', 1)", "QMTL-133"),
        ("window('a', N)", "QMTL-132"),
        ("window('a')", "QMTL-131"),
        ("window(1, 2, 3)", "QMTL-131"),
        ("query()", "QMTL-131"),
        ("query(['signal'])", "QMTL-131"),
        ("query(tag=['signal'])", "QMTL-131"),
        ("query(tags=[])", "QMTL-133"),
        ("query(tags='signal')", "QMTL-133"),
        ("query(strategy='Other')", "QMTL-133"),
        ("query(strategy='s')", "QMTL-133"),
        ("query(interval='1.5h')", "QMTL-134"),
        ("source('x', columns=['y'])", "QMTL-132"),
        ("{'a'}", "QMTL-133"),
        ("f'a'", "QMTL-132"),
    ],
)
def test_lookups_that_cannot_be_used_are_refused_and_lead_to_no_other_problem(
    declared: str, code: str
) -> None:
    assert code in {each.code for each in problems(HEAD + reading(declared))}
    assert "QMTL-150" not in {each.code for each in problems(HEAD + reading(declared))} - {code}


def test_looking_back_takes_an_interval_on_both_sides() -> None:
    free = HEAD.replace(', interval="1d")\nprices', ")\nprices")
    text = reading("window('a', 1)")
    assert [each.code for each in problems(free + text)] == ["QMTL-156"]
    assert [each.code for each in problems(free + reading("window('a', 1)", interval="'1d'"))] == [
        "QMTL-156"
    ]
    assert [each.code for each in problems(free + reading("window('self', 1)"))] == ["QMTL-156"]


def test_a_circle_through_the_window_of_another_node_is_refused() -> None:
    text = "@node(inputs={'x': window('c', 1)})\ndef b(x): return 1\n@node\ndef c(b): return 1\n"
    (found,) = problems(HEAD + text)
    assert (found.code, found.line) == ("QMTL-152", 7)
    assert "b -> c -> b" in found.message
    assert 'window("self", n)' in found.hint


def test_a_declaration_of_a_lookup_is_no_value() -> None:
    found = problems(HEAD + "PAST = window('a', 1)\n")
    assert [each.code for each in found] == ["QMTL-128"]
    assert "inputs=" in found[0].hint


@pytest.mark.parametrize(
    ("interval", "kept"),
    [("1d", 10 + 1 + 1), ("1w", 10 + 7 + 1)],
)
def test_a_node_keeps_what_its_windows_need_beyond_the_results_of_their_own_bucket(
    interval: str, kept: int
) -> None:
    text = HEAD + reading("window('a', 10)", interval=repr(interval))
    assert parse_strategy(text).nodes[0].max_history == kept
