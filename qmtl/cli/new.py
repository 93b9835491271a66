"""``qmtl new``: a strategy to start from, with a test and data."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

import click

from qmtl.cli.starter import starter_files
from qmtl.common.errors import Conflict, DataError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# A file of such a name would be imported in place of the package.
TAKEN = frozenset({"numpy", "pandas", "polars", "pytest", "qmtl", "scipy"})


@click.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to; default: the current folder.",
)
def new(name: str, folder: Path) -> None:
    """Write a commented strategy NAME.py, a test of it, and a small CSV to run it on.

    Nothing that exists is overwritten.
    """
    _check(name)
    files = {folder / file: text for file, text in starter_files(name).items()}
    for path in files:
        if path.exists():
            raise Conflict(f"{path} exists already.", hint="Choose another name, or another --dir.")
    for path, text in files.items():
        _write(path, text)
        click.echo(f"wrote {path}")
    file = folder / f"{name}.py"
    click.echo(
        f"\nTry it:\n  qmtl check {file}\n  qmtl run {file}\n  pytest {folder / f'test_{name}.py'}"
    )


def _check(name: str) -> None:
    problem = None
    if not NAME.fullmatch(name):
        problem = "a name is lower-case letters, digits and underscores, a letter first"
    elif keyword.iskeyword(name):
        problem = "the name is a word of Python"
    elif name in TAKEN or name in sys.stdlib_module_names:
        problem = "a package is called so, and the file would hide it"
    if problem:
        raise click.BadParameter(f"{problem}.", param_hint="NAME")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
