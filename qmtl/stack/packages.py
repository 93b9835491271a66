"""Programs that come inside Python packages, and the cache for what does not."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qmtl.common.errors import Unavailable


def cache_folder() -> Path:
    """Return the folder of what is fetched once: ``$XDG_CACHE_HOME/qmtl`` or ``~/.cache/qmtl``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "qmtl"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file against other processes; it is the kernel's and ends with this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def package_folder(name: str) -> Path:
    """Return where a package is installed, without importing it.

    Raises:
        Unavailable: It is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            "stack",
            f"The package {name} of the embedded servers is not installed.",
            hint="Install it with: pip install 'qmtl[server,embedded]'",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def runnable(program: Path) -> Path:
    """Return the program, or a copy in the cache where the package lost its run bit.

    Raises:
        Unavailable: The package has no such program, as on a platform without a wheel.
    """
    if not program.is_file():
        raise Unavailable(
            "stack",
            f"{program} does not exist.",
            hint="The embedded servers come for Linux (glibc) and macOS; elsewhere use "
            "--profile real.",
        )
    if os.access(program, os.X_OK):
        return program
    source = program.stat()
    copy = cache_folder() / "bin" / f"{program.name}-{source.st_size}-{source.st_mtime_ns}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=copy.parent)
        os.close(handle)
        shutil.copyfile(program, name)
        Path(name).chmod(0o700)
        Path(name).replace(copy)
    return copy
