"""The fixture and the assertion as a user's own tests have them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from qmtl.cli.starter import starter_files

pytest_plugins = ["pytester"]

STRATEGY = """
from qmtl.sdk import node, source, strategy

strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=3)


@node(tags=["feature"])
def mean(prices):
    print("looking at", len(prices))
    return float(prices.mean())


@node()
def broken(mean):
    return {}["nothing"]
"""
USER_TEST = """
import pytest

from qmtl.cli.starter import starter_files
from qmtl.testing import assert_node, series

DATA = {"prices": series("2026-01-01", "1d", [1.0, 2.0, 6.0])}


def test_right(pipeline):
    tiny = pipeline("tiny.py")
    assert assert_node(tiny, "mean", inputs=DATA, expected=3) == 3.0
    assert_node(tiny, "mean", inputs=DATA, expected=1.5, as_of="2026-01-03")


def test_wrong(pipeline):
    assert_node(pipeline("tiny.py"), "mean", inputs=DATA, expected=4.0)


def test_broken(pipeline):
    assert_node(pipeline("tiny.py"), "broken", inputs=DATA, expected=4.0)


def test_not_there(pipeline):
    pipeline("other.py")
"""


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.RunResult:
    """Run pytest as where QMTL is installed, with this plugin alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester.runpytest_subprocess("-p", "qmtl.testing.plugin")


def test_a_user_s_tests_load_a_strategy_beside_them_and_assert_its_nodes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pytester.mkpydir("checks")
    (folder / "tiny.py").write_text(STRATEGY)
    (folder / "test_tiny.py").write_text(USER_TEST)
    result = run(pytester, monkeypatch)
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "E*AssertionError: mean has another value: value is 3.0, expected 4.0",
            "E*AssertionError: broken has no result: it is FAILED",
            "E*KeyError: 'nothing'",
            "E*other.py cannot be read: No such file or directory.",
        ]
    )
    result.stdout.no_fnmatch_line("*def assert_node*")


def test_a_path_may_be_relative_to_the_root_of_the_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / "tiny.py").write_text(STRATEGY)
    folder = pytester.mkpydir("checks")
    (folder / "test_root.py").write_text(
        "def test_nodes(pipeline):\n    assert len(pipeline('tiny.py').nodes) == 2\n"
    )
    run(pytester, monkeypatch).assert_outcomes(passed=1)


def test_a_test_run_that_uses_nothing_of_it_imports_nothing_of_it() -> None:
    code = (
        "import sys, qmtl.testing.plugin\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in"
        " ('qmtl', 'numpy', 'pandas', 'msgspec')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['qmtl', 'qmtl.testing', 'qmtl.testing.plugin']\n"


def test_the_examples_of_the_document_pass_beside_a_new_strategy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    pytester.makepyfile(test_document="\n\n".join(blocks))
    (pytester.path / "momentum.py").write_text(starter_files("momentum")["momentum.py"])
    run(pytester, monkeypatch).assert_outcomes(passed=len(blocks))
