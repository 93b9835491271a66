"""Points that stand in the trigger itself."""

from __future__ import annotations

import pytest

from qmtl.common.errors import InvalidPoint
from qmtl.orchestrator.execution.inputs import points_from_inputs
from qmtl.parsing.parser import parse_strategy

SPEC = parse_strategy(
    """
from qmtl.sdk import node, source, strategy

strategy("spread", interval="1d")
bid = source(columns=["close"], interval="1d", period=1)
ask = source(columns=["close"], interval="1d", period=1)

@node()
def spread(bid, ask):
    return ask - bid
"""
)


def test_of_several_inputs_the_one_that_cannot_be_used_is_named() -> None:
    sound, broken = [{"ts": "2026-11-23", "close": 1.0}], [{"ts": "2026-11-23", "open": 1.0}]
    with pytest.raises(InvalidPoint, match=r"^inputs\.ask: Row 1 has no column 'close'"):
        points_from_inputs({"bid": sound, "ask": broken}, SPEC)
