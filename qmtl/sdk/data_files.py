"""Data in files: CSV, JSON rows, Parquet and Arrow, told apart by the ending of the name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qmtl.common.errors import DataError, InvalidPoint
from qmtl.models.points import Points, points_from_csv, points_from_rows
from qmtl.sdk.files import read_bytes, read_text

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".parquet", ".feather", ".arrow", ".json", ".jsonl")
_TABLES = frozenset({".parquet", ".pq", ".feather", ".arrow", ".ipc"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})


def is_csv(path: str | Path) -> bool:
    """Whether a file is read as CSV, as what has no known ending is."""
    return Path(path).suffix.lower() not in {*_TABLES, *_JSON_LINES, ".json"}


def read_file(
    path: str | Path,
    columns: tuple[str, ...],
    from_frame: Callable[[pd.DataFrame], Points],
) -> Points:
    """Return the points in a file; what has no known ending is read as CSV.

    Args:
        path: The file.
        columns: What the source declares.
        from_frame: Reads a frame, which is what Parquet and Arrow files become.

    Raises:
        DataError: The file cannot be read, or a package for it is missing.
        InvalidPoint: Something in it cannot be used; file, row and column are named.
    """
    ending = Path(path).suffix.lower()
    try:
        if ending in _TABLES:
            return from_frame(_frame(path, ending))
        text = read_text(path)
        if not text.strip():
            raise InvalidPoint("The file is empty.", hint="Its first row names ts and the columns.")
        if ending == ".json":
            return points_from_rows(_rows(text), columns)
        if ending in _JSON_LINES:
            return points_from_rows(_lines(text), columns)
        return points_from_csv(text, columns)
    except InvalidPoint as error:
        raise InvalidPoint(f"{path}: {error.detail}", hint=error.hint) from error


def _frame(path: str | Path, ending: str) -> pd.DataFrame:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to import
        from pyarrow import feather, parquet  # noqa: PLC0415
    except ImportError as error:
        raise DataError(
            f"{path} needs the package pyarrow.", hint="pip install 'qmtl[arrow]'"
        ) from error
    data = pa.BufferReader(read_bytes(path))
    try:
        if ending in {".parquet", ".pq"}:
            table = parquet.read_table(data)
        elif ending == ".feather":
            table = feather.read_table(data)
        else:
            table = _ipc(pa, data)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as {ending[1:]}: {reason}") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _ipc(pa: Any, data: Any) -> Any:
    """Read Arrow IPC, as a file or as a stream."""
    try:
        return pa.ipc.open_file(data).read_all()
    except pa.ArrowInvalid:
        data.seek(0)
        return pa.ipc.open_stream(data).read_all()


def _rows(text: str) -> list[Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPoint(f"It is not JSON: {error}.") from error
    rows = document.get("points") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise InvalidPoint(
            "The JSON is no list of rows.", hint='Write [{"ts": "2026-01-01", "close": 1.5}, ...].'
        )
    return rows


def _lines(text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(filter(str.strip, text.split("\n")), 1):
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InvalidPoint(f"Row {number} is not JSON: {error}.") from error
    return rows
