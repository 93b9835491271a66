"""How long an executor waits before it makes a call again."""

from __future__ import annotations

import random

from qmtl.sandbox.calls import Call

BASE_S = 0.1  # a hiccup of a service that a node asks is over in tenths of a second
LONGEST_S = 5.0  # the other calls of the shard wait too, and a lease is renewed in this time


def pause_s(call: Call, attempt: int) -> float:
    """Return the pause before an attempt, from 1: exponential, with full jitter.

    The jitter spreads calls that failed together. It comes from a generator of its own, so that
    the strategy's random numbers do not depend on how often a call failed.
    """
    name = call.node_id if call.seed is None else call.seed
    most_s = min(LONGEST_S, BASE_S * 2.0 ** min(attempt - 1, 60))
    return random.Random(f"{name}/{attempt}").uniform(0.0, most_s)  # noqa: S311 (spreads retries)
