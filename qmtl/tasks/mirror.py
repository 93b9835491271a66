"""Tasks of the queue ``mirror``: from the outbox to Kafka."""

from __future__ import annotations

import os
import socket
import time

import structlog

from qmtl.common.errors import Refused
from qmtl.tasks.app import MIRROR_EVERY_S, app
from qmtl.tasks.context import system
from qmtl.tasks.guard import never_raises

WAIT_S = 1.0
REFUSED_S = 0.2  # before it goes on: what was refused comes again later, the rest need not wait
DRAIN_S = MIRROR_EVERY_S - WAIT_S  # the last wait ends as beat sends the next task
log = structlog.get_logger("qmtl.tasks")


@app.task(name="qmtl.mirror.store_results")
@never_raises
def store_results() -> None:
    """Mirror what is in the outbox, and what comes while it does.

    Beat sends this task every few seconds and a message that waited longer is dropped, so that one
    of them runs at any time and a record waits for a fraction of a second. A topic that Kafka
    refuses keeps nothing from the others.
    """
    reader = f"{socket.gethostname()}:{os.getpid()}"
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        try:
            system().mirror.carry(reader, wait_s=WAIT_S)
        except Refused as error:
            log.warning("topic_refused", error=str(error))
            time.sleep(REFUSED_S)
