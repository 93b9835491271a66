"""What a stack looks like from another process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qmtl.common.db.ping import ping as ping_graph
from qmtl.common.errors import Unavailable
from qmtl.common.kafka.ping import ping as ping_kafka
from qmtl.common.redis.ping import ping as ping_redis
from qmtl.common.settings import Settings
from qmtl.stack.state import Folder

PING_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server, asked now.

    Attributes:
        name: ``redis``, ``graph`` or ``kafka``.
        product: The server's own name.
        address: ``host:port`` of its protocol.
        pid: Its process, 0 while it is down.
        log: File of its output.
        problem: Why it does not answer; empty where it does.
    """

    name: str
    product: str
    address: str
    pid: int
    log: str
    problem: str

    @property
    def answers(self) -> bool:
        """Whether it answered its own protocol."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A stack, asked now.

    Attributes:
        profile: ``embedded`` or ``real``.
        data_dir: Where it keeps everything.
        owner: The process that owns it; None while it is down.
        servers: Its servers.
    """

    profile: str
    data_dir: Path
    owner: int | None
    servers: tuple[ServerStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether it is up and every server answers."""
        return self.owner is not None and all(server.answers for server in self.servers)


def look(data_dir: Path) -> StackStatus:
    """Ask every server of a folder's stack.

    Raises:
        NotFound: No stack was ever started there.
    """
    folder = Folder(data_dir)
    state, owner = folder.read(), folder.owner()
    settings = Settings.from_env(state.settings)
    servers = []
    for name, known in state.servers.items():
        problem = _problem(name, settings) if owner is not None else "The stack is down."
        servers.append(
            ServerStatus(
                name,
                known.product,
                known.address,
                known.pid if owner is not None else 0,
                known.log,
                problem,
            )
        )
    return StackStatus(state.profile, folder.path, owner, tuple(servers))


def _problem(name: str, settings: Settings) -> str:
    try:
        if name == "redis":
            ping_redis(settings.state_url, PING_TIMEOUT_S)
        elif name == "graph":
            ping_graph(
                settings.graph_url,
                settings.graph_user,
                settings.graph_password,
                settings.graph_database,
                PING_TIMEOUT_S,
            )
        else:
            ping_kafka(settings.kafka_servers, PING_TIMEOUT_S)
    except Unavailable as error:
        return error.detail
    return ""
