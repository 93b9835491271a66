"""A whole system in this process: the real application and services, on memory adapters."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs
from werkzeug.serving import WSGIRequestHandler, make_server

from qmtl.bootstrap import Stores, System, build
from qmtl.common.clock import now_ms
from qmtl.common.settings import Settings
from qmtl.models.execution import Priority
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from qmtl.orchestrator.execution.memory.result_topic import MemoryResultTopic
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from qmtl.web.app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEY = "a-key-of-the-sdk-tests"


class Threads:
    """A dispatcher that does the workers' part in two threads of this process."""

    def __init__(self) -> None:
        self.system: System | None = None
        self._pool = ThreadPoolExecutor(2)

    def submission(self, tenant: str, submission_id: str) -> None:
        self._do(lambda s: s.submissions.carry_out(tenant, submission_id, at_ms=now_ms()))

    def advance(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        self._do(lambda s: s.advancer.advance(tenant, execution_id, stage))

    def shards(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        shards: Sequence[int],
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        def run(system: System) -> None:
            for shard in shards:
                system.advancer.run_shard(tenant, execution_id, stage, shard)
            system.advancer.advance(tenant, execution_id, stage + 1)

        self._do(run)

    def queued(self) -> int:
        return 0

    def close(self) -> None:
        self._pool.shutdown()

    def _do(self, work: Callable[[System], object]) -> None:
        assert self.system is not None
        self._pool.submit(work, self.system)


@dataclass
class Faults:
    """Stands before the application and spoils its next answers.

    ``before`` are statuses given in place of asking it; ``after`` counts answers that are lost
    once it has acted. ``seen`` lists what reached it.
    """

    app: WSGIApplication
    before: list[str] = field(default_factory=list)
    after: int = 0
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if self.before:
            start(self.before.pop(), [("Retry-After", "0"), ("Content-Length", "0")])
            return []
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], key))
        answer = self.app(environ, start)
        if self.after:
            self.after -= 1
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer


class Quiet(WSGIRequestHandler):
    """Keeps connections open, as gunicorn does, and logs nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


@dataclass(frozen=True)
class Served:
    """Where the system listens, its key, and the faults in between."""

    url: str
    key: str
    faults: Faults


@contextmanager
def serving() -> Iterator[Served]:
    """Serve a system of its own on a loopback port."""
    ledger = MemoryLedger(now_ms)
    stores = Stores(
        graph=MemoryGraphStore(),
        state=MemoryStateStore(),
        points=MemoryPointStore(),
        ledger=ledger,
        outbox=MemoryOutbox(ledger),
        topic=MemoryResultTopic(),
    )
    keys = f"tests:default:{hashlib.sha256(KEY.encode()).hexdigest()}"
    threads = Threads()
    system = threads.system = build(Settings(api_keys=keys), threads, stores=stores)
    faults = Faults(create_app(system.settings, system.registry, system.orchestrator))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with capture_logs():
            yield Served(f"http://127.0.0.1:{server.server_port}", KEY, faults)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        threads.close()
        system.close()
