"""The ledgers that the suites of this folder run over."""

from __future__ import annotations

import pytest

from qmtl.orchestrator.execution.ledger import Ledger
from tests.support.ledgers import LedgerUnderTest, memory_ledger, redis_ledger


@pytest.fixture(params=["memory", "redis"])
def subject(request: pytest.FixtureRequest) -> LedgerUnderTest:
    if request.param == "memory":
        return memory_ledger()
    return redis_ledger(request.getfixturevalue("settings"))


@pytest.fixture
def ledger(subject: LedgerUnderTest) -> Ledger:
    return subject.ledger
