"""A stack: the three servers of a profile, owned by this process.

The servers end with the process that owns the stack, however it ends. While it lives, a server
that dies by itself is started again, on its ports and its data.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from qmtl.common.errors import Conflict, NotFound, QmtlError
from qmtl.stack.profiles import plan_servers
from qmtl.stack.server import RunningServer, ServerPlan
from qmtl.stack.state import Folder, ServerState, StackState

FORMER_SERVERS_END_S = 40.0
LOOK_S = 0.2
LONGEST_PAUSE_S = 5.0
STEADY_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server as others see it.

    Attributes:
        name: ``redis``, ``graph`` or ``kafka``.
        product: The server's own name.
        address: ``host:port`` of its protocol.
        pid: Its process, 0 while it is down.
        log: File of its output.
    """

    name: str
    product: str
    address: str
    pid: int
    log: Path


def default_data_dir(profile: str) -> Path:
    """Return the data folder that a profile uses where none is named."""
    return Path(".qmtl") / profile


def silent(message: str) -> None:
    """Report progress to nobody."""


class Stack:
    """Servers that run; made by ``start``, ended by ``stop`` or by leaving the ``with`` block."""

    def __init__(
        self, profile: str, folder: Folder, servers: list[RunningServer], secrets: dict[str, str]
    ) -> None:
        self.profile = profile
        self.data_dir = folder.path
        self._folder = folder
        self._servers = {server.plan.name: server for server in servers}
        self._secrets = secrets
        self._ready = False
        self._lock = threading.RLock()
        self._held_down: set[str] = set()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep_up, name="stack-keeper", daemon=True)

    @classmethod
    def start(
        cls,
        profile: str = "embedded",
        data_dir: Path | None = None,
        on_progress: Callable[[str], None] = silent,
    ) -> Stack:
        """Start the servers of a profile and return when each answers its own protocol.

        Args:
            profile: ``embedded`` or ``real``.
            data_dir: Holds all that they keep; ``.qmtl/<profile>`` unless given.
            on_progress: Called with one short line at each step.

        Raises:
            Conflict: A stack is up in that folder, or it belongs to the other profile.
            Unavailable: A program is missing, or a server does not start.
        """
        folder = Folder(data_dir or default_data_dir(profile))
        folder.make()
        folder.own()
        try:
            folder.await_former_servers(FORMER_SERVERS_END_S)
            former = _former_state(folder, profile)
            plans, secrets = plan_servers(profile, folder.path, former, on_progress)
            servers = [RunningServer(plan, folder) for plan in plans]
            stack = cls(profile, folder, servers, secrets)
        except BaseException:
            folder.disown()
            raise
        try:
            stack._bring_up(on_progress)
        except BaseException:
            stack.stop()
            raise
        return stack

    def _bring_up(self, on_progress: Callable[[str], None]) -> None:
        self._write()  # before anything starts: the passwords must outlive a failed start
        for server in self._servers.values():
            on_progress(f"starting {server.plan.product}")
            server.start()
        self._write()
        for server in self._servers.values():
            server.await_answer()
            on_progress(f"{server.plan.product} answers on {server.plan.address}")
        self._ready = True
        self._write()
        os.register_at_fork(after_in_child=self._folder.disown)
        self._keeper.start()

    @property
    def servers(self) -> dict[str, ServerInfo]:
        """The servers by name, as they are now."""
        return {
            name: ServerInfo(
                name,
                each.plan.product,
                each.plan.address,
                each.pid if each.is_running() else 0,
                each.log,
            )
            for name, each in self._servers.items()
        }

    def settings_env(self) -> dict[str, str]:
        """Return the variables of ``Settings`` that reach these servers."""
        merged: dict[str, str] = {}
        for server in self._servers.values():
            merged |= server.plan.settings
        return merged

    def kill(self, name: str) -> None:
        """SIGKILL one server; it stays down until ``restart``."""
        with self._lock:
            server = self._named(name)
            self._held_down.add(name)
            server.kill()
            self._write()

    def restart(self, name: str) -> None:
        """Start a server again on its ports and data, stopping it first where it runs.

        Raises:
            Unavailable: It does not answer within its bound.
        """
        with self._lock:
            server = self._named(name)
            server.stop()
            server.start()
            self._held_down.discard(name)
            self._write()
        server.await_answer()

    def stop(self) -> None:
        """Stop every server and give the folder back; a second call does nothing."""
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()
        with self._lock:
            for server in self._servers.values():  # first all at once, then one by one
                server.ask_to_stop()
            for server in self._servers.values():
                server.stop()
            if self._folder.is_mine:
                self._ready = False
                self._write()
                self._folder.disown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _named(self, name: str) -> RunningServer:
        if name not in self._servers:
            raise NotFound(
                f"The stack has no server {name!r}.", hint=f"It has {', '.join(self._servers)}."
            )
        return self._servers[name]

    def _keep_up(self) -> None:
        """Start again what died by itself; a server that keeps dying is tried ever less often."""
        pauses: dict[str, float] = {}
        due: dict[str, float] = {}
        while not self._ended.wait(LOOK_S):
            now = time.monotonic()
            for name, server in self._servers.items():
                with self._lock:
                    down = not server.is_running() and name not in self._held_down
                    if not down or self._ended.is_set() or now < due.get(name, 0.0):
                        continue
                    fresh = now > due.get(name, 0.0) + STEADY_AFTER_S
                    pauses[name] = min(LOOK_S if fresh else pauses[name] * 2, LONGEST_PAUSE_S)
                    due[name] = now + pauses[name]
                    self._revive(server)

    def _revive(self, server: RunningServer) -> None:
        server.sweep()
        try:
            server.start()
        except QmtlError as error:
            with server.log.open("a") as log:
                log.write(f"{error.detail}\n")
        self._write()

    def _write(self) -> None:
        servers = {name: _state(each) for name, each in self._servers.items()}
        self._folder.write(
            StackState(
                profile=self.profile,
                secrets=self._secrets,
                servers=servers,
                settings=self.settings_env(),
                ready=self._ready,
            )
        )


def _state(server: RunningServer) -> ServerState:
    plan: ServerPlan = server.plan
    pid = server.pid if server.is_running() else 0
    return ServerState(plan.product, plan.address, plan.ports, pid, str(server.log))


def _former_state(folder: Folder, profile: str) -> StackState:
    try:
        former = folder.read()
    except NotFound:
        return StackState(profile=profile)
    if former.profile != profile:
        raise Conflict(
            f"{folder.path} holds the data of a stack of the profile {former.profile}.",
            hint="Use another --data-dir.",
        )
    return former
