"""Clocks that are read by a text, addresses that show, and entropy of the system."""

import pytest

from qmtl.parsing.parser import parse_strategy
from tests.support.refusals import HEAD, codes_of


@pytest.mark.parametrize(
    "text",
    [
        "def h(x): return pd.Timestamp('10:00')",
        "def h(x): return pd.to_datetime('9:30 am')",
        "N = 'now'\ndef h(x): return pd.Timestamp(N)",
        "def h(x): return pd.to_datetime(['now'])",
        "def h(x): return pd.Timestamp('now' if x else 'today')",
        "def h(x): return np.array(['now'], dtype='M8[s]')",
        "def h(x): return x.index > 'now'",
        "def h(x): return x.truncate(before='now')",
    ],
)
def test_a_text_that_pandas_or_numpy_take_for_the_present_is_refused(text: str) -> None:
    assert codes_of(text) == {"QMTL-124"}


@pytest.mark.parametrize(
    "text",
    [
        "def h(x): return x.between_time('9:30', '16:00')",
        "def h(x): return pd.Timedelta('10:00:00')",
        "def h(x): return pd.Timestamp('2020-01-01 10:00')",
        "def h(x): return {'today': 1}, x['now'], x == 'today'",
        "def h(x): return pd.DataFrame({'today': [1], 'side': ['now']})",
    ],
)
def test_times_of_day_and_words_that_name_no_time_are_accepted(text: str) -> None:
    assert parse_strategy(HEAD + text).nodes


@pytest.mark.parametrize(
    "text",
    [
        "def h(): return object()",
        "def h(x): return hash(x)",
        "def h(x): return list(map(hash, x))",
        "def h(x): return f'{h}'",
        "def h(x): return str(lambda: 1)",
        "def h(x): return repr(i for i in x)",
        "class C: pass\ndef h(x): return f'{C()}'",
    ],
)
def test_what_would_show_an_address_is_refused(text: str) -> None:
    assert codes_of(text) == {"QMTL-129"}


@pytest.mark.parametrize(
    "text",
    [
        "def h(x): return x.astype(object), isinstance(x, object), f'{x}', str(x)",
        "class C(object):\n  def __hash__(self): return hash((self.a, 1))",
        "class C:\n  def __repr__(self): return 'C'\ndef h(x): return f'{C()}'",
        "@dataclasses.dataclass\nclass C:\n  x: int\ndef h(x): return repr(C(x))",
    ],
)
def test_objects_that_show_what_they_hold_are_accepted(text: str) -> None:
    assert parse_strategy(HEAD + text).nodes


@pytest.mark.parametrize("text", ["random.Random()", "random.seed()"])
def test_a_generator_without_a_seed_of_its_own_is_refused(text: str) -> None:
    assert codes_of(f"def h(x): return {text}") == {"QMTL-127"}
    assert parse_strategy(HEAD + f"def h(x): return {text[:-1]}5)").nodes
