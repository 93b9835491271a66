"""The data that a local command runs on: files named with ``--data`` or standing beside it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from qmtl.cli.parameters import DataType
from qmtl.sdk.data_files import ENDINGS
from qmtl.sdk.pipeline import Pipeline

data_files = click.option(
    "--data",
    multiple=True,
    type=DataType(),
    help="Data of a source: its variable=FILE (CSV, Parquet, Arrow, Feather or JSON).",
)


def inputs_of(
    pipeline: Pipeline, file: Path, data: tuple[tuple[str, Path], ...]
) -> dict[str, Path]:
    """Return the file of each source, by variable: as told, else one beside the strategy's.

    Raises:
        click.BadParameter: The strategy has no such source, or one is given twice.
    """
    known = [s.variable for s in pipeline.spec.sources]
    given = given_once(data)
    for variable in given:
        if variable not in known:
            raise click.BadParameter(
                f"the strategy has no source {variable!r}; it has {', '.join(known) or 'none'}.",
                param_hint="--data",
            )
    return _beside(pipeline, file, without=given) | given


def given_once(data: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    """Return the files that were told, by variable.

    Raises:
        click.BadParameter: One is given twice.
    """
    found = dict(data)
    for variable in found:
        if [name for name, _ in data].count(variable) > 1:
            raise click.BadParameter(f"{variable!r} is given twice.", param_hint="--data")
    return found


def _beside(pipeline: Pipeline, file: Path, *, without: Collection[str]) -> dict[str, Path]:
    """Return the data that stand beside the strategy's file, by variable, and say so."""
    found: dict[str, Path] = {}
    for variable in (s.variable for s in pipeline.spec.sources if s.variable not in without):
        names = (f"{file.stem}.{variable}{ending}" for ending in ENDINGS)
        path = next(filter(Path.is_file, map(file.with_name, names)), None)
        if path is not None:
            click.echo(f"Using {path} for {variable}.", err=True)
            found[variable] = path
    return found
