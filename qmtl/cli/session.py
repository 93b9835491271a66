"""What every command is told, and what it tells the shell."""

from __future__ import annotations

from dataclasses import dataclass

FAILED = 1
UNREACHABLE = 3


@dataclass(frozen=True, slots=True)
class Session:
    """The group's options.

    Attributes:
        url: Address of the server, None for the environment's.
        debug: Whether a bug shows its traceback.
        owns_process: Whether the command may replace this process by another.
    """

    url: str | None = None
    debug: bool = False
    owns_process: bool = False
