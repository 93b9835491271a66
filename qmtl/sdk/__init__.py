"""QMTL for those who write strategies.

``node``, ``source`` and ``strategy`` are the language. ``Pipeline`` and ``Client`` are loaded when
first asked for: a strategy's module imports this package wherever it runs, and needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qmtl.sdk.node import node, source, strategy

if TYPE_CHECKING:
    from qmtl.sdk.client import Client
    from qmtl.sdk.pipeline import Pipeline

__all__ = ["Client", "Pipeline", "node", "source", "strategy"]

_LAZY = {"Client": "qmtl.sdk.client", "Pipeline": "qmtl.sdk.pipeline"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
