"""What a terminal and a notebook show."""

from __future__ import annotations

import io
import sys

import numpy as np
import pandas as pd
import pytest

from qmtl.models.execution import ErrorRecord, NodeState
from qmtl.sdk import display
from qmtl.sdk.results import Result, Results


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_where_nobody_looks_on_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with display.watched("Running") as report:
        assert report is None


def test_what_the_caller_wants_told_takes_the_place_of_a_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(display, "AFTER_S", 0.0)
    with display.watched("Running", print) as report:
        assert report is print
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("after_s", "shown"), [(0.0, True), (60.0, False)])
def test_a_bar_appears_in_a_terminal_for_what_takes_longer(
    monkeypatch: pytest.MonkeyPatch, after_s: float, shown: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(display, "AFTER_S", after_s)
    with display.watched("Running [bold]") as report:
        assert report is not None
        report(1, 3)
        report(2, 3)
    assert ("Running [bold]" in terminal.getvalue()) is shown


def test_a_notebook_that_cannot_draw_shows_a_line_that_is_written_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", notebook := io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(display, "find_spec", lambda _: None)
    monkeypatch.setattr(display, "AFTER_S", 0.0)
    monkeypatch.setattr(display, "EVERY_S", 0.0)
    with display.watched("Backtest") as report:
        assert report is not None
        report(500, 2000)
        report(1000, 2000)
        report(2000, 2000)
    assert notebook.getvalue().endswith("\n")
    lines = [line.rstrip() for line in notebook.getvalue().split("\r")]
    assert lines == [
        "",
        "Backtest: 500 of 2,000, about 0 s left",
        "Backtest: 1,000 of 2,000, about 0 s left",
        "Backtest: 2,000 of 2,000 in 0 s",
    ]


def test_a_notebook_is_not_told_of_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", notebook := io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(display, "find_spec", lambda _: None)
    with display.watched("Backtest") as report:
        assert report is not None
        report(1, 2)
    assert notebook.getvalue() == ""


def test_results_are_a_table_whose_texts_are_escaped() -> None:
    results = Results(
        [
            Result(name="a", node_id="0" * 32, state=NodeState.SUCCEEDED, value="<script>"),
            Result(
                name="b",
                node_id="1" * 32,
                state=NodeState.FAILED,
                error=ErrorRecord(code="X", message="a < b"),
                duration_ns=1_500_000,
            ),
        ],
        as_of_ns=0,
    )
    html = results._repr_html_()
    assert "As of 1970-01-01T00:00:00Z" in html
    assert "&lt;script&gt;" in html
    assert "<td>FAILED</td><td>a &lt; b</td><td></td><td>1.5 ms</td>" in html
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.333333"),
        (np.zeros((2, 3)), "ndarray 2x3"),
        (pd.Series([1.0, 2.0]), "Series 2"),
        ({"side": "long"}, "{'side': 'long'}"),
        (np.float64(2.0), "2"),
    ],
)
def test_values_are_told_in_a_few_words(value: object, text: str) -> None:
    assert display.short(value) == text


def test_a_long_value_is_cut() -> None:
    assert len(display.short(["word"] * 1_000)) <= display.CELL
