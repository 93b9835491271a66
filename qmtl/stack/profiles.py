"""From a profile's name to the plans of its three servers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from qmtl.common.errors import InvalidRequest
from qmtl.stack import embedded, maven, real_profile
from qmtl.stack.ports import choose
from qmtl.stack.redis_server import redis_plan
from qmtl.stack.server import ServerPlan
from qmtl.stack.state import StackState

PROFILES = ("embedded", "real")
PASSWORDS = ("redis", "graph")


def plan_servers(
    profile: str, data_dir: Path, former: StackState, on_progress: Callable[[str], None]
) -> tuple[list[ServerPlan], dict[str, str]]:
    """Return the plans of a profile's servers, and the passwords they use.

    Ports and passwords of the former start are kept; ports only where they are still free.

    Raises:
        InvalidRequest: There is no such profile.
        Unavailable: A program is missing.
    """
    passwords = {
        name: former.secrets.get(name) or secrets.token_urlsafe(24).replace("-", "_")
        for name in PASSWORDS
    }
    ports = Ports(former)
    if profile == "embedded":
        return _embedded(data_dir, ports, passwords), passwords
    if profile == "real":
        return _real(data_dir, ports, passwords, on_progress), passwords
    raise InvalidRequest(
        f"There is no profile {profile!r}.", hint=f"Choose one of: {', '.join(PROFILES)}."
    )


class Ports:
    """Chooses ports for one start: those of the last one where they are free."""

    def __init__(self, former: StackState) -> None:
        self._former = former
        self._taken: set[int] = set()

    def of(self, server: str, use: str = "main") -> int:
        """Return a port that nobody listens on and that was not given out before."""
        known = self._former.servers.get(server)
        port = choose(known.ports.get(use) if known else None, self._taken)
        self._taken.add(port)
        return port


def _embedded(data_dir: Path, ports: Ports, passwords: dict[str, str]) -> list[ServerPlan]:
    graph_ports = ports.of("graph"), ports.of("graph", "http")
    return [
        embedded.valkey_plan(data_dir / "redis", ports.of("redis"), passwords["redis"]),
        embedded.arcadedb_plan(
            data_dir / "graph", *graph_ports, passwords["graph"], data_dir / "tmp"
        ),
        embedded.tansu_plan(data_dir / "kafka", ports.of("kafka")),
    ]


def _real(
    data_dir: Path, ports: Ports, passwords: dict[str, str], on_progress: Callable[[str], None]
) -> list[ServerPlan]:
    programs = maven.find_programs()
    java, tmp = programs["java"], data_dir / "tmp"
    neo4j = maven.library(real_profile.NEO4J_POM, on_progress)
    kafka = maven.library(real_profile.KAFKA_POM, on_progress)
    kafka_ports = ports.of("kafka"), ports.of("kafka", "controller")
    return [
        redis_plan(
            "Redis",
            programs["redis-server"],
            data_dir / "redis",
            ports.of("redis"),
            passwords["redis"],
        ),
        real_profile.neo4j_plan(
            java, neo4j, data_dir / "graph", ports.of("graph"), passwords["graph"], tmp
        ),
        real_profile.kafka_plan(java, kafka, data_dir / "kafka", *kafka_ports, tmp),
    ]
