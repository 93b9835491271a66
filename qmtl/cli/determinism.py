"""A local run starts under the environment of a server's executor, so that digests agree."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

REQUIRED = {
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}


def is_deterministic(environ: Mapping[str, str]) -> bool:
    """Whether hashes and sums come out here as they do on a server."""
    return all(environ.get(name) == value for name, value in REQUIRED.items())


def ensure_deterministic() -> None:
    """Start this command again under ``REQUIRED`` unless it runs so; then it does not return."""
    if is_deterministic(os.environ):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a numpy.py beside the strategy must not be imported in place of NumPy.
    command = [sys.executable, "-P", "-m", "qmtl.cli.main", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **REQUIRED})  # noqa: S606 - no shell wanted
