"""Helpers for tests of strategies: data to run them on, and an assertion about one node.

``pytest`` finds the fixture ``pipeline`` by itself. The names are loaded when first asked for, so
that a test run that uses none of them pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qmtl.testing.assertions import assert_node
    from qmtl.testing.plugin import PipelineLoader
    from qmtl.testing.samples import Samples, ohlcv, series

__all__ = ["PipelineLoader", "Samples", "assert_node", "ohlcv", "series"]

_LAZY = {
    "PipelineLoader": "qmtl.testing.plugin",
    "Samples": "qmtl.testing.samples",
    "assert_node": "qmtl.testing.assertions",
    "ohlcv": "qmtl.testing.samples",
    "series": "qmtl.testing.samples",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
