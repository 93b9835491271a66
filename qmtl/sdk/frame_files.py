"""Frames written to files: CSV, Parquet, Arrow and Feather, told apart by the ending."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qmtl.common.errors import DataError, InvalidRequest

if TYPE_CHECKING:
    import pandas as pd

WRITTEN = (".csv", ".parquet", ".pq", ".feather", ".arrow", ".ipc")


def writer(path: Path) -> Callable[[pd.DataFrame], None]:
    """Return what writes a frame of plain cells into a file.

    That it can be written is asked before the work begins whose result it is.

    Raises:
        InvalidRequest: Nothing is written under such an ending.
        DataError: There is no such folder, or a package for the ending is missing.
    """
    ending = path.suffix.lower()
    if ending not in WRITTEN:
        raise InvalidRequest(
            f"{path} has no ending that tells what to write.",
            hint=f"These do: {', '.join(WRITTEN)}.",
        )
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}.")
    write = _csv if ending == ".csv" else partial(_arrow, ending)
    if ending != ".csv":
        _pyarrow(path)
    return partial(_written, path, write)


def _written(path: Path, write: Callable[[Path, pd.DataFrame], None], frame: pd.DataFrame) -> None:
    try:
        write(path, frame)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def _csv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path)


def _arrow(ending: str, path: Path, frame: pd.DataFrame) -> None:
    pa = _pyarrow(path)
    from pyarrow import feather, parquet  # noqa: PLC0415 - an extra, and slow to import

    table = pa.Table.from_pandas(frame.apply(_column, args=(pa,)))
    if ending in {".parquet", ".pq"}:
        parquet.write_table(table, path)
    elif ending == ".feather":
        feather.write_feather(table, str(path))
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
            out.write_table(table)


def _column(values: pd.Series[Any], pa: Any) -> pd.Series[Any]:
    """Return a column as Arrow can hold it: as text where its cells are of several types."""
    try:
        pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return values.map(str, na_action="ignore")
    return values


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise DataError(
            f"{path} needs the package pyarrow.", hint="pip install 'qmtl[arrow]'"
        ) from error
    return pa
