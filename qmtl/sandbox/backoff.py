"""How long an executor waits before it makes a call again."""

from __future__ import annotations

import random

BASE_S = 0.1  # a hiccup of a service that a node asks is over in tenths of a second
LONGEST_S = 5.0  # the other calls of the shard wait too, and a lease is renewed in this time


def pause_s(attempt: int) -> float:
    """Return the pause before an attempt, from 1: exponential, with full jitter.

    The jitter spreads calls that failed together, of other executions too. It comes from a
    generator of its own, seeded by the system each time, so that neither a fork repeats it nor the
    strategy's random numbers depend on how often a call failed.
    """
    most_s = min(LONGEST_S, BASE_S * 2.0 ** min(attempt - 1, 60))
    return random.Random().uniform(0.0, most_s)  # noqa: S311 (spreads retries)
