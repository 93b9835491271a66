"""The whole system on one machine: a stack, and the processes of the Procfile on it."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.stack.api import Stack, silent
from qmtl.stack.ports import choose
from qmtl.stack.processes import Processes, ProcessInfo, find_procfile
from qmtl.stack.state import Folder, write_private

ACCESS_FILE = "access.json"
KEY_NAME, KEY_TENANT = "first", "default"
FLOWER_USER = "qmtl"
API_PORT, FLOWER_PORT = 8000, 5555
READY_S = 60.0
LOOK_S = 0.1
# A process that was started so often before the first answer will not come up by itself.
STARTS_AT_MOST = 5


class Access(msgspec.Struct, frozen=True):
    """What one needs to get in; made at the first start and kept.

    Attributes:
        api_key: Bearer key of the tenant ``default``.
        flower_password: Password of the user ``qmtl`` there.
        api_port: Port of the last start.
        flower_port: Port of the last start.
    """

    api_key: str
    flower_password: str
    api_port: int = API_PORT
    flower_port: int = FLOWER_PORT


class System:
    """A system that runs; made by ``start``, ended by ``stop`` or by leaving the ``with`` block.

    It ends with the process that owns it, also when that is killed.

    Attributes:
        stack: Its servers.
        url: Address of the API.
        api_key: A key that may write, of the tenant ``default``.
        flower_url: Address of Flower.
        flower_user: User there.
        flower_password: Password there.
        environ: The variables its processes were started with.
    """

    def __init__(
        self, stack: Stack, access: Access, environ: dict[str, str], procfile: Path
    ) -> None:
        self.stack = stack
        self.url = f"http://127.0.0.1:{access.api_port}"
        self.api_key = access.api_key
        self.flower_url = f"http://127.0.0.1:{access.flower_port}"
        self.flower_user = FLOWER_USER
        self.flower_password = access.flower_password
        self.environ = environ
        self._processes = Processes(procfile, Folder(stack.data_dir), environ)

    @classmethod
    def start(
        cls,
        profile: str = "embedded",
        data_dir: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        api_port: int | None = None,
        flower_port: int | None = None,
        procfile: Path | None = None,
        ready_s: float = READY_S,
        on_progress: Callable[[str], None] = silent,
    ) -> System:
        """Start everything and return when the API says that it is ready.

        Args:
            profile: ``embedded`` or ``real``.
            data_dir: Holds all that is kept; ``.qmtl/<profile>`` unless given.
            environ: Variables for the processes, over those of this one and of the stack.
            api_port: Port of the API; otherwise that of the last start, else 8000, where free.
            flower_port: Port of Flower; otherwise that of the last start, else 5555, where free.
            procfile: What is run; the repository's unless given.
            ready_s: Bound on the wait for the API.
            on_progress: Called with one short line at each step.

        Raises:
            Conflict: A stack is up in that folder.
            NotFound: There is no Procfile.
            Unavailable: A server or process does not come up; the message names it and its log.
        """
        chosen = procfile or find_procfile()
        stack = Stack.start(profile, data_dir, on_progress)
        try:
            variables = {**os.environ, **stack.settings_env(), **(environ or {})}
            access = _access(
                stack.data_dir / ACCESS_FILE,
                api_port or _port_setting(variables, "api"),
                flower_port or _port_setting(variables, "flower"),
            )
            variables |= _access_env(access, variables.get("QMTL_API_KEYS", ""))
            system = cls(stack, access, variables, chosen)
        except BaseException:
            stack.stop()
            raise
        try:
            on_progress(f"starting {', '.join(system.processes())}")
            system.await_ready(ready_s)
        except BaseException:
            system.stop()
            raise
        return system

    def processes(self) -> dict[str, ProcessInfo]:
        """Return the processes of the Procfile by name, as they are now."""
        return self._processes.all()

    def check(self) -> None:
        """Do nothing while the processes run.

        Raises:
            Unavailable: All of them ended.
        """
        self._processes.check()

    def wait(self) -> None:
        """Wait as long as the processes run, which is until something ends this process.

        Raises:
            Unavailable: All of them ended.
        """
        while True:
            self.check()
            time.sleep(LOOK_S)

    def await_ready(self, timeout_s: float) -> None:
        """Return as soon as ``/readyz`` answers 200.

        Raises:
            Unavailable: It did not within the bound, or a process keeps dying.
        """
        until = time.monotonic() + timeout_s
        while (answer := _ask(f"{self.url}/readyz")) != "ready":
            self.check()
            for process in self.processes().values():
                if process.starts > STARTS_AT_MOST:
                    raise self._processes.failure(process.name, "keeps dying")
            if time.monotonic() > until:
                what = f"did not become ready within {timeout_s:.0f} s ({answer})"
                raise self._processes.failure("web", what)
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """Stop the processes, then the servers; a second call does nothing."""
        self._processes.stop()
        self.stack.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _ask(url: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5.0):
            return "ready"
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:  # URLError is one
        return f"{url}: {error}"


def _access(path: Path, api_port: int | None, flower_port: int | None) -> Access:
    """Return the access of the former start, or make one; ports only where they are free.

    Raises:
        Unavailable: A port that was asked for is taken.
    """
    try:
        former = msgspec.json.decode(path.read_bytes(), type=Access)
    except FileNotFoundError:
        former = Access(f"qmtl_{secrets.token_urlsafe(32)}", secrets.token_urlsafe(18))
    chosen_api = _port(api_port, former.api_port, set())
    access = Access(
        former.api_key,
        former.flower_password,
        chosen_api,
        _port(flower_port, former.flower_port, {chosen_api}),
    )
    write_private(path, msgspec.json.encode(access))
    return access


def _port(asked: int | None, former: int, taken: set[int]) -> int:
    port = choose(asked or former, taken)
    if asked is not None and port != asked:
        raise Unavailable("web", f"Port {asked} is taken.", hint="Name another one, or none.")
    return port


def _port_setting(environ: Mapping[str, str], name: str) -> int | None:
    """Return the port that the caller's variables ask for, if they do."""
    if f"QMTL_{name.upper()}_PORT" not in environ:
        return None
    settings = Settings.from_env(environ)
    return settings.api_port if name == "api" else settings.flower_port


def _access_env(access: Access, further_keys: str) -> dict[str, str]:
    """Return the variables that carry the access to the processes.

    The first key is added to those of the caller.
    """
    digest = hashlib.sha256(access.api_key.encode()).hexdigest()
    first = f"{KEY_NAME}:{KEY_TENANT}:{digest}"
    return {
        "QMTL_API_KEYS": ",".join(filter(None, [first, further_keys])),
        "QMTL_API_PORT": str(access.api_port),
        "QMTL_FLOWER_PORT": str(access.flower_port),
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{access.flower_password}",
    }
