"""Reading a strategy's file, with its problems shown where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from qmtl.cli.output import print_problems
from qmtl.cli.session import FAILED
from qmtl.common.errors import StrategyRejected
from qmtl.sdk.files import read_text
from qmtl.sdk.pipeline import Pipeline


def load(file: Path) -> Pipeline:
    """Return the pipeline of a file, or print what the parser refuses and exit."""
    text = read_text(file)
    try:
        return Pipeline.from_source(text)
    except StrategyRejected as error:
        reject(file, text, error)


def reject(file: Path, text: str, error: StrategyRejected) -> NoReturn:
    """Print every problem under its line and exit."""
    print_problems(str(file), text, error.problems)
    count = len(error.problems)
    click.echo(f"Error: the strategy has {count} problem{'s' if count > 1 else ''}.", err=True)
    raise click.exceptions.Exit(FAILED)
