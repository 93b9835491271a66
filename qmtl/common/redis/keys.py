"""Names of the keys of one cell."""

from __future__ import annotations


class Keys:
    """Builds key names that all carry the cell as hash tag, so that one script may touch them."""

    __slots__ = ("prefix",)

    def __init__(self, cell: str) -> None:
        self.prefix = f"qmtl:{{{cell}}}:"

    def __call__(self, *parts: str) -> str:
        """Return the key of these parts: ``Keys("main")("exec", id)``."""
        return self.prefix + ":".join(parts)
