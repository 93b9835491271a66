"""The commands that start, draw and compare strategies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qmtl.cli.main import cli
from qmtl.sdk.pipeline import Pipeline

STRATEGY = """\
from qmtl.sdk import each, node, query, source, strategy, window

strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=3)


@node(tags=["feature"])
@each(length=[2, 3])
def mean(prices, length):
    return float(prices.tail(length).mean())


@node(inputs={"mean": "mean[3]", "past": window("self", 1), "others": query(tags=["signal"])})
def state(mean, past, others):
    return mean
"""


def qmtl(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny.py", STRATEGY)


def test_a_new_strategy_checks_runs_and_passes_its_own_tests_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert qmtl("new", "momentum").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "momentum.prices.csv",
        "momentum.py",
        "test_momentum.py",
    ]
    assert qmtl("check").stdout.startswith("momentum has no problem")
    ran = qmtl("run", "--json")
    assert ran.exit_code == 0, ran.stderr
    states = {item["binding"]: item["state"] for item in json.loads(ran.stdout)["results"]}
    assert states == dict.fromkeys(["average[20]", "average[5]", "side", "days_long"], "SUCCEEDED")
    tested = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "qmtl.testing.plugin",
            "-p",
            "no:cacheprovider",
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert "4 passed" in tested.stdout


def test_new_makes_the_folder_it_is_told(tmp_path: Path) -> None:
    assert qmtl("new", "momentum", "--dir", tmp_path / "a" / "b").exit_code == 0
    assert Pipeline.from_file(tmp_path / "a" / "b" / "momentum.py").spec.name == "momentum"


def test_new_overwrites_nothing_and_then_writes_nothing(tmp_path: Path) -> None:
    mine = written(tmp_path / "test_momentum.py", "mine\n")
    result = qmtl("new", "momentum", "--dir", tmp_path)
    assert result.exit_code == 1
    assert f"{mine} exists already" in result.stderr
    assert list(tmp_path.iterdir()) == [mine]
    assert mine.read_text() == "mine\n"


@pytest.mark.parametrize("name", ["Momentum", "1st", "a-b", "../up", "class", "pandas", "json", ""])
def test_new_refuses_a_name_that_cannot_be_a_strategy_s(tmp_path: Path, name: str) -> None:
    assert qmtl("new", "--dir", tmp_path, "--", name).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_ids_are_those_of_the_parser(strategy: Path) -> None:
    expected = {node.name: node.node_id for node in Pipeline.from_file(strategy).nodes}
    assert json.loads(qmtl("ids", strategy, "--json").stdout) == expected
    rows = dict(line.split() for line in qmtl("ids", strategy).stdout.splitlines()[1:])
    assert rows == expected


@pytest.mark.parametrize(
    ("kind", "begins", "holds"),
    [
        ("mermaid", "flowchart LR\n", '-. "past: 1" .->'),
        ("dot", 'digraph "tiny" {\n', "shape=hexagon"),
        ("svg", "<svg xmlns=", ">mean[3]</text>"),
        ("json", "{\n", '"reader": "node:state"'),
    ],
)
def test_a_graph_shows_sources_families_windows_and_queries(
    strategy: Path, kind: str, begins: str, holds: str
) -> None:
    text = qmtl("graph", strategy, "--format", kind).stdout
    assert text.startswith(begins)
    assert holds in text


def test_a_graph_is_mermaid_unless_said_and_json_where_asked(strategy: Path) -> None:
    assert qmtl("graph", strategy).stdout.startswith("flowchart")
    document = json.loads(qmtl("graph", strategy, "--json").stdout)
    kinds = [edge["kind"] for edge in document["edges"] if edge["reader"] == "node:state"]
    assert sorted(kinds) == ["reads", "reads", "window"]


def test_diff_names_what_changed_with_its_cause_and_counts_the_rest(
    strategy: Path, tmp_path: Path
) -> None:
    edited = STRATEGY.replace('window("self", 1)', 'window("self", 2)').replace("[2, 3]", "[3, 4]")
    new = written(tmp_path / "new.py", edited)
    result = qmtl("diff", strategy, new)
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "change binding because",
        "new mean[4] -",
        "changed state window past: 1 results became 2",
        "removed mean[2] -",
        "",
        "Nodes: 1 new, 1 removed, 1 changed, 1 reused.",
    ]


def test_diff_tells_a_rename_as_such(strategy: Path, tmp_path: Path) -> None:
    new = written(tmp_path / "new.py", STRATEGY.replace("def state(", "def condition("))
    document = json.loads(qmtl("diff", strategy, new, "--json").stdout)
    (renamed,) = [node for node in document["nodes"] if node["change"] == "renamed"]
    assert (renamed["binding"], renamed["was"]) == ("condition", "state")
    assert renamed["old_id"] == renamed["new_id"]
    assert "was state; nothing is computed anew" in qmtl("diff", strategy, new).stdout


def test_diff_of_a_file_with_itself_is_one_line(strategy: Path) -> None:
    assert qmtl("diff", strategy, strategy).stdout == "Nodes: 3 reused.\n"


@pytest.mark.parametrize("command", ["graph", "ids"])
def test_a_file_that_is_no_strategy_is_shown_with_its_problems(
    tmp_path: Path, command: str
) -> None:
    result = qmtl(command, written(tmp_path / "wrong.py", "import os\n"))
    assert result.exit_code == 1
    assert "QMTL-1" in result.stderr
