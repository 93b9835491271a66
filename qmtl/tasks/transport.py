"""Messages in Redis as kombu carries them, but for what a worker has taken and not done yet.

It stays in the worker's memory (``ack_emulation`` is off). Where the broker is away when it is to
be put back, nothing is lost: the ledger knows what is to be done, and the reaper sends it again.
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any

from kombu.transport import TRANSPORT_ALIASES

if TYPE_CHECKING:

    class RedisChannel:
        """What is used here of kombu's own, which ships no types."""

        QoS: Any
        pool: Any
        connection: Any
        sep: str  # between a queue's name and a priority

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def _create_client(self, asynchronous: bool = False) -> Any: ...

    class RedisTransport: ...

    class MemoryQoS:
        _delivered: dict[str, Any]

        def get(self, delivery_tag: str) -> Any: ...
        def reject(self, delivery_tag: str, requeue: bool = False) -> None: ...
        def restore_unacked(self) -> list[Any]: ...

else:
    from kombu.transport.redis import Channel as RedisChannel
    from kombu.transport.redis import Transport as RedisTransport
    from kombu.transport.virtual import QoS as MemoryQoS

MARK = "redelivered"  # in the delivery info, which Celery hands to tasks
log = logging.getLogger(__name__)


class QoS(MemoryQoS):
    """Puts messages back where it can; kombu's own keeps the others in files that nobody reads.

    Celery rejects a message so that it comes back where the child died that had it, and only there.
    Such a one is marked for its task; kombu's own mark stands where nobody reads it.
    """

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put a message back, marked, where it is to come back."""
        if requeue:
            self.get(delivery_tag).delivery_info[MARK] = True
        super().reject(delivery_tag, requeue=requeue)

    def restore_unacked(self) -> list[Any]:
        """Put every message back that was taken and not done; no child died of them now."""
        for message in list(self._delivered.values()):
            message.delivery_info.pop(MARK, None)
        failed = super().restore_unacked()
        if failed:
            count = len(failed)
            log.warning("messages that could not be put back: %d; the reaper sends them", count)
        return []


class Channel(RedisChannel):
    """Makes a client once; kombu's own makes one for every message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._kept: Any = None
        super().__init__(*args, **kwargs)
        self.QoS = QoS

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous)
        if self.connection is None:  # closed when its server went away
            raise ConnectionResetError(errno.ECONNRESET, "the channel is closed")
        if self._kept is None or self._kept.connection_pool is not self.pool:  # as after a fork
            self._kept = super()._create_client()
        return self._kept


class Transport(RedisTransport):
    """Found by the scheme of the broker's URL, as kombu's own is."""

    Channel = Channel


def install() -> None:
    """Have addresses of Redis lead here."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
