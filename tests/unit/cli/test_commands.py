"""The commands as a user meets them: output, errors and exit codes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qmtl.cli import main

STRATEGY = """\
from qmtl.sdk import node, source, strategy

strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=3)


@node()
def mean(prices):
    return float(prices.mean())


@node()
def words(mean):
    return sorted({"b", "a", "c"})
"""
FAILING = STRATEGY.replace("float(prices.mean())", "1 / 0")
CSV = "ts,close\n2026-01-01,1\n2026-01-02,2\n2026-01-03,6\n"


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny.py", STRATEGY)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    return written(tmp_path / "prices.csv", CSV)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def qmtl(*words: object) -> Result:
    return CliRunner(env={"QMTL_URL": None}).invoke(main.cli, [str(word) for word in words])


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_run_prints_a_row_for_each_binding(strategy: Path, prices: Path) -> None:
    result = qmtl("run", strategy, "--data", f"prices={prices}")
    assert result.exit_code == 0, result.output
    assert "As of 2026-01-04T00:00:00Z" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("mean ")]
    assert row.split()[2] == "SUCCEEDED"
    assert row.endswith(" 3")


def test_run_json_names_ids_digests_and_values(strategy: Path, prices: Path) -> None:
    result = qmtl("run", strategy, "--data", f"prices={prices}", "--json")
    mean, words = json.loads(result.stdout)["results"]
    assert (mean["binding"], mean["value"], mean["value_type"]) == ("mean", 3.0, "float")
    assert len(mean["node_id"]) == len(mean["digest"]) == 32
    assert words["value"] == ["a", "b", "c"]


def test_run_names_a_node_that_a_server_would_have_ended(tmp_path: Path, prices: Path) -> None:
    slow = STRATEGY.replace("@node()\ndef mean", "@node(timeout=0.001)\ndef mean").replace(
        "float(prices.mean())", "sum(range(1_000_000)) * 0.0"
    )
    result = qmtl("run", written(tmp_path / "slow.py", slow), "--data", f"prices={prices}")
    assert result.exit_code == 0, result.output
    (line,) = [
        line for line in result.stderr.splitlines() if line.startswith("Warning: mean took ")
    ]
    assert line.endswith(
        "longer than its timeout of 0.001 s: a server would have ended it as TIMED_OUT."
    )


def test_run_says_where_a_query_reads_nobody(tmp_path: Path) -> None:
    reader = (
        "from qmtl.sdk import node, query, strategy\n"
        'strategy("reader", interval="1d")\n'
        '@node(inputs={"seen": query(tags=["signal"])})\n'
        "def seen(seen):\n    return len(seen)\n"
    )
    result = qmtl("run", written(tmp_path / "reader.py", reader), "--as-of", "2026-01-02")
    assert result.exit_code == 0, result.output
    assert "Warning: reader: the query seen.seen matches no node" in result.stderr


def test_run_at_an_earlier_time_sees_less(strategy: Path, prices: Path) -> None:
    result = qmtl("run", strategy, "--data", f"prices={prices}", "--as-of", "2026-01-03", "--json")
    assert json.loads(result.stdout)["results"][0]["value"] == 1.5


def test_run_of_a_node_that_fails_shows_the_line_and_exits_1(tmp_path: Path, prices: Path) -> None:
    result = qmtl("run", written(tmp_path / "f.py", FAILING), "--data", f"prices={prices}")
    assert result.exit_code == 1
    assert "ZeroDivisionError: division by zero" in result.stdout
    assert "SKIPPED" in result.stdout
    assert "return 1 / 0" in result.stderr


def test_run_without_data_says_which_source_and_how(strategy: Path) -> None:
    result = qmtl("run", strategy)
    assert result.exit_code == 1
    assert "Error: Source 'prices' (tiny.prices) has no point" in result.stderr
    assert "Hint: Give it data with --data prices=FILE.csv" in result.stderr


def test_run_takes_data_that_stand_beside_the_strategy_under_its_name(
    strategy: Path, prices: Path
) -> None:
    beside = prices.rename(strategy.with_name("tiny.prices.csv"))
    result = qmtl("run", strategy)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith(f"Using {beside} for prices.")
    other = written(prices, CSV.replace(",6", ",9"))
    assert "Using" not in qmtl("run", strategy, "--data", f"prices={other}").stderr


def test_without_a_file_the_only_strategy_of_the_folder_is_meant(
    strategy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strategy.parent)
    written(strategy.with_name("test_tiny.py"), "from qmtl.sdk import Pipeline\nstrategy(1)\n")
    written(strategy.with_name("helpers.py"), "x = 1\n")
    result = qmtl("check")
    assert result.stdout == "tiny has no problem (nodes: 2, sources: 1).\n"
    written(strategy.with_name("other.py"), STRATEGY)
    assert "here are other.py, tiny.py" in qmtl("check").stderr


def test_without_a_file_and_without_a_strategy_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = qmtl("ids")
    assert result.exit_code == 2
    assert "there is none in this folder" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "prices"], "not of the form source=FILE"),
        (["--data", "price=x.csv"], "the strategy has no source 'price'; it has prices"),
        (["--data", "prices=a.csv", "--data", "prices=b.csv"], "given twice"),
        (["--as-of", "yesterday"], "'yesterday' is not a time"),
    ],
)
def test_a_wrong_command_line_exits_2(strategy: Path, words: list[str], message: str) -> None:
    result = qmtl("run", strategy, *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_problem_is_shown_under_its_line_with_a_caret(tmp_path: Path) -> None:
    file = written(tmp_path / "wrong.py", STRATEGY.replace("def words(mean)", "def words(nothing)"))
    for command in ("check", "run"):
        result = qmtl(command, file)
        assert result.exit_code == 1
        lines = result.stderr.splitlines()
        place = next(i for i, line in enumerate(lines) if line.startswith("    def words"))
        assert lines[place - 1].startswith(f"{file}:13:")
        column = int(lines[place - 1].split(":")[2])
        assert lines[place + 1] == " " * (4 + column - 1) + "^" * len("nothing")


def test_check_lists_problems_as_json(tmp_path: Path, strategy: Path) -> None:
    wrong = qmtl("check", written(tmp_path / "wrong.py", "x = open('y')\n"), "--json")
    assert wrong.exit_code == 1
    assert all(p["code"].startswith("QMTL-1") for p in json.loads(wrong.stdout)["problems"])
    right = qmtl("check", strategy, "--json")
    assert right.exit_code == 0
    assert json.loads(right.stdout) == {
        "file": str(strategy),
        "strategy": "tiny",
        "problems": [],
        "nodes": 2,
        "sources": 1,
    }


def test_a_server_that_is_not_there_exits_3_with_a_way_on() -> None:
    result = qmtl("--url", f"http://127.0.0.1:{closed_port()}", "status", "0" * 32)
    assert result.exit_code == 3
    assert "cannot be reached" in result.stderr
    assert "qmtl up" in result.stderr


def test_an_address_that_is_none_exits_1() -> None:
    result = qmtl("--url", "localhost", "status", "0" * 32)
    assert result.exit_code == 1
    assert "'localhost' is no address of a server" in result.stderr


def test_trigger_needs_an_environment_or_a_version() -> None:
    assert qmtl("trigger", "tiny").exit_code == 2


def test_a_command_whose_packages_are_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(main.COMMANDS, "up", ("honcho_is_not_here", "up", "Run it all."))
    result = qmtl("up")
    assert result.exit_code == 1
    assert "qmtl up needs the server packages: pip install 'qmtl[server,embedded]'" in result.stderr


def test_help_lists_every_command_without_importing_one() -> None:
    code = (
        "import sys; from qmtl.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m in ('numpy', 'rich', 'qmtl.cli.run')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name}" in done.stdout for name in main.COMMANDS)
    assert done.stdout.endswith("[]\n")


def test_a_bug_is_one_line_and_debug_shows_where(tmp_path: Path) -> None:
    code = (
        "import sys, qmtl.cli.version as v; from qmtl.cli.main import main\n"
        "def broken(**_): raise KeyError('x')\n"
        "v.version.callback = broken; main()"
    )
    for flags, traceback in (([], False), (["--debug"], True)):
        done = subprocess.run(
            [sys.executable, "-c", code, *flags, "version"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) is traceback
        assert "KeyError" in done.stderr


def test_two_runs_of_processes_with_other_hash_seeds_give_equal_digests(
    strategy: Path, prices: Path
) -> None:
    unsorted = written(
        strategy, STRATEGY.replace('sorted({"b", "a", "c"})', 'list({"b", "a", "c", "d"})')
    )

    words = ["run", str(unsorted), "--data", f"prices={prices}", "--json"]

    def run(seed: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "qmtl.cli.main", *words],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        return [item["digest"] for item in json.loads(done.stdout)["results"]]

    assert run("1") == run("2")


def test_version_is_that_of_the_package() -> None:
    assert qmtl("version").stdout.startswith("qmtl ")
