"""What the commands print: tables and JSON on stdout, progress and problems on stderr."""

from __future__ import annotations

import json
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from qmtl.cli.rendering import printable
from qmtl.common.errors import Problem
from qmtl.sdk.notices import LocalRunWarning

PROGRESS_AFTER_S = 1.0
_LINE_END = re.compile(r"\r\n|\r|\n")  # as Python counts lines; str.splitlines knows more
_WORD = re.compile(r"\w+")


def print_json(document: object) -> None:
    """Print a document as JSON, readable for people and programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns; cells are plain text, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 200)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def print_problems(path: str, source_text: str, problems: Iterable[Problem]) -> None:
    """Print each problem with the line where it stands and carets under what is meant."""
    lines = _LINE_END.split(source_text)
    for problem in problems:
        place = click.style(f"{path}:{problem.line}:{problem.column}:", bold=True)
        code = click.style(problem.code, fg="red", bold=True)
        click.echo(f"{place} {code} {printable(problem.message)}", err=True)
        if 1 <= problem.line <= len(lines):
            line = "".join(c if c.isprintable() else " " for c in lines[problem.line - 1])
            indent, carets = _under(line, problem.column)
            click.echo(f"    {line}\n    {indent}{click.style(carets, fg='red')}", err=True)
        if problem.hint:
            click.echo(f"  Hint: {printable(problem.hint)}", err=True)


def _under(line: str, column: int) -> tuple[str, str]:
    """Return the space before a column, and a caret for each character of the word there."""
    start = column - 1
    word = _WORD.match(line, start)
    width = cell_len(word[0]) if word else 1
    return " " * cell_len(line[:start]), "^" * width


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr for what takes over a second, in a terminal only.

    Yields:
        A function that takes how much is done, and of how much (0 where unknown).
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,  # a local run captures these streams itself, from other threads
        redirect_stderr=False,
    )
    task = bar.add_task(what, total=None)
    timer = threading.Timer(PROGRESS_AFTER_S, bar.start)
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
    finally:
        timer.cancel()
        if timer.ident is not None:
            timer.join()
        if bar.live.is_started:  # else it would print an empty line where there is no terminal
            bar.stop()


@contextmanager
def told_warnings() -> Iterator[None]:
    """Print what a local run warns of as a line; other warnings are Python's as ever."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", LocalRunWarning)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *more: Any, **rest: Any) -> None:
            if issubclass(category, LocalRunWarning):
                click.echo(printable(f"Warning: {message}"), err=True)
            else:
                shown(message, category, *more, **rest)

        warnings.showwarning = show
        yield


def duration(duration_ns: float | None) -> str:
    """Return a duration for people: ``0.31 ms``, ``12.5 s``."""
    if duration_ns is None:
        return "-"
    if duration_ns < 1_000_000_000:
        return f"{duration_ns / 1e6:.3g} ms"
    return f"{duration_ns / 1e9:.3g} s"


def json_value(value: object) -> dict[str, Any]:
    """Return a value as the API renders it: ``value_type`` and ``value``, or ``omitted``."""
    from qmtl.web.rendering import Renderer, TooLong, type_name  # noqa: PLC0415 - imports pandas

    kind = type_name(value)
    try:
        return {"value_type": kind, "value": Renderer().render(value), "omitted": False}
    except TooLong:
        return {"value_type": kind, "value": None, "omitted": True}
