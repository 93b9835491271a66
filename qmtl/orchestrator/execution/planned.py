"""What ledgers derive from a plan and from what is stored, alike in every adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence

from qmtl.common.codec import digest

NANOSECONDS_PER_MS = 1_000_000


def asked_for(version: str, targets: Sequence[str]) -> str:
    """Return what names a version and its targets among all that is asked of a line."""
    return digest(json.dumps([version, *targets]).encode())[:16]
