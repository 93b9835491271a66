"""The ledger's Lua scripts: each runs as one step, and is loaded again where a server lost it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis

LUA = files("qmtl.orchestrator.execution.redis") / "lua"
Argument = str | bytes | int


class Script:
    """One file of ``lua``, called by its hash."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        source = "\n".join((LUA / f"{each}.lua").read_text("utf-8") for each in ("prelude", name))
        self._script = client.register_script(source)

    def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run it; its head comment tells keys, arguments and reply."""
        return self._script(keys=keys, args=arguments)
