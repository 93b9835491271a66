"""Random generators that start from a seed while a node runs."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ENTROPY = "numpy.random.bit_generator"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed ``random`` and NumPy, and put both back as they were; seed polars where it is loaded.

    NumPy's generators that are made without a seed draw their entropy from ``randbits`` of one
    module; it is replaced, so that ``default_rng()`` and ``RandomState()`` depend on the seed too.
    The state of polars cannot be read, so that it goes on from a fresh seed.
    """
    import numpy as np  # noqa: PLC0415 (only nodes that use randomness pay for it)

    entropy = importlib.import_module(_ENTROPY)
    states = random.getstate(), np.random.get_state(), entropy.randbits
    random.seed(seed)
    np.random.seed([seed & 0xFFFF_FFFF, seed >> 32])
    entropy.randbits = random.Random(seed).getrandbits  # type: ignore[attr-defined]  # noqa: S311
    polars = sys.modules.get("polars")
    if polars is not None:
        polars.set_random_seed(seed)
    try:
        yield
    finally:
        if polars is not None:
            polars.set_random_seed(random.SystemRandom().getrandbits(64))
        random.setstate(states[0])
        np.random.set_state(states[1])
        entropy.randbits = states[2]  # type: ignore[attr-defined]
