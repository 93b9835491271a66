from __future__ import annotations

import pytest

from tests.support.web import Web, make_web


@pytest.fixture
def web() -> Web:
    """An application on memory adapters; its orchestrator carries submissions out at once."""
    return make_web()
