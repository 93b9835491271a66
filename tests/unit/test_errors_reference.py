"""The page that explains every code: complete, current, and true."""

from pathlib import Path

import pytest

from qmtl.common import errors
from qmtl.common.errors import StrategyRejected
from qmtl.parsing import reference_examples
from qmtl.parsing.codes import CODES
from qmtl.parsing.parser import parse_strategy
from qmtl.parsing.reference import render, titles
from qmtl.parsing.reference_system import ENTRIES, RECORD_TITLES

PAGE = Path(__file__).parents[2] / "docs/errors.md"


def test_the_page_is_what_the_code_says() -> None:
    told = "write it anew with `python -m qmtl.parsing.reference > docs/errors.md`"
    assert PAGE.read_text(encoding="utf-8") == render(), told


def test_every_code_is_explained_and_nothing_else() -> None:
    nodes = {code for name, code in vars(errors).items() if name.startswith("NODE_")}
    assert nodes | {errors.DEADLINE_PASSED} == set(RECORD_TITLES)
    assert set(titles()) == CODES.keys() | ENTRIES.keys()
    assert all(f"### {code}: " in render() for code in titles())


def test_every_code_of_the_parser_has_one_example() -> None:
    shown = [
        *reference_examples.EXAMPLES,
        *reference_examples.MADE,
        *reference_examples.WITHOUT_NODE,
    ]
    assert sorted(shown) == sorted(CODES)


def test_the_module_around_the_examples_is_a_strategy() -> None:
    text = reference_examples.HEAD + reference_examples.NODE
    assert [n.name for n in parse_strategy(text).nodes] == ["last"]


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_example_gives_its_code_and_no_other(code: str) -> None:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(reference_examples.module_of(code))
    assert {each.code for each in caught.value.problems} == {code}
