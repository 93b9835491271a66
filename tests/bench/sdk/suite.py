"""What the SDK costs: reading a strategy, running it here, and walking it over history."""

from __future__ import annotations

from tests.bench.figures import Figure
from tests.bench.sdk import backtesting, local, parsing

TITLE = "SDK"


def measure() -> list[Figure]:
    """Return the figures of every part."""
    return [*parsing.measure(), *local.measure(), *backtesting.measure()]
