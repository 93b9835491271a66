"""Keeping the leases of running shards alive, all of a process in one thread."""

from __future__ import annotations

import logging
import time
from itertools import takewhile
from threading import Condition, Event, Thread
from types import TracebackType
from typing import Self

from qmtl.common.errors import Unavailable
from qmtl.orchestrator.execution.ledger import Ledger

log = logging.getLogger("qmtl.execution")
LOOK_S = 1.0  # a cancel is learnt by a renewal, so none waits longer than this for the next


class Lease:
    """A claimed shard, renewed while it is entered; make one with ``Leases.of``.

    Where it is left because a server is away, or was away until it was lost, the claim is given
    back: what ends workers must not be told by what ends servers.

    ``lost`` turns True once the ledger refused a renewal, or could not be reached for as long as
    the lease lasts: whoever computes the shard must then stop.
    """

    def __init__(
        self, leases: Leases, execution_id: str, stage: int, shard: int, token: int
    ) -> None:
        self._leases = leases
        self.execution_id = execution_id
        self.stage = stage
        self.shard = shard
        self.token = token
        self._lost = Event()
        self._unreachable = False
        self.until = 0.0  # by the monotonic clock: how long it lasts at least

    @property
    def lost(self) -> bool:
        """Whether the shard is somebody else's by now."""
        return self._lost.is_set()

    def lose(self, *, unreachable: bool = False) -> None:
        """Note that the ledger refused what this lease's holder sent, or was away for too long."""
        self._unreachable = self._unreachable or unreachable
        self._lost.set()

    def __enter__(self) -> Self:
        self._leases.enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        away = self._unreachable or isinstance(error, Unavailable)
        self._leases.leave(self, give_back=away)


class Leases:
    """Renews every entered lease each third of its length, at least once a second.

    Claims to be given back are, as soon as the ledger can be reached again.

    Its thread starts with the first lease, so in the process that holds it and behind any fork,
    and ends with the process.
    """

    def __init__(self, ledger: Ledger, lease_s: float) -> None:
        self._ledger = ledger
        self.lease_s = lease_s
        self._changed = Condition()
        self._held: list[Lease] = []
        self._ended: list[Lease] = []  # whose claims are to be given back
        self._thread: Thread | None = None

    def of(self, execution_id: str, stage: int, shard: int, token: int) -> Lease:
        """Return the lease of a shard that was just claimed for ``lease_s`` seconds."""
        return Lease(self, execution_id, stage, shard, token)

    def enter(self, lease: Lease) -> None:
        """Begin to renew a lease."""
        lease.until = time.monotonic() + self.lease_s
        with self._changed:
            self._held.append(lease)
            if self._thread is None:
                self._thread = Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
            elif len(self._held) == 1:
                self._changed.notify()

    def leave(self, lease: Lease, *, give_back: bool = False) -> None:
        """Renew a lease no more; with ``give_back``, its claim shall not count."""
        with self._changed:
            self._held.remove(lease)
            if give_back:
                self._ended.append(lease)

    def _renew_all(self) -> None:
        pause_s = min(self.lease_s / 3, LOOK_S)
        while True:
            with self._changed:
                while not (self._held or self._ended):
                    self._changed.wait()
            time.sleep(pause_s)
            with self._changed:
                held, ended = list(self._held), list(self._ended)
            for lease in held:
                if not lease.lost:
                    self._renew(lease)
            given = list(takewhile(self._given_back, ended))
            with self._changed:
                self._ended = [lease for lease in self._ended if lease not in given]

    def _given_back(self, lease: Lease) -> bool:
        """Give a claim back; False where the ledger cannot be reached yet."""
        try:
            self._ledger.give_back(lease.execution_id, lease.stage, lease.shard, lease.token)
        except Unavailable:
            return False
        except Exception:  # as below
            log.exception("A claim of execution %s counts.", lease.execution_id)
        return True

    def _renew(self, lease: Lease) -> None:
        asked = time.monotonic()
        try:
            renewed = self._ledger.renew(
                lease.execution_id, lease.stage, lease.shard, lease.token, lease_s=self.lease_s
            )
        except Unavailable:
            if asked >= lease.until:
                lease.lose(unreachable=True)
            return
        except Exception:  # this thread keeps every lease of the process, and nothing restarts it
            log.exception("A lease of execution %s could not be renewed.", lease.execution_id)
            renewed = asked < lease.until
        else:
            lease.until = asked + self.lease_s
        if not renewed:
            lease.lose()
