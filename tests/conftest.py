"""Fixtures that reach real servers; nothing starts before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmtl.common.settings import Settings
from qmtl.stack.api import Stack
from tests.support.servers import settings_of, start_stack, unique


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of this session; a test that kills one starts a stack of its own instead."""
    with start_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def settings(stack: Stack) -> Settings:
    """Settings that reach the session's servers, with a cell and topics of this test's own."""
    return settings_of(stack)


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test uses."""
    return unique("tenant")
