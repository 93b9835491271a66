"""Cancel, resume, retry, replay, compare and plan, against the real application."""

from __future__ import annotations

from typing import Any

import pytest

from qmtl.common.errors import Overloaded
from tests.support.shell import CSV, STRATEGY, Shell

BROKEN = STRATEGY.replace("table.mean())", "table.mean()) / 0").replace('"tiny"', '"broken"')
AT = ("--as-of", "2026-01-04")


def run(qmtl: Shell, name: str = "tiny", *words: str) -> dict[str, Any]:
    """Run a strategy to its end and return the execution."""
    result = qmtl("trigger", name, "-e", "staging", *AT, "--wait", *words, "--json")
    found = qmtl.parsed(result)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def broken(active: Shell) -> Shell:
    """A shell whose server knows a strategy with a node that always fails, too."""
    assert active("submit", active.write("broken.py", BROKEN)).exit_code == 0
    assert active("activate", "broken", "-e", "staging").exit_code == 0
    return active


def test_a_trigger_takes_a_priority_and_a_deadline(active: Shell) -> None:
    execution = run(active, "tiny", "--priority", "high", "--deadline", "5m")
    assert (execution["priority"], execution["deadline_s"]) == ("high", 300.0)


def test_a_deadline_that_is_none_is_refused_with_the_field(active: Shell) -> None:
    result = active("trigger", "tiny", "-e", "staging", "--deadline", "soon")
    assert result.exit_code == 1
    assert "deadline: Write a duration" in result.stderr


def test_a_trigger_takes_rows_of_a_file_instead_of_the_stored_points(active: Shell) -> None:
    file = active.write("mine.csv", "ts,close,volume\n2026-01-02,10,1\n2026-01-03,30,1\n")
    result = active(
        "trigger", "tiny", "-e", "staging", *AT, "--data", f"prices={file}", "--wait", "--json"
    )
    assert result.exit_code == 0, result.stderr
    found = active.parsed(result)
    assert isinstance(found, dict)
    values = {item["binding"]: item.get("value") for item in found["results"]}
    assert values["mean"] == 20.0
    assert found["adhoc"]


def test_data_of_a_source_that_there_is_not_name_those_there_are(active: Shell) -> None:
    file = active.write("mine.csv", CSV)
    result = active("trigger", "tiny", "-e", "staging", "--data", f"price={file}")
    assert result.exit_code == 1
    assert "no source 'price'" in result.stderr
    assert "Hint: Its sources are prices." in result.stderr


def test_data_for_where_nothing_is_active_are_refused(active: Shell) -> None:
    file = active.write("mine.csv", CSV)
    result = active("trigger", "tiny", "-e", "production", "--data", f"prices={file}")
    assert result.exit_code == 1
    assert "no active version in production" in result.stderr


def test_tallies_count_what_was_computed_and_what_was_reused(active: Shell) -> None:
    run(active)
    run(active)
    result = active("tallies", "--json")
    assert active.parsed(result) == {"computed": 2, "reused": 2, "waited": 0}
    assert active("tallies").stdout.count("\n") >= 4


def test_what_has_ended_cannot_be_cancelled(active: Shell) -> None:
    result = active("cancel", run(active)["id"])
    assert result.exit_code == 1
    assert "nothing to cancel" in result.stderr


def test_resume_runs_what_failed_in_a_further_attempt(broken: Shell) -> None:
    execution = run(broken, "broken")
    result = broken("resume", execution["id"], "--wait", "--json")
    assert result.exit_code == 1
    resumed = broken.parsed(result)
    assert isinstance(resumed, dict)
    assert (resumed["id"], resumed["attempt"]) == (execution["id"], 2)


def test_resume_of_what_has_succeeded_hints_at_retry(active: Shell) -> None:
    execution = run(active)
    result = active("resume", execution["id"])
    assert result.exit_code == 1
    assert f"Hint: Compute nodes again with `qmtl retry {execution['id']}" in result.stderr


def test_retry_computes_from_a_node_on(active: Shell) -> None:
    execution = run(active)
    result = active("retry", execution["id"], "--from", "mean", "--wait")
    assert result.exit_code == 0, result.stderr
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert rows["attempt"].endswith(" 2")
    assert rows["mean"].endswith(" 3")


def test_retry_needs_a_node(active: Shell) -> None:
    assert active("retry", "0" * 32).exit_code == 2


def test_replay_says_that_all_digests_are_the_same(active: Shell) -> None:
    result = active("replay", run(active)["id"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "2 of 2 results have the same digest.\n"
    assert result.stderr.startswith("Replayed as execution ")


def test_replay_names_the_first_node_that_differs_and_exits_1(
    active: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = {
        "kind": "nondeterminism",
        "subject": "table",
        "message": "table gave other bytes for equal code, parameters and inputs",
        "reaches": ["table", "mean"],
        "data": None,
    }
    told = {
        "compared": 2,
        "equal": 0,
        "first": {"binding": "table", "left": "a" * 32, "right": "b" * 32},
        "only_left": [],
        "only_right": [],
        "causes": [cause],
    }
    monkeypatch.setattr("qmtl.sdk.client.Client.compare_executions", lambda *_: told)
    result = active("replay", run(active)["id"])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        "0 of 2 results have the same digest.",
        "The first that differs is table: aaaaaaaa and bbbbbbbb.",
    ]
    assert lines[-1].split() == ["nondeterminism", *cause["message"].split(), "table,", "mean"]


def test_compare_tells_the_rows_that_changed(active: Shell) -> None:
    first = run(active)
    active("points", "px", active.write("px.csv", CSV.replace("03,6", "03,7")))
    second = run(active)
    result = active("compare", first["id"], second["id"])
    assert result.exit_code == 1
    assert "0 of 2 results have the same digest." in result.stdout
    assert "2026-01-03T00:00:00Z close 6.0 became 7.0" in result.stdout
    same = active("compare", first["id"], first["id"], "--json")
    assert same.exit_code == 0


def test_a_plan_is_shown_before_and_after(active: Shell) -> None:
    before = active("plan", "tiny", "-e", "staging", *AT)
    assert before.exit_code == 0, before.stderr
    assert "2 nodes in 1 stage and 1 shard, 0 reused." in before.stdout
    execution = run(active)
    after = active("plan", "--execution", execution["id"])
    assert "Where the time went: plan " in after.stdout
    again = active.json("plan", "tiny", "-e", "staging", *AT)
    assert isinstance(again, dict)
    assert (again["reused"], again["stages"]) == (2, [])


@pytest.mark.parametrize(
    "words", [(), ("tiny",), ("tiny", "-e", "staging", "--execution", "0" * 32)]
)
def test_a_plan_needs_a_strategy_and_where_or_an_execution(
    active: Shell, words: tuple[str, ...]
) -> None:
    assert active("plan", *words).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [("cancel",), ("resume",), ("replay",), ("retry", "--from", "mean"), ("plan", "--execution")],
)
def test_an_execution_that_nobody_knows_is_told(active: Shell, words: tuple[str, ...]) -> None:
    result = active(*words, "0" * 32)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_an_overloaded_server_is_told_with_the_time_to_come_again(
    active: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Overloaded("More executions are waiting than this system takes.", retry_after_s=5)

    monkeypatch.setattr("qmtl.sdk.client.Client.trigger_pipeline", refuse)
    result = active("trigger", "tiny", "-e", "staging", *AT)
    assert result.exit_code == 1
    assert result.stderr.endswith("Hint: Try again in 5 seconds.\n")
