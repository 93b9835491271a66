"""The Lua scripts of the registry's Redis adapters."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def script(name: str) -> str:
    """Return the text of a script.

    Scripts are sent by ``EVAL``, text and all: the server compiles a text once, and a pipeline of
    them is one round trip even on a server that never saw them.
    """
    return files("qmtl.registry.db.redis").joinpath("lua", f"{name}.lua").read_text("utf-8")
