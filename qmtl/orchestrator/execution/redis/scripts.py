"""The ledger's Lua scripts: each runs as one step, and is loaded again where a server lost it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis

LUA = files("qmtl.orchestrator.execution.redis") / "lua"
Argument = str | bytes | int


class Script:
    """One file of ``lua`` behind those it stands on, called by its hash."""

    def __init__(self, client: redis.Redis, name: str, *needs: str) -> None:
        source = "\n".join(
            (LUA / f"{each}.lua").read_text("utf-8") for each in ("prelude", *needs, name)
        )
        self._script = client.register_script(source)

    def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run it; its head comment tells keys, arguments and reply."""
        return self._script(keys=keys, args=arguments)


class CellScript(Script):
    """A script that is given one key and builds the others behind its cell's prefix."""

    def __init__(self, client: redis.Redis, prefix: str, name: str, *needs: str) -> None:
        super().__init__(client, name, *needs)
        self._prefix = prefix

    def run(self, key: str, *arguments: Argument) -> Any:
        """Run it with the prefix as first argument; its head comment tells the others."""
        return self((key,), (self._prefix, *arguments))
