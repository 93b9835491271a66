"""Free ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

LOOPBACK = "127.0.0.1"
# Below the ranges that Linux and macOS give to outgoing connections: while a server is down, no
# connection of another process can sit on its port.
FIRST, LAST = 20_000, 31_999
TRIES = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: a connection in TIME_WAIT does not hold a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    with socket.socket() as caller:  # macOS lets one bind beside a listener on all addresses
        caller.settimeout(1.0)
        return caller.connect_ex((LOOPBACK, port)) != 0


def choose(preferred: int | None = None, taken: Collection[int] = ()) -> int:
    """Return the preferred port where it is free, otherwise a random free one.

    Args:
        preferred: The port to keep, such as the one of the last start.
        taken: Ports that are promised to others and not bound yet.
    """
    if preferred is not None and preferred not in taken and is_free(preferred):
        return preferred
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret
        if port not in taken and is_free(port):
            return port
    with socket.socket() as any_port:
        any_port.bind((LOOPBACK, 0))
        return int(any_port.getsockname()[1])
