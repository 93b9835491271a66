"""Kinds of arguments that several commands take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from qmtl.cli.session import Session
from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import parse_time
from qmtl.models.strategy import ENVIRONMENTS


class TimeType(click.ParamType[int]):
    """RFC 3339 with an offset, or a date; nanoseconds inside."""

    name = "time"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return nanoseconds UTC."""
        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except InvalidRequest as error:
            self.fail(str(error), param, ctx)


class DataType(click.ParamType[tuple[str, Path]]):
    """``source=FILE``."""

    name = "source=file"

    def convert(
        self,
        value: str | tuple[str, Path],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, Path]:
        """Return the source's variable and the file."""
        if isinstance(value, tuple):
            return value
        variable, equals, file = value.partition("=")
        if not (variable and equals and file):
            self.fail(f"{value!r} is not of the form source=FILE.", param, ctx)
        return variable, Path(file)


def _found(ctx: click.Context, _: click.Parameter, file: Path | None) -> Path:
    """Return the file that was given, else the only strategy of the current folder."""
    if file is not None:
        return file
    found = [path for path in sorted(Path().glob("*.py")) if _is_strategy(path)]
    if len(found) == 1:
        click.echo(f"Using {found[0]}, the only strategy here.", err=True)
        return found[0]
    here = f"here are {', '.join(map(str, found))}" if found else "there is none in this folder"
    raise click.UsageError(f"Name the file of a strategy: {here}.", ctx)


def _is_strategy(path: Path) -> bool:
    if path.name.startswith("test_") or path.name == "conftest.py" or not path.is_file():
        return False
    text = path.read_bytes()
    return b"qmtl.sdk" in text and _DECLARES.search(text) is not None


_DECLARES = re.compile(rb"^(\w+\.)*strategy\(", re.MULTILINE)
found_file = click.argument(
    "file",
    required=False,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_found,
)
strategy_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_ENVIRONMENT: dict[str, Any] = {
    "type": click.Choice(ENVIRONMENTS),
    "help": "Where the strategy is, or shall be, active.",
}
environment = click.option("--environment", "-e", **_ENVIRONMENT)
required_environment = click.option("--environment", "-e", required=True, **_ENVIRONMENT)
as_of = click.option(
    "--as-of", type=TimeType(), help="RFC 3339 time or date, e.g. 2026-11-23T00:00:00Z."
)
targets = click.option(
    "--target",
    "targets",
    multiple=True,
    help="Compute this node and what it rests on only; may be given several times.",
)
wait = click.option("--wait", "wait", is_flag=True, help="Wait for the end and show the results.")
timeout = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds to wait at most.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
pass_session = click.make_pass_decorator(Session, ensure=True)
