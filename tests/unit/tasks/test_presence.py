"""What a worker's main process tells planners of itself."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.tasks import presence
from tests.support.ledgers import memory_ledger

WORKER = "nodes@machine"


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    kept = memory_ledger().ledger
    monkeypatch.setattr(presence, "connect_ledger", lambda *_, **__: kept)
    return kept


def worker(monkeypatch: pytest.MonkeyPatch, pid: int) -> tuple[presence.Presence, Any]:
    """Start a worker's presence as its own process would."""
    monkeypatch.setattr(os, "getpid", lambda: pid)
    repeated = SimpleNamespace(cancel=lambda: None)
    timer = SimpleNamespace(call_repeatedly=lambda *_: repeated)
    parent = SimpleNamespace(hostname=WORKER, concurrency=2, timer=timer)
    step = presence.Presence(parent)
    step.start(parent)
    return step, parent


def test_two_workers_that_were_given_one_name_count_as_two(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slots() -> int:
        return ledger.outlook("acme", "any", [], []).slots

    worker(monkeypatch, 1)
    second, parent = worker(monkeypatch, 2)
    assert slots() == 4
    second.stop(parent)
    assert slots() == 2
