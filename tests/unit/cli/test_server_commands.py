"""The commands that talk to a server, against the real application."""

from __future__ import annotations

from tests.support.shell import CSV, STRATEGY, Shell


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
