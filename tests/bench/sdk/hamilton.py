"""Apache Hamilton's in-process driver on the same functions, where it is installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import FunctionType
from typing import Any


def runner(text: str, wanted: Sequence[str]) -> Callable[[], dict[str, Any]] | None:
    """Return what runs the functions of a text and hands back the wanted values."""
    if find_spec("hamilton") is None:
        return None
    os.environ["HAMILTON_TELEMETRY_ENABLED"] = "false"
    from hamilton import ad_hoc_utils, base, driver

    namespace: dict[str, Any] = {"__name__": "records"}
    exec(text, namespace)
    functions = [f for f in namespace.values() if isinstance(f, FunctionType)]
    module = ad_hoc_utils.create_temporary_module(*functions, module_name="records")
    made = driver.Builder().with_modules(module).with_adapters(base.DictResult()).build()
    names = list(wanted)
    return lambda: made.execute(names)
