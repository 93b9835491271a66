"""Ask a Redis or Valkey server whether it answers."""

from __future__ import annotations

import redis

from qmtl.common.errors import Unavailable


def ping(url: str, timeout_s: float) -> None:
    """Send one PING over a connection of its own.

    Raises:
        Unavailable: Nothing answers within the bound, the password is wrong, or the server is
            still loading its data.
    """
    client = redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
    )
    try:
        client.ping()
    except redis.RedisError as error:
        raise Unavailable("redis", f"Redis does not answer: {error}.") from error
    finally:
        client.close()
