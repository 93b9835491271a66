"""``qmtl activate --start`` and ``qmtl history``: a state that is carried on, on a server."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from qmtl.common.errors import GapTooLong, InvalidRequest, UnknownTarget
from qmtl.models.execution import Execution, ExecutionState, Line
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.sdk.client import Client
from tests.support.shell import Shell
from tests.unit.sdk.served import Served

COUNTING = """\
from qmtl.sdk import node, source, strategy, window

strategy("counting", interval="1d")
prices = source(name="px", columns=["close"], interval="1d", period=1)


@node(inputs={"past": window("self", 1)})
def total(prices, past):
    return float(prices.iloc[-1]) + (past[-1] if past else 0.0)
"""
CSV = "ts,close\n2026-01-01,1\n2026-01-02,2\n2026-01-03,6\n2026-01-04,8\n"


@pytest.fixture
def counting(qmtl: Shell) -> Shell:
    """The shell of a server where ``counting`` starts on the first day, and has its points."""
    assert qmtl("submit", qmtl.write("counting.py", COUNTING)).exit_code == 0
    activated = qmtl.json("activate", "counting", "-e", "staging", "--start", "2026-01-02")
    assert cast("dict[str, Any]", activated)["start"] == "2026-01-02T00:00:00Z"
    assert qmtl("points", "px", qmtl.write("px.csv", CSV)).exit_code == 0
    return qmtl


def test_a_trigger_of_the_last_bucket_fills_the_history_from_its_start(counting: Shell) -> None:
    asked = ("trigger", "counting", "-e", "staging", "--as-of", "2026-01-05", "--wait")
    result = counting(*asked)
    assert result.exit_code == 0, result.stderr
    (row,) = (line for line in result.stdout.splitlines() if line.startswith("total"))
    assert row.split()[-1] == "17"
    shown = counting("history", "counting", "total", "-e", "staging").stdout
    assert "from 2026-01-02T00:00:00Z" in shown
    rows = [line.split()[0] for line in shown.splitlines() if line.startswith("2026-")]
    assert rows == [f"2026-01-0{day}T00:00:00Z" for day in (5, 4, 3, 2)]


def test_a_history_is_read_in_part_and_tells_what_was_replaced(
    counting: Shell, served: Served
) -> None:
    asked = ("trigger", "counting", "-e", "staging", "--wait", "--as-of")
    assert counting(*asked, "2026-01-03").exit_code == 0
    counting("points", "px", counting.write("more.csv", "ts,close\n2026-01-02,3\n"))
    assert counting(*asked, "2026-01-03").exit_code == 0
    with Client(served.url, served.key) as client:
        found = client.get_history("counting", "staging", "total", end="2026-01-03", count=1)
        (point,) = found["points"]
        assert len(point["replaced"]) == 1
        assert point["replaced"][0]["digest"] != point["digest"]
        later = client.get_history("counting", "staging", "total", start="2026-01-04")
        assert later["points"] == []
        assert later["origin"] == "2026-01-02T00:00:00Z"


def test_a_history_tells_which_results_a_repair_did_not_come_to(
    counting: Shell, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("trigger", "counting", "-e", "staging", "--wait", "--as-of", "2026-01-03")
    assert counting(*asked).exit_code == 0

    def broken_off(ledger: MemoryLedger, line: Line) -> list[Execution]:
        found, _ = ledger.page(line.tenant, strategy="counting", before="", limit=9)
        latest = max(found, key=lambda each: each.bucket_ns)
        ended_ms = (latest.ended_ms or 0) + 1
        changes = {"id": "f" * 32, "state": ExecutionState.CANCELLED, "ended_ms": ended_ms}
        return [msgspec.structs.replace(latest, **changes)]

    monkeypatch.setattr(MemoryLedger, "unrepaired", broken_off)
    shown = counting("history", "counting", "total", "-e", "staging").stdout
    lines = [line for line in shown.splitlines() if line.startswith("2026-")]
    assert [f"repair {'f' * 32} is CANCELLED" in line for line in lines] == [True, False]
    with Client(served.url, served.key) as client:
        points = client.get_history("counting", "staging", "total")["points"]
    stale = {"execution_id": "f" * 32, "state": "CANCELLED", "error": None}
    assert [point["stale"] for point in points] == [stale, None]


def test_a_history_that_is_not_there_is_told_so(counting: Shell, served: Served) -> None:
    assert counting("history", "counting", "nothing", "-e", "staging").exit_code == 1
    assert counting("history", "counting", "total", "-e", "production").exit_code == 1
    with Client(served.url, served.key) as client:
        with pytest.raises(UnknownTarget):
            client.get_history("counting", "staging", "nothing")
        with pytest.raises(InvalidRequest):
            client.get_history("counting", "staging", "total", count=0)


def test_a_gap_that_is_too_long_is_a_conflict_with_the_way_out(
    counting: Shell, served: Served
) -> None:
    assert counting("trigger", "counting", "-e", "staging", "--as-of", "2036-01-05").exit_code == 1
    with (
        Client(served.url, served.key) as client,
        pytest.raises(GapTooLong, match="at most 1000 are run so"),
    ):
        client.trigger_pipeline("counting", environment="staging", as_of="2036-01-05")
