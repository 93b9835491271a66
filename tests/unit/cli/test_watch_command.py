"""``qmtl watch``, against the real application."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qmtl.cli import watch
from tests.support.shell import STRATEGY, Shell

BROKEN = STRATEGY.replace("table.mean())", "table.mean()) / 0").replace('"tiny"', '"broken"')


def started(qmtl: Shell, name: str = "tiny") -> str:
    found: Any = qmtl.json("trigger", name, "-e", "staging", "--as-of", "2026-01-04")
    return str(found["id"])


@pytest.fixture
def broken(active: Shell) -> Shell:
    """A shell whose server knows a strategy with a node that always fails, too."""
    assert active("submit", active.write("broken.py", BROKEN)).exit_code == 0
    assert active("activate", "broken", "-e", "staging").exit_code == 0
    return active


def test_an_execution_is_followed_line_by_line(active: Shell) -> None:
    result = active("watch", started(active))
    assert result.exit_code == 0, result.stderr
    lines = [line.split(maxsplit=1)[-1] for line in result.stdout.splitlines() if line]
    assert lines[0] == "started   0 of 2 nodes"
    assert lines[1] == "nodes     2 SUCCEEDED; 2 of 2 nodes"
    assert lines[2] == "ended     SUCCEEDED; 2 of 2 nodes"
    assert lines[-1] == "2 of 2 done"


def test_with_json_each_line_is_one_event(active: Shell) -> None:
    result = active("watch", started(active), "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["kind"] for event in events][::2] == ["started", "ended"]
    assert events[1]["counts"] == {"SUCCEEDED": 2}
    assert result.exit_code == 0


def test_the_exit_code_tells_of_a_failure_as_that_of_a_trigger_does(broken: Shell) -> None:
    execution_id = started(broken, "broken")
    result = broken("watch", execution_id)
    assert result.exit_code == 1
    assert "1 FAILED" in result.stdout
    assert "FAILED; 2 of 2 nodes" in result.stdout
    assert broken("watch", execution_id, "--json").exit_code == 1


def test_a_further_attempt_is_told_behind_the_end_of_the_first(broken: Shell) -> None:
    execution_id = started(broken, "broken")
    broken("watch", execution_id)
    broken("resume", execution_id, "--wait")
    result = broken("watch", execution_id)
    assert "reopened  attempt 2; 1 of 2 nodes" in result.stdout
    assert result.stdout.count("  ended  ") == 2


def test_an_execution_that_is_not_there_is_an_error(active: Shell) -> None:
    result = active("watch", "none")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no execution 'none'." in result.stderr


def test_in_a_terminal_there_is_a_bar_in_place_of_the_lines(
    active: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_in_a_terminal", lambda: True)
    result = active("watch", started(active))
    assert result.exit_code == 0, result.stderr
    assert "started " not in result.stdout
    assert "2 of 2 done" in result.stdout


def test_stages_and_codes_stand_in_their_lines() -> None:
    event = {"at": "2026-01-01T00:00:00Z", "attempt": 1, "nodes_done": 1, "nodes_total": 4}
    stage = watch._line({**event, "kind": "stage", "stage": 1, "stages": 3})
    assert stage == "2026-01-01T00:00:00Z  stage     2 of 3; 1 of 4 nodes"
    end = {**event, "kind": "ended", "state": "FAILED", "error_code": "QMTL-407"}
    assert watch._line(end).endswith("FAILED (QMTL-407); 1 of 4 nodes")
