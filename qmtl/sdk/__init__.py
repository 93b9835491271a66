"""QMTL for those who write strategies.

``strategy``, ``source``, ``node``, ``each``, ``window`` and ``query`` are the language, and
``Window`` is what a window is handed over as. ``Pipeline``, ``Analyzer`` and ``Client`` are loaded
when first asked for: a strategy's module imports this package wherever it runs, and needs none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qmtl.models.window import Window
from qmtl.sdk.node import PREDEFINED_TAGS, each, node, query, source, strategy, window

if TYPE_CHECKING:
    from qmtl.sdk.analyzer import Analyzer
    from qmtl.sdk.client import Client
    from qmtl.sdk.pipeline import Pipeline

__all__ = [
    "PREDEFINED_TAGS",
    "Analyzer",
    "Client",
    "Pipeline",
    "Window",
    "each",
    "node",
    "query",
    "source",
    "strategy",
    "window",
]

_LAZY = {
    "Analyzer": "qmtl.sdk.analyzer",
    "Client": "qmtl.sdk.client",
    "Pipeline": "qmtl.sdk.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
