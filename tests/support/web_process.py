"""The web process itself: gunicorn on a free port of this machine."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qmtl.common.settings import Settings
from tests.support.process_watch import eventually
from tests.support.web import KEY, sha256

ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    """A running web process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=True)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def lives(self) -> bool:
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False


@contextmanager
def served(settings: Settings, tenant: str, *, home: Path, log: Path) -> Iterator[Server]:
    """Serve with these settings; ``KEY`` is a key of the tenant."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = replace(settings, api_port=port, api_keys=f"tests:{tenant}:{sha256(KEY)}")
    environ = {
        **os.environ,
        **settings.to_env(),
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.web"],
            cwd=home,
            env=environ,
            stdout=output,
            stderr=output,
        )
    started = Server(process, port, log)
    try:
        assert eventually(started.lives), log.read_text()
        yield started
    finally:
        process.kill()
        process.wait()
