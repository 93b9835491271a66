"""Executions page by page, newest first."""

from __future__ import annotations

import pytest

from qmtl.common.errors import InvalidRequest
from qmtl.models.execution import (
    ExecutionState,
)
from qmtl.orchestrator.execution.ledger import Ledger
from tests.support.ledgers import (
    new_execution,
    plan_of,
    started,
)


def create_at(ledger: Ledger, created_ms: int, execution_id: str, **fields: object) -> None:
    ledger.create(new_execution(id=execution_id, created_ms=created_ms, **fields), {})


def test_pages_are_newest_first_and_equal_times_lose_nothing(ledger: Ledger) -> None:
    for created_ms, execution_id in [(1, "a"), (2, "b"), (2, "c"), (2, "d"), (3, "e")]:
        create_at(ledger, created_ms, execution_id)
    seen, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page, cursor = ledger.page("acme", strategy=None, before=cursor, limit=2)
        seen += [execution.id for execution in page]
        pages += 1
    assert seen == ["e", "d", "c", "b", "a"]
    assert pages == 3


def test_a_page_that_ends_the_list_has_no_cursor(ledger: Ledger) -> None:
    create_at(ledger, 1, "a")
    create_at(ledger, 2, "b")
    assert ledger.page("acme", strategy=None, before="", limit=2)[1] == ""
    assert ledger.page("nobody", strategy=None, before="", limit=2) == ([], "")


def test_an_execution_made_meanwhile_does_not_shift_the_pages(ledger: Ledger) -> None:
    for created_ms, execution_id in [(1, "a"), (2, "b")]:
        create_at(ledger, created_ms, execution_id)
    _, cursor = ledger.page("acme", strategy=None, before="", limit=1)
    create_at(ledger, 9, "z")
    page, _ = ledger.page("acme", strategy=None, before=cursor, limit=1)
    assert [execution.id for execution in page] == ["a"]


def test_pages_can_be_of_one_strategy_and_are_of_one_tenant(ledger: Ledger) -> None:
    create_at(ledger, 1, "a")
    create_at(ledger, 2, "b", strategy="other")
    create_at(ledger, 3, "c", tenant="stranger")
    page, _ = ledger.page("acme", strategy="golden_cross", before="", limit=10)
    assert [execution.id for execution in page] == ["a"]


def test_pages_show_executions_as_they_stand(ledger: Ledger) -> None:
    started(ledger, plan_of([["a"]]))
    (found,), _ = ledger.page("acme", strategy=None, before="", limit=10)
    assert found.state is ExecutionState.RUNNING


def test_a_cursor_that_no_page_gave_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        ledger.page("acme", strategy=None, before="yesterday", limit=10)
