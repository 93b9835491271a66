"""``qmtl backtest`` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from qmtl.cli import main

STRATEGY = """\
from qmtl.sdk import node, source, strategy, window

strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=3)


@node
def mean(prices):
    return float(prices.mean())


@node(inputs={"past": window("self", 1)})
def state(mean, past):
    return {"days": past[-1]["days"] + 1 if past else 1, "mean": mean}
"""


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    (tmp_path / "tiny.py").write_text(STRATEGY)
    (tmp_path / "tiny.prices.csv").write_text(
        "ts,close\n2026-01-01,1\n2026-01-02,2\n2026-01-03,6\n"
    )
    return tmp_path / "tiny.py"


def backtest(*words: object) -> Result:
    return CliRunner().invoke(main.cli, ["backtest", *map(str, words)])


def test_a_row_for_each_binding_tells_how_often_it_ran_and_its_last_value(strategy: Path) -> None:
    result = backtest(strategy)
    assert result.exit_code == 0, result.output
    assert "3 buckets of 1d from 2026-01-02T00:00:00Z to 2026-01-04T00:00:00Z" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("state ")]
    assert row.split(maxsplit=4)[1:] == ["3", "0", "2026-01-04T00:00:00Z", "{days: 3, mean: 3}"]


def test_json_names_every_bucket_with_its_digest_and_value(strategy: Path) -> None:
    result = backtest(strategy, "--json", "--start", "2026-01-01", "--target", "mean")
    document = json.loads(result.stdout)
    assert document["skipped"] == ["2026-01-01T00:00:00Z"]
    assert document["buckets"][0] == "2026-01-02T00:00:00Z"
    assert list(document["results"]) == ["mean"]
    first = document["results"]["mean"][0]
    assert (first["bucket"], first["value"]) == ("2026-01-02T00:00:00Z", 1.0)
    assert len(first["digest"]) == 32


def test_out_writes_a_row_for_each_bucket(strategy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = backtest(strategy, "--out", out, "--processes", "2")
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(out, index_col="bucket")
    assert frame["mean"].tolist() == [1.0, 1.5, 3.0]
    assert frame["state.days"].tolist() == [1, 2, 3]


def test_a_failure_in_any_bucket_is_told_and_is_the_exit_code(strategy: Path) -> None:
    strategy.write_text(
        STRATEGY.replace("return float(prices.mean())", "return 1 // (len(prices) - 2)")
    )
    result = backtest(strategy)
    assert result.exit_code == 1
    assert "2026-01-03T00:00:00Z mean FAILED: ZeroDivisionError" in result.stderr


def test_a_step_that_is_no_interval_is_refused(strategy: Path) -> None:
    result = backtest(strategy, "--step", "daily")
    assert result.exit_code == 1
    assert "'daily' is not an interval" in result.stderr


@pytest.mark.parametrize("ending", [".parquet", ".pq", ".feather", ".arrow", ".ipc"])
def test_out_writes_what_its_ending_says(strategy: Path, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / f"out{ending}"
    result = backtest(strategy, "--out", out)
    assert result.exit_code == 0, result.output
    frame = pd.read_parquet(out) if ending in {".parquet", ".pq"} else pd.read_feather(out)
    assert frame["mean"].tolist() == [1.0, 1.5, 3.0]
    assert frame["state.days"].tolist() == [1, 2, 3]
    assert str(frame.index[0]) == "2026-01-02 00:00:00+00:00"


def test_out_writes_values_of_several_types_as_text(strategy: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "out.parquet"
    strategy.write_text(
        STRATEGY.replace("return float(prices.mean())", "return [1, 'two', None][len(prices) - 1]")
    )
    result = backtest(strategy, "--target", "mean", "--out", out)
    assert result.exit_code == 0, result.output
    assert pd.read_parquet(out)["mean"].isna().tolist() == [False, False, True]
    assert pd.read_parquet(out)["mean"].tolist()[:2] == ["1", "two"]


@pytest.mark.parametrize("name", ["out.xlsx", "out"])
def test_out_without_a_known_ending_is_refused_before_the_run(
    strategy: Path, tmp_path: Path, name: str
) -> None:
    result = backtest(strategy, "--out", tmp_path / name)
    assert result.exit_code == 1
    assert f"{name} has no ending that tells what to write" in result.stderr
    assert "Hint: These do: .csv, .parquet" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / name).exists()


def test_out_into_a_folder_that_is_not_there_is_refused(strategy: Path, tmp_path: Path) -> None:
    result = backtest(strategy, "--out", tmp_path / "gone" / "out.csv")
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr


def test_out_without_pyarrow_names_the_way_to_it(
    strategy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = backtest(strategy, "--out", tmp_path / "out.parquet")
    assert result.exit_code == 1
    assert "needs the package pyarrow" in result.stderr
    assert "pip install 'qmtl[arrow]'" in result.stderr
