"""The commands that talk to a server, against the real application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qmtl.cli.main import cli
from tests.unit.sdk.served import Served, serving

STRATEGY = """\
from qmtl.sdk import node, source, strategy

strategy("tiny", interval="1d")
prices = source(name="px", columns=["close"], interval="1d", period=3)


@node()
def table(prices):
    return prices


@node()
def mean(table):
    return float(table.mean())
"""
CSV = "ts,close\n2026-01-01,1\n2026-01-02,2\n2026-01-03,6\n"


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


class Shell:
    """Runs commands against one server."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.folder = folder
        self._runner = CliRunner(env={"QMTL_URL": served.url, "QMTL_API_KEY": served.key})

    def __call__(self, *words: object) -> Result:
        return self._runner.invoke(cli, [str(word) for word in words])

    def json(self, *words: object) -> object:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name


@pytest.fixture
def qmtl(served: Served, tmp_path: Path) -> Shell:
    return Shell(served, tmp_path)


@pytest.fixture
def active(qmtl: Shell) -> Shell:
    """The shell of a server where ``tiny`` is active in staging and has its points."""
    assert qmtl("submit", qmtl.write("tiny.py", STRATEGY)).exit_code == 0
    assert qmtl("activate", "tiny", "--environment", "staging").exit_code == 0
    assert qmtl("points", "px", qmtl.write("px.csv", CSV)).exit_code == 0
    return qmtl


def test_submit_names_the_version_and_a_second_time_says_that_it_is_known(qmtl: Shell) -> None:
    file = qmtl.write("tiny.py", STRATEGY)
    assert "tiny registered as version " in qmtl("submit", file).stdout
    assert "tiny already registered as version " in qmtl("submit", file).stdout


def test_submit_of_a_rejected_strategy_shows_the_line_and_exits_1(qmtl: Shell) -> None:
    wrong = STRATEGY.replace("def mean(table)", "def mean(nothing)")
    result = qmtl("submit", qmtl.write("wrong.py", wrong))
    assert result.exit_code == 1
    assert "    def mean(nothing):" in result.stderr.splitlines()


def test_activate_and_deactivate_say_what_is_active(active: Shell) -> None:
    assert "is active in production" in active("activate", "tiny", "-e", "production").stdout
    assert active("deactivate", "tiny", "-e", "production").stdout == (
        "tiny is not active in production\n"
    )


def test_points_say_how_many_were_new(active: Shell) -> None:
    result = active("points", "px", active.write("px.csv", CSV + "2026-01-04,7\n"))
    assert "1 points added, 0 corrected, 3 unchanged" in result.stdout


def test_points_are_taken_from_other_files_than_csv_too(active: Shell) -> None:
    file = active.write("px.jsonl", '{"ts": "2026-01-05", "close": 7}\n')
    assert "1 points added" in active("points", "px", file).stdout


def test_trigger_waits_and_shows_the_results(active: Shell) -> None:
    result = active("trigger", "tiny", "-e", "staging", "--as-of", "2026-01-04", "--wait")
    assert result.exit_code == 0, result.stderr
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "SUCCEEDED" in rows["state"]
    assert rows["table"].endswith("Series, 3 rows")
    assert rows["mean"].endswith(" 3")


def test_status_and_results_of_an_execution_can_be_had_as_json(active: Shell) -> None:
    words = ("trigger", "tiny", "-e", "staging", "--as-of", "2026-01-04", "--wait")
    execution = active.json(*words)
    assert isinstance(execution, dict)
    status = active.json("status", execution["id"])
    assert isinstance(status, dict)
    assert (status["state"], status["nodes_done"]) == ("SUCCEEDED", 2)
    assert active.json("results", execution["id"]) == execution["results"]


def test_a_refusal_is_told_with_its_hint_and_exits_1(active: Shell) -> None:
    result = active("trigger", "tiny", "--environment", "production")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "\nHint: " in result.stderr


def test_a_field_that_the_server_refuses_is_named(active: Shell) -> None:
    result = active("trigger", "tiny", "--version", "newest")
    assert result.exit_code == 1
    assert "version: " in result.stderr
