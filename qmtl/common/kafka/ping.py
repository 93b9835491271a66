"""Ask a Kafka broker whether it answers."""

from __future__ import annotations

import socket

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from qmtl.common.errors import Unavailable


def ping(servers: str, timeout_s: float) -> None:
    """Ask for the cluster's description over a connection of its own.

    Args:
        servers: ``host:port`` with commas; one that answers is enough.
        timeout_s: Bound on each of its steps.

    Raises:
        Unavailable: No broker answers within the bound.
    """
    _reach_any(servers, timeout_s)
    milliseconds = int(timeout_s * 1000)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=servers.split(","),
            bootstrap_timeout_ms=milliseconds,
            request_timeout_ms=milliseconds,
            client_id="qmtl-ping",
        )
        try:
            admin.describe_cluster()
        finally:
            admin.close()
    except KafkaError as error:
        raise Unavailable("kafka", f"Kafka does not answer: {error}.") from error


def _reach_any(servers: str, timeout_s: float) -> None:
    """Open a plain connection first: the client retries and logs for the whole bound."""
    refused: list[str] = []
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=timeout_s):
                return
        except (OSError, ValueError) as error:
            refused.append(f"{server}: {error}")
    raise Unavailable("kafka", f"No Kafka broker can be reached ({'; '.join(refused)}).")
