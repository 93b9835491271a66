"""One whole system for all end-to-end tests: real servers, every process of the Procfile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmtl.sdk import Client
from qmtl.stack.system import System
from tests.support.servers import profile

QUICK_RECOVERY = {
    "QMTL_LEASE_S": "2",
    "QMTL_DISPATCH_DEADLINE_S": "3",
    "QMTL_REAP_INTERVAL_S": "1",
}


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    with System.start(profile=profile(), data_dir=folder, environ=QUICK_RECOVERY) as running:
        yield running


@pytest.fixture
def client(system: System) -> Iterator[Client]:
    with Client(system.url, system.api_key) as made:
        yield made
