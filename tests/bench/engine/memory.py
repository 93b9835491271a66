"""How much memory processes ever held, as Linux tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil

PEAK = "VmHWM:"


def peaks_mb(roots: Mapping[str, int]) -> dict[str, float]:
    """Return the peak of each root's process, and the largest peak among its descendants.

    Args:
        roots: Main processes by name.

    Returns:
        ``NAME`` and ``NAME's children``; nothing where the system does not tell.
    """
    found: dict[str, float] = {}
    for name, pid in roots.items():
        try:
            below = psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            continue
        own = peak_mb(pid)
        peaks = [p for p in (peak_mb(child.pid) for child in below) if p is not None]
        if own is not None:
            found[name] = own
        if peaks:
            found[f"{name}'s children"] = max(peaks)
    return found


def peak_mb(pid: int) -> float | None:
    """Return a process's peak in megabytes, None where it is gone or not told."""
    try:
        return peak_of(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None


def peak_of(status: str) -> float | None:
    """Return the peak that a status file tells."""
    for line in status.splitlines():
        if line.startswith(PEAK):
            return int(line.split()[1]) * 1024 / 1e6
    return None
