"""From stages to chords: the dispatcher that Celery is behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery, chord, signature
from celery.canvas import Signature
from kombu.exceptions import OperationalError

from qmtl.common.errors import Unavailable
from qmtl.common.redis.connection import connect, translated
from qmtl.models.execution import Priority
from qmtl.tasks.app import BEGINNING, NODES, PRIORITIES
from qmtl.tasks.template import MessageTemplate

CARRY_OUT = "qmtl.control.carry_out"
ADVANCE = "qmtl.nodes.advance"
RUN_SHARD = "qmtl.nodes.run_shard"
BROKER_TIMEOUT_S = 2.0


class CeleryDispatcher:
    """Sends ids to the queues of an application; see the port for what callers may rely on."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._broker = connect(app.conf.broker_url, timeout_s=BROKER_TIMEOUT_S)
        self._templates: dict[int, MessageTemplate] = {}  # of advances, by level

    def submission(self, tenant: str, submission_id: str) -> None:
        """Send a submission to the control worker."""
        self._send(self._signature(CARRY_OUT, _level(Priority.NORMAL), tenant, submission_id))

    def advance(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        """Send an advance to a node worker."""
        level = _level(priority, beginning=stage == 0)
        template = self._template(level)
        try:
            with translated():
                self._push(template.place, template.message(tenant, execution_id, stage))
        except Unavailable as error:
            raise Unavailable("broker", f"The broker does not take messages: {error}") from error

    def shards(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        shards: Sequence[int],
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        """Send a chord: the shards, and behind the last of them the advance to the next stage.

        A single shard has the advance as its callback: there is nothing to count, and Celery counts
        a chord of one before it sends it, which takes twenty seconds where the server is away.
        """
        level = _level(priority)
        header = [self._signature(RUN_SHARD, level, tenant, execution_id, stage, k) for k in shards]
        body = self._signature(ADVANCE, level, tenant, execution_id, stage + 1)
        if len(header) == 1:
            self._send(header[0], link=body)
        else:
            self._send(chord(header, body, app=self._app))

    def queued(self) -> int:
        """Return the length of the node workers' queue, over all priorities.

        Declaring the queue passively would say so too, but kombu then looks for its lists without
        their prefix, finds none, and says that there is no queue.
        """
        try:
            with translated(), self._app.connection_for_read() as connection:
                channel: Any = connection.default_channel
                return int(channel._size(NODES))  # noqa: SLF001 - nothing public counts them
        except OperationalError as error:
            raise Unavailable("broker", f"The broker does not answer: {error}.") from error

    def _push(self, place: str, message: bytes) -> None:
        self._broker.lpush(place, message)

    def _template(self, level: int) -> MessageTemplate:
        template = self._templates.get(level)
        if template is None:
            template = self._templates[level] = MessageTemplate(self._app, ADVANCE, level)
        return template

    def _signature(self, task: str, level: int, *args: str | int) -> Signature:
        return signature(task, args=args, immutable=True, app=self._app, priority=level)

    def _send(self, message: Signature, *, link: Signature | None = None) -> None:
        try:
            with translated():  # the counter of a chord raises what the server's client does
                message.apply_async(ignore_result=True, link=link)
        except OperationalError as error:
            raise Unavailable("broker", f"The broker does not take messages: {error}.") from error


def _level(priority: Priority, *, beginning: bool = False) -> int:
    return PRIORITIES[priority] + (BEGINNING if beginning else 0)
