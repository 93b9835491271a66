"""How every Celery worker of ours is started."""

from __future__ import annotations

import logging
import os

# It says of every message that it came, before any work begins. That it is done is said later, by
# the child; Flower shows both.
RECEIPTS = "celery.worker.strategy"


def run(queue: str, *, concurrency: int) -> None:
    """Run a worker of one queue until it is told to stop.

    SIGTERM begins a soft shutdown: running tasks get a few seconds, what is left goes back to the
    queue. Celery reads the variable for that when it is imported, hence the late import.
    """
    os.environ["REMAP_SIGTERM"] = "SIGQUIT"
    from qmtl.common.log import configure  # noqa: PLC0415
    from qmtl.tasks.app import app  # noqa: PLC0415

    configure()
    logging.getLogger(RECEIPTS).setLevel(logging.WARNING)
    app.worker_main(
        [
            "worker",
            f"--queues={queue}",
            # Two workers of one queue on one machine need two names: honcho numbers them.
            f"--hostname={os.environ.get('HONCHO_PROCESS_NAME', queue)}@%h",
            "--pool=prefork",
            f"--concurrency={concurrency}",
            "--events",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ]
    )
