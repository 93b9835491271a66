"""Connections to a Redis or Valkey server, and the translation of its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import EqualJitterBackoff
from redis.retry import Retry

from qmtl.common.errors import InvalidSetting, Unavailable

RETRIES = 3
BACKOFF_BASE_S = 0.05
BACKOFF_CAP_S = 0.5
HEALTH_CHECK_S = 10
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


def connect(url: str, *, timeout_s: float, retries: int = RETRIES) -> redis.Redis:
    """Return a client that opens connections when it first needs them.

    A command whose connection fails is sent again with backoff, so callers send only what is safe
    to repeat. Replies are bytes, in the shapes of protocol 2.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` address.
        timeout_s: Bound on connecting and on each reply.
        retries: How often a command is sent again.

    Raises:
        InvalidSetting: The address cannot be read.
    """
    try:
        return redis.Redis.from_url(
            url,
            protocol=2,
            decode_responses=False,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            health_check_interval=HEALTH_CHECK_S,
            retry=Retry(EqualJitterBackoff(cap=BACKOFF_CAP_S, base=BACKOFF_BASE_S), retries),
        )
    except ValueError as error:
        raise InvalidSetting(f"A Redis address cannot be used: {_public(error)}.") from error


@contextmanager
def translated() -> Iterator[None]:
    """Turn what a server in trouble raises into ``Unavailable``; works as a decorator too.

    What only a wrong command can cause passes through as it is.

    Raises:
        Unavailable: The server cannot be reached, does not answer in time, is loading its data,
            refuses the password, accepts no writes, or has no memory left.
    """
    try:
        yield
    except redis.AuthenticationError as error:
        raise Unavailable(
            "redis",
            f"Redis refuses the credentials: {_public(error)}.",
            hint="Check user and password in the server's address.",
        ) from error
    except redis.BusyLoadingError as error:
        raise Unavailable("redis", "Redis is loading its data.") from error
    except redis.TimeoutError as error:
        raise Unavailable("redis", f"Redis does not answer in time: {_public(error)}.") from error
    except redis.ConnectionError as error:
        raise Unavailable("redis", f"Redis cannot be reached: {_public(error)}.") from error
    except redis.ResponseError as error:
        if not _in_trouble(error):
            raise
        raise Unavailable("redis", f"Redis accepts no writes: {_public(error)}.") from error


def _in_trouble(error: redis.ResponseError) -> bool:
    """Tell a server that cannot write from a command that is wrong."""
    kinds = (
        redis.exceptions.ReadOnlyError,
        redis.exceptions.OutOfMemoryError,
        redis.exceptions.ClusterDownError,
        redis.exceptions.TryAgainError,
    )
    marks = ("MISCONF", "NOREPLICAS", "READONLY", "OOM ", "BUSY ", "LOADING")
    return isinstance(error, kinds) or str(error).startswith(marks)


def _public(error: Exception) -> str:
    return _PASSWORD.sub("", str(error)).rstrip(". ")
