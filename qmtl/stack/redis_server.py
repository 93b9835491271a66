"""Redis or Valkey, whichever program is given: the two read the same configuration."""

from __future__ import annotations

from pathlib import Path

from qmtl.common.redis.ping import ping
from qmtl.stack.server import ServerPlan
from qmtl.stack.state import write_private

BROKER_DATABASE = 0
STATE_DATABASE = 1


def redis_plan(product: str, program: Path, cwd: Path, port: int, password: str) -> ServerPlan:
    """Plan a server that keeps every write of the last second through a SIGKILL.

    The password stands in a file that only the user may read.
    """
    conf = cwd / "redis.conf"
    address = f"redis://:{password}@127.0.0.1:{port}"
    state_url = f"{address}/{STATE_DATABASE}"
    return ServerPlan(
        name="redis",
        product=product,
        ports={"main": port},
        command=(str(program), str(conf)),
        cwd=cwd,
        settings={
            "QMTL_BROKER_URL": f"{address}/{BROKER_DATABASE}",
            "QMTL_STATE_URL": state_url,
        },
        ping=lambda timeout_s: ping(state_url, timeout_s),
        prepare=lambda: write_private(conf, redis_conf(cwd, port, password)),
    )


def redis_conf(cwd: Path, port: int, password: str) -> str:
    """Return the configuration file's text."""
    folder = str(cwd).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f'dir "{folder}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "daemonize no",
        # The state of executions must never be evicted to make room.
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"
