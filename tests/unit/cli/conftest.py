"""A server in this process, and a shell that talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell import CSV, STRATEGY, Shell
from tests.unit.sdk.served import Served, serving


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
def qmtl(served: Served, tmp_path: Path) -> Shell:
    return Shell(served, tmp_path)


@pytest.fixture
def active(qmtl: Shell) -> Shell:
    """The shell of a server where ``tiny`` is active in staging and has its points."""
    assert qmtl("submit", qmtl.write("tiny.py", STRATEGY)).exit_code == 0
    assert qmtl("activate", "tiny", "--environment", "staging").exit_code == 0
    assert qmtl("points", "px", qmtl.write("px.csv", CSV)).exit_code == 0
    return qmtl
