"""Files, read with errors that say what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from qmtl.common.errors import DataError


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file; a byte order mark is no part of it.

    Raises:
        DataError: There is no such file, or it is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte {error.start} cannot be decoded.",
            hint="Save the file as UTF-8.",
        ) from error


def read_bytes(path: str | Path) -> bytes:
    """Return what a file holds.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"{path} cannot be read: {reason}.") from error
