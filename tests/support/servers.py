"""The servers that the tests run on, and what keeps tests apart on them."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path

from qmtl.common.settings import Settings
from qmtl.stack.api import Stack


def profile() -> str:
    """Return the profile of this test session: ``QMTL_TEST_PROFILE``, or ``embedded``."""
    return os.environ.get("QMTL_TEST_PROFILE", "embedded")


def start_stack(folder: Path) -> Stack:
    """Start servers of this session's profile; for tests that kill them, too."""
    return Stack.start(profile(), folder)


def unique(prefix: str) -> str:
    """Return a name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def settings_of(stack: Stack) -> Settings:
    """Return settings whose keys and topics no other test sees.

    The graph's database is shared: tests keep apart there by their tenant.
    """
    return replace(
        Settings.from_env(stack.settings_env()),
        cell=unique("cell"),
        results_topic=unique("qmtl.results"),
        slots=2,
    )
