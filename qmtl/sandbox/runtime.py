"""What a computed float may depend on beside code and data: the runtime that computes it."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import import_module, metadata

from qmtl.common.codec import FORMAT, digest

LIBRARIES = (
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
)  # all that strategies can compute with


@cache
def fingerprint() -> str:
    """Return what two runtimes must have in common to share results, 32 hex characters.

    It covers Python's minor version, the architecture with the SIMD features that NumPy uses, the
    codec, and the versions of the libraries that are installed here.
    """
    parts = [
        f"python {sys.version_info.major}.{sys.version_info.minor}",
        f"machine {sys.platform} {platform.machine()}",
        f"codec {FORMAT}",
        *(f"{name} {_version(name)}" for name in LIBRARIES),
        f"simd {' '.join(_simd())}",
    ]
    return digest("\n".join(parts).encode())


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"


def _simd() -> list[str]:
    """Return the SIMD features that NumPy found; it tells them under a private name alone."""
    core = import_module("numpy._core._multiarray_umath")
    features: dict[str, bool] = getattr(core, "__cpu_features__", {})
    return sorted(name for name, present in features.items() if present)
