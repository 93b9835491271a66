"""The data folder of a stack: who owns it, and what a later start must find again."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from qmtl.common.errors import Conflict, DataError, NotFound, Unavailable

STATE_FILE = "stack.json"
OWNER_LOCK = "owner.lock"
SERVERS_LOCK = "servers.lock"


class ServerState(msgspec.Struct, frozen=True):
    """What a start leaves about one server.

    Attributes:
        product: The server's own name.
        address: ``host:port`` of its protocol.
        ports: Every port it listens on, by use.
        pid: Its process, 0 while it is down.
        log: File of its output.
    """

    product: str
    address: str
    ports: dict[str, int]
    pid: int
    log: str


class StackState(msgspec.Struct, frozen=True):
    """The content of ``stack.json``.

    Attributes:
        profile: ``embedded`` or ``real``.
        secrets: Passwords and ids made at the first start.
        servers: By name; kept after the end, so that the ports stay the same.
        settings: The variables of ``Settings`` that reach these servers.
        ready: Whether the owner has seen every server answer.
    """

    profile: str
    secrets: dict[str, str] = {}
    servers: dict[str, ServerState] = {}
    settings: dict[str, str] = {}
    ready: bool = False


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file in one step; only its owner may read it."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Folder:
    """A stack's data folder.

    At most one process owns it at a time. The lock is the kernel's (``flock``), so that an owner
    that was killed leaves none behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def make(self) -> None:
        """Make the folder, closed to other users, and those for logs and temporary files."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        for name in ("logs", "run", "tmp"):
            (self.path / name).mkdir(exist_ok=True)

    def own(self) -> None:
        """Take the lock and note this process as the owner.

        Raises:
            Conflict: Another process owns the folder.
        """
        lock = os.open(self.path / OWNER_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Conflict(
                f"A stack is already up in {self.path} (owner: process {self.owner()}).",
                hint="Stop it with 'qmtl stack down' or use another --data-dir.",
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def disown(self) -> None:
        """Give the lock back; the forked child of an owner calls it too, which frees nothing."""
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None

    @property
    def is_mine(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def owner(self) -> int | None:
        """Return the pid of the process that owns the folder now, if one does."""
        path = self.path / OWNER_LOCK
        if not path.exists() or not _is_locked(path):
            return None
        return int(path.read_text().strip() or 0) or None

    def await_former_servers(self, timeout_s: float) -> None:
        """Wait until the servers of an owner that was killed have ended.

        Raises:
            Unavailable: Some still run after the bound.
        """
        path = self.path / SERVERS_LOCK
        until = time.monotonic() + timeout_s
        while path.exists() and _is_locked(path):
            if time.monotonic() > until:
                pids = sorted(s.pid for s in self.read().servers.values() if s.pid)
                raise Unavailable(
                    "stack",
                    f"Servers of an earlier stack in {self.path} still run.",
                    hint=f"Their last known processes: {', '.join(map(str, pids)) or 'none'}.",
                )
            time.sleep(0.1)

    def read(self) -> StackState:
        """Return what the last start left.

        Raises:
            NotFound: No stack was ever started here.
            DataError: The file is damaged.
        """
        path = self.path / STATE_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=StackState)
        except FileNotFoundError as error:
            raise NotFound(
                f"There is no stack in {self.path}.", hint="Start one with 'qmtl stack up'."
            ) from error
        except msgspec.DecodeError as error:
            raise DataError(f"{path} is damaged: {error}.") from error

    def write(self, state: StackState) -> None:
        """Replace ``stack.json``; it holds passwords, so only the user may read it."""
        write_private(self.path / STATE_FILE, msgspec.json.format(msgspec.json.encode(state)))

    def log(self, name: str) -> Path:
        """Return the log file of a server or process."""
        return self.path / "logs" / f"{name}.log"


def _is_locked(path: Path) -> bool:
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, or none where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 256 * count - 4096))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:] if count else []
