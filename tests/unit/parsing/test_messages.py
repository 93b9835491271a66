"""What a newcomer reads: Python's own words, and what to write instead."""

import pytest

from qmtl.common.errors import Problem, StrategyRejected
from qmtl.parsing.parser import parse_strategy

HEAD = """from qmtl.sdk import each, node, query, source, strategy, window
strategy("s", interval="1h")
prices = source("a.b", columns=["close"], interval="1h", period=5)
@node
def a(prices): return 1
"""


def only(text: str) -> Problem:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + text)
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("for x in (1, 2): pass", "A `for` loop"),
        ("while False: pass", "A `while` loop"),
        ("if True: pass", "An `if` statement"),
        ("with a: pass", "A `with` statement"),
        ("try: pass\nexcept ValueError: pass", "A `try` statement"),
        ("match 1:\n  case _: pass", "A `match` statement"),
        ("assert True", "`assert`"),
        ("raise ValueError", "`raise`"),
        ("del a", "`del`"),
        ("print('x')", "A call of `print`"),
        ("prices.head()", "A call of `prices.head`"),
        ("1 + 1", "An expression by itself"),
        ("'a text'", "A text by itself"),
    ],
)
def test_a_statement_at_module_level_is_called_as_one_speaks_of_it(text: str, said: str) -> None:
    found = only(text)
    assert (found.code, found.message) == ("QMTL-110", f"{said} may not stand at module level.")
    assert found.hint


@pytest.mark.parametrize(
    ("text", "example"),
    [
        ("@node(tags='x')\ndef b(prices): return 1", "['signal', 'trend']"),
        ("q = source(columns='x')", "['open', 'close']"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_an_example(text: str, example: str) -> None:
    assert example in only(text).message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("@node(tags='x')\ndef b(prices): return 1", '@node(tags=["signal"]'),
        ("@node(5)\ndef b(prices): return 1", '@node(tags=["signal"]'),
        ("@node(inputs={'prices': window('a')})\ndef b(prices): return 1",
         'window("crossover", 20)'),
        ("@node(inputs={'prices': 3})\ndef b(prices): return 1", 'inputs={"fast": "sma[50]"'),
        ("@node\n@each()\ndef b(prices, n): return 1", "each(length="),
        ("def h(x): return x.to_csv()", "Return the value"),
        ("def h(x): return x.query('a > 1')", "frame[frame['close'] > 1]"),
        ("def h(x): return open(x)", "Declare a source"),
        ("def h(x): return getattr(x, x)", "Write"),
        ("X = [i for i in (1, 2)]", "inside a function"),
    ],
)  # fmt: skip
def test_a_hint_says_what_to_write_instead(text: str, hint: str) -> None:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + text)
    assert hint in caught.value.problems[0].hint


def test_no_message_speaks_of_the_syntax_tree() -> None:
    texts = ["X = {i: i for i in (1,)}", "X = (i for i in (1,))", "X = (Y := 1)", "3", "pass"]
    for text in texts:
        with pytest.raises(StrategyRejected) as caught:
            parse_strategy(HEAD + text)
        told = " ".join(each.message for each in caught.value.problems)
        assert not any(word in told for word in ["Expr", "Comp ", "NamedExpr", "GeneratorExp"])
