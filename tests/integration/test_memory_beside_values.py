"""What a node may use is the same wherever, and beside whatever, it is computed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from qmtl.common.codec import encode
from qmtl.common.errors import NODE_OUT_OF_MEMORY
from qmtl.sandbox.calls import Call
from qmtl.sandbox.executor import Executor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")

MIB = 1024**2
SOURCE = """
import numpy as np
import pandas as pd

def frame(n):
    return np.full(1_000_000, float(n))

def first(x):
    return float(x[0])

def hoard(size):
    return len(bytearray(size))

def table():
    return pd.DataFrame({"a": np.arange(20_000.0), "b": np.arange(20_000.0)})

def next_table(x):
    x = x + 1
    x["c"] = x["a"].rolling(5).mean()
    return x[["a", "b"]]
"""
FRAMES = range(12)
MADE = [Call(node_id=f"frame{n}", function="frame", params=(("n", n),)) for n in FRAMES]
READ = [
    Call(node_id=f"first{n}", function="first", inputs=(("x", f"frame{n}"),), memory_bytes=32 * MIB)
    for n in FRAMES
]


def hoard(node_id: str, size: int) -> Call:
    params = (("size", size),)
    return Call(node_id=node_id, function="hoard", params=params, memory_bytes=32 * MIB)


MODEST, GREEDY = hoard("modest", 28 * MIB), hoard("greedy", 96 * MIB)


def refused(calls: list[Call], memory_bytes: int = 1024 * MIB, **values: bytes) -> dict[str, str]:
    """Return the codes of the calls that fail."""
    with Executor.start(SOURCE, "demo", memory_bytes=memory_bytes) as executor:
        outcomes = executor.run(calls, values)
    assert len(outcomes) == len(calls)
    return {o.node_id: o.error.code for o in outcomes if o.error is not None}


def test_a_limit_of_memory_means_the_same_alone_and_beside_kept_values() -> None:
    alone = refused([MODEST, GREEDY])
    beside = refused([*MADE, MODEST, GREEDY, *READ])
    after = refused([*MADE, *READ, MODEST, GREEDY])
    assert alone == beside == after == {"greedy": NODE_OUT_OF_MEMORY}


def test_values_that_came_with_a_run_count_for_nothing_under_a_limit_of_memory() -> None:
    given = {f"frame{n}": encode(np.full(1_000_000, float(n))) for n in FRAMES}
    assert refused([MODEST, GREEDY, *READ], 32 * MIB, **given) == {"greedy": NODE_OUT_OF_MEMORY}


def test_no_library_takes_what_was_allowed_for_values_for_itself() -> None:
    chain = [Call(node_id="0", function="table")]
    chain += [
        Call(node_id=str(n), function="next_table", inputs=(("x", str(n - 1)),))
        for n in range(1, 60)
    ]
    assert refused([*MADE, *chain, MODEST, *READ]) == {}
