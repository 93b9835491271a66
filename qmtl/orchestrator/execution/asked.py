"""What is asked of a line: versions, and which of their nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from qmtl.common.codec import digest


def asked_for(version: str, targets: Sequence[str]) -> str:
    """Return what names a version and its targets among all that is asked of a line."""
    return digest(json.dumps([version, *targets]).encode())[:16]
