"""Telling planners how many shards a worker of the queue ``nodes`` runs at once."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from qmtl.bootstrap import connect_ledger
from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.tasks.app import NODES, app

if TYPE_CHECKING:

    class StartStopStep:
        """What is used here of Celery's own, which ships no types."""

        def __init__(self, parent: Any, **kwargs: Any) -> None: ...

else:
    from celery.bootsteps import StartStopStep

EVERY_S = 4.0
LASTS_S = 12.0  # after this a worker that was killed no longer counts
TIMEOUT_S = 0.5  # the worker's main loop stands still meanwhile

log = logging.getLogger(__name__)


class Presence(StartStopStep):
    """Runs on the timer of a worker's main process; none of its children takes part."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._ledger: Ledger | None = None
        self._repeated: Any = None

    def include_if(self, parent: Any) -> bool:
        """Tell whether the worker takes from the queue at all."""
        return NODES in parent.app.amqp.queues.consume_from

    def start(self, parent: Any) -> None:
        """Tell it now, and again and again."""
        self._ledger = connect_ledger(Settings.from_env(), timeout_s=TIMEOUT_S)
        told = (_name(parent), parent.concurrency)
        self._tell(*told)
        self._repeated = parent.timer.call_repeatedly(EVERY_S, self._tell, told)

    def stop(self, parent: Any) -> None:
        """Take it back: whatever is planned from now on is for others."""
        if self._repeated is not None:
            self._repeated.cancel()
            self._repeated = None
            self._tell(_name(parent), 0)

    terminate = stop

    def _tell(self, worker: str, slots: int) -> None:
        if self._ledger is None:
            return
        try:
            self._ledger.offer(worker, slots, lasts_s=LASTS_S)
        except Unavailable as error:
            log.warning("planners are not told of this worker: %s", error)


def _name(worker: Any) -> str:
    """Return a name of its own, also where two workers on one machine were given one name."""
    return f"{worker.hostname}:{os.getpid()}"


app.steps["worker"].add(Presence)
